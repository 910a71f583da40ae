//! The smallest protocol that uses all of the engine: a client watches a number and is told when it
//! grows.
//!
//! `WATCH n` is answered by `AT n seq` and by another one whenever the number is higher; `PING x`
//! by `PONG x` from the slow side; `FURTHER n,m` watches more of them, each answered by `ON n seq`
//! whenever it is higher; `QUIT` by `BYE` and the end; `STARTTLS` by `GO` and a handshake.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use crate::event::{Event, SessionId};
use crate::limits::SECOND_NS;
use crate::protocol::{Active, Announce, Context, Parked, Parking};
use crate::topic::TopicId;
use crate::watches::{Beside, Mark};

/// Told to those who heard nothing for so long: far longer than any run may take to tell news.
const KEEPALIVE_NS: u64 = 120 * SECOND_NS;

/// The truth, and what waits for the slow side.
#[derive(Default)]
pub struct Truth {
    pub numbers: BTreeMap<u64, u64>,
    pub pings: VecDeque<(SessionId, u64)>,
    /// Sessions that were opened or inflated, less those that were dropped or packed away.
    pub sessions: i64,
}

impl Truth {
    pub fn number(&self, topic: u64) -> u64 {
        self.numbers.get(&topic).copied().unwrap_or(0)
    }
}

pub struct Board {
    pub truth: Rc<RefCell<Truth>>,
}

pub struct Session {
    input: Vec<u8>,
    topic: u64,
    told: u64,
    watching: bool,
    pings: u32,
}

/// What is kept of a number that is watched beside the first.
fn mark() -> Mark {
    Mark::default()
}

#[derive(Clone, Copy)]
pub struct Packed {
    topic: u64,
    told: u64,
}

impl Board {
    /// Tells a watcher the number if it does not know it.
    fn tell(&self, session: &mut Session, cx: &mut Context<'_, u64>) {
        let number = self.truth.borrow().number(session.topic);
        if session.watching && session.told < number {
            session.told = number;
            cx.send(line(session.topic, number));
        }
    }

    /// Tells numbers that are watched beside the first, if they are not known.
    fn tell_further(&self, cx: &mut Context<'_, u64>, topics: &[(TopicId, Mark)]) {
        for (id, mark) in topics {
            let number = self.truth.borrow().number(id.0);
            if mark.is_before(number) {
                cx.send(further_line(*id, number));
            }
            cx.told(*id, number);
        }
    }

    fn command(&self, session: &mut Session, cx: &mut Context<'_, u64>, command: &str) {
        match command.split_once(' ') {
            Some(("WATCH", topic)) => {
                session.topic = topic.parse().expect("clients watch numbers");
                session.told = 0;
                session.watching = false;
                cx.watch(TopicId(session.topic));
            }
            Some(("FURTHER", topics)) => {
                let topics = topics.split(',').map(|it| it.parse().expect("numbers"));
                let topics: Vec<TopicId> = topics.map(TopicId).collect();
                let watches = topics.iter().map(|id| (*id, mark())).collect();
                cx.watch_further(Arc::new(topics), watches);
            }
            Some(("PING", number)) => {
                let number = number.parse().expect("clients count their pings");
                session.pings += 1;
                self.truth.borrow_mut().pings.push_back((cx.id(), number));
            }
            _ if command == "STARTTLS" => {
                assert!(!cx.is_secure(), "a client asks once");
                cx.send(Bytes::from_static(b"GO\n"));
                cx.start_tls();
            }
            _ => {
                assert_eq!(command, "QUIT", "clients send whole commands");
                cx.send(Bytes::from_static(b"BYE\n"));
                cx.close();
            }
        }
    }
}

/// Some sessions can't be packed away, and hear of news all the same.
fn never_parks(topic: u64) -> bool {
    topic.is_multiple_of(3)
}

fn further_line(topic: TopicId, number: u64) -> Bytes {
    Bytes::from(format!("ON {} {number}\n", topic.0))
}

fn line(topic: u64, number: u64) -> Bytes {
    Bytes::from(format!("AT {topic} {number}\n"))
}

impl Active for Board {
    type Session = Session;
    type Fact = ();
    type Reply = u64;

    fn refusal(&self, _listener: u8) -> Option<Bytes> {
        Some(Bytes::from_static(b"BYE\n"))
    }

    fn open(&mut self, cx: &mut Context<'_, u64>, _listener: u8) -> Session {
        self.truth.borrow_mut().sessions += 1;
        cx.deadline(cx.now_ns() + KEEPALIVE_NS);
        Session {
            input: Vec::new(),
            topic: 0,
            told: 0,
            watching: false,
            pings: 0,
        }
    }

    fn handle_input(&mut self, session: &mut Session, cx: &mut Context<'_, u64>, bytes: &[u8]) {
        session.input.extend_from_slice(bytes);
        while let Some(end) = session.input.iter().position(|byte| *byte == b'\n') {
            let command: Vec<u8> = session.input.drain(..=end).collect();
            let command = std::str::from_utf8(&command[..end]).expect("clients send text");
            self.command(session, cx, command);
        }
    }

