//! Sessions and deliverers on a reactor.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use bytes::{Bytes, BytesMut};
use reactor::rng::Stream;
use reactor::{Completion, Conn, Reactor, Rng};

use super::client::SoakEvent;
use super::command::Command;
use super::faults::{Kind, Wrong};
use super::judge::Judge;
use super::layout::Layout;
use super::mailbox::End;
use super::member::{Goal, Member, Pending};
use super::reading::CommandResult;
use super::{Plan, SECOND_NS};
use crate::deliverer::{Deliverer, Result as Delivery, is_idle_timeout};
use crate::fleet::source;
use crate::measure::record;
use crate::plan;

/// Tokens of connects from here on are deliverers'.
const DELIVERER_TOKENS: u64 = 1 << 32;
/// A command or delivery that takes longer than this has failed.
const REPLY_NS: u64 = 30 * SECOND_NS;
/// A session that is gone comes back after less than this.
const RETURN_NS_MAX: u64 = 2 * SECOND_NS;
/// Deliveries that may wait for a free LMTP connection.
const JOBS_MAX: usize = 10_000;

#[derive(Clone, Copy)]
enum Who {
    Member(u32),
    Deliverer(usize),
}

/// A message to be delivered.
#[derive(Clone, Copy)]
struct Job {
    mailbox: u32,
    id: u64,
    intended_ns: u64,
    begun_ns: u64,
}

#[derive(Default)]
struct Courier {
    machine: Deliverer,
    conn: Option<Conn>,
    connecting: bool,
    job: Option<Job>,
}

/// Everybody.
pub(super) struct Driver<'a, R: Reactor> {
    pub plan: &'a Plan,
    pub reactor: R,
    pub layout: Layout,
    pub members: Vec<Member>,
    pub judge: Judge,
    pub rng: Rng,
    who: HashMap<u32, Who>,
    couriers: Vec<Courier>,
    jobs: VecDeque<Job>,
    /// Who comes back when.
    returns: BinaryHeap<Reverse<(u64, u32)>>,
    /// Sessions between connect and their first IDLE.
    pub settling: usize,
    /// Sessions whose connection is open.
    pub open: usize,
    /// Nobody comes back.
    pub leaving: bool,
    /// Names of messages given so far.
    ids: u64,
    /// When the server last said something.
    pub heard_ns: u64,
    completions: Vec<Completion>,
    owed: HashMap<u32, BytesMut>,
    events: Vec<SoakEvent>,
}

impl<'a, R: Reactor> Driver<'a, R> {
    /// Nobody is connected yet. Names of messages begin above `ids`.
    pub fn new(plan: &'a Plan, reactor: R, ids: u64) -> Self {
        let mut rng = Rng::stream(plan.seed, Stream::Workload);
        let layout = Layout::new(plan.sessions, plan.mailboxes, &mut rng);
        let members = (0..plan.mailboxes).flat_map(|mailbox| {
            let places = 0..layout.sessions(mailbox).len();
            places.map(move |place| Member::new(mailbox as u32, place as u8))
        });
        let members: Vec<Member> = members.collect();
        let returns = (0..members.len() as u32).map(|number| Reverse((0, number)));
        let couriers = std::iter::repeat_with(Courier::default);
        Self {
            plan,
            heard_ns: reactor.now_ns(),
            reactor,
            returns: returns.collect(),
            couriers: couriers.take(plan.lmtp_connections).collect(),
            judge: Judge::new(plan.mailboxes),
            layout,
            members,
            rng,
            who: HashMap::new(),
            jobs: VecDeque::new(),
            settling: 0,
            open: 0,
            leaving: false,
            ids,
            completions: Vec::new(),
            owed: HashMap::new(),
            events: Vec::new(),
        }
    }

    /// The time of the last turn.
    pub fn now_ns(&self) -> u64 {
        self.reactor.now_ns()
    }

    /// One turn: waits at most until then, lets everybody answer to what came.
    pub fn turn(&mut self, until_ns: u64) {
        // What came while the last answers left must not wait for what comes next.
        let until_ns = if self.completions.is_empty() {
            until_ns
        } else {
            0
        };
        let mut completions = std::mem::take(&mut self.completions);
        self.reactor.turn(Some(until_ns), &mut completions);
        for completion in completions.drain(..) {
            self.handle(completion);
        }
        self.completions = completions;
        self.tend();
        // What was answered leaves at once.
        self.reactor.turn(Some(0), &mut self.completions);
    }

