//! A session: its client, what it is about to do, what it waits for; and what it does next.

use reactor::{Conn, Rng};

use super::client::Client;
use super::command::{Command, Store};
use super::faults::Wrong;
use super::mailbox::{Mailbox, Stamp};
use super::view::{ANSWERED, DELETED, DRAFT, FLAGGED, KEYWORD, SEEN};

/// The flag that each session of a mailbox may store and take away; so stores of several sessions
/// come to the same in any order. `\Deleted` is only ever set.
const OWN_FLAGS: [u8; super::layout::SHARED_MAX] = [SEEN, FLAGGED, ANSWERED, DRAFT, KEYWORD];
/// Messages that each mailbox gets at first; with more than these a session thinks of deleting, so
/// that there are about as many all the time.
pub(super) const KEPT: usize = 2;

/// What a session is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Idle.
    Idle,
    /// So many commands, then idle.
    Visit(u8),
    /// NOOP, then a listing, then idle.
    Audit,
    /// The listing.
    List,
    /// LOGOUT.
    Leave,
    /// Send a command and be gone without its reply.
    Vanish,
}

/// A command that was sent.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub command: Option<Command>,
    pub begun_ns: u64,
    /// The mailbox when it was sent.
    pub stamp: Stamp,
    /// The highest UID that was known then.
    pub highest: u32,
    /// What must be gone after it.
    pub doomed: Vec<u32>,
    /// UIDs and flags that it told.
    pub listing: Vec<(u32, u8)>,
    /// A message that it told otherwise than it was known.
    pub disagrees: Option<Wrong>,
}

/// One session.
#[derive(Debug)]
pub(super) struct Member {
    pub mailbox: u32,
    /// Its number among the sessions of its mailbox.
    pub index: u8,
    pub client: Client,
    pub conn: Option<Conn>,
    pub goal: Goal,
    /// It has not idled yet since it began to connect.
    pub settling: bool,
    /// It looked for new messages already.
    pub synced: bool,
    pub pending: Option<Box<Pending>>,
    pub idle_since_ns: u64,
    /// The mailbox when an audit began.
    pub audit: Stamp,
    /// Additions that it knows of and disturbances, when it began to idle in full knowledge.
    pub basis: Option<(u32, u32)>,
}

impl Member {
    pub fn new(mailbox: u32, index: u8) -> Self {
        Self {
            mailbox,
            index,
            client: Client::default(),
            conn: None,
            goal: Goal::Idle,
            settling: false,
            synced: false,
            pending: None,
            idle_since_ns: 0,
            audit: Stamp::default(),
            basis: None,
        }
    }

    /// Whether it has nothing to do but to listen.
    pub fn is_idling(&self) -> bool {
        self.conn.is_some() && self.client.is_idling()
    }

    /// The connection is gone.
    pub fn reset(&mut self) {
        *self = Self::new(self.mailbox, self.index);
    }

    /// What it does next, having logged in and waiting for nothing. `id` is the number of a message
    /// that it may append.
    pub fn next(&mut self, mailbox: &Mailbox, id: u64, full: bool, rng: &mut Rng) -> Command {
        if !self.client.is_selected() {
            if self.goal == Goal::Leave {
                return Command::Logout;
            }
            self.synced = false;
            return Command::Select;
        }
        if let Some(from) = self.unknown(mailbox).filter(|_| !self.synced) {
            self.synced = true;
            return Command::Sync { from };
        }
        match self.goal {
            Goal::Idle => Command::Idle,
            Goal::Audit => {
                self.goal = Goal::List;
                Command::Noop
            }
            Goal::List => {
                self.goal = Goal::Idle;
                let named = !mailbox.arrivals.is_empty() || rng.chance(1, 4);
                Command::List { named }
            }
            Goal::Leave => Command::Logout,
            Goal::Visit(0) => {
                self.goal = Goal::Idle;
                Command::Idle
            }
            Goal::Visit(left) => {
                self.goal = Goal::Visit(left - 1);
                self.any(mailbox, id, full, rng)
            }
            Goal::Vanish => self.any(mailbox, id, full, rng),
        }
    }

    /// The first message of which the UID or the name is not known.
    fn unknown(&self, mailbox: &Mailbox) -> Option<u32> {
        let mut messages = self.client.view().messages().iter();
        let place = messages.position(|known| known.uid == 0 || !mailbox.knows(known.uid))?;
        Some(place as u32 + 1)
    }

    /// Any command, drawn by chance.
    fn any(&self, mailbox: &Mailbox, id: u64, full: bool, rng: &mut Rng) -> Command {
        let count = self.client.view().messages().len() as u64;
        if mailbox.count() > KEPT && rng.chance(1, 2) {
            let known = self.client.view().messages().iter();
            let deleted = |uid| mailbox.flags(uid).unwrap_or(0) & DELETED != 0;
            if known.filter(|known| deleted(known.uid)).count() > 0 {
                return Command::Expunge;
            }
            return self.store(mailbox, DELETED, rng);
        }
        match rng.below(100) {
            0..12 if count > 0 => {
                let from = 1 + rng.below(count) as u32;
                let to = (from + rng.below(10) as u32).min(count as u32);
                Command::Fetch { from, to }
            }
            12..42 => self.store(mailbox, OWN_FLAGS[self.index as usize], rng),
            42..52 => self.store(mailbox, DELETED, rng),
            52..61 => Command::Expunge,
            61..72 => Command::Search {
                by_uid: rng.chance(1, 2),
                unseen: rng.chance(1, 2),
            },
            72..82 => Command::Status,
            82..86 if !full => Command::Append { id },
            86..89 => Command::Close,
            89..92 => Command::Unselect,
            _ => Command::Noop,
        }
    }

    fn store(&self, mailbox: &Mailbox, flag: u8, rng: &mut Rng) -> Command {
        let messages = self.client.view().messages();
        if messages.is_empty() {
            return Command::Noop;
        }
        let place = rng.below(messages.len() as u64) as usize;
        let uid = messages[place].uid;
        if uid == 0 || !mailbox.has(uid) {
            return Command::Noop;
        }
        Command::Store(Store {
            number: place as u32 + 1,
            uid,
            flag,
            set: flag == DELETED || rng.chance(1, 2),
            silent: rng.chance(1, 3),
            by_uid: rng.chance(1, 3),
        })
    }
}
