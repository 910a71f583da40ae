//! The files of the house, as git knows them or would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A text file of the checkout.
pub struct File {
    /// Its path from the checkout's top folder.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// The checkout's top folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .into()
}

/// Every file whose name ends so, without those that git ignores.
pub fn ending(ends: &[&str]) -> Vec<File> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git")
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "git lists no files");
    let mut files = Vec::new();
    for path in String::from_utf8(listed.stdout).unwrap().lines() {
        // A file that is listed and cannot be read has just been removed.
        let Ok(text) = fs::read_to_string(root().join(path)) else {
            continue;
        };
        if ends.iter().any(|end| path.ends_with(end)) {
            files.push(File {
                path: path.to_owned(),
                text,
            });
        }
    }
    assert!(!files.is_empty(), "there is no file like {ends:?}");
    files
}

/// Every Rust file, parsed.
pub fn rust() -> Vec<(File, syn::File)> {
    let files = ending(&[".rs"]).into_iter();
    files
        .map(|file| {
            let parsed = syn::parse_file(&file.text);
            let parsed = parsed.unwrap_or_else(|cause| panic!("{}: {cause}", file.path));
            (file, parsed)
        })
        .collect()
}
