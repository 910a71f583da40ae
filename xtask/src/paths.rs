//! Where things are: the checkout, and the folder for everything that is built.

use std::env;
use std::path::{Path, PathBuf};

/// The checkout's top folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the checkout")
        .into()
}

/// Cargo's target folder; everything a task makes goes below it.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}