    /// Connects who is due, hands out deliveries, looks at deadlines.
    fn tend(&mut self) {
        let now_ns = self.now_ns();
        while self.settling < self.plan.setup_concurrency
            && let Some(Reverse((at_ns, number))) = self.returns.peek().copied()
            && at_ns <= now_ns
        {
            self.returns.pop();
            self.settling += 1;
            self.members[number as usize].settling = true;
            let from = source(number.into(), self.plan.imap.ip());
            self.reactor
                .connect(u64::from(number), self.plan.imap, from);
        }
        for place in 0..self.couriers.len() {
            self.hand_out(place, now_ns);
        }
        while let Some(mailbox) = self.judge.take_due(now_ns) {
            self.check_idling(mailbox);
        }
    }

    /// Holds the views of a mailbox's idling sessions against it.
    pub fn check_idling(&mut self, mailbox: u32) {
        let now_ns = self.now_ns();
        for number in self.layout.sessions(mailbox as usize) {
            let member = &mut self.members[number];
            self.judge.check_idling(number, member, now_ns);
        }
    }

    fn hand_out(&mut self, place: usize, now_ns: u64) {
        let courier = &mut self.couriers[place];
        if courier.conn.is_none() {
            if !courier.connecting && !self.jobs.is_empty() {
                courier.connecting = true;
                let token = DELIVERER_TOKENS + place as u64;
                self.reactor.connect(token, self.plan.lmtp, None);
            }
            return;
        }
        let (Some(conn), true, None) = (courier.conn, courier.machine.is_ready(), courier.job)
        else {
            return;
        };
        let Some(mut job) = self.jobs.pop_front() else {
            return;
        };
        job.begun_ns = now_ns;
        courier.job = Some(job);
        self.judge.mailboxes[job.mailbox as usize].adding(job.id);
        let user = plan::user(&self.plan.users, job.mailbox);
        courier
            .machine
            .deliver(std::slice::from_ref(&user), self.plan.message_bytes, job.id);
        let output = courier.machine.take_output();
        self.send(conn, output);
    }

    /// Has a message delivered to any mailbox that is not full.
    pub fn deliver(&mut self, intended_ns: u64) {
        let mailboxes = self.layout.mailboxes() as u64;
        let mut drawn = (0..8).map(|_| self.rng.below(mailboxes) as u32);
        let mailbox = drawn.find(|mailbox| {
            self.judge.mailboxes[*mailbox as usize].count() < self.plan.messages_max
        });
        match mailbox.filter(|_| self.jobs.len() < JOBS_MAX) {
            Some(mailbox) => self.deliver_to(mailbox, intended_ns),
            None => self.judge.counts.full += 1,
        }
    }

    /// Has a message delivered to a mailbox.
    pub fn deliver_to(&mut self, mailbox: u32, intended_ns: u64) {
        self.ids += 1;
        self.jobs.push_back(Job {
            mailbox,
            id: self.ids,
            intended_ns,
            begun_ns: 0,
        });
        let free = |courier: &Courier| courier.job.is_none() && courier.machine.is_ready();
        if let Some(place) = self.couriers.iter().position(free) {
            self.hand_out(place, self.now_ns());
        }
    }

    /// Deliveries that wait or are under way.
    pub fn delivering(&self) -> usize {
        let busy = |courier: &&Courier| courier.job.is_some();
        self.jobs.len() + self.couriers.iter().filter(busy).count()
    }

    /// Messages that may be in all mailboxes together.
    pub fn messages(&self) -> usize {
        self.judge.mailboxes.iter().map(|m| m.count()).sum()
    }

    /// A session's IDLE ends, and it does something else. It must be idling.
    pub fn stir(&mut self, number: usize, goal: Goal) {
        let now_ns = self.now_ns();
        let member = &mut self.members[number];
        let Some(conn) = member.conn else {
            return;
        };
        (member.goal, member.synced, member.basis) = (goal, false, None);
        let output = member.client.done();
        member.pending = Some(Box::new(Pending {
            command: Some(Command::Idle),
            begun_ns: now_ns,
            ..Pending::default()
        }));
        self.send(conn, output);
    }

    /// A session closes its connection without a word, and comes back.
    pub fn vanish(&mut self, number: usize) {
        self.judge.counts.breaks += 1;
        self.hang_up(number);
    }

    fn hang_up(&mut self, number: usize) {
        let now_ns = self.now_ns();
        let member = &mut self.members[number];
        if let Some(conn) = member.conn.take() {
            self.who.remove(&conn.0);
            self.owed.remove(&conn.0);
            self.reactor.close(conn);
            self.open -= 1;
        }
        self.settling -= usize::from(member.settling);
        self.judge.lose(member, now_ns);
        member.reset();
        if !self.leaving {
            let at_ns = now_ns + self.rng.below(RETURN_NS_MAX);
            self.returns.push(Reverse((at_ns, number as u32)));
        }
    }

