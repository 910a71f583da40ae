//! The control plane and the disk of a simulated server: requests take time, writes that wait are
//! committed together, and a commit may fail.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use engine::event::SessionId;
use mail::{Refusal, Reply, Request};
use model::Model;
use reactor::rng::Stream;
use reactor::sim::SimReactor;
use reactor::{Reactor, Rng, Waker};
use server::announce::as_engine_event;
use server::control::MailHandle;
use server::front::{Backend, Requester};

use super::Mutant;

/// How soon an answer is tried again when the lane is full.
const PAUSE_NS: u64 = 50_000;

/// Who waits for an answer.
#[derive(Clone, Copy, Debug)]
pub enum Asker {
    /// A session of the server.
    Session(SessionId),
    /// A delivery, by number.
    Delivery(usize),
}

/// What goes to the backend and what comes back for deliveries.
#[derive(Default)]
pub struct RequestQueue {
    requests: VecDeque<(Asker, Request)>,
    /// Answers to deliveries.
    pub receipts: VecDeque<(usize, Reply)>,
    /// Who is woken by a receipt.
    pub receiver: Option<Waker>,
    waker: Option<Waker>,
}

/// The queue as its users share it.
pub type SharedQueue = Rc<RefCell<RequestQueue>>;

impl RequestQueue {
    /// Hands in a request.
    pub fn submit(&mut self, asker: Asker, request: Request) {
        self.requests.push_back((asker, request));
        if let Some(waker) = &self.waker {
            waker.wake();
        }
    }
}

/// A shard's way to the backend; refuses when too many requests wait.
pub struct QueueBackend {
    /// The queue.
    pub queue: SharedQueue,
    /// Requests that may wait.
    pub requests_max: usize,
    /// A bug in it.
    pub mutant: Mutant,
}

impl Backend for QueueBackend {
    fn submit(&mut self, requester: &Arc<Requester>, request: Request) -> Result<(), Request> {
        let mut queue = self.queue.borrow_mut();
        if queue.requests.len() >= self.requests_max {
            if self.mutant == Mutant::TakenTwice && matches!(request, Request::Deliver { .. }) {
                queue.submit(Asker::Session(requester.id), request.clone());
            }
            return Err(request);
        }
        queue.submit(Asker::Session(requester.id), request);
        Ok(())
    }
}

/// How slow and how unreliable the disk is.
#[derive(Clone, Copy, Debug)]
pub struct Disk {
    /// A read takes less than this.
    pub read_ns_max: u64,
    /// A commit takes less than this.
    pub commit_ns_max: u64,
    /// Commits that fail, in a thousand.
    pub failures: u64,
}

/// The actor.
pub struct SimulatedBackend {
    reactor: SimReactor,
    /// The store.
    pub model: Model,
    handle: MailHandle,
    queue: SharedQueue,
    disk: Disk,
    rng: Rng,
    mutant: Mutant,
    reads: BTreeMap<(u64, u64), (Asker, Request)>,
    number: u64,
    writes: Vec<(Asker, Request)>,
    /// Writes whose commit is under way, and when it ends.
    committing: Option<(u64, Vec<(Asker, Request)>)>,
    replies: VecDeque<(SessionId, Reply)>,
    /// Nothing is taken any more: what comes waits.
    closed: bool,
}

impl SimulatedBackend {
    /// A backend over a store.
    pub fn new(
        seed: u64,
        reactor: SimReactor,
        model: Model,
        handle: MailHandle,
        disk: Disk,
        mutant: Mutant,
    ) -> Self {
        let queue = RequestQueue {
            waker: Some(reactor.waker()),
            ..RequestQueue::default()
        };
        Self {
            reactor,
            model,
            handle,
            queue: Rc::new(RefCell::new(queue)),
            disk,
            rng: Rng::stream(seed, Stream::Disk),
            mutant,
            reads: BTreeMap::new(),
            number: 0,
            writes: Vec::new(),
            committing: None,
            replies: VecDeque::new(),
            closed: false,
        }
    }

    /// Where requests are handed in.
    pub fn queue(&self) -> SharedQueue {
        self.queue.clone()
    }

    /// From now on no commit fails.
    pub fn heal(&mut self) {
        self.disk.failures = 0;
    }

    /// Takes nothing any more; what was taken is done.
    pub fn close(&mut self) {
        self.closed = true;
        self.reactor.waker().wake();
    }

    /// Whether all is done, and nothing is taken.
    pub fn is_closed(&self) -> bool {
        let idle = self.committing.is_none() && self.writes.is_empty();
        self.closed && idle && self.reads.is_empty() && self.replies.is_empty()
    }

    /// Goes on, for these shards.
    pub fn open(&mut self, handle: MailHandle) {
        self.handle = handle;
        self.closed = false;
        self.reactor.waker().wake();
    }

