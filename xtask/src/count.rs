//! Counting what passed.

use std::fmt;
use std::ops::AddAssign;

/// How much passed and how much failed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Count {
    /// What passed.
    pub passed: u32,
    /// What failed.
    pub failed: u32,
}

impl Count {
    /// A stage that is one thing, and passed.
    pub const ONE: Count = Count {
        passed: 1,
        failed: 0,
    };

    /// One thing that passed or failed.
    pub fn one(passed: bool) -> Count {
        Count {
            passed: u32::from(passed),
            failed: u32::from(!passed),
        }
    }

    /// What a line of `cargo test` adds: something only if it closes a test binary.
    pub fn of_cargo_test(line: &str) -> Count {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return Count::default();
        };
        let number = |what: &str| {
            let words: Vec<&str> = rest
                .split([' ', ';', '.'])
                .filter(|w| !w.is_empty())
                .collect();
            let pair = words.windows(2).find(|pair| pair[1] == what);
            pair.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
        };
        Count {
            passed: number("passed"),
            failed: number("failed"),
        }
    }

    /// The sum in a line as [`Count`] is shown.
    pub fn of_summary(line: &str) -> Option<Count> {
        let (passed, failed) = line.strip_suffix(" failed")?.split_once(" passed, ")?;
        Some(Count {
            passed: passed.parse().ok()?,
            failed: failed.parse().ok()?,
        })
    }

    /// What a line of the clients' runner adds: one, if it tells how a client did.
    pub fn of_clients(line: &str) -> Count {
        let is = |word: &str| u32::from(line.starts_with(word));
        Count {
            passed: is("PASS "),
            failed: is("FAIL "),
        }
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, more: Count) {
        self.passed += more.passed;
        self.failed += more.failed;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn closing_lines_of_cargo_test_are_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; \
                    0 filtered out; finished in 0.42s";
        assert_eq!(
            Count::of_cargo_test(line),
            Count {
                passed: 12,
                failed: 3
            }
        );
        let line = "test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured";
        assert_eq!(
            Count::of_cargo_test(line),
            Count {
                passed: 7,
                failed: 0
            }
        );
        assert_eq!(Count::of_cargo_test("test a ... ok"), Count::default());
    }

    #[test]
    fn a_sum_is_read_as_it_is_shown() {
        let count = Count {
            passed: 46,
            failed: 2,
        };
        assert_eq!(Count::of_summary(&count.to_string()), Some(count));
        assert_eq!(Count::of_summary("46 passed"), None);
    }

    #[test]
    fn lines_of_the_clients_are_counted() {
        let mut count = Count::of_clients("PASS curl: printed the message after 0.026 s");
        count += Count::of_clients("FAIL mbsync: AssertionError: still there");
        count += Count::of_clients("1 clients reacted, 1 did not");
        assert_eq!(count.to_string(), "1 passed, 1 failed");
    }
}
