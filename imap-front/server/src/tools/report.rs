//! Figures for people.

/// Bytes as people read them.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let (mut shown, mut unit) = (count as f64, 0);
    while shown >= 1024.0 && unit + 1 < UNITS.len() {
        shown /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} bytes"),
        _ => format!("{shown:.1} {}", UNITS[unit]),
    }
}

/// So many of something.
pub(super) fn count(count: u64, one: &str) -> String {
    match (count, one) {
        (1, one) => format!("1 {one}"),
        (count, "mailbox") => format!("{count} mailboxes"),
        (count, one) => format!("{count} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 40), "5.0 TiB");
        assert_eq!(count(1, "mailbox"), "1 mailbox");
        assert_eq!(count(2, "mailbox"), "2 mailboxes");
        assert_eq!(count(0, "message"), "0 messages");
    }
}
