//! Numbers and texts for people.

/// Text that is no markup.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Nothing turns a line about.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => safe.push('\u{fffd}'),
            letter if letter.is_control() => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

/// 1,234,567
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// So many in so many seconds, as a rate: 0.3, 12, 4,711.
pub(super) fn rate(number: u64, seconds: u64) -> String {
    let seconds = seconds.max(1);
    match number / seconds {
        0..10 if !number.is_multiple_of(seconds) => {
            format!("{:.1}", number as f64 / seconds as f64)
        }
        whole => count(whole),
    }
}

/// 10 MiB
pub(super) fn bytes(number: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (number as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{number} B"),
        _ if value < 10.0 => format!("{value:.1} {}", units[unit]),
        _ => format!("{value:.0} {}", units[unit]),
    }
}

/// 25 µs, 2.5 ms, 10 s; what is beyond all bounds is more than the last.
pub(super) fn time(ns: u64) -> String {
    let (value, unit) = match ns {
        u64::MAX => return "> 10 s".into(),
        0..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let digits = usize::from(value.fract() > 0.0 && value < 10.0);
    format!("{value:.digits$} {unit}")
}

/// 3 d 4 h
pub(super) fn while_of(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_people_read_them() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [rate(3, 10), rate(120, 60), rate(9_000_000, 60)],
            ["0.3", "2", "150,000"]
        );
        assert_eq!(
            [bytes(1023), bytes(1536), bytes(20 << 20)],
            ["1023 B", "1.5 KiB", "20 MiB"]
        );
        let times = [25_000, 2_500_000, 10_000_000, 10_000_000_000, u64::MAX].map(time);
        assert_eq!(times, ["25 µs", "2.5 ms", "10 ms", "10 s", "> 10 s"]);
        assert_eq!(
            [5, 65, 3700, 90_000].map(while_of),
            ["5 s", "1 min", "1 h 1 min", "1 d 1 h"]
        );
        assert_eq!(
            escaped("<a href='x'>&\u{202e}\n"),
            "&lt;a href=&#39;x&#39;&gt;&amp;\u{fffd}\u{fffd}"
        );
    }
}
