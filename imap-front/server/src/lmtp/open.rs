//! The connections that are open, so that they are bounded, in all and for each peer, and can be
//! told of the end.
#![expect(
    clippy::disallowed_methods,
    reason = "how long a connection is open is told by the machine's clock"
)]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slab::Slab;

/// A connection without a transaction that was quiet for so long gives way to a new one.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(10);
/// The client is at work: no time at which it fell quiet.
const BUSY: u64 = u64::MAX;

/// Who connects: an IPv4 address, the network of an IPv6 address, or whoever reaches the Unix
/// socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Peer(Option<IpAddr>);

impl Peer {
    /// The peer with that address, if it has one.
    pub fn new(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            // Whoever has one address of a network of 64 bits has all of them.
            IpAddr::V6(six) => {
                let network = six.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            four => four,
        }))
    }
}

/// How many may be open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// In all.
    pub all: usize,
    /// Of one peer.
    pub peer: usize,
}

/// The open connections.
pub(super) struct Open {
    seats: Mutex<Seats>,
    one_left: Condvar,
    bounds: Bounds,
    stopping: AtomicBool,
    began: Instant,
    gives_way_after: Duration,
}

#[derive(Default)]
struct Seats {
    taken: Slab<Arc<Seat>>,
    of_peer: HashMap<Peer, usize>,
}

struct Seat {
    stream: Arc<TcpStream>,
    peer: Peer,
    /// Since when it is quiet without a transaction, in milliseconds, or [`BUSY`].
    quiet_since_ms: AtomicU64,
    /// It is to leave, since others want its place.
    gives_way: AtomicBool,
}

/// A connection's place among the open ones, for as long as it lives.
pub(super) struct Admission {
    open: Arc<Open>,
    seat: Arc<Seat>,
    key: usize,
}

