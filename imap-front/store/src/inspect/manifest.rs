//! The keyspaces' manifests, checked without opening the database.
//!
//! A keyspace's file `current` holds the number of its manifest (u64), the XXH3-128 of that file,
//! and a zero; `vN` lists the tables and bodies' files. The database checks neither sum. It removes
//! a keyspace without `current`, and files that no manifest lists, when it is opened.

use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use crate::loss::Fault;

const CURRENT_BYTES: usize = 8 + 16 + 1;

/// What is wrong with the manifest of each keyspace in the folder, and which keyspaces are there.
///
/// # Errors
/// If the folder can't be read.
pub(super) fn check(keyspaces: &Path) -> io::Result<(Vec<Fault>, Vec<u64>)> {
    let (mut faults, mut ids) = (Vec::new(), Vec::new());
    let entries = match std::fs::read_dir(keyspaces) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((vec![Fault::missing(keyspaces)], ids));
        }
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(id) = name.and_then(|name| name.parse().ok()) else {
            // The database would panic.
            faults.push(Fault::new(&path, "it does not belong there"));
            continue;
        };
        ids.push(id);
        faults.extend(check_one(&path)?);
    }
    if !ids.contains(&0) {
        faults.push(Fault::missing(&keyspaces.join("0")));
    }
    faults.sort_by(|one, other| one.file.cmp(&other.file));
    Ok((faults, ids))
}

fn check_one(keyspace: &Path) -> io::Result<Option<Fault>> {
    let current = keyspace.join("current");
    let Some(bytes) = read(&current)? else {
        return Ok(Some(Fault::missing(&current)));
    };
    let Some(manifest) = manifest(keyspace, &bytes) else {
        return Ok(Some(Fault::new(&current, "it has not the form it should")));
    };
    let (path, sum) = manifest;
    Ok(match read(&path)? {
        None => Some(Fault::missing(&path)),
        Some(bytes) if xxh3_128(&bytes) != sum => {
            Some(Fault::new(&path, "its checksum does not agree"))
        }
        Some(_) => None,
    })
}

/// Which manifest is the present one, and its sum.
fn manifest(keyspace: &Path, current: &[u8]) -> Option<(PathBuf, u128)> {
    if current.len() != CURRENT_BYTES || current[CURRENT_BYTES - 1] != 0 {
        return None;
    }
    let number = u64::from_le_bytes(current[..8].try_into().ok()?);
    let sum = u128::from_le_bytes(current[8..24].try_into().ok()?);
    Some((keyspace.join(format!("v{number}")), sum))
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
