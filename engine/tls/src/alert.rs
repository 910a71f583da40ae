//! Alerts (RFC 8446 §6), those that this crate sends or must know.

/// What one end tells the other about the end of a connection, or a reason for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Alert {
    /// Nothing more will be sent.
    CloseNotify = 0,
    /// A message that may not come at this point.
    UnexpectedMessage = 10,
    /// A record that is not what its sender has sealed.
    BadRecordMac = 20,
    /// A record longer than allowed.
    RecordOverflow = 22,
    /// A field that has no such value.
    IllegalParameter = 47,
    /// A message of a wrong length.
    DecodeError = 50,
    /// A record of another version.
    ProtocolVersion = 70,
    /// The fault is this end's own.
    InternalError = 80,
    /// A word before `close_notify`, without effect of its own.
    UserCanceled = 90,
    /// TLS 1.2: there is no second handshake.
    NoRenegotiation = 100,
}

impl Alert {
    /// Its level byte: 1 is a warning, 2 is fatal.
    pub(crate) fn level(self) -> u8 {
        match self {
            Self::CloseNotify | Self::UserCanceled | Self::NoRenegotiation => 1,
            _ => 2,
        }
    }
}

/// Why a connection cannot go on: tell the peer by [`crate::Records::alert`], then close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why} ({alert:?})")]
pub struct Fault {
    /// What the peer is told.
    pub alert: Alert,
    /// What was wrong, for the log.
    pub why: &'static str,
}

impl Fault {
    pub(crate) const fn new(alert: Alert, why: &'static str) -> Self {
        Self { alert, why }
    }
}
