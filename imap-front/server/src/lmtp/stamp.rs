//! Message ids and dates for `Received` lines.
#![expect(
    clippy::disallowed_methods,
    reason = "Received fields carry the time of day"
)]

use std::time::{SystemTime, UNIX_EPOCH};

use proto::imap::encode::civil_from_days;
use proto::lmtp::Stamp;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAY_SECONDS: i64 = 86_400;

/// Gives ids that differ between messages, shards and runs of the server.
pub(super) struct Ids {
    begun_ms: u64,
    shard: u16,
    next: u64,
}

/// The time of day, in milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

impl Ids {
    /// Ids of a shard, in a run that began then.
    pub fn new(begun_ms: u64, shard: u16) -> Self {
        Self {
            begun_ms,
            shard,
            next: 1,
        }
    }

    /// The stamp of a message that begins at that time.
    pub fn stamp(&mut self, unix_s: u64) -> Stamp {
        let Self {
            begun_ms,
            shard,
            next,
        } = self;
        let id = format!("{begun_ms:x}.{shard:x}.{next:x}").into();
        *next += 1;
        Stamp {
            id,
            date: date(i64::try_from(unix_s).unwrap_or(0)).into(),
        }
    }
}

/// A date and time in UTC (RFC 5322 §3.3).
fn date(unix_s: i64) -> String {
    let (days, second) = (
        unix_s.div_euclid(DAY_SECONDS),
        unix_s.rem_euclid(DAY_SECONDS),
    );
    let (year, month, day) = civil_from_days(days);
    let weekday = DAYS[days.rem_euclid(7) as usize];
    let month = MONTHS[month as usize - 1];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} +0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(date(951_827_696), "Tue, 29 Feb 2000 12:34:56 +0000");
        assert_eq!(date(1_795_470_000), "Mon, 23 Nov 2026 21:40:00 +0000");
    }

    #[test]
    fn ids_differ() {
        let (mut one, mut other) = (Ids::new(7, 0), Ids::new(7, 1));
        let ids = [one.stamp(0).id, one.stamp(0).id, other.stamp(0).id];
        assert_eq!(ids.map(String::from), ["7.0.1", "7.0.2", "7.1.1"]);
    }
}
