//! What the shards of a broker tell each other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use engine::event::SessionId;

use super::loss::Loss;
use super::receipt::Linked;
use crate::bus::Pooled;
use crate::event_ref::Pattern;

/// An event on its way.
#[derive(Debug)]
pub struct Published {
    /// Its reference.
    pub(super) event: Box<str>,
    /// Its NOTIFY, for subscription 0; with room for a receipt if it is to be acknowledged.
    pub(super) notify: Bytes,
    /// Whose acknowledgement that is.
    pub(super) linked: Option<Linked>,
    /// What becomes of it where a pool has no member here.
    pub(super) way: Way,
}

/// Whether a pool's event may go to other hosts.
#[derive(Debug)]
pub(super) enum Way {
    /// It may.
    Own,
    /// Nobody took it there: it is for a member here, or for nobody.
    Stays,
    /// It came from there: only if there is no member here.
    HandOn(Box<Pooled>),
}

/// An event of another host on its way to the shards.
#[derive(Debug)]
pub struct FromSite {
    pub(super) published: Arc<Published>,
    pub(super) _room: Room,
}

/// What something takes of the room on the way to the shards, as long as it is there.
#[derive(Debug)]
pub struct Room {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

impl Room {
    /// So many bytes of all that are taken.
    pub fn new(all: Arc<AtomicUsize>, bytes: usize) -> Self {
        all.fetch_add(bytes, Ordering::Relaxed);
        Self { all, bytes }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// From a shard, or from this process itself, to a shard; those that say so, to a session.
#[derive(Clone, Debug)]
pub enum BrokerMessage {
    /// This process publishes an event.
    Publish {
        /// Its reference.
        event: String,
        /// Opaque.
        payload: Bytes,
    },
    /// An event that another shard's publisher published.
    Event(Arc<Published>),
    /// An event of another host.
    FromSite(Arc<FromSite>),
    /// Events of other hosts were lost.
    Lost(Arc<Loss>),
    /// So many members has a pool that is served here on other hosts.
    Away {
        /// Its pattern.
        pattern: Arc<Pattern>,
        /// How many.
        members: u32,
    },
    /// The broker ends: events for pools go to other hosts, where these have members. Whoever waits
    /// for that hears of it when it is dropped.
    Retire(mpsc::Sender<()>),
    /// An event for a member of a pool that is served here, from another host; or from this one if
    /// no other took it.
    PooledFromSite {
        /// The pool's pattern.
        pattern: Arc<Pattern>,
        /// The event.
        pooled: Arc<Pooled>,
        /// Whether no other took it.
        returned: bool,
        /// What it takes until a member has it.
        room: Arc<Room>,
    },
    /// A connection of the telling shard joins a pool that is served here.
    Join {
        /// Its pattern, which names the pool.
        pattern: Arc<Pattern>,
        /// The connection.
        member: SessionId,
        /// The number of its subscription.
        id: u32,
    },
    /// It leaves the pool.
    Leave {
        /// Its pattern, which names the pool.
        pattern: Arc<Pattern>,
        /// The connection.
        member: SessionId,
        /// The number of its subscription.
        id: u32,
    },
    /// To a session: it has joined.
    Joined {
        /// The number of its subscription.
        id: u32,
    },
    /// An event for the one member that was chosen.
    Pooled {
        /// The pool.
        pattern: Arc<Pattern>,
        /// The member.
        member: SessionId,
        /// The number of its subscription.
        id: u32,
        /// The event.
        event: Arc<Published>,
    },
    /// The member that was chosen is gone: another one gets it.
    Bounced {
        /// The pool.
        pattern: Arc<Pattern>,
        /// The event.
        event: Arc<Published>,
    },
    /// To a session: its PUBLISH was acknowledged.
    Acknowledged {
        /// The PUBLISH.
        id: u32,
    },
}
