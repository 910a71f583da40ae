//! Every bound of the engine, named. A host may set them; their relations are checked once.

/// Nanoseconds in a second.
pub(crate) const SECOND_NS: u64 = 1_000_000_000;

/// Shards at most: a topic's watchers are one 64-bit mask.
pub const SHARDS_MAX: u16 = 64;

/// Pieces of output up to this size are joined before they are sent.
pub(crate) const JOIN_BYTES_MAX: usize = 4 * 1024;

/// What one shard may hold and do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections a shard serves; more are refused politely.
    pub connections_max: usize,
    /// Connections that all shards serve together; more are refused politely.
    pub connections_all_max: usize,
    /// A call that takes longer is told to [`crate::protocol::Protocol::handle_stall`], in
    /// nanoseconds; 0 is
    /// never, and no clock is looked at.
    pub stall_ns: u64,
    /// Published events waiting for their owner shard; more mark their topic stale.
    pub events_queue: usize,
    /// Topics that a full queue of events remembers one by one; with more, all count as stale.
    pub lost_topics_max: usize,
    /// Replies waiting for a shard; more are given back to the caller.
    pub replies_queue: usize,
    /// Messages waiting in the queue from one shard to another.
    pub shard_messages_queue: usize,
    /// Events, replies and messages (of each) that a shard handles in one turn.
    pub items_per_turn: usize,
    /// Recent events a shard keeps for a topic while some watcher is behind.
    pub tail_events_max: usize,
    /// Renderings of one event kept while it is fanned out.
    pub renderings_max: usize,
    /// Output bytes that may wait for one client. A session that has more is closed.
    pub outbox_bytes_max: usize,
    /// Bytes that may wait for all clients of a shard, with what keeping them costs and what their
    /// sessions hold ([`crate::protocol::Protocol::held_bytes`]). With more, those who are found to
    /// take nothing are cut.
    pub output_bytes_max: usize,
    /// Bytes that may wait for one client before posts to it are dropped. A single post may be
    /// larger; [`Limits::outbox_bytes_max`] must leave room for it.
    pub posts_bytes_max: usize,
    /// A client for which more bytes wait that it does not take is not read until it has.
    pub held_bytes_max: usize,
    /// A client that takes nothing of what it is owed for this long is closed.
    pub write_timeout_ns: u64,
    /// Deadlines that a shard handles in one turn.
    pub deadlines_per_turn: usize,
    /// Sessions told of the shutdown in one turn.
    pub shutdown_rows_per_turn: usize,
    /// Connections still open this long after the shutdown began are cut.
    pub shutdown_ns: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 2_000_000,
            connections_all_max: usize::MAX,
            stall_ns: 0,
            events_queue: 16 * 1024,
            lost_topics_max: 1024,
            replies_queue: 16 * 1024,
            shard_messages_queue: 1024,
            items_per_turn: 1024,
            tail_events_max: 256,
            renderings_max: 8,
            outbox_bytes_max: 4 * 1024 * 1024,
            output_bytes_max: 1024 * 1024 * 1024,
            posts_bytes_max: 1024 * 1024,
            held_bytes_max: 16 * 1024,
            write_timeout_ns: 60 * SECOND_NS,
            deadlines_per_turn: 4096,
            shutdown_rows_per_turn: 4096,
            shutdown_ns: 5 * SECOND_NS,
        }
    }
}

impl Limits {
    /// Panics if a bound is 0 where something must fit, or if bounds contradict each other.
    pub(crate) fn check(&self) {
        let counts = [
            self.connections_max,
            self.connections_all_max,
            self.events_queue,
            self.lost_topics_max,
            self.replies_queue,
            self.shard_messages_queue,
            self.items_per_turn,
            self.tail_events_max,
            self.renderings_max,
            self.held_bytes_max,
            self.outbox_bytes_max,
            self.posts_bytes_max,
            self.output_bytes_max,
            self.deadlines_per_turn,
            self.shutdown_rows_per_turn,
        ];
        assert!(
            counts.iter().all(|count| *count > 0),
            "a bound of 0 lets nothing through"
        );
        assert!(
            self.connections_max < crate::topics::SLOTS_MAX as usize,
            "slots are 31 bits"
        );
        assert!(
            self.posts_bytes_max <= self.outbox_bytes_max,
            "posts that may wait fit into an outbox"
        );
        assert!(
            self.held_bytes_max <= self.outbox_bytes_max,
            "a client is held before it has more than may wait"
        );
        assert!(
            self.write_timeout_ns >= SECOND_NS,
            "time is coarse to a second"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "posts that may wait fit into an outbox")]
    fn bounds_that_contradict_each_other_are_refused() {
        Limits {
            posts_bytes_max: 5 << 20,
            ..Limits::default()
        }
        .check();
    }
}
