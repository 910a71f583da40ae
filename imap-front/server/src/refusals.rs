//! Lines for what was refused to whom: put into a bounded queue by planes that must not wait, and
//! written by whoever looks after the server. Whoever guards the host reads the addresses there
//! (`share/fail2ban`).

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_channel::{Receiver, Sender, bounded};
use mail::UserId;
use proto::proxy::HeaderError;

/// Lines that may wait: so many are written in a second at most, and the rest is counted.
const LINES_MAX: usize = 200;

/// What was refused because of which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A connection: its address has enough.
    Connection,
    /// A login: its user has enough connections.
    User(UserId),
    /// A login: there were too many from its address within a minute.
    Rate,
    /// An LMTP connection: its address, or the Unix socket, has its share.
    Deliverer,
    /// An LMTP connection: there are enough in all.
    Deliverers,
    /// A connection of a proxy was closed: it did not begin with a header.
    Header(HeaderError),
    /// The same, for want of time.
    NoHeader,
    /// A connection was ended: it said too much before it logged in.
    Commands,
    /// A connection was ended: a browser sent an HTTP request to IMAP or LMTP.
    Http,
}

/// Refusals that have no line yet.
pub struct Refusals {
    lines: (Sender<Line>, Receiver<Line>),
    suppressed: AtomicU64,
}

type Line = (Refused, Option<IpAddr>);

impl Default for Refusals {
    fn default() -> Self {
        Self {
            lines: bounded(LINES_MAX),
            suppressed: AtomicU64::new(0),
        }
    }
}

impl Refusals {
    /// Something was refused to a client, at this address or on this host; never waits.
    pub fn put(&self, refused: Refused, client: Option<IpAddr>) {
        if self.lines.0.try_send((refused, client)).is_err() {
            self.suppressed.fetch_add(1, Relaxed);
        }
    }

    /// Logs a line for each that was put since the last call, and how many more there were.
    pub fn log(&self, name: impl Fn(UserId) -> Option<String>) {
        self.take(name, |line| tracing::warn!("{line}"));
    }

    fn take(&self, name: impl Fn(UserId) -> Option<String>, mut say: impl FnMut(String)) {
        for (refused, client) in self.lines.1.try_iter().take(LINES_MAX) {
            let client = from(client);
            say(match refused {
                Refused::Connection => format!(
                    "connection refused {client}, its address has enough \
                     (service.imap.maxperaddress)"
                ),
                Refused::User(user) => {
                    let user = name(user).unwrap_or_default();
                    format!(
                        "login refused {client}, user {user:?} has enough connections \
                         (service.imap.maxperuser)"
                    )
                }
                Refused::Rate => format!(
                    "login refused {client}, too many from its address \
                     (service.imap.loginsperminute)"
                ),
                Refused::Deliverer => format!(
                    "LMTP connection refused {client}, its address has enough \
                     (service.lmtp.maxperpeer)"
                ),
                Refused::Deliverers => format!(
                    "LMTP connection refused {client}, there are enough in all \
                     (service.lmtp.maxconnections)"
                ),
                Refused::Http => format!(
                    "connection ended {client}, it sent an HTTP request: a browser may have been \
                     led here"
                ),
                Refused::Header(why) => format!(
                    "connection closed {client}, a proxy (service.proxy.networks) that must send a \
                     PROXY header: {why}"
                ),
                Refused::NoHeader => format!(
                    "connection closed {client}, a proxy (service.proxy.networks) that must send a \
                     PROXY header: none came in time"
                ),
                Refused::Commands => format!(
                    "connection ended {client}, too many commands before login \
                     (service.imap.maxprelogin)"
                ),
            });
        }
        match self.suppressed.swap(0, Relaxed) {
            0 => {}
            more => say(format!("{more} more refusals have no line")),
        }
    }
}

/// Where a client comes from, as lines of the log say it. Who came to a proxy that doesn't know its
/// clients has no address that could be shut out.
pub fn from(client: Option<IpAddr>) -> String {
    match client {
        Some(client) if client.is_unspecified() => {
            "from a client that its proxy does not know".into()
        }
        Some(client) => format!("from {}", client.to_canonical()),
        None => "from this host".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_and_how_many_more() {
        let refusals = Refusals::default();
        let said = || {
            let mut lines = vec![];
            refusals.take(|user| Some(format!("u{}", user.0)), |line| lines.push(line));
            lines
        };
        refusals.put(Refused::User(UserId(7)), Some([192, 0, 2, 1].into()));
        refusals.put(Refused::Commands, None);
        refusals.put(Refused::Deliverer, Some([192, 0, 2, 1].into()));
        let lines = said();
        assert!(lines[2].starts_with("LMTP connection refused from 192.0.2.1, its address"));
        assert!(lines[0].starts_with("login refused from 192.0.2.1, user \"u7\" has"));
        assert!(lines[1].starts_with("connection ended from this host, "));
        for _ in 0..1000 {
            refusals.put(Refused::Connection, Some([192, 0, 2, 1].into()));
        }
        let lines = said();
        assert_eq!(lines.len(), LINES_MAX + 1);
        assert_eq!(lines[LINES_MAX], "800 more refusals have no line");
        assert!(said().is_empty());
    }
}
