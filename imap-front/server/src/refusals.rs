//! What is refused to whom because of which limit.

use mail::UserId;
use proto::proxy::HeaderError;

/// What was refused because of which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A connection: its address has enough.
    Connection,
    /// A login: its user has enough connections.
    User(UserId),
    /// A login: there were too many from its address within a minute.
    Rate,
    /// A login: too many wait for their passwords to be checked, of its address or in all.
    Waiting,
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
    /// The same: something came behind STARTTLS, before the handshake.
    BehindStartTls,
    /// An LMTP connection was ended: too many commands in a row were none.
    Errors,
    /// The same: its transaction took too long.
    Overdue,
    /// The same: there was no memory for what it sent.
    Memory,
    /// A message, by the size that LMTP's MAIL announced.
    TooBig,
    /// An HTTP request: its token is wrong.
    Token,
    /// An HTTP request for another host than this, as of a browser that was led here.
    Host,
}

impl Refused {
    /// The `result` of its line, an option's last word where there is one, and what the line says.
    pub fn told(&self) -> (&'static str, &'static str) {
        match self {
            Self::Connection => (
                "maxperaddress",
                "connection refused, its address has enough (service.imap.maxperaddress)",
            ),
            Self::User(_) => (
                "maxperuser",
                "login refused, its user has enough connections (service.imap.maxperuser)",
            ),
            Self::Rate => (
                "loginsperminute",
                "login refused, too many from its address (service.imap.loginsperminute)",
            ),
            Self::Waiting => (
                "waiting",
                "login refused, too many wait for their passwords to be checked",
            ),
            Self::Deliverer => (
                "maxperpeer",
                "LMTP connection refused, its address has enough (service.lmtp.maxperpeer)",
            ),
            Self::Deliverers => (
                "maxconnections",
                "LMTP connection refused, there are enough in all (service.lmtp.maxconnections)",
            ),
            Self::Header(_) | Self::NoHeader => (
                "proxy-header",
                "connection closed, a proxy (service.proxy.networks) must send a PROXY header",
            ),
            Self::Commands => (
                "maxprelogin",
                "connection ended, too many commands before login (service.imap.maxprelogin)",
            ),
            Self::Http => (
                "http",
                "connection ended, it sent an HTTP request: a browser may have been led here",
            ),
            Self::BehindStartTls => (
                "starttls",
                "connection ended, something followed STARTTLS before the handshake",
            ),
            Self::Errors => (
                "errors",
                "LMTP connection ended, too many commands in a row were not understood",
            ),
            Self::Overdue => (
                "overdue",
                "LMTP connection ended, its transaction took too long",
            ),
            Self::Memory => (
                "memory",
                "LMTP connection ended, no memory for what it sent (service.imap.maxoutput)",
            ),
            Self::TooBig => (
                "maxmessagesize",
                "message refused by its announced size (store.maxmessagesize)",
            ),
            Self::Token => (
                "token",
                "HTTP request refused, its token is wrong (data/http.token)",
            ),
            Self::Host => ("host", "HTTP request refused, it is not for localhost"),
        }
    }

    /// What is wrong, where there are several ways.
    pub fn why(&self) -> Option<String> {
        match self {
            Self::Header(why) => Some(why.to_string()),
            Self::NoHeader => Some("none came in time".into()),
            _ => None,
        }
    }
}
