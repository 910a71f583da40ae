//! What the shards of a broker tell each other.

use std::sync::Arc;

use bytes::Bytes;
use engine::event::SessionId;

use super::receipt::Linked;
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
