//! TLS without I/O: certificates, the handshake, and a record layer that a parked session can
//! afford.
//!
//! [`Config`] holds certificates by server name, ticket keys and versions. [`Handshake`] takes a
//! connection to its keys with rustls; its buffers are gone afterwards. [`Records`] seals and opens
//! from then on, whether the session is active or parked: about a hundred bytes. There is no socket
//! and no clock: bytes come in and go out, and the host says what time it is
//! ([`Config::set_time`]); only [`certificates`] reads files and the calendar.
//!
//! TLS 1.3 (RFC 8446) and, if allowed, 1.2 (RFC 5246) with ECDHE and AES-GCM (RFC 5288) or
//! ChaCha20-Poly1305 (RFC 7905). Early data (0-RTT) is never accepted, renegotiation always
//! refused.

mod alert;
pub mod certificates;
mod channel;
mod cipher;
mod client;
mod clients;
mod config;
mod failure;
mod handover;
mod handshake;
mod identity;
mod keys;
mod names;
mod open;
mod provider;
mod records;
mod seal;
mod secrets;
mod tickets;

pub use alert::{Alert, Fault};
pub use channel::Channel;
pub use cipher::Cipher;
pub use client::{ClientConfig, ClientHandshake, Joined};
pub use clients::{Clients, ClientsError, NameFault, NamedBy};
pub use config::{Config, Options};
pub use failure::{CertificateFault, Failure, Offer};
pub use handover::HANDED_OVER_BYTES_MAX;
pub use handshake::{Established, Handshake, HandshakeError, begins_record};
pub use identity::{Identity, IdentityError};
pub use open::{Opened, QUIET_MAX, RECORD_MAX};
pub use records::Records;
pub use seal::{PLAINTEXT_MAX, SEND_RECORDS_MAX, sealed_len};
pub use tickets::TICKET_LIFETIME_S;

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}
