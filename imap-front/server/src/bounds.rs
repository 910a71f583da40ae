//! What was refused, cut or dropped because of a bound: counted where it happens, logged once a
//! second by whoever looks after the server.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A bound that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Bound {
    /// A reply waited beside its shard's full queue.
    ReplyDelayed,
    /// A reply was dropped: its shard has ended, or far too many wait for it.
    ReplyDropped,
    /// A request was refused because too many bytes wait on its shard.
    RequestRefused,
    /// An upload that nobody wants could not be reported to the store.
    DiscardDropped,
    /// A claim was dropped: the store takes none, and too many wait.
    ClaimDropped,
    /// Work was refused because its user has enough waiting.
    UserWorkRefused,
    /// Work was refused because too much waits in all.
    WorkRefused,
    /// Work was dropped because its session has left.
    WorkAbandoned,
    /// A login was refused because too many wait from its address, or for its user.
    AddressLoginRefused,
    /// A login was refused because too many wait in all.
    LoginRefused,
    /// A failed login could not be kept waiting.
    DelayRefused,
    /// A connection was refused because there are enough in all.
    Connections,
    /// A connection was refused because its address has enough.
    AddressConnections,
    /// An LMTP connection was refused because there are enough, in all or of its peer.
    DeliveryConnections,
    /// A login was refused because its user has enough connections.
    UserConnections,
    /// A login was refused because there were too many from its address within a minute.
    LoginRate,
    /// A connection of a proxy was closed because it did not begin with a header.
    ProxyHeader,
    /// A session was ended because it gave too many commands before it logged in.
    PreloginCommands,
    /// A session was ended because its shard has no memory for what it sent.
    Memory,
    /// A session was ended because its user's password or entry has changed.
    Revoked,
}

/// All bounds, with what is logged of each.
const TEXTS: [(Bound, &str); COUNT] = [
    (
        Bound::ReplyDelayed,
        "replies waited for a shard that is behind",
    ),
    (
        Bound::ReplyDropped,
        "replies were dropped, their shard takes none",
    ),
    (
        Bound::RequestRefused,
        "requests were refused, too many bytes of them wait",
    ),
    (
        Bound::DiscardDropped,
        "unwanted uploads stay in the store until it is opened again",
    ),
    (
        Bound::ClaimDropped,
        "mailboxes have messages that will be recent once more, too many claims wait",
    ),
    (
        Bound::UserWorkRefused,
        "searches and the like were refused, their user has enough waiting",
    ),
    (
        Bound::WorkRefused,
        "searches and the like were refused, too many wait",
    ),
    (
        Bound::WorkAbandoned,
        "requests were dropped, their sessions have left",
    ),
    (
        Bound::AddressLoginRefused,
        "logins were refused, too many wait from the same address or user",
    ),
    (Bound::LoginRefused, "logins were refused, too many wait"),
    (
        Bound::DelayRefused,
        "failed logins were refused at once, too many are kept waiting",
    ),
    (
        Bound::Connections,
        "connections were refused, there are enough in all (service.imap.maxsessions)",
    ),
    (
        Bound::AddressConnections,
        "connections were refused, their address has enough",
    ),
    (
        Bound::DeliveryConnections,
        "LMTP connections were refused, there are enough in all or of their peer",
    ),
    (
        Bound::UserConnections,
        "logins were refused, their user has enough connections",
    ),
    (
        Bound::LoginRate,
        "logins were refused, there were too many from their address",
    ),
    (
        Bound::ProxyHeader,
        "connections of proxies were closed, they did not begin with a good PROXY header",
    ),
    (
        Bound::PreloginCommands,
        "sessions were ended, they gave too many commands before they logged in",
    ),
    (
        Bound::Memory,
        "sessions were ended, there is no memory for what they sent (service.imap.maxoutput)",
    ),
    (
        Bound::Revoked,
        "sessions were ended, their user was deleted, renamed or locked, or has another password",
    ),
];

const COUNT: usize = Bound::Revoked as usize + 1;

/// How often each bound was met.
#[derive(Debug, Default)]
pub struct Bounds {
    met: [AtomicU64; COUNT],
    logged: [AtomicU64; COUNT],
}

impl Bounds {
    /// A bound was met.
    pub fn meet(&self, bound: Bound) {
        self.add(bound, 1);
    }

    /// A bound was met several times.
    pub fn add(&self, bound: Bound, times: usize) {
        self.met[bound as usize].fetch_add(times as u64, Relaxed);
    }

    /// How often each was met.
    pub fn all(&self) -> impl Iterator<Item = (Bound, u64)> {
        TEXTS.map(|(bound, _)| (bound, self.met(bound))).into_iter()
    }

    /// How often it was met.
    pub fn met(&self, bound: Bound) -> u64 {
        self.met[bound as usize].load(Relaxed)
    }

    /// Logs a line for each bound that was met since the last call.
    pub fn log(&self) {
        for (bound, text) in TEXTS {
            let met = self.met(bound);
            let before = self.logged[bound as usize].swap(met, Relaxed);
            if met > before {
                let count = met - before;
                tracing::warn!(
                    target: "imapd", event = %"bound", result = ?bound, count, in_all = met,
                    "{text}"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_has_its_text() {
        for (place, (bound, _)) in TEXTS.into_iter().enumerate() {
            assert_eq!(bound as usize, place);
        }
        let bounds = Bounds::default();
        bounds.add(Bound::ReplyDropped, 3);
        assert_eq!(bounds.met(Bound::ReplyDropped), 3);
    }
}
