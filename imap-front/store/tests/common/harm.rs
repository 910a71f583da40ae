//! What may happen to files: they are flipped, cut and removed.

#[path = "../../../../tests/damage/files.rs"]
mod on_disk;

use std::fs;
use std::path::Path;

pub use on_disk::{files, flip};

/// Chance that is the same in each run.
pub struct Chance(u64);

impl Chance {
    /// Another for each seed.
    pub fn new(seed: u64) -> Self {
        let mut chance = Self(0x9e37_79b9_7f4a_7c15 ^ (seed + 1).wrapping_mul(0x1234_5678_9abc));
        chance.below(1);
        chance
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

/// One damage, and what it was.
pub fn damage(folder: &Path, chance: &mut Chance) -> String {
    let mut files = files(folder);
    if chance.below(2) == 0 {
        // Where the mail is, not one of the many small files.
        files.retain(|file| {
            let file = file.to_string_lossy();
            [".jnl", "/tables/", "/blobs/"]
                .iter()
                .any(|part| file.contains(part))
        });
    }
    let file = &files[chance.below(files.len() as u64) as usize];
    let name = file.strip_prefix(folder).expect("below").display();
    let len = fs::metadata(file).expect("there").len();
    match chance.below(4) {
        0 => {
            fs::remove_file(file).expect("removed");
            format!("{name} removed")
        }
        1 => {
            let len = chance.below(len);
            let file = fs::OpenOptions::new().write(true).open(file);
            file.expect("there").set_len(len).expect("cut");
            format!("{name} cut to {len}")
        }
        _ if len == 0 => format!("{name} is empty"),
        _ => {
            // A journal is mostly zeros: those don't count.
            let text = fs::read(file).expect("there");
            let used = text.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64 + 1;
            let (at, bit) = (chance.below(used), chance.below(8));
            flip(file, at, 1 << bit);
            format!("{name}: bit {bit} of byte {at} of {used} flipped")
        }
    }
}
