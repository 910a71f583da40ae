//! Marks of stores and of backups.

use std::hash::{BuildHasher, RandomState};

/// A number that nobody has had before.
pub fn new() -> u128 {
    // Each has keys of the system's random numbers.
    let half = || u128::from(RandomState::new().hash_one(0_u64));
    half() << 64 | half()
}
