//! What happens on the way between two ends.

use std::net::SocketAddr;

use super::end::{End, UNBOUND};
use super::{Due, Inner};
use crate::Conn;

/// Errnos of the simulated kernel.
pub(super) const EPIPE: i32 = 32;
pub(super) const ECONNRESET: i32 = 104;
pub(super) const ECONNREFUSED: i32 = 111;

impl Inner {
    fn latency_ns(&mut self) -> u64 {
        self.options.latency_ns_min + self.network.below(self.options.latency_ns_spread)
    }

    pub(super) fn begin_connect(&mut self, host: usize, token: u64, to: SocketAddr) {
        let at_ns = self.now_ns + self.latency_ns();
        let listeners = self.listeners.get(&to).map_or(0, Vec::len);
        if listeners == 0 || self.options.refuse.draw(&mut self.network) {
            self.schedule(
                at_ns,
                Due::Connected {
                    host,
                    token,
                    end: None,
                },
            );
            return;
        }
        let choice = self.network.below(listeners as u64) as usize;
        let listener = self.listeners[&to][choice];
        let client = self.ends.len();
        self.ports = self.ports.wrapping_add(1).max(1024);
        let from = SocketAddr::from(([127, 0, 0, 1], self.ports));
        self.ends.push(End::new(host, client + 1, from, true));
        self.ends.push(End::new(listener.0, client, to, false));
        self.schedule(
            at_ns,
            Due::Arrival {
                listener,
                end: client + 1,
            },
        );
        let back_ns = at_ns + self.latency_ns();
        self.schedule(
            back_ns,
            Due::Connected {
                host,
                token,
                end: Some(client),
            },
        );
        if self.options.fail_accept.draw(&mut self.network) {
            self.break_later(client);
        }
    }

    /// A connection reaches its listener and waits to be accepted.
    pub(super) fn arrive(&mut self, (host, listener): (usize, u8), end: usize) {
        let host = self.hosts[host].passed_to.unwrap_or(host);
        if self.hosts[host].gone {
            return self.abandon_end(end);
        }
        self.ends[end].host = host;
        self.hosts[host].backlog.push_back((listener, end));
    }

    pub(super) fn connected(&mut self, host: usize, token: u64, end: Option<usize>) {
        self.hosts[host].connects.push_back((token, end));
    }

    /// Gives an end its number at its reactor, if there is room.
    pub(super) fn bind(&mut self, end: usize) -> Option<Conn> {
        let conn = self.hosts[self.ends[end].host].take_number(end)?;
        self.ends[end].conn = conn.0;
        Some(conn)
    }

    /// An end's reactor is to look at it.
    pub(super) fn look(&mut self, end: usize) {
        let now_ns = self.now_ns;
        let room = self.room(end);
        let state = &self.ends[end];
        let writable = state.wants_writable && (room > 0 || state.broken);
        if !state.closed && (state.is_readable(now_ns) || state.has_ended(now_ns) || writable) {
            let host = state.host;
            self.hosts[host].ready.insert(end);
        }
    }

    /// Bytes that fit on the way from an end to its peer.
    pub(super) fn room(&self, end: usize) -> usize {
        let peer = &self.ends[self.ends[end].peer];
        if peer.closed {
            return usize::MAX;
        }
        self.options.link_bytes.saturating_sub(peer.buffered())
    }

    /// Sends from an end. Gives how many bytes left, or why it is broken.
    pub(super) fn transmit(&mut self, end: usize, bytes: &[u8]) -> Result<usize, i32> {
        let peer = self.ends[end].peer;
        if self.ends[end].broken {
            return Err(ECONNRESET);
        }
        if self.ends[peer].closed {
            return Err(EPIPE);
        }
        if self.options.reset.draw(&mut self.network) {
            self.break_later(end);
        }
        let mut count = bytes.len().min(self.room(end));
        if count > 0 && self.options.short_write.draw(&mut self.network) {
            count = self.network.below(count as u64) as usize;
        }
        let mut sent = &bytes[..count];
        while !sent.is_empty() {
            let split = sent.len() > 1 && self.options.split_packet.draw(&mut self.network);
            let size = if split {
                1 + self.network.below(sent.len() as u64 - 1) as usize
            } else {
                sent.len()
            };
            let arrival_ns = self.now_ns + self.latency_ns();
            let arrival_ns = arrival_ns.max(self.ends[peer].last_arrival_ns());
            self.ends[peer]
                .packets
                .push_back((arrival_ns, sent[..size].to_vec()));
            self.schedule(arrival_ns, Due::Look(peer));
            sent = &sent[size..];
        }
        self.fold(&[2, end as u64, bytes.len() as u64, count as u64]);
        Ok(count)
    }

    /// Reads at an end what its reactor gets in one completion.
    pub(super) fn receive(&mut self, end: usize) -> Option<Vec<u8>> {
        if !self.ends[end].is_readable(self.now_ns) {
            return None;
        }
        if self.ends[end].is_client && self.options.deaf.draw(&mut self.network) {
            let until_ns = self.now_ns + 1 + self.network.below(self.options.deaf_ns_max);
            self.ends[end].deaf_until_ns = until_ns;
            self.schedule(until_ns, Due::Look(end));
            return None;
        }
        let mut bytes_max = self.options.receive_bytes;
        if self.options.short_read.draw(&mut self.network) {
            bytes_max = 1 + self.network.below(bytes_max as u64) as usize;
        }
        let taken = self.ends[end].take(self.now_ns, bytes_max);
        self.look(end);
        let peer = self.ends[end].peer;
        self.look(peer);
        Some(taken)
    }

    pub(super) fn close_end(&mut self, end: usize) {
        let state = &mut self.ends[end];
        state.closed = true;
        state.packets.clear();
        let (host, conn, peer) = (state.host, state.conn, state.peer);
        self.hosts[host].ready.remove(&end);
        self.hosts[host].give_number(conn);
        self.end_for(peer);
    }

    /// An end that nobody has accepted is given up.
    pub(super) fn abandon_end(&mut self, end: usize) {
        let state = &mut self.ends[end];
        state.closed = true;
        state.packets.clear();
        let peer = state.peer;
        self.end_for(peer);
    }

    /// The other end of `peer` is closed.
    fn end_for(&mut self, peer: usize) {
        let fin_ns = self.now_ns + self.latency_ns();
        let other = &mut self.ends[peer];
        let fin_ns = fin_ns.max(other.last_arrival_ns());
        other.fin_ns = Some(fin_ns);
        self.schedule(fin_ns, Due::Look(peer));
        // A peer that waits for room learns that there is nobody left to write to.
        self.look(peer);
    }

    fn break_later(&mut self, end: usize) {
        let at_ns = self.now_ns + self.latency_ns();
        let peer = self.ends[end].peer;
        self.schedule(at_ns, Due::Break(end));
        self.schedule(at_ns, Due::Break(peer));
    }

    /// What was on its way is lost.
    pub(super) fn break_end(&mut self, end: usize) {
        self.fold(&[3, end as u64]);
        let state = &mut self.ends[end];
        state.broken = true;
        state.packets.clear();
        state.deaf_until_ns = 0;
        self.look(end);
    }

    pub(super) fn heal_ends(&mut self) {
        for end in 0..self.ends.len() {
            self.ends[end].deaf_until_ns = 0;
            self.look(end);
        }
        for host in &mut self.hosts {
            host.stalled_until_ns = 0;
        }
    }

    /// Whether an end is to be served by a reactor at all.
    pub(super) fn is_open(&self, end: usize) -> bool {
        !self.ends[end].closed && self.ends[end].conn != UNBOUND
    }
}
