//! Lines that tell the capabilities, made once for each state that they depend on: every client is
//! told them, and they are long.

use std::sync::OnceLock;

use bytes::Bytes;

/// Of one configuration. A clone has none, as it may become another one.
#[derive(Debug)]
pub struct CapabilityLines {
    greetings: [OnceLock<Bytes>; 1 << 6],
    logged_in: [OnceLock<Bytes>; 1 << 2],
}

impl Default for CapabilityLines {
    fn default() -> Self {
        Self {
            greetings: [const { OnceLock::new() }; _],
            logged_in: [const { OnceLock::new() }; _],
        }
    }
}

impl Clone for CapabilityLines {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl CapabilityLines {
    /// The greeting in a state, by all on which it depends; made if it was not yet.
    pub(super) fn greeting(&self, state: [bool; 6], make: impl FnOnce() -> Bytes) -> Bytes {
        self.greetings[number(state)].get_or_init(make).clone()
    }

    /// The end of a login, in the same way.
    pub(super) fn logged_in(&self, state: [bool; 2], make: impl FnOnce() -> Bytes) -> Bytes {
        self.logged_in[number(state)].get_or_init(make).clone()
    }
}

/// The number of these bits.
fn number<const N: usize>(bits: [bool; N]) -> usize {
    let add = |number, bit| number << 1 | usize::from(bit);
    bits.into_iter().fold(0, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_a_line_of_its_own_that_is_made_once() {
        let lines = CapabilityLines::default();
        let states = (0..64u8).map(|bits| [0, 1, 2, 3, 4, 5].map(|bit| bits >> bit & 1 == 1));
        for state in states.clone() {
            lines.greeting(state, || format!("{state:?}").into());
        }
        for state in states {
            let line = lines.greeting(state, || unreachable!("it was made"));
            assert_eq!(line, format!("{state:?}"));
        }
        let made = |lines: &CapabilityLines, text: &'static str| {
            lines.logged_in([true, false], || Bytes::from_static(text.as_bytes()))
        };
        assert_eq!(made(&lines, "one"), "one");
        assert_eq!(made(&lines, "other"), "one");
        assert_eq!(made(&lines.clone(), "other"), "other", "a clone has none");
    }
}
