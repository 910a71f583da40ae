//! The client of `async-nats`, and the turns of its driver.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerAddr, StatusCode, Subscriber};
use futures_util::Stream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout};

use crate::driver::{Driver, Message, News, Order};
use crate::options::{Credentials, Options, StartError};
use crate::waker::Waker;

/// A server is asked for a sign of life after so long, and is dead when three times nothing came.
const PING_EVERY: Duration = Duration::from_secs(1);
/// How long a connect may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Waits before servers are tried again: the first and the longest, plus as much by chance.
const BACKOFF: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];
/// Messages of one subscription that may wait for the driver.
const WAITING_MAX: usize = 16 * 1024;
/// Messages that may wait for the connection.
const LEAVING_MAX: usize = 128;
/// How long the last messages may take.
const LAST_WITHIN: Duration = Duration::from_secs(1);

/// The servers' addresses.
pub(crate) fn addresses(options: &Options) -> Result<Vec<ServerAddr>, StartError> {
    let parse = |url: &String| {
        let address = url.parse::<ServerAddr>();
        address.map_err(|error| StartError::Url(url.clone(), error.to_string()))
    };
    options.urls.iter().map(parse).collect()
}

fn connect_options(
    options: Options,
    told: tokio::sync::mpsc::UnboundedSender<Event>,
) -> ConnectOptions {
    let mut connect = ConnectOptions::new()
        .name(options.name)
        .no_echo()
        .retry_on_initial_connect()
        .max_reconnects(None)
        .ping_interval(PING_EVERY)
        .connection_timeout(CONNECT_WITHIN)
        .subscription_capacity(WAITING_MAX)
        .client_capacity(LEAVING_MAX)
        .reconnect_delay_callback(delay)
        .event_callback(move |event| {
            let told = told.clone();
            async move { _ = told.send(event) }
        });
    if let Some(tls) = options.tls {
        connect = connect.tls_client_config(tls);
    }
    match options.credentials {
        Credentials::None => connect,
        Credentials::Nkey(seed) => connect.nkey(seed),
        Credentials::Password { user, password } => connect.user_and_password(user, password),
    }
}

/// Many clients of a server that has ended don't come back at the same time.
fn delay(attempts: usize) -> Duration {
    let [first, longest] = BACKOFF;
    let doubled = first * (1 << attempts.min(10)) / 2;
    let wait = doubled.min(longest);
    wait + wait.mul_f64(fastrand::f64())
}

/// Serves the driver until it is over.
pub(crate) async fn run(
    options: Options,
    addresses: Vec<ServerAddr>,
    waker: Waker,
    mut driver: impl Driver,
) {
    let (told, mut events) = unbounded_channel();
    let connect = connect_options(options, told);
    let client = match connect.connect(addresses).await {
        Ok(client) => client,
        Err(error) => return driver.news(News::Trouble(error.to_string())),
    };
    let mut heard = Subscriptions::default();
    let mut sending: Option<Sending> = None;
    while !driver.is_over() {
        // One that does nothing itself never has to give way: what has come is seen whole.
        let wait = wait(
            &mut heard,
            &mut events,
            &mut sending,
            &waker,
            driver.idle_ns(),
        );
        for one in tokio::task::unconstrained(wait).await {
            match one {
                Seen::Messages(messages) => driver.news(News::Messages(messages)),
                Seen::Event(event) => tell(&mut driver, &client, event),
                Seen::Done(done) => heard.add(done),
            }
        }
        waker.looks();
        driver.news(News::Look);
        if sending.is_none() {
            let orders = driver.orders();
            sending = heard
                .forget(orders)
                .map(|orders| start(client.clone(), orders));
        }
    }
    let last = async {
        if let Some(sending) = sending {
            heard.add(sending.await);
        }
        loop {
            let orders = heard.forget(driver.orders()).unwrap_or_default();
            heard.add(carry_out(client.clone(), orders).await);
            _ = client.flush().await;
            if heard.ending.is_empty() {
                return;
            }
            // What was under way to what is wanted no more may have to be sent elsewhere.
            driver.news(News::Messages(heard.last().await));
        }
    };
    _ = timeout(LAST_WITHIN, last).await;
}

fn tell(driver: &mut impl Driver, client: &Client, event: Event) {
    match event {
        Event::Connected => {
            let info = client.server_info();
            driver.news(News::Connected {
                server: format!("{}:{}", info.host, info.port),
                message_bytes_max: client.max_payload(),
            });
        }
        Event::Disconnected | Event::Closed => driver.news(News::Disconnected),
        Event::SlowConsumer(_) => driver.news(News::Dropped),
        Event::ServerError(error) => driver.news(News::Trouble(error.to_string())),
        Event::ClientError(error) => driver.news(News::Trouble(error.to_string())),
        Event::LameDuckMode | Event::Draining => {}
    }
}

/// Subscriptions, by subject.
#[derive(Default)]
struct Subscriptions {
    by_subject: BTreeMap<String, Subscriber>,
    /// Those that are wanted no more, until the server knows.
    ending: Vec<Subscriber>,
}

