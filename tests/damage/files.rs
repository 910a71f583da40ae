//! Files of a folder, and bits of them, for tests that damage a store.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// All files below a folder, in order.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Turns bits of one byte over.
pub fn flip(path: &Path, at: u64, mask: u8) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path);
    let file = file.expect("there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("within");
    file.write_all_at(&[byte[0] ^ mask], at).expect("written");
}
