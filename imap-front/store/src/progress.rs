//! How far the store and each of its keyspaces came: what every commit writes of itself.
//!
//! A commit is one batch over several keyspaces, which the database writes to tables one by one.
//! If a part of the journal or a table is lost, keyspaces may stand at different commits although
//! each looks whole. So a commit writes its number into each keyspace that it touches, and in one
//! row says for all keyspaces which commit touched them last.

use crate::Error;
use crate::kv::Space;
use crate::rows::u64_row;

/// The row of [`Space::Meta`] with the whole [`Progress`].
pub(crate) const COMMITS: &[u8] = b"commits";
/// The row of [`Space::Meta`] with the number of the last commit that was durable, written by a
/// commit that is not, or whose predecessor is not.
pub(crate) const DURABLE: &[u8] = b"durable";
/// The row of each other keyspace; behind all keys that rows have.
pub(crate) const TOUCHED: &[u8] = &[0xff; 16];

const SPACES: usize = Space::ALL.len();

/// As of a commit: its number, that of the commit before, and the last commit to touch each
/// keyspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The commit; 0 before the first.
    pub commit: u64,
    /// The commit before. It is one less, except after a loss that was accepted.
    pub before: u64,
    /// Whatever is missing before this commit was accepted as lost; 0 if nothing was.
    pub accepted: u64,
    touched: [u64; SPACES],
    /// Written by version 0.1, which noted nothing of keyspaces.
    pub is_number_only: bool,
}

impl Progress {
    /// The last commit that touched a keyspace.
    pub fn touched(&self, space: Space) -> u64 {
        self.touched[space as usize]
    }

    /// The next one, of a commit that touches these keyspaces.
    pub fn next(&self, commit: u64, spaces: &[Space]) -> Self {
        let mut next = Self {
            commit,
            before: self.commit,
            accepted: self.accepted,
            touched: self.touched,
            is_number_only: false,
        };
        for &space in spaces.iter().chain(&[Space::Meta]) {
            next.touched[space as usize] = commit;
        }
        next
    }

    /// The next one, of a commit that touches all keyspaces and accepts what was lost before.
    pub fn accepting(&self, commit: u64) -> Self {
        Self {
            accepted: commit,
            ..self.next(commit, &Space::ALL)
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let numbers = [self.commit, self.before, self.accepted];
        let numbers = numbers.iter().chain(&self.touched);
        numbers.flat_map(|number| number.to_be_bytes()).collect()
    }

    /// # Errors
    /// If the row is not one of these.
    pub fn decode(row: &[u8]) -> Result<Self, Error> {
        let mut numbers = row.chunks(8).map(u64_row);
        let mut next = || numbers.next().transpose();
        let commit = next()?.ok_or(Error::Damaged {
            space: "meta",
            what: "no commit number",
        })?;
        let Some(before) = next()? else {
            return Ok(Self {
                commit,
                before: commit.saturating_sub(1),
                is_number_only: true,
                ..Self::default()
            });
        };
        let accepted = next()?.unwrap_or(0);
        let mut touched = [0; SPACES];
        // A version with fewer keyspaces wrote fewer numbers.
        for one in &mut touched {
            *one = next()?.unwrap_or(0);
        }
        Ok(Self {
            commit,
            before,
            accepted,
            touched,
            is_number_only: false,
        })
    }
}

/// What a commit notes in a keyspace: its number, and the one that touched the keyspace before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    pub commit: u64,
    pub before: u64,
}

impl Touched {
    pub fn encode(self) -> [u8; 16] {
        let mut row = [0; 16];
        row[..8].copy_from_slice(&self.commit.to_be_bytes());
        row[8..].copy_from_slice(&self.before.to_be_bytes());
        row
    }

    /// # Errors
    /// If the row is not one of these.
    pub fn decode(row: &[u8]) -> Result<Self, Error> {
        let half = row.len() / 2;
        Ok(Self {
            commit: u64_row(&row[..half])?,
            before: u64_row(&row[half..])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_goes_both_ways_and_reads_what_version_0_1_wrote() {
        let first = Progress::default().next(1, &[Space::Users, Space::Names]);
        let second = first.next(5, &[Space::Names]);
        assert_eq!(Progress::decode(&second.encode()).expect("valid"), second);
        assert_eq!(second.touched(Space::Users), 1);
        assert_eq!(second.touched(Space::Names), 5);
        assert_eq!(second.touched(Space::Meta), 5);
        assert_eq!(second.before, 1);
        let third = second.accepting(9);
        assert_eq!(Progress::decode(&third.encode()).expect("valid"), third);
        assert!(Space::ALL.iter().all(|space| third.touched(*space) == 9));
        let old = Progress::decode(&7_u64.to_be_bytes()).expect("valid");
        assert_eq!((old.commit, old.before, old.is_number_only), (7, 6, true));
        for len in [0, 7, 9, 15] {
            assert!(Progress::decode(&second.encode()[..len]).is_err(), "{len}");
        }
        let touched = Touched {
            commit: 9,
            before: 4,
        };
        assert_eq!(Touched::decode(&touched.encode()).expect("valid"), touched);
    }
}
