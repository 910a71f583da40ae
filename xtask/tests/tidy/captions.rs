//! The captions in ARCHITECTURE.md against the folders there are.

use std::collections::BTreeSet;
use std::fs;

use crate::{edges, files};

/// The section whose first code block lists `path/   caption` lines.
const HEADING: &str = "## The house";

/// Folders without a caption, captions without a folder, and captions that say nothing.
pub fn differences() -> Vec<String> {
    let text = fs::read_to_string(files::root().join("ARCHITECTURE.md")).unwrap();
    let section = text
        .split_once(HEADING)
        .expect("ARCHITECTURE.md has a section on the house")
        .1;
    let block = section
        .split("```")
        .nth(1)
        .expect("the section has a code block");
    let mut captioned = BTreeSet::new();
    let mut broken = Vec::new();
    for line in block.lines().filter(|line| !line.trim().is_empty()) {
        let (path, caption) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if caption.trim().is_empty() {
            broken.push(format!("{path} has no caption"));
        }
        captioned.insert(path.trim_end_matches('/').to_owned());
    }
    let folders = folders();
    let more = |path| format!("{path} has a caption and is no folder of the house");
    broken.extend(captioned.difference(&folders).map(more));
    broken.extend(
        folders
            .difference(&captioned)
            .map(|path| format!("{path} has no caption")),
    );
    broken
}

/// The folder of each crate, that of the documents, and each folder of tests that is no crate.
fn folders() -> BTreeSet<String> {
    let mut folders: BTreeSet<String> = edges::members().into_iter().collect();
    folders.insert("docs".into());
    let tests = fs::read_dir(files::root().join("tests")).unwrap();
    for entry in tests
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_dir())
    {
        folders.insert(format!("tests/{}", entry.file_name().to_string_lossy()));
    }
    folders
}