impl Open {
    /// None is open yet.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            seats: Mutex::default(),
            one_left: Condvar::new(),
            bounds,
            stopping: AtomicBool::new(false),
            began: Instant::now(),
            gives_way_after: GIVES_WAY_AFTER,
        }
    }

    /// Whether the end has come: nothing more is read from clients.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// A place for a connection, unless there are too many or the end has come. If there are too
    /// many, one that does nothing is told to leave, so that there is room a moment later.
    pub fn enter(self: &Arc<Self>, stream: &Arc<TcpStream>, peer: Peer) -> Option<Admission> {
        let mut seats = self.seats();
        if self.is_stopping() {
            return None;
        }
        let of_peer = seats.of_peer.get(&peer).copied().unwrap_or(0);
        let is_over_share = of_peer >= self.bounds.peer;
        if is_over_share || seats.taken.len() >= self.bounds.all {
            let quiet = self.quietest(&seats, is_over_share.then_some(peer))?;
            quiet.gives_way.store(true, Ordering::SeqCst);
            // Fails only if the client has left already.
            let _ = quiet.stream.shutdown(Shutdown::Read);
            return None;
        }
        *seats.of_peer.entry(peer).or_default() += 1;
        let seat = Arc::new(Seat {
            stream: stream.clone(),
            peer,
            quiet_since_ms: AtomicU64::new(BUSY),
            gives_way: AtomicBool::new(false),
        });
        let key = seats.taken.insert(seat.clone());
        let open = self.clone();
        Some(Admission { open, seat, key })
    }

    /// The connection that does nothing for the longest time, of a peer or of all, but those that
    /// are leaving already.
    fn quietest<'a>(&self, seats: &'a Seats, peer: Option<Peer>) -> Option<&'a Arc<Seat>> {
        let now = self.now_ms();
        let enough = self.gives_way_after.as_millis() as u64;
        let since = |seat: &Seat| seat.quiet_since_ms.load(Ordering::SeqCst);
        seats
            .taken
            .iter()
            .map(|(_, seat)| seat)
            .filter(|seat| peer.is_none_or(|peer| seat.peer == peer))
            .filter(|seat| !seat.gives_way.load(Ordering::SeqCst))
            .filter(|seat| since(seat).saturating_add(enough) <= now)
            .min_by_key(|seat| since(seat))
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// Ends the waiting of all connections for their clients and waits until they have left. Those
    /// that are still there after `within` are cut; gives how many.
    pub fn stop(&self, within: Duration) -> usize {
        let seats = self.seats();
        self.stopping.store(true, Ordering::SeqCst);
        cut(&seats, Shutdown::Read);
        let (seats, _) = self
            .one_left
            .wait_timeout_while(seats, within, |seats| !seats.taken.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        cut(&seats, Shutdown::Both);
        seats.taken.len()
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cut(seats: &Seats, how: Shutdown) {
    for (_, seat) in &seats.taken {
        // Fails only if the client has left already.
        let _ = seat.stream.shutdown(how);
    }
}

impl Admission {
    /// Whether the connection is to leave since others want its place.
    pub fn gives_way(&self) -> bool {
        self.seat.gives_way.load(Ordering::SeqCst)
    }

    /// The client is waited for, without a transaction under way.
    pub fn quiet(&self) {
        let now = self.open.now_ms();
        self.seat.quiet_since_ms.store(now, Ordering::SeqCst);
    }

    /// Something came.
    pub fn busy(&self) {
        self.seat.quiet_since_ms.store(BUSY, Ordering::SeqCst);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut seats = self.open.seats();
        seats.taken.remove(self.key);
        if let Some(count) = seats.of_peer.get_mut(&self.seat.peer) {
            *count -= 1;
            if *count == 0 {
                seats.of_peer.remove(&self.seat.peer);
            }
        }
        drop(seats);
        self.open.one_left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn open(all: usize, peer: usize) -> Arc<Open> {
        let mut open = Open::new(Bounds { all, peer });
        open.gives_way_after = Duration::ZERO;
        Arc::new(open)
    }

    fn stream() -> Arc<TcpStream> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        Arc::new(TcpStream::connect(address).unwrap())
    }

    fn peer(text: &str) -> Peer {
        Peer::new(Some(text.parse().unwrap()))
    }

    #[test]
    fn a_peer_has_its_share_and_leaves_room_for_others() {
        let open = open(4, 2);
        let stream = stream();
        let enter = |text| open.enter(&stream, peer(text));
        let mut taken: Vec<Admission> = (0..2).filter_map(|_| enter("10.0.0.1")).collect();
        assert_eq!(taken.len(), 2);
        assert!(enter("::ffff:10.0.0.1").is_none(), "the same peer");
        taken.extend(enter("2001:db8::1"));
        taken.extend(enter("2001:db8::2"));
        assert!(enter("2001:db8::3").is_none(), "of the same network");
        assert!(enter("10.0.0.2").is_none(), "in all");
        taken.remove(0);
        assert!(enter("10.0.0.1").is_some());
        taken.clear();
        assert!(
            open.seats().of_peer.is_empty(),
            "nothing is kept of a peer that left"
        );
    }

    #[test]
    fn who_does_nothing_gives_way_but_not_who_is_at_work() {
        let open = open(2, 2);
        let stream = stream();
        let busy = open.enter(&stream, peer("10.0.0.1")).unwrap();
        let quiet = open.enter(&stream, peer("10.0.0.2")).unwrap();
        quiet.quiet();
        assert!(open.enter(&stream, peer("10.0.0.3")).is_none());
        assert!(quiet.gives_way() && !busy.gives_way());
        drop(quiet);
        assert!(open.enter(&stream, peer("10.0.0.3")).is_some());
    }

    #[test]
    fn over_its_share_a_peer_gives_way_to_itself_alone() {
        let open = open(9, 1);
        let stream = stream();
        let other = open.enter(&stream, peer("10.0.0.1")).unwrap();
        let own = open.enter(&stream, peer("10.0.0.2")).unwrap();
        other.quiet();
        own.quiet();
        assert!(open.enter(&stream, peer("10.0.0.2")).is_none());
        assert!(own.gives_way() && !other.gives_way());
    }
}
