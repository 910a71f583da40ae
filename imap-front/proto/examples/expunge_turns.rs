//! How long the longest call into a session is while another one expunges 100,000 of the 1,000,000
//! messages that it has in view: `cargo run --release -p proto --example expunge_turns`.

#![allow(
    clippy::disallowed_methods,
    reason = "it measures, and is no part of a plane"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use mail::reply::Opened;
use mail::{Change, Event, MailboxId, ModSeq, Reply, Request, Uid, UidValidity, UserId};
use proto::imap::action::Action;
use proto::imap::{Session, SessionConfig};

const MESSAGES: u32 = 1_000_000;
const EXPUNGED: u32 = 100_000;

struct Host {
    session: Session,
    delta: Vec<Arc<Event>>,
    bytes: usize,
    longest: Duration,
    calls: u32,
}

impl Host {
    fn call<T>(&mut self, call: impl FnOnce(&mut Session) -> T) -> T {
        let start = Instant::now();
        let result = call(&mut self.session);
        self.longest = self.longest.max(start.elapsed());
        self.calls += 1;
        result
    }

    fn say(&mut self, line: &str) {
        (self.bytes, self.longest, self.calls) = (0, Duration::ZERO, 0);
        self.call(|session| session.handle_input(line.as_bytes()));
        loop {
            match self.call(Session::poll_action) {
                Some(Action::Send(bytes)) => {
                    self.bytes += bytes.len();
                    self.call(Session::handle_drained);
                }
                Some(Action::Request(request)) => {
                    let reply = self.answer(&request);
                    self.call(|session| session.handle_reply(reply));
                }
                Some(_) => {}
                None => break,
            }
        }
        let (longest, calls, bytes) = (self.longest, self.calls, self.bytes);
        println!(
            "{:14} longest call {longest:9.3?}, {calls:4} calls, {bytes:9} bytes said",
            line.trim_end()
        );
    }

    fn answer(&mut self, request: &Request) -> Reply {
        match request {
            Request::Authenticate(_) => Reply::Authenticated(UserId(1)),
            Request::Open { .. } => Reply::Opened(Opened {
                mailbox: MailboxId(1),
                object: mail::ObjectId(1),
                uid_validity: UidValidity(1),
                uid_next: Uid(MESSAGES + 1),
                highest_modseq: ModSeq(1),
                uids: (1..=MESSAGES).map(Uid).collect(),
                recent_from: Uid(u32::MAX),
                first_unseen: None,
                keywords: vec![],
                rights: mail::Rights::ALL,
            }),
            Request::Search { .. } => Reply::Found {
                hits: (1..=MESSAGES).filter(|n| n % 10 != 5).map(Uid).collect(),
                modseqs: None,
                unreadable: 0,
                delta: vec![],
            },
            Request::Sync { .. } => Reply::Synced(std::mem::take(&mut self.delta)),
            _ => Reply::Done,
        }
    }
}

fn main() {
    let mut host = Host {
        session: Session::new(Arc::new(SessionConfig::default()), true),
        delta: vec![],
        bytes: 0,
        longest: Duration::ZERO,
        calls: 0,
    };
    host.say("a LOGIN u p\r\n");
    host.say("b SELECT INBOX\r\n");
    let apart = MESSAGES / EXPUNGED;
    let expunged = |n| Change::Expunged {
        uid: Uid(n * apart + 5),
        number: n * (apart - 1) + 5,
    };
    let event = Event {
        mailbox: MailboxId(1),
        prev: ModSeq(1),
        seq: ModSeq(2),
        changes: (0..EXPUNGED).map(expunged).collect(),
        deleted: false,
    };
    host.delta = vec![Arc::new(event)];
    host.say("c NOOP\r\n");
    host.say("d SEARCH ALL\r\n");
    host.say("e NOOP\r\n");
}
