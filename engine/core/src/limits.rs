//! Every bound of the engine, named. A host may set them; their relations are checked once.

use std::fmt;

/// Nanoseconds in a second.
pub(crate) const SECOND_NS: u64 = 1_000_000_000;

/// Shards at most: a topic's watchers are one 64-bit mask.
pub const SHARDS_MAX: u16 = 64;

/// Pieces of output up to this size are joined before they are sealed or compressed.
pub(crate) const JOIN_BYTES_MAX: usize = 4 * 1024;
/// The same in plain text: the kernel takes larger ones where they are, for less than a copy and
/// memory for it.
pub(crate) const JOIN_PLAIN_BYTES_MAX: usize = 1024;

/// What one shard may hold and do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections a shard serves; more are refused politely.
    pub connections_max: usize,
    /// Connections that all shards serve together; more are refused politely.
    pub connections_all_max: usize,
    /// A call that takes longer is told to [`crate::protocol::Active::handle_stall`], in
    /// nanoseconds; 0 is never, and no clock is looked at.
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
    /// Bytes that the replies of one turn may have sessions say, about: the kernel copies them all
    /// before anybody else is heard.
    pub reply_bytes_per_turn: usize,
    /// Accepted connections that a shard opens in one turn: others are served between.
    pub openings_per_turn: usize,
    /// Recent events a shard keeps for a topic while some watcher is behind.
    pub tail_events_max: usize,
    /// Renderings of one event kept while it is fanned out.
    pub renderings_max: usize,
    /// Output bytes that may wait for one client. A session that has more is closed.
    pub outbox_bytes_max: usize,
    /// Bytes that may wait for all clients of a shard, with what keeping them costs and what their
    /// sessions hold ([`crate::protocol::Active::held_bytes`]). With more, those who are found to
    /// take nothing are cut.
    pub output_bytes_max: usize,
    /// Bytes that may wait for one client before posts to it are dropped. A single post may be
    /// larger; [`Limits::outbox_bytes_max`] must leave room for it.
    pub posts_bytes_max: usize,
    /// Bytes that a shard may keep of the streams of its compressed connections. With three
    /// quarters of it no more are begun; one that would grow beyond it ends.
    pub windows_bytes_max: usize,
    /// Words with which a client may end the compression of what it says, if its session does so
    /// too: what comes behind them is not looked at before the session has heard them.
    pub stream_ends: Option<&'static [u8]>,
    /// A client for which more bytes wait that it does not take is not read until it has.
    pub held_bytes_max: usize,
    /// A client that takes nothing of what it is owed for this long is closed.
    pub write_timeout_ns: u64,
    /// Deadlines that a shard handles in one turn.
    pub deadlines_per_turn: usize,
    /// Messages of TLS handshakes that a shard works on in one turn: a full handshake takes an
    /// eighth of a millisecond.
    pub handshakes_per_turn: usize,
    /// A handshake that takes longer is cut.
    pub handshake_ns: u64,
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
            reply_bytes_per_turn: 1 << 20,
            openings_per_turn: 32,
            tail_events_max: 256,
            renderings_max: 8,
            outbox_bytes_max: 4 * 1024 * 1024,
            output_bytes_max: 1024 * 1024 * 1024,
            windows_bytes_max: 256 << 20,
            stream_ends: None,
            posts_bytes_max: 1024 * 1024,
            held_bytes_max: 16 * 1024,
            write_timeout_ns: 60 * SECOND_NS,
            deadlines_per_turn: 4096,
            handshakes_per_turn: 4,
            handshake_ns: 30 * SECOND_NS,
            shutdown_rows_per_turn: 4096,
            shutdown_ns: 5 * SECOND_NS,
        }
    }
}

/// Two bounds that can't hold together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction(String);

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Contradiction {}

impl Limits {
    /// Whether something fits everywhere, and whether the bounds agree with each other.
    ///
    /// # Errors
    /// Which don't, with their values.
    pub fn check(&self) -> Result<(), Contradiction> {
        let counts = [
            ("connections_max", self.connections_max),
            ("connections_all_max", self.connections_all_max),
            ("events_queue", self.events_queue),
            ("lost_topics_max", self.lost_topics_max),
            ("replies_queue", self.replies_queue),
            ("shard_messages_queue", self.shard_messages_queue),
            ("items_per_turn", self.items_per_turn),
            ("reply_bytes_per_turn", self.reply_bytes_per_turn),
            ("openings_per_turn", self.openings_per_turn),
            ("tail_events_max", self.tail_events_max),
            ("renderings_max", self.renderings_max),
            ("held_bytes_max", self.held_bytes_max),
            ("posts_bytes_max", self.posts_bytes_max),
            ("outbox_bytes_max", self.outbox_bytes_max),
            ("output_bytes_max", self.output_bytes_max),
            ("windows_bytes_max", self.windows_bytes_max),
            ("deadlines_per_turn", self.deadlines_per_turn),
            ("handshakes_per_turn", self.handshakes_per_turn),
            ("shutdown_rows_per_turn", self.shutdown_rows_per_turn),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(Contradiction(format!("{name} of 0 lets nothing through")));
        }
        let slots = crate::topics::SLOTS_MAX as usize - 1;
        let at_most = [
            ("connections_max", self.connections_max, "slots", slots),
            // A client is held before it has more than may wait.
            (
                "held_bytes_max",
                self.held_bytes_max,
                "outbox_bytes_max",
                self.outbox_bytes_max,
            ),
            // Posts that may wait fit into an outbox.
            (
                "posts_bytes_max",
                self.posts_bytes_max,
                "outbox_bytes_max",
                self.outbox_bytes_max,
            ),
        ];
        if let Some((one, is, other, bound)) = at_most.iter().find(|(_, is, _, bound)| is > bound) {
            let text = format!("{one} is {is}, more than the {bound} of {other}");
            return Err(Contradiction(text));
        }
        let (write, stall) = (self.write_timeout_ns, self.stall_ns);
        if write < SECOND_NS {
            let text = format!("write_timeout_ns is {write}: time is coarse to a second");
            return Err(Contradiction(text));
        }
        if stall > write {
            let text = format!("stall_ns is {stall}, more than the {write} of write_timeout_ns");
            return Err(Contradiction(text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_contradict_each_other_are_named() {
        let said = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits.check().expect_err("they contradict").to_string()
        };
        assert_eq!(Limits::default().check(), Ok(()));
        assert_eq!(
            said(|limits| limits.posts_bytes_max = 5 << 20),
            "posts_bytes_max is 5242880, more than the 4194304 of outbox_bytes_max"
        );
        assert_eq!(
            said(|limits| limits.held_bytes_max = 5 << 20),
            "held_bytes_max is 5242880, more than the 4194304 of outbox_bytes_max"
        );
        assert_eq!(
            said(|limits| limits.events_queue = 0),
            "events_queue of 0 lets nothing through"
        );
        assert_eq!(
            said(|limits| limits.stall_ns = u64::MAX),
            format!(
                "stall_ns is {}, more than the 60000000000 of write_timeout_ns",
                u64::MAX
            )
        );
    }
}
