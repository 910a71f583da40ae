//! The connections there are, bounded in all and for each peer. Who does nothing gives way to those
//! who come.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ahash::RandomState;
use engine::event::SessionId;

use crate::front::{Shares, network};

/// A connection without a transaction that was quiet for so long gives way to a new one.
pub(super) const GIVES_WAY_AFTER_NS: u64 = 10_000_000_000;
/// The client is at work: no time at which it fell quiet.
const BUSY: u64 = u64::MAX;

/// How many are open on all shards together.
pub(super) struct Places {
    max: usize,
    open: AtomicUsize,
    peers: Shares,
}

impl Places {
    pub fn new(max: usize, peer_max: usize) -> Self {
        Self {
            max,
            open: AtomicUsize::new(0),
            peers: Shares::new(u32::try_from(peer_max).unwrap_or(u32::MAX), max),
        }
    }
}

/// Why there is no place for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// Too many are open.
    All,
    /// The peer of this key has its share.
    Peer(u32),
}

/// The connections of one shard, those included that are being refused.
#[derive(Default)]
pub(super) struct Seats {
    taken: HashMap<u32, Option<Seat>, RandomState>,
}

struct Seat {
    id: SessionId,
    /// What stands for its peer, once that is known.
    key: Option<u32>,
    /// Since when it is quiet without a transaction, on the reactor's clock, or [`BUSY`].
    quiet_since_ns: u64,
    /// It was told to leave, since others want its place.
    gives_way: bool,
}

impl Seats {
    /// A connection has come, of an IP address or over the Unix socket.
    pub fn enter(
        &mut self,
        places: &Places,
        id: SessionId,
        address: Option<IpAddr>,
    ) -> Result<(), Full> {
        let key = places.peers.key_of(address.map(network));
        self.take(places, id, Some(key))
    }

    /// A connection has come of which it isn't known whose it is.
    pub fn enter_unknown(&mut self, places: &Places, id: SessionId) -> Result<(), Full> {
        self.take(places, id, None)
    }

    fn take(&mut self, places: &Places, id: SessionId, key: Option<u32>) -> Result<(), Full> {
        self.taken.insert(id.slot, None);
        let more = |open: usize| (open < places.max).then_some(open + 1);
        if places.open.fetch_update(Relaxed, Relaxed, more).is_err() {
            return Err(Full::All);
        }
        if let Some(key) = key
            && !places.peers.enter(key)
        {
            places.open.fetch_sub(1, Relaxed);
            return Err(Full::Peer(key));
        }
        let seat = Seat {
            id,
            key,
            quiet_since_ns: BUSY,
            gives_way: false,
        };
        self.taken.insert(id.slot, Some(seat));
        Ok(())
    }

    /// A slot's connection has left. False if it was none of these.
    pub fn leave(&mut self, places: &Places, slot: u32) -> bool {
        let Some(seat) = self.taken.remove(&slot) else {
            return false;
        };
        if let Some(seat) = seat {
            if let Some(key) = seat.key {
                places.peers.leave(key);
            }
            places.open.fetch_sub(1, Relaxed);
        }
        if self.taken.is_empty() {
            self.taken = HashMap::default();
        }
        true
    }

    /// A connection's client is at work, or waited for without a transaction since that time.
    pub fn note(&mut self, slot: u32, quiet_since_ns: Option<u64>) {
        if let Some(Some(seat)) = self.taken.get_mut(&slot) {
            seat.quiet_since_ns = quiet_since_ns.unwrap_or(BUSY);
            // Told to leave, it was at work: it may be told again.
            seat.gives_way &= quiet_since_ns.is_some();
        }
    }

    /// The connection that does nothing for the longest time and is not leaving already, of a peer
    /// or of all. It counts as leaving from now on.
    pub fn quietest(&mut self, full: Full, now_ns: u64) -> Option<SessionId> {
        let seats = self.taken.values_mut().flatten();
        let seat = seats
            .filter(|seat| match full {
                Full::All => true,
                Full::Peer(key) => seat.key == Some(key),
            })
            .filter(|seat| !seat.gives_way)
            .filter(|seat| seat.quiet_since_ns.saturating_add(GIVES_WAY_AFTER_NS) <= now_ns)
            .min_by_key(|seat| (seat.quiet_since_ns, seat.id))?;
        seat.gives_way = true;
        Some(seat.id)
    }
}

#[cfg(test)]
mod tests {
    use engine::event::ShardId;

    use super::*;

    fn id(slot: u32) -> SessionId {
        SessionId {
            shard: ShardId(0),
            generation: 1,
            slot,
        }
    }

    fn peer(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_peer_has_its_share_and_leaves_room_for_others() {
        let places = Places::new(4, 2);
        let mut shards = [Seats::default(), Seats::default()];
        let mut enter =
            |shard: usize, slot, text| shards[shard].enter(&places, id(slot), peer(text)).is_ok();
        assert!(enter(0, 1, "127.0.0.1") && enter(1, 1, "127.0.0.1"));
        assert!(!enter(0, 2, "::ffff:127.0.0.1"), "the same peer");
        assert!(enter(0, 3, "2001:db8::1") && enter(0, 4, "2001:db8::2"));
        assert!(!enter(1, 5, "10.0.0.2"), "in all");
        assert!(shards[0].leave(&places, 3));
        assert!(!shards[0].leave(&places, 3));
        assert!(
            shards[1].enter(&places, id(6), None).is_ok(),
            "over the Unix socket"
        );
        for slot in 0..10 {
            shards
                .iter_mut()
                .for_each(|shard| _ = shard.leave(&places, slot));
        }
        assert_eq!(places.open.load(Relaxed), 0);
        assert!(shards[0].enter(&places, id(1), peer("127.0.0.1")).is_ok());
        assert!(shards[0].enter(&places, id(2), peer("127.0.0.1")).is_ok());
    }

    #[test]
    fn who_does_nothing_gives_way_once_but_not_who_is_at_work() {
        let places = Places::new(9, 9);
        let mut seats = Seats::default();
        let later_ns = 3 + GIVES_WAY_AFTER_NS;
        for (slot, address) in [(1, "10.0.0.1"), (2, "10.0.0.2"), (3, "10.0.0.2")] {
            seats.enter(&places, id(slot), peer(address)).unwrap();
        }
        assert_eq!(seats.quietest(Full::All, later_ns), None);
        seats.note(1, Some(2));
        seats.note(2, Some(3));
        let key = places.peers.key_of(peer("10.0.0.2").map(network));
        assert_eq!(seats.quietest(Full::Peer(key), later_ns), Some(id(2)));
        assert_eq!(
            seats.quietest(Full::Peer(key), later_ns),
            None,
            "it was told"
        );
        assert_eq!(
            seats.quietest(Full::All, later_ns - 2),
            None,
            "not for long enough"
        );
        seats.note(1, None);
        assert_eq!(seats.quietest(Full::All, later_ns), None);
        seats.note(2, None);
        seats.note(2, Some(3));
        assert_eq!(seats.quietest(Full::All, later_ns), Some(id(2)), "again");
    }
}
