//! Which sessions share a mailbox.

use reactor::Rng;

/// Most sessions of one mailbox: each has a flag of its own to store.
pub const SHARED_MAX: usize = 5;

/// Sessions by mailbox: those of one are numbered one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// For each mailbox its first session, and the end of all.
    first: Vec<u32>,
}

impl Layout {
    /// One session for each mailbox, and what is left by chance, 1 to 4 more in one.
    pub fn new(sessions: usize, mailboxes: usize, rng: &mut Rng) -> Self {
        assert!((mailboxes..=mailboxes * SHARED_MAX).contains(&sessions));
        let mut counts = vec![1u32; mailboxes];
        let mut left = (sessions - mailboxes) as u32;
        while left > 0 {
            let mut place = rng.below(mailboxes as u64) as usize;
            while counts[place] as usize == SHARED_MAX {
                place = (place + 1) % mailboxes;
            }
            let room = (SHARED_MAX as u32 - counts[place]).min(left);
            let more = 1 + rng.below(u64::from(room)) as u32;
            counts[place] += more;
            left -= more;
        }
        let mut first = vec![0];
        for count in counts {
            first.push(first[first.len() - 1] + count);
        }
        Self { first }
    }

    /// How many mailboxes there are.
    pub fn mailboxes(&self) -> usize {
        self.first.len() - 1
    }

    /// The sessions of a mailbox.
    pub fn sessions(&self, mailbox: usize) -> std::ops::Range<usize> {
        self.first[mailbox] as usize..self.first[mailbox + 1] as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_dealt_out() {
        for (sessions, mailboxes) in [(10, 10), (100, 70), (50, 10), (1, 1)] {
            let layout = Layout::new(sessions, mailboxes, &mut Rng::new(1));
            let counts: Vec<usize> = (0..mailboxes).map(|m| layout.sessions(m).len()).collect();
            assert_eq!(counts.iter().sum::<usize>(), sessions);
            assert!(counts.iter().all(|count| (1..=SHARED_MAX).contains(count)));
            assert_eq!(layout.mailboxes(), mailboxes);
        }
    }
}
