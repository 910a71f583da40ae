//! Lines of the log that strangers cause, as often as they like: one a second is written.

/// How often such a line is written.
const EVERY_NS: u64 = 1_000_000_000;

/// When such a line may be written again, and how many were left out.
#[derive(Debug, Default)]
pub(super) struct Sparing {
    next_ns: u64,
    left_out: u64,
}

impl Sparing {
    /// What the line says at its end of those that were left out before; none if it is left out
    /// itself.
    pub fn due(&mut self, now_ns: u64) -> Option<String> {
        if now_ns < self.next_ns {
            self.left_out += 1;
            return None;
        }
        self.next_ns = now_ns + EVERY_NS;
        Some(match std::mem::take(&mut self.left_out) {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_is_written_and_the_others_are_counted() {
        let mut sparing = Sparing::default();
        let mut written = Vec::new();
        for ms in 5000..7000 {
            written.extend(sparing.due(ms * 1_000_000));
        }
        assert_eq!(written, ["", " (and 999 more)"]);
        assert_eq!(
            sparing.due(u64::MAX / 2).as_deref(),
            Some(" (and 999 more)")
        );
        assert_eq!(sparing.due(u64::MAX - EVERY_NS).as_deref(), Some(""));
    }
}
