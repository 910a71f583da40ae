//! The client of `async-nats`, and the turns of its driver.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, ServerAddr};
use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout};

use crate::driver::{Driver, News, Order};
use crate::options::{Credentials, Options};
use crate::subscriptions::{Done, Subscriptions, Taken, Task};
use crate::told::{Standing, Told};
use crate::waker::Waker;

/// A server is asked for a sign of life after so long, and is dead when three times nothing came.
const PING_EVERY: Duration = Duration::from_secs(1);
/// How long a connect may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Waits before servers are tried again: the first and the longest, plus as much by chance.
const BACKOFF: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];
/// Messages of one subscription that may wait for the driver, however small.
const WAITING_MAX: usize = 16 * 1024;
/// Messages that may wait for the connection, however small.
const LEAVING_MAX: usize = 128;
/// What a message that waits for it costs besides its bytes, about.
const EACH_BYTES: usize = 128;
/// How long the last messages may take.
const LAST_WITHIN: Duration = Duration::from_secs(1);

fn connect_options(options: Options, told: Told) -> ConnectOptions {
    let failing = told.clone();
    let mut connect = ConnectOptions::new()
        .name(options.name)
        .no_echo()
        .retain_servers_order()
        .retry_on_initial_connect()
        .max_reconnects(None)
        .ping_interval(PING_EVERY)
        .connection_timeout(CONNECT_WITHIN)
        .subscription_capacity(WAITING_MAX)
        .client_capacity(LEAVING_MAX)
        .reconnect_delay_callback(delay)
        .reconnect_to_server_callback(move |servers, _| {
            failing.complain_of(&servers);
            // They are tried in their order.
            std::future::ready(None)
        })
        .event_callback(move |event| {
            told.tell(&event);
            std::future::ready(())
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
    let told = Told::default();
    let most = options.waiting_bytes_max;
    let connect = connect_options(options, told.clone());
    let client = match connect.connect(addresses).await {
        Ok(client) => client,
        Err(error) => return driver.news(News::Trouble(error.to_string())),
    };
    let mut standing = Standing::default();
    let mut heard = Subscriptions::new(most);
    let mut way = Way::Free(Leaving::new(client.clone(), most));
    while !driver.is_over() {
        // One that does nothing itself never has to give way: what has come is seen whole.
        let wait = wait(&mut heard, &told, &mut way, &waker, driver.idle_ns());
        let (taken, done) = tokio::task::unconstrained(wait).await;
        standing.look(&client, &mut driver);
        told.give(&mut driver);
        give(taken, &mut driver);
        heard.note(done);
        waker.looks();
        driver.news(News::Look);
        way = match way {
            Way::Free(leaving) => match heard.tasks(driver.orders()) {
                tasks if tasks.is_empty() => Way::Free(leaving),
                tasks => Way::Busy(Box::pin(leaving.carry_out(tasks))),
            },
            busy => busy,
        };
    }
    let last = async {
        let (leaving, done) = match way {
            Way::Free(leaving) => (leaving, Done::default()),
            Way::Busy(sending) => sending.await,
        };
        heard.note(done);
        let tasks = heard.tasks(driver.orders());
        leaving.carry_out(tasks).await;
        _ = client.flush().await;
    };
    _ = timeout(LAST_WITHIN, last).await;
}

fn give(taken: Taken, driver: &mut impl Driver) {
    if taken.dropped > 0 {
        let messages = taken.dropped;
        driver.news(News::Dropped { messages });
    }
    if !taken.messages.is_empty() {
        driver.news(News::Messages(taken.messages));
    }
}

type Sending = Pin<Box<dyn Future<Output = (Leaving, Done)> + Send>>;

/// The way to the client.
enum Way {
    /// It takes orders.
    Free(Leaving),
    /// Some are on it. While something is being sent nothing else can be.
    Busy(Sending),
}

/// What leaves by the client.
struct Leaving {
    client: Client,
    /// Bytes that it was given and may not have written yet, and how many these may be.
    given: usize,
    most: usize,
}

/// Waits until there is something; gives it.
async fn wait(
    heard: &mut Subscriptions,
    told: &Told,
    way: &mut Way,
    waker: &Waker,
    idle_ns: u64,
) -> (Taken, Done) {
    let until = Instant::now() + Duration::from_nanos(idle_ns.min(1_000_000_000));
    let (mut time, mut woken) = (pin!(sleep_until(until)), pin!(waker.woken()));
    let mut told = pin!(told.told());
    poll_fn(|cx| {
        let mut any = told.as_mut().poll(cx).is_ready();
        let taken = heard.take(cx);
        any |= !taken.messages.is_empty();
        let mut done = Done::default();
        if let Way::Busy(sending) = way
            && let Poll::Ready((leaving, what)) = sending.as_mut().poll(cx)
        {
            *way = Way::Free(leaving);
            done = what;
            any = true;
        }
        any |= time.as_mut().poll(cx).is_ready();
        any |= matches!(way, Way::Free(_)) && woken.as_mut().poll(cx).is_ready();
        match any {
            false => Poll::Pending,
            true => Poll::Ready((taken, done)),
        }
    })
    .await
}

impl Leaving {
    fn new(client: Client, most: usize) -> Self {
        Self {
            client,
            given: 0,
            most,
        }
    }

    /// Fails only when the client has ended, and then nothing is of use.
    async fn carry_out(mut self, tasks: Vec<Task>) -> (Self, Done) {
        let mut done = Done::default();
        for task in tasks {
            match task {
                Task::Order(Order::Subscribe { subject }) => {
                    if let Ok(subscriber) = self.client.subscribe(subject.clone()).await {
                        done.new.insert(subject, subscriber);
                    }
                }
                Task::Order(Order::Publish {
                    subject,
                    reply,
                    payload,
                }) => {
                    self.make_room(&subject, &payload).await;
                    _ = match reply {
                        Some(reply) => {
                            let client = &self.client;
                            client.publish_with_reply(subject, reply, payload).await
                        }
                        None => self.client.publish(subject, payload).await,
                    };
                }
                Task::Order(Order::Unsubscribe(_)) => {}
                Task::End(mut subscriber) => {
                    _ = subscriber.drain().await;
                    done.ending.push(*subscriber);
                }
            }
        }
        (self, done)
    }

    /// Waits until the client has written what it was given, if this is too much beside it.
    async fn make_room(&mut self, subject: &str, payload: &Bytes) {
        let bytes = EACH_BYTES + subject.len() + payload.len();
        if self.given > 0 && self.given + bytes > self.most {
            _ = self.client.flush().await;
            self.given = 0;
        }
        self.given += bytes;
    }
}