    /// One turn.
    pub fn turn(&mut self) {
        self.reactor.waker().announce_sleep();
        let until_ns = self.rest_until();
        self.reactor.turn(until_ns, &mut Vec::new());
        let now_ns = self.reactor.now_ns();
        self.take_requests(now_ns);
        while let Some(entry) = self.reads.first_entry()
            && entry.key().0 <= now_ns
        {
            let (asker, request) = entry.remove();
            let (reply, events) = self.model.handle(request);
            assert!(events.is_empty(), "a read changed something");
            self.answer(asker, reply);
        }
        if self
            .committing
            .as_ref()
            .is_some_and(|(at, _)| *at <= now_ns)
        {
            let (_, writes) = self.committing.take().expect("just seen");
            self.commit(writes);
        }
        if self.committing.is_none() && !self.writes.is_empty() {
            let ends_ns = now_ns + self.rng.below(self.disk.commit_ns_max);
            self.committing = Some((ends_ns, std::mem::take(&mut self.writes)));
        }
        self.flush();
    }

    fn rest_until(&self) -> Option<u64> {
        if !self.closed && !self.queue.borrow().requests.is_empty() {
            return Some(0);
        }
        let retry = (!self.replies.is_empty()).then(|| self.reactor.now_ns() + PAUSE_NS);
        let commit = self.committing.as_ref().map(|(at, _)| *at);
        let read = self.reads.keys().next().map(|(at, _)| *at);
        [retry, commit, read].into_iter().flatten().min()
    }

    fn take_requests(&mut self, now_ns: u64) {
        if self.closed {
            return;
        }
        let requests = std::mem::take(&mut self.queue.borrow_mut().requests);
        for (asker, request) in requests {
            if !request.is_write() && !request.claims() {
                self.number += 1;
                let at_ns = now_ns + self.rng.below(self.disk.read_ns_max);
                self.reads.insert((at_ns, self.number), (asker, request));
            } else {
                self.writes.push((asker, request));
            }
        }
    }

    fn commit(&mut self, writes: Vec<(Asker, Request)>) {
        if self.rng.chance(self.disk.failures, 1000) {
            return self.fail(writes);
        }
        let (mut replies, mut announced) = (vec![], vec![]);
        for (asker, request) in writes {
            let (reply, events) = self.carry_out(request);
            replies.push((asker, reply));
            announced.extend(self.model.news(events));
        }
        self.model.sync();
        // Nothing may depend on which of the two comes first.
        let early = self.rng.chance(1, 2);
        if early {
            self.publish(std::mem::take(&mut announced));
        }
        for (asker, reply) in replies {
            self.answer(asker, reply);
        }
        self.publish(announced);
    }

    fn carry_out(&mut self, request: Request) -> model::Outcome {
        match request {
            Request::Deliver {
                mut targets,
                body,
                submitter,
            } if self.mutant == Mutant::LeftOut => {
                let count = targets.len();
                targets.truncate(1);
                let (reply, events) = self.model.handle(Request::Deliver {
                    targets,
                    body,
                    submitter,
                });
                let reply = match reply {
                    Reply::Delivered(results) => {
                        Reply::Delivered(results.iter().cycle().take(count).cloned().collect())
                    }
                    other => other,
                };
                (reply, events)
            }
            request => self.model.handle(request),
        }
    }

    /// The disk did not take it: as if it had never been asked.
    fn fail(&mut self, writes: Vec<(Asker, Request)>) {
        let mut lost = self.model.clone();
        for (asker, request) in writes {
            let early = self.mutant == Mutant::EarlyReply;
            let reply = if early && matches!(request, Request::Deliver { .. }) {
                lost.handle(request).0
            } else {
                Reply::Refused(Refusal::Unavailable("the disk failed".into()))
            };
            self.answer(asker, reply);
        }
        self.model.crash();
    }

    fn publish(&mut self, news: Vec<mail::News>) {
        for news in news {
            if self.mutant == Mutant::LostEvent && self.rng.chance(1, 8) {
                continue;
            }
            self.handle.publish(as_engine_event(news, 0));
        }
    }

    fn answer(&mut self, asker: Asker, reply: Reply) {
        match asker {
            Asker::Session(id) => self.replies.push_back((id, reply)),
            Asker::Delivery(number) => {
                let mut queue = self.queue.borrow_mut();
                queue.receipts.push_back((number, reply));
                if let Some(receiver) = &queue.receiver {
                    receiver.wake();
                }
            }
        }
    }

    fn flush(&mut self) {
        while let Some((id, reply)) = self.replies.pop_front() {
            if let Err(reply) = self.handle.reply(id, reply) {
                self.replies.push_front((id, reply));
                return;
            }
        }
    }
}
