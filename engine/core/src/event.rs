//! Events, and who sees them.

pub use crate::topic::ShardId;
use crate::topic::TopicId;

/// Identifies a connection: its shard, its slot there, and how often the slot was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// Where it lives.
    pub shard: ShardId,
    /// Generation of the slot.
    pub generation: u16,
    /// Slot in the shard's table.
    pub slot: u32,
}

impl SessionId {
    /// Not a connection but the shard itself: what is sent there comes to
    /// [`crate::protocol::Active::handle_message`].
    pub fn shard_itself(shard: ShardId) -> Self {
        Self {
            shard,
            generation: 0,
            slot: u32::MAX,
        }
    }

    pub(crate) fn is_shard(self) -> bool {
        self.slot == u32::MAX
    }
}

/// An immutable fact about a topic. Facts of a topic form a chain: `prev` is the number of the one
/// before.
#[derive(Debug)]
pub struct Event<F> {
    /// What it is about.
    pub topic: TopicId,
    /// The topic's number before.
    pub prev: u64,
    /// The topic's number now; higher than `prev`.
    pub seq: u64,
    /// When it became true, on the reactors' clock: since then its watchers have been waiting. 0 if
    /// that is not known.
    pub born_ns: u64,
    /// What the protocol has to say about it.
    pub fact: F,
}
