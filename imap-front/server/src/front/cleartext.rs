//! Passwords in clear text.

/// From where passwords may come without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleartext {
    /// From this host only, judged by the peer's address.
    Loopback,
    /// The listener can only be reached from this host.
    ListenerIsLoopback,
}
