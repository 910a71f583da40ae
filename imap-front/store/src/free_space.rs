//! How much room is left on the disk, asked now and then instead of at each commit.

use std::time::{Duration, Instant};

/// How long an answer is believed.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// What is known of the room on the disk.
#[derive(Debug, Default)]
pub(crate) struct FreeSpace {
    asked: Option<Instant>,
    /// What was free then, less what was written since.
    left: u64,
}

impl FreeSpace {
    /// Whether there is room for so many bytes with at least `min` left. Asks if the last answer
    /// is a second old, or if by that there is none: room may have been made since.
    pub fn has_room(
        &mut self,
        bytes: u64,
        min: u64,
        now: Instant,
        ask: impl FnOnce() -> u64,
    ) -> bool {
        let wanted = min.saturating_add(bytes);
        let is_old = |asked: Instant| now.saturating_duration_since(asked) >= ASKED_EVERY;
        if self.left < wanted || self.asked.is_none_or(is_old) {
            (self.asked, self.left) = (Some(now), ask());
        }
        let has_room = self.left >= wanted;
        if has_room {
            self.left -= bytes;
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_asked_once_a_second_and_when_it_seems_full() {
        let mut free = FreeSpace::default();
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        assert!(free.has_room(100, 1000, at(0), || 2000));
        for ms in 1..10 {
            assert!(free.has_room(100, 1000, at(ms), || unreachable!("not asked")));
        }
        assert!(
            !free.has_room(100, 1000, at(10), || 1000),
            "1000 are used up"
        );
        assert!(free.has_room(100, 1000, at(11), || 5000), "room was made");
        assert!(
            !free.has_room(100, 1000, at(1011), || 900),
            "others have written"
        );
    }
}
