//! Lines of the log about sessions: put into a bounded queue by planes that must not wait, and
//! written by a thread of their own. `docs/logs.md` says what each means, and whoever guards the
//! host reads the addresses there (`share/fail2ban`).
//!
//! In reading order: this (what is told, and the queue), `counts` (deliveries), `texts` (a line's
//! fields), `names` (of users and mailboxes), `repeats` (causes that repeat), `refused`
//! (addresses), `writing` (the thread).

mod counts;
mod names;
mod refused;
mod repeats;
mod texts;
mod writing;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crossbeam_channel::{Receiver, Sender, bounded};
use engine::event::{SessionId, ShardId};
use mail::reply::Appended;
use mail::{MailboxName, Refusal, UserId};

use crate::refusals::Refused;
use refused::RefusedAddresses;

pub use counts::Deliveries;
pub use names::{Directory, Names};
pub use refused::RefusedAddress;
pub use writing::{WRITTEN_WITHIN, Writing};

/// Lines that may wait to be written.
const LINES_MAX: usize = 16 * 1024;
/// And of those by which whoever guards the host knows who attacks it: nothing else keeps them out.
const GUARDS_MAX: usize = 4 * 1024;
/// What they may keep besides themselves, in bytes.
const BYTES_MAX: usize = 8 << 20;

/// Whom a line is about, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The session.
    pub session: Option<SessionId>,
    /// Its client's address; none is this host.
    pub client: Option<IpAddr>,
    /// What a proxy calls the session.
    pub called: Option<Box<str>>,
}

/// What has happened.
#[derive(Debug)]
pub enum Line {
    /// Somebody has logged in.
    LoggedIn {
        /// Whose session it is.
        who: Who,
        /// The user.
        user: UserId,
        /// Whether it speaks TLS with this server.
        tls: bool,
    },
    /// Somebody has shown that it is another than it logs in as: an administrator.
    ActsAs {
        /// Whose session it is.
        who: Who,
        /// The user it logs in as.
        user: Box<str>,
        /// Who it is.
        by: Box<str>,
    },
    /// Somebody could not log in.
    Failed {
        /// Whose session it is.
        who: Who,
        /// The name that was given.
        name: Box<str>,
        /// What is wrong, if more is known than that it is wrong.
        why: Option<Box<str>>,
        /// Nobody guesses so: a token that was right once.
        expired: bool,
    },
    /// A session has ended.
    Ended(Box<Ended>),
    /// A message was delivered, or could not be.
    Delivered(Box<Delivered>),
    /// A recipient was refused.
    NoRecipient {
        /// Whose session it is.
        who: Who,
        /// The address.
        address: Box<str>,
        /// Why.
        result: &'static str,
    },
    /// Something else was refused.
    Refused {
        /// To whom.
        who: Who,
        /// What.
        what: Refused,
        /// The name that a login was tried with; empty if it gave none.
        name: Box<str>,
    },
}

/// The end of a session that had logged in, or was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whose session it was.
    pub who: Who,
    /// The user, if somebody had logged in.
    pub user: Option<UserId>,
    /// Why.
    pub result: &'static str,
    /// Whether it was the server's will, for something the client did or was.
    pub cut: bool,
    /// What was wrong with its TLS, if it was cut for that.
    pub why: Option<tls::Failure>,
    /// How long it was logged in.
    pub seconds: Option<u64>,
    /// What went over it; none if it was packed away in between, as that is forgotten then.
    pub traffic: Option<Traffic>,
}

/// What went over a connection, without the bytes of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes from the client.
    pub received: u64,
    /// Bytes to the client.
    pub sent: u64,
    /// Commands.
    pub commands: u32,
}

/// A message that came by LMTP.
#[derive(Debug)]
pub struct Delivered {
    /// Whose session it was.
    pub who: Who,
    /// The server's id for the message, as its `Received` line has it.
    pub id: Box<str>,
    /// The peer's, if the message tells it.
    pub queue_id: Option<Box<str>>,
    /// The sender's address; empty if there is none.
    pub sender: Box<str>,
    /// Bytes, trace headers included.
    pub size: u64,
    /// From the message's last byte to the verdict, in nanoseconds.
    pub took_ns: u64,
    /// Where it went.
    pub targets: Vec<DeliveredTo>,
}

/// One mailbox that a message was to go to.
#[derive(Debug)]
pub struct DeliveredTo {
    /// The account.
    pub account: Box<str>,
    /// The folder that was asked for.
    pub folder: MailboxName,
    /// The recipients' addresses, with commas between.
    pub recipients: String,
    /// Where it lies, or why it doesn't.
    pub result: Result<Appended, Refusal>,
}

/// Lines that are not written yet.
pub struct Lines {
    guards: Queue,
    others: Queue,
    dropped: AtomicU64,
    deliveries: Deliveries,
    refused: RefusedAddresses,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            guards: Queue::new(GUARDS_MAX),
            others: Queue::new(LINES_MAX),
            dropped: AtomicU64::new(0),
            deliveries: Deliveries::default(),
            refused: RefusedAddresses::default(),
        }
    }
}

