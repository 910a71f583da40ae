//! One end of a simulated connection.

use std::collections::VecDeque;
use std::net::SocketAddr;

/// No connection number.
pub(super) const UNBOUND: u32 = u32::MAX;

/// What one side holds of a connection.
pub(super) struct End {
    /// Whose it is, and its number there once it has one.
    pub host: usize,
    pub conn: u32,
    /// The other end.
    pub peer: usize,
    pub address: SocketAddr,
    /// The side that connected: its owner may stop reading.
    pub is_client: bool,
    pub reading: bool,
    pub wants_writable: bool,
    /// Nothing is read before.
    pub deaf_until_ns: u64,
    /// Packets on their way here, each with its time of arrival.
    pub packets: VecDeque<(u64, Vec<u8>)>,
    /// When the peer's end of file gets here.
    pub fin_ns: Option<u64>,
    pub broken: bool,
    pub hung_up: bool,
    pub closed: bool,
    /// Who has adopted it, and is to have it next.
    pub heir: Option<Heir>,
}

/// A reactor that has another's connection, too.
#[derive(Clone, Copy)]
pub(super) struct Heir {
    pub host: usize,
    pub conn: u32,
    pub reading: bool,
}

impl End {
    pub fn new(host: usize, peer: usize, address: SocketAddr, is_client: bool) -> Self {
        Self {
            host,
            conn: UNBOUND,
            peer,
            address,
            is_client,
            reading: false,
            wants_writable: false,
            deaf_until_ns: 0,
            packets: VecDeque::new(),
            fin_ns: None,
            broken: false,
            hung_up: false,
            closed: false,
            heir: None,
        }
    }

    /// Bytes on their way here or not read.
    pub fn buffered(&self) -> usize {
        self.packets.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// When the last of what is on its way arrives.
    pub fn last_arrival_ns(&self) -> u64 {
        self.packets.back().map_or(0, |(at_ns, _)| *at_ns)
    }

    pub fn is_readable(&self, now_ns: u64) -> bool {
        self.is_listening(now_ns) && self.packets.front().is_some_and(|(at, _)| *at <= now_ns)
    }

    pub fn has_ended(&self, now_ns: u64) -> bool {
        let ended = self.packets.is_empty() && self.fin_ns.is_some_and(|at| at <= now_ns);
        self.is_listening(now_ns) && !self.hung_up && (self.broken || ended)
    }

    fn is_listening(&self, now_ns: u64) -> bool {
        self.reading && !self.closed && self.conn != UNBOUND && self.deaf_until_ns <= now_ns
    }

    /// Takes up to `bytes_max` of the bytes that have arrived.
    pub fn take(&mut self, now_ns: u64, bytes_max: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while let Some((at_ns, bytes)) = self.packets.front_mut() {
            if *at_ns > now_ns || taken.len() == bytes_max {
                break;
            }
            let count = bytes.len().min(bytes_max - taken.len());
            taken.extend(bytes.drain(..count));
            if bytes.is_empty() {
                self.packets.pop_front();
            }
        }
        taken
    }
}
