//! Internal dates (RFC 3501 §2.3.3): an instant and the zone in which it was given.

/// When the server received a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InternalDate {
    /// Seconds since 1970-01-01T00:00:00Z; may be negative.
    pub unix_s: i64,
    /// Offset of the local zone from UTC in minutes, −1439..=1439.
    pub zone_min: i16,
}
