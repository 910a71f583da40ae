//! What is said of failures, to be repeated beside the summary: whoever reads only the end of a
//! long output knows what to look for.

/// Lines that are kept at most of one stage.
const LINES_MAX: usize = 40;
/// Lines that follow one that names a panic: the message.
const PANIC_LINES: usize = 2;

/// Lines of a stage's output that tell of failures.
#[derive(Default)]
pub struct Failures {
    lines: Vec<String>,
    more: usize,
    left_out: usize,
}

impl Failures {
    /// Looks at a line of output.
    pub fn look(&mut self, line: &str) {
        let tells = line.ends_with("... FAILED")
            || line.starts_with("FAIL ")
            || line.starts_with("error")
            || line.contains("process didn't exit successfully");
        let panics = line.contains("panicked at");
        if !(tells || panics || self.more > 0) {
            return;
        }
        self.more = if panics {
            PANIC_LINES
        } else {
            self.more.saturating_sub(1)
        };
        if self.lines.len() < LINES_MAX {
            self.lines.push(line.to_owned());
        } else {
            self.left_out += 1;
        }
    }

    /// What was kept, for a stage that failed.
    pub fn lines(self) -> Vec<String> {
        let mut lines = self.lines;
        if self.left_out > 0 {
            lines.push(format!("and {} lines more", self.left_out));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_kept_with_their_messages() {
        let mut failures = Failures::default();
        let output = "test a ... ok\n\
                      test b ... FAILED\n\
                      thread 'b' panicked at b.rs:1:2:\n\
                      left: 1\n\
                      right: 2\n\
                      stack backtrace:\n\
                      error: test failed, to rerun pass `-p b`\n";
        output.lines().for_each(|line| failures.look(line));
        let kept = failures.lines();
        assert_eq!(kept.len(), 5);
        assert_eq!(kept[2], "left: 1");
        assert!(!kept.iter().any(|line| line.contains("backtrace")));
    }

    #[test]
    fn a_storm_of_failures_stays_short() {
        let mut failures = Failures::default();
        for _ in 0..1000 {
            failures.look("FAIL curl: heard nothing");
        }
        let kept = failures.lines();
        assert_eq!(kept.len(), LINES_MAX + 1);
        assert_eq!(kept[LINES_MAX], "and 960 lines more");
    }
}