impl Lines {
    /// Something has happened; never waits. What finds no room is counted.
    pub fn put(&self, line: Line) {
        self.deliveries.look(&line);
        let queue = match line.guards() {
            true => &self.guards,
            false => &self.others,
        };
        if !queue.put(line) {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Something was refused to a client.
    pub fn refuse(&self, what: Refused, client: Option<IpAddr>, session: SessionId) {
        let who = Who {
            session: Some(session),
            client,
            called: None,
        };
        let name = Box::default();
        self.put(Line::Refused { who, what, name });
    }

    /// What was delivered since the start.
    pub fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    /// Lines that found no room since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Addresses to which something was refused lately, the newest first.
    pub fn refused(&self) -> Vec<RefusedAddress> {
        self.refused.newest()
    }

    /// The next line that is to be written.
    fn take(&self) -> Option<Line> {
        self.guards.take().or_else(|| self.others.take())
    }
}

/// A queue with bounds in lines and in bytes.
struct Queue {
    ends: (Sender<Line>, Receiver<Line>),
    bytes: AtomicUsize,
}

impl Queue {
    fn new(lines_max: usize) -> Self {
        Self {
            ends: bounded(lines_max),
            bytes: AtomicUsize::new(0),
        }
    }

    /// False if there is no room.
    fn put(&self, line: Line) -> bool {
        let bytes = line.bytes();
        let fits = self.bytes.fetch_add(bytes, Relaxed) + bytes <= BYTES_MAX;
        // Nobody sleeps at the other end: no system call is made here.
        let taken = fits && self.ends.0.try_send(line).is_ok();
        if !taken {
            self.bytes.fetch_sub(bytes, Relaxed);
        }
        taken
    }

    fn take(&self) -> Option<Line> {
        let line = self.ends.1.try_recv().ok()?;
        self.bytes.fetch_sub(line.bytes(), Relaxed);
        Some(line)
    }
}

impl Line {
    /// Whether it tells of somebody who was turned away: these are never kept out by others.
    fn guards(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::Refused { .. } | Self::NoRecipient { .. } => true,
            Self::Ended(ended) => ended.cut,
            Self::LoggedIn { .. } | Self::ActsAs { .. } => false,
            Self::Delivered(it) => it.targets.iter().any(|to| to.result.is_err()),
        }
    }

    /// What it keeps besides itself, in bytes, about.
    fn bytes(&self) -> usize {
        let called = |who: &Who| who.called.as_ref().map_or(0, |called| called.len());
        match self {
            Self::LoggedIn { who, .. } => called(who),
            Self::Refused { who, name, .. } => called(who) + name.len(),
            Self::ActsAs { who, user, by } => called(who) + user.len() + by.len(),
            Self::Failed { who, name, why, .. } => {
                called(who) + name.len() + why.as_ref().map_or(0, |why| why.len())
            }
            Self::Ended(ended) => size_of::<Ended>() + called(&ended.who),
            Self::NoRecipient { who, address, .. } => called(who) + address.len(),
            Self::Delivered(it) => {
                let each = |to: &DeliveredTo| {
                    let names = to.account.len() + to.folder.as_str().len() + to.recipients.len();
                    size_of::<DeliveredTo>() + names
                };
                let targets = it.targets.iter().map(each).sum::<usize>();
                let ids = it.id.len() + it.queue_id.as_ref().map_or(0, |id| id.len());
                size_of::<Delivered>() + called(&it.who) + ids + it.sender.len() + targets
            }
        }
    }
}

/// A session as lines and tools name it: shard, slot and how often the slot was used before, in
/// hexadecimal digits. No two sessions of one run have the same name until a slot was used 65,536
/// times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionName(pub SessionId);

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SessionId {
            shard,
            generation,
            slot,
        } = self.0;
        write!(f, "{:x}-{slot:x}-{generation:x}", shard.0)
    }
}

impl std::str::FromStr for SessionName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('-');
        let mut next = |max: u32| {
            let number = u32::from_str_radix(parts.next().ok_or(())?, 16).map_err(drop)?;
            if number <= max { Ok(number) } else { Err(()) }
        };
        let (shard, slot, generation) = (
            next(u16::MAX.into())?,
            next(u32::MAX)?,
            next(u16::MAX.into())?,
        );
        match parts.next() {
            None => Ok(Self(SessionId {
                shard: ShardId(shard as u16),
                generation: generation as u16,
                slot,
            })),
            Some(_) => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(name: &str) -> Line {
        Line::Failed {
            who: Who::default(),
            name: name.into(),
            why: None,
            expired: false,
        }
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let lines = Lines::default();
        let came = || Line::LoggedIn {
            who: Who::default(),
            user: UserId(1),
            tls: true,
        };
        for _ in 0..LINES_MAX + 7 {
            lines.put(came());
        }
        assert_eq!(lines.dropped(), 7);
        lines.put(failed("fred"));
        assert_eq!(
            lines.dropped(),
            7,
            "who guesses is told of all the same, and first"
        );
        assert!(matches!(lines.take(), Some(Line::Failed { .. })));
        while lines.take().is_some() {}
        assert_eq!(lines.others.bytes.load(Relaxed), 0);
        let long = "x".repeat(BYTES_MAX / 2);
        for _ in 0..3 {
            lines.put(failed(&long));
        }
        assert_eq!(lines.dropped(), 8, "bytes are bounded, too");
    }

    #[test]
    fn names_of_sessions_are_read_again() {
        let id = SessionId {
            shard: ShardId(2),
            generation: 0xFFFF,
            slot: 0x1_2345,
        };
        let name = SessionName(id);
        assert_eq!(name.to_string(), "2-12345-ffff");
        assert_eq!("2-12345-ffff".parse(), Ok(name));
        for wrong in [
            "",
            "2-1",
            "2-1-1-1",
            "2-1-10000",
            "x-1-1",
            "2-+-1",
            "-1-2-3",
        ] {
            assert_eq!(wrong.parse::<SessionName>(), Err(()), "{wrong}");
        }
    }
}
