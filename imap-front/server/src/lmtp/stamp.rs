//! Message ids and dates for `Received` lines.
#![expect(
    clippy::disallowed_methods,
    reason = "Received fields carry the time of day"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use proto::imap::encode::civil_from_days;
use proto::lmtp::Stamp;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAY_SECONDS: i64 = 86_400;

/// Gives ids that differ between messages and between runs of the server.
pub struct Ids {
    begun_ms: u64,
    next: AtomicU64,
}

impl Ids {
    /// Ids of a run that begins now.
    pub fn new() -> Self {
        let begun = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let begun_ms = u64::try_from(begun.as_millis()).unwrap_or(u64::MAX);
        Self {
            begun_ms,
            next: AtomicU64::new(1),
        }
    }

    /// The stamp of a message that begins now.
    pub fn stamp(&self) -> Stamp {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now_s = i64::try_from(now.as_secs()).unwrap_or(0);
        Stamp {
            id: format!("{:x}.{number:x}", self.begun_ms).into(),
            date: date(now_s).into(),
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
        let ids = Ids::new();
        assert_ne!(ids.stamp().id, ids.stamp().id);
    }
}