    /// Closes what has waited for a reply for too long. Looks at everybody.
    pub fn check_replies(&mut self) {
        let now_ns = self.now_ns();
        let late = |begun_ns: u64| begun_ns + REPLY_NS < now_ns;
        for number in 0..self.members.len() {
            let pending = self.members[number].pending.as_ref();
            if pending.is_some_and(|pending| late(pending.begun_ns)) {
                let wrong = Wrong::new(Kind::Late, "no reply for 30 s");
                self.judge.fault(number, &self.members[number], &wrong);
                self.hang_up(number);
            }
        }
        for place in 0..self.couriers.len() {
            let job = self.couriers[place].job;
            if job.is_some_and(|job| late(job.begun_ns)) {
                self.fail_courier(place, Kind::Late, "no reply for 30 s");
            }
        }
    }

    fn handle(&mut self, completion: Completion) {
        match completion {
            Completion::Connected { token, result } => self.connected(token, result),
            Completion::Received { conn, data } => match self.who.get(&conn.0).copied() {
                Some(Who::Member(number)) => self.received(number as usize, &data),
                Some(Who::Deliverer(place)) => self.courier_received(place, &data),
                None => {}
            },
            Completion::Hangup { conn, .. } => match self.who.get(&conn.0).copied() {
                Some(Who::Member(number)) => self.hung_up(number as usize),
                Some(Who::Deliverer(place)) => {
                    self.fail_courier(place, Kind::Dropped, "the server closed the connection");
                }
                None => self.reactor.close(conn),
            },
            Completion::Unsent {
                conn,
                rest,
                error: None,
            } => {
                self.owed
                    .entry(conn.0)
                    .or_default()
                    .extend_from_slice(&rest);
                self.reactor.watch_writable(conn);
            }
            Completion::Writable { conn } => {
                if let Some(rest) = self.owed.remove(&conn.0) {
                    self.reactor.send(conn, rest.freeze());
                }
            }
            // A broken connection hangs up too.
            Completion::Unsent { .. } | Completion::Accepted { .. } => {}
        }
    }

    fn send(&mut self, conn: Conn, bytes: Vec<u8>) {
        match self.owed.get_mut(&conn.0) {
            Some(owed) => owed.extend_from_slice(&bytes),
            None if bytes.is_empty() => {}
            None => self.reactor.send(conn, Bytes::from(bytes)),
        }
    }

    fn connected(&mut self, token: u64, result: std::io::Result<Conn>) {
        let who = match token.checked_sub(DELIVERER_TOKENS) {
            Some(place) => Who::Deliverer(place as usize),
            None => Who::Member(token as u32),
        };
        match (who, result) {
            (who, Ok(conn)) => {
                self.who.insert(conn.0, who);
                self.reactor.read(conn, true);
                match who {
                    Who::Member(number) => {
                        self.open += 1;
                        self.judge.counts.connects += 1;
                        self.members[number as usize].conn = Some(conn);
                    }
                    Who::Deliverer(place) => {
                        self.couriers[place] = Courier {
                            conn: Some(conn),
                            ..Courier::default()
                        };
                    }
                }
            }
            (Who::Member(number), Err(error)) => {
                let wrong = Wrong::new(Kind::Dropped, format!("can't connect: {error}"));
                let number = number as usize;
                self.judge.fault(number, &self.members[number], &wrong);
                self.hang_up(number);
            }
            (Who::Deliverer(place), Err(error)) => {
                self.fail_courier(place, Kind::Dropped, &format!("can't connect: {error}"));
            }
        }
    }

    fn hung_up(&mut self, number: usize) {
        let member = &self.members[number];
        let pending = member.pending.as_ref();
        let left = pending.is_some_and(|pending| pending.command == Some(Command::Logout));
        if !left && member.goal != Goal::Leave {
            let wrong = Wrong::new(Kind::Dropped, "the server closed the connection");
            self.judge.fault(number, member, &wrong);
        }
        self.hang_up(number);
    }

