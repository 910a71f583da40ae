//! What events are about, and where they are born.

/// One core's share of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// A topic: 48 bits that the protocol chooses (a mailbox id, say).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u64);

impl TopicId {
    /// The highest.
    pub const MAX: Self = Self((1 << 48) - 1);

    /// The shard on which the topic's events are born: a fixed hash.
    pub fn owner(self, shards: u16) -> ShardId {
        // Fibonacci hashing: neighbours go to different shards and no table is needed.
        let mixed = self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        ShardId((mixed % u64::from(shards)) as u16)
    }
}