/// What comes of orders.
#[derive(Default)]
struct Done {
    new: BTreeMap<String, Subscriber>,
    ending: Vec<Subscriber>,
}

type Sending = Pin<Box<dyn Future<Output = Done>>>;

impl Subscriptions {
    fn add(&mut self, mut done: Done) {
        self.by_subject.append(&mut done.new);
        self.ending.append(&mut done.ending);
    }

    /// What comes next; nothing if none is left that is ending.
    async fn last(&mut self) -> Vec<Message> {
        poll_fn(|cx| {
            let mut messages = vec![];
            self.poll(cx, &mut messages);
            match messages.is_empty() && !self.ending.is_empty() {
                true => Poll::Pending,
                false => Poll::Ready(messages),
            }
        })
        .await
    }

    /// Takes subscriptions out that are to end; gives what there is to do, if there is anything.
    fn forget(&mut self, orders: Vec<Order>) -> Option<Vec<Task>> {
        let task = |order| match order {
            Order::Unsubscribe(subject) => self
                .by_subject
                .remove(&subject)
                .map(|it| Task::End(Box::new(it))),
            order => Some(Task::Order(order)),
        };
        let tasks: Vec<Task> = orders.into_iter().filter_map(task).collect();
        (!tasks.is_empty()).then_some(tasks)
    }

    /// All that has come. As this thread is the one that takes messages from the connection, it is
    /// what had come at one moment.
    fn poll(&mut self, cx: &mut Context<'_>, messages: &mut Vec<Message>) {
        for one in self.by_subject.values_mut() {
            while let Poll::Ready(Some(message)) = Pin::new(&mut *one).poll_next(cx) {
                messages.push(taken(message));
            }
        }
        self.ending.retain_mut(|one| {
            loop {
                match Pin::new(&mut *one).poll_next(cx) {
                    Poll::Ready(Some(message)) => messages.push(taken(message)),
                    Poll::Ready(None) => return false,
                    Poll::Pending => return true,
                }
            }
        });
    }
}

fn taken(message: async_nats::Message) -> Message {
    Message {
        subject: message.subject.to_string(),
        payload: message.payload,
        nobody: message.status == Some(StatusCode::NO_RESPONDERS),
    }
}

enum Task {
    Order(Order),
    End(Box<Subscriber>),
}

enum Seen {
    Messages(Vec<Message>),
    Event(Event),
    Done(Done),
}

/// Waits until there is something; gives it.
async fn wait(
    heard: &mut Subscriptions,
    events: &mut UnboundedReceiver<Event>,
    sending: &mut Option<Sending>,
    waker: &Waker,
    idle_ns: u64,
) -> Vec<Seen> {
    let until = Instant::now() + Duration::from_nanos(idle_ns.min(1_000_000_000));
    let (mut time, mut woken) = (pin!(sleep_until(until)), pin!(waker.woken()));
    poll_fn(|cx| {
        let mut seen = vec![];
        while let Poll::Ready(Some(event)) = events.poll_recv(cx) {
            seen.push(Seen::Event(event));
        }
        let mut messages = vec![];
        heard.poll(cx, &mut messages);
        if !messages.is_empty() {
            seen.push(Seen::Messages(messages));
        }
        if let Some(future) = sending
            && let Poll::Ready(done) = future.as_mut().poll(cx)
        {
            *sending = None;
            seen.push(Seen::Done(done));
        }
        let time = time.as_mut().poll(cx).is_ready();
        // While something is being sent nothing else can be.
        let woken = sending.is_none() && woken.as_mut().poll(cx).is_ready();
        match seen.is_empty() && !time && !woken {
            true => Poll::Pending,
            false => Poll::Ready(seen),
        }
    })
    .await
}

fn start(client: Client, tasks: Vec<Task>) -> Sending {
    Box::pin(carry_out(client, tasks))
}

/// Fails only when the client has ended, and then nothing is of use.
async fn carry_out(client: Client, tasks: Vec<Task>) -> Done {
    let mut done = Done::default();
    for task in tasks {
        match task {
            Task::Order(Order::Subscribe { subject, queue }) => {
                let subscriber = match queue {
                    Some(queue) => client.queue_subscribe(subject.clone(), queue.into()).await,
                    None => client.subscribe(subject.clone()).await,
                };
                if let Ok(subscriber) = subscriber {
                    done.new.insert(subject, subscriber);
                }
            }
            Task::Order(Order::Publish {
                subject,
                reply,
                payload,
            }) => {
                _ = match reply {
                    Some(reply) => client.publish_with_reply(subject, reply, payload).await,
                    None => client.publish(subject, payload).await,
                };
            }
            Task::Order(Order::Unsubscribe(_)) => {}
            Task::End(mut subscriber) => {
                _ = subscriber.drain().await;
                done.ending.push(*subscriber);
            }
        }
    }
    done
}
