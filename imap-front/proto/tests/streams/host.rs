//! A session before a store that answers by rule.

use std::sync::Arc;

use mail::reply::Opened;
use mail::{Change, Event, MailboxId, ModSeq, Reply, Request, Uid, UidValidity, UserId};
use proto::imap::action::Action;
use proto::imap::{Session, SessionConfig};

/// What may be under way to a client: what was there before, and a piece.
pub const UNDER_WAY_MAX: usize = 66 << 10;

/// A session before a store that answers by rule.
pub struct Host {
    pub session: Session,
    pub answer: Box<dyn FnMut(Request) -> Reply>,
    pub said: Vec<u8>,
    pub under_way_max: usize,
    pub closed: bool,
}

impl Host {
    pub fn new(answer: impl FnMut(Request) -> Reply + 'static) -> Self {
        let config = Arc::new(SessionConfig::default());
        let mut host = Self {
            session: Session::new(config, true),
            answer: Box::new(answer),
            said: vec![],
            under_way_max: 0,
            closed: false,
        };
        host.work(usize::MAX);
        host.ask("l LOGIN fred secret");
        host
    }

    /// Carries out what is asked for; reports `drains` times that all has left.
    pub fn work(&mut self, mut drains: usize) {
        loop {
            let mut under_way = 0;
            while let Some(action) = self.session.poll_action() {
                match action {
                    Action::Send(bytes) => {
                        under_way += bytes.len();
                        self.said.extend_from_slice(&bytes);
                    }
                    Action::Request(request) => {
                        let reply = (self.answer)(request);
                        self.session.handle_reply(reply);
                    }
                    Action::Watch(_) => self.session.handle_watching(),
                    Action::WatchFurther(..) => self.session.handle_further_watching(&[]),
                    Action::Unwatch
                    | Action::UnwatchFurther
                    | Action::Told(..)
                    | Action::StartTls
                    | Action::Compress(_)
                    | Action::EndCompression
                    | Action::Forwarded(_)
                    | Action::LoggedOut
                    | Action::Claim(..) => {}
                    Action::Close => self.closed = true,
                }
            }
            self.under_way_max = self.under_way_max.max(under_way);
            if under_way == 0 || drains == 0 {
                return;
            }
            drains -= 1;
            self.session.handle_drained();
        }
    }

    pub fn ask(&mut self, command: &str) -> String {
        self.begin(command, usize::MAX)
    }

    pub fn begin(&mut self, command: &str, drains: usize) -> String {
        self.said.clear();
        self.under_way_max = 0;
        self.session
            .handle_input(format!("{command}\r\n").as_bytes());
        self.work(drains);
        String::from_utf8_lossy(&self.said).into_owned()
    }

    pub fn assert_in_pieces(&self) {
        assert!(
            self.under_way_max <= UNDER_WAY_MAX,
            "{} at once",
            self.under_way_max
        );
    }
}

pub fn opened(count: u32) -> Reply {
    Reply::Opened(Opened {
        mailbox: MailboxId(1),
        object: mail::ObjectId(1),
        uid_validity: UidValidity(1),
        uid_next: Uid(2 * count + 1),
        highest_modseq: ModSeq(1),
        uids: (1..=count).map(|n| Uid(2 * n)).collect(),
        recent_from: Uid(u32::MAX),
        first_unseen: None,
        keywords: vec![],
        rights: mail::Rights::ALL,
    })
}

pub fn event(prev: u64, changes: Vec<Change>) -> Reply {
    let event = Event {
        mailbox: MailboxId(1),
        prev: ModSeq(prev),
        seq: ModSeq(prev + 1),
        changes,
        deleted: false,
    };
    Reply::Synced(vec![Arc::new(event)])
}

/// A store with a large mailbox; `next` may answer instead.
pub fn large(count: u32, mut next: impl FnMut(&Request) -> Option<Reply> + 'static) -> Host {
    let mut host = Host::new(move |request| {
        if let Some(reply) = next(&request) {
            return reply;
        }
        match request {
            Request::Authenticate(_) => Reply::Authenticated(UserId(1)),
            Request::Open { .. } => opened(count),
            Request::Sync { .. } => Reply::Synced(vec![]),
            _ => Reply::Done,
        }
    });
    host.ask("s SELECT INBOX");
    host
}