    fn received(&mut self, number: usize, bytes: &[u8]) {
        let now_ns = self.now_ns();
        self.heard_ns = now_ns;
        let mut events = std::mem::take(&mut self.events);
        self.members[number].client.handle_input(bytes, &mut events);
        for event in events.drain(..) {
            let broken = match &event {
                SoakEvent::Wrong(wrong) => wrong.kind == Kind::Syntax,
                SoakEvent::Ended { answer, .. } => *answer == CommandResult::Refused,
                _ => false,
            };
            let ended = match &event {
                SoakEvent::Ended { command, .. } => Some(*command),
                _ => None,
            };
            let (greeted, idling) = (event == SoakEvent::Greeted, event == SoakEvent::Idling);
            let member = &mut self.members[number];
            self.judge.hear(number, member, event, now_ns);
            if broken || ended == Some(Command::Logout) {
                self.judge.counts.logouts += u64::from(!broken);
                self.hang_up(number);
                break;
            }
            if idling && member.settling {
                member.settling = false;
                self.settling -= 1;
            }
            if greeted {
                self.log_in(number);
            } else if ended.is_some() && !self.proceed(number) {
                break;
            }
        }
        self.events = events;
    }

    fn log_in(&mut self, number: usize) {
        let now_ns = self.now_ns();
        let member = &mut self.members[number];
        let Some(conn) = member.conn else {
            return;
        };
        self.judge.begin(member, Command::Login, now_ns);
        let user = plan::user(&self.plan.users, member.mailbox);
        let line = member.client.login(&user, &self.plan.password);
        self.send(conn, line);
    }

    /// Sends the next command; false if the connection is gone after that.
    fn proceed(&mut self, number: usize) -> bool {
        let now_ns = self.now_ns();
        let member = &mut self.members[number];
        let mailbox = &self.judge.mailboxes[member.mailbox as usize];
        let full = mailbox.count() >= self.plan.messages_max;
        let goal = member.goal;
        let command = member.next(mailbox, self.ids + 1, full, &mut self.rng);
        self.ids += u64::from(matches!(command, Command::Append { .. }));
        let Some(conn) = member.conn else {
            return false;
        };
        self.judge.begin(member, command, now_ns);
        let line = member.client.send(command);
        self.send(conn, line);
        let syncing = matches!(command, Command::Sync { .. } | Command::Select);
        if goal == Goal::Vanish && !syncing {
            self.vanish(number);
            return false;
        }
        true
    }

    fn courier_received(&mut self, place: usize, bytes: &[u8]) {
        let now_ns = self.now_ns();
        self.heard_ns = now_ns;
        let mut results = Vec::new();
        let courier = &mut self.couriers[place];
        courier.machine.handle_input(bytes, &mut results);
        let output = courier.machine.take_output();
        if let Some(conn) = courier.conn {
            self.send(conn, output);
        }
        for result in results {
            let courier = &mut self.couriers[place];
            match (result, courier.job) {
                (Delivery::DataSent, Some(job)) => {
                    self.judge.mailboxes[job.mailbox as usize].add_sent(job.id, now_ns);
                }
                (Delivery::Delivered, Some(job)) => {
                    courier.job = None;
                    let mailbox = &mut self.judge.mailboxes[job.mailbox as usize];
                    if let Some(data_ns) = mailbox.add_ended(job.id, End::Done, now_ns) {
                        record(&mut self.judge.times.durable, now_ns - data_ns);
                    }
                    let waited_ns = now_ns.saturating_sub(job.intended_ns);
                    record(&mut self.judge.times.intended, waited_ns);
                    self.judge.counts.delivered += 1;
                    self.judge.changed(job.mailbox, now_ns);
                }
                (Delivery::Refused(why), None) if is_idle_timeout(&why) => {
                    return self.part_from_courier(place);
                }
                (Delivery::Refused(why), _) => {
                    return self.fail_courier(place, Kind::Refused, &why);
                }
                _ => {}
            }
        }
    }

    /// Ends a deliverer's connection without a word about it; the next job has it connect again.
    fn part_from_courier(&mut self, place: usize) {
        let courier = std::mem::take(&mut self.couriers[place]);
        if let Some(conn) = courier.conn {
            self.who.remove(&conn.0);
            self.owed.remove(&conn.0);
            self.reactor.close(conn);
        }
    }

    fn fail_courier(&mut self, place: usize, kind: Kind, why: &str) {
        let now_ns = self.now_ns();
        let job = self.couriers[place].job;
        self.part_from_courier(place);
        if let Some(job) = job {
            self.judge.mailboxes[job.mailbox as usize].add_ended(job.id, End::Lost, now_ns);
        }
        let who = format!("LMTP connection {place}");
        self.judge.faults.add(who, &Wrong::new(kind, why));
    }

    /// Sessions that are due to come back.
    pub fn away(&self) -> usize {
        self.returns.len()
    }
}