    fn handle_reply(&mut self, session: &mut Session, cx: &mut Context<'_, u64>, number: u64) {
        session.pings -= 1;
        cx.send(Bytes::from(format!("PONG {number}\n")));
    }

    fn handle_watching(&mut self, session: &mut Session, cx: &mut Context<'_, u64>) {
        session.watching = true;
        self.tell(session, cx);
    }

    fn handle_stale(&mut self, session: &mut Session, cx: &mut Context<'_, u64>) {
        self.tell(session, cx);
    }

    fn concerns(&mut self, mark: &mut Mark, event: &Event<()>) -> bool {
        let is_news = mark.is_before(event.seq);
        mark.cursor = if is_news {
            event.seq as u16
        } else {
            mark.cursor
        };
        is_news
    }

    fn handle_further(
        &mut self,
        _: &mut Session,
        cx: &mut Context<'_, u64>,
        event: &Event<()>,
        _: u8,
    ) {
        cx.send(further_line(event.topic, event.seq));
    }

    fn handle_further_watching(
        &mut self,
        _: &mut Session,
        cx: &mut Context<'_, u64>,
        fresh: &[TopicId],
    ) {
        let fresh: Vec<_> = fresh.iter().map(|id| (*id, mark())).collect();
        self.tell_further(cx, &fresh);
    }

    fn handle_further_stale(
        &mut self,
        _: &mut Session,
        cx: &mut Context<'_, u64>,
        missed: &[(TopicId, Mark)],
    ) {
        self.tell_further(cx, missed);
    }

    fn handle_drained(&mut self, _session: &mut Session, _cx: &mut Context<'_, u64>) {}

    fn handle_deadline(&mut self, _session: &mut Session, cx: &mut Context<'_, u64>) {
        cx.deadline(cx.now_ns() + KEEPALIVE_NS);
    }

    fn handle_shutdown(&mut self, _session: &mut Session, cx: &mut Context<'_, u64>) {
        cx.send(Bytes::from_static(b"BYE\n"));
        cx.close();
    }

    fn handle_closed(&mut self, _session: &mut Session, _id: SessionId) {
        self.truth.borrow_mut().sessions -= 1;
    }

    fn hears(&self, session: &Session) -> bool {
        session.watching && session.pings == 0
    }
}

impl Parking for Board {
    type Parked = Packed;
    type Key = ();

    fn park(&mut self, session: &Session) -> Option<Packed> {
        let quiet = session.watching
            && session.pings == 0
            && session.input.is_empty()
            && !never_parks(session.topic);
        quiet.then(|| {
            self.truth.borrow_mut().sessions -= 1;
            Packed {
                topic: session.topic,
                told: session.told,
            }
        })
    }

    fn unpark(&mut self, packed: Packed, _id: SessionId) -> Session {
        self.truth.borrow_mut().sessions += 1;
        let (topic, told) = (packed.topic, packed.told);
        Session {
            input: Vec::new(),
            topic,
            told,
            watching: true,
            pings: 0,
        }
    }

    fn cursor(&self, packed: &Packed) -> Option<u64> {
        Some(packed.told)
    }

    fn announce(&mut self, packed: &mut Packed, event: &Event<()>) -> Announce<()> {
        if event.seq <= packed.told {
            Announce::Silent
        } else if event.prev == packed.told {
            packed.told = event.seq;
            Announce::Send(())
        } else {
            Announce::Stale
        }
    }

    fn render(&mut self, event: &Event<()>, (): ()) -> Bytes {
        line(event.topic.0, event.seq)
    }

    fn render_many(&mut self, packed: &mut Packed, events: &[Arc<Event<()>>]) -> Option<Bytes> {
        let last = events.last()?;
        assert_eq!(events[0].prev, packed.told, "a tail continues the cursor");
        packed.told = last.seq;
        Some(line(packed.topic, last.seq))
    }

    fn announce_further(
        &mut self,
        _: &mut Packed,
        _: &Beside,
        mark: &mut Mark,
        event: &Event<()>,
    ) -> Announce<u32> {
        match self.concerns(mark, event) {
            // Some are for the session to tell.
            true if event.seq.is_multiple_of(5) => Announce::Stale,
            true => Announce::Send(7),
            false => Announce::Silent,
        }
    }

    fn render_further(&mut self, event: &Event<()>, key: u32) -> Bytes {
        assert_eq!(key, 7);
        further_line(event.topic, event.seq)
    }

    fn unpark_beside(&mut self, _: &mut Session, beside: &Beside) {
        let topics = beside.downcast_ref::<Vec<TopicId>>();
        assert!(!topics.expect("it is what was given").is_empty());
    }

    fn parked_deadline(&mut self, _packed: &mut Packed, now_ns: u64) -> Parked {
        Parked::Send {
            bytes: Bytes::from_static(b".\n"),
            until_ns: now_ns + KEEPALIVE_NS,
        }
    }
}
