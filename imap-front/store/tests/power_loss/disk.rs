//! A disk that loses what was not synced: what may be left of a folder when the power fails.
//!
//! A store that has answered all it was asked has synced its journals as they are; so the files as
//! they were then are what stays for certain. Of what an operation under way has written since, any
//! sectors may have reached the disk. Everything else that the database writes it syncs before it
//! is of use, so that stands or falls with the folder as it is now.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::harm::{self, Chance};

/// What a disk writes whole.
const SECTOR: usize = 512;
const MARKER: &str = "commits";

/// A file without the zeros at its end, and how long it is with them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    bytes: Vec<u8>,
    len: u64,
}

/// A folder as at one moment: its files, and its folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image(BTreeMap<PathBuf, Content>, Vec<PathBuf>);

/// How the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing of what was under way was written.
    All,
    /// Everything was.
    Nothing,
    /// The beginning was; within a sector it may be torn.
    Tail,
    /// Some sectors were.
    Some,
}

impl Loss {
    pub fn draw(chance: &mut Chance) -> Self {
        [Self::All, Self::Nothing, Self::Tail, Self::Tail, Self::Some][chance.below(5) as usize]
    }
}

fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "jnl")
}

impl Image {
    /// The folder as it is, once nobody writes to it: the database writes tables by itself.
    pub fn of(folder: &Path) -> Self {
        let mut image = Self::look(folder);
        loop {
            let again = Self::look(folder);
            match (image, again) {
                (Some(image), Some(again)) if image == again => return again,
                (_, again) => image = again,
            }
        }
    }

    /// The folder; none if a file has gone meanwhile.
    fn look(folder: &Path) -> Option<Self> {
        let content = |path: PathBuf| {
            let mut bytes = fs::read(&path).ok()?;
            let len = bytes.len() as u64;
            bytes.truncate(
                bytes
                    .iter()
                    .rposition(|byte| *byte != 0)
                    .map_or(0, |at| at + 1),
            );
            let name = path.strip_prefix(folder).expect("below").to_owned();
            Some((name, Content { bytes, len }))
        };
        let paths = harm::files(folder).into_iter();
        let files: Option<_> = paths.map(content).collect();
        Some(Self(files?, folders(folder, folder)))
    }

    /// What may be on the disk if the power fails while this becomes `after`.
    pub fn fail(&self, after: &Self, loss: Loss, chance: &mut Chance) -> Self {
        let others = |image: &Self| {
            let mut others = image.0.clone();
            others.retain(|path, _| !is_journal(path) && !path.ends_with(MARKER));
            others
        };
        let names = |image: &Self| image.0.keys().cloned().collect::<Vec<_>>();
        // Tables were written meanwhile: the journals were synced before.
        if loss == Loss::Nothing || names(self) != names(after) || others(self) != others(after) {
            return after.clone();
        }
        let mut left = self.clone();
        for (path, content) in left.0.iter_mut().filter(|(path, _)| is_journal(path)) {
            let now = &after.0[path];
            content.len = now.len;
            mix(&mut content.bytes, &now.bytes, loss, chance);
        }
        left
    }

    /// As if the marker had never been written since another moment: it is not synced.
    pub fn with_marker_of(&mut self, old: &Self) {
        let path = PathBuf::from(MARKER);
        match old.0.get(&path) {
            Some(marker) => self.0.insert(path, marker.clone()),
            None => self.0.remove(&path),
        };
    }

    /// Puts the files into a folder.
    pub fn write(&self, folder: &Path) {
        for path in &self.1 {
            fs::create_dir_all(folder.join(path)).expect("made");
        }
        for (path, content) in &self.0 {
            let path = folder.join(path);
            fs::write(&path, &content.bytes).expect("written");
            let file = fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .expect("there");
            file.set_len(content.len).expect("as long as before");
        }
    }
}

/// The folders below one, from the top.
fn folders(top: &Path, folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    entries.sort();
    for path in entries {
        found.push(path.strip_prefix(top).expect("below").to_owned());
        found.extend(folders(top, &path));
    }
    found
}

/// Some of what is new in a file.
fn mix(old: &mut Vec<u8>, new: &[u8], loss: Loss, chance: &mut Chance) {
    if loss == Loss::All {
        return;
    }
    let len = old.len().max(new.len());
    let mut padded = new.to_vec();
    padded.resize(len, 0);
    old.resize(len, 0);
    let Some(first) = (0..len).find(|&at| old[at] != padded[at]) else {
        return;
    };
    if loss == Loss::Tail {
        let cut = first + chance.below((len - first) as u64) as usize;
        old[..cut].copy_from_slice(&padded[..cut]);
        return;
    }
    for sector in (first / SECTOR * SECTOR..len).step_by(SECTOR) {
        let end = (sector + SECTOR).min(len);
        if chance.below(2) == 0 {
            old[sector..end].copy_from_slice(&padded[sector..end]);
        }
    }
}
