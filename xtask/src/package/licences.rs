//! The licences of all libraries that are within the programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{install, shell};

/// How files begin that hold the terms of a library.
const NAMES: [&str; 4] = ["LICENSE", "LICENCE", "COPYING", "NOTICE"];

/// Writes a list of the libraries, and each text of a licence once, with whose it is.
pub fn write(path: &Path) -> Result<()> {
    let libraries = libraries()?;
    let mut list = String::from("Libraries of others that are within Ensign's programs:\n\n");
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for library in &libraries {
        let Library { name, terms, .. } = library;
        list.push_str(&format!("* {name}: {terms}\n"));
        for text in library.texts()? {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    for (text, names) in texts {
        let names: Vec<String> = names.into_iter().collect();
        let line = "-".repeat(72);
        list.push_str(&format!(
            "\n{line}\nOf {}:\n\n{}\n",
            names.join(", "),
            text.trim()
        ));
    }
    fs::write(path, list).with_context(|| format!("cannot write {}", path.display()))
}

struct Library {
    /// Its name and version.
    name: String,
    /// Its licences, by their short names.
    terms: String,
    /// Where its sources are.
    folder: std::path::PathBuf,
}

impl Library {
    fn texts(&self) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .to_uppercase();
            if path.is_file() && NAMES.iter().any(|start| name.starts_with(start)) {
                texts.push(String::from_utf8_lossy(&fs::read(&path)?).into_owned());
            }
        }
        Ok(texts)
    }
}

/// What is linked into the programs, by what cargo knows.
fn libraries() -> Result<Vec<Library>> {
    let mut tree = shell::cargo(&["tree", "--edges", "normal", "--prefix", "none"]);
    tree.args(["--no-dedupe", "--format", "{p}"]);
    for package in install::PACKAGES {
        tree.args(["--package", package]);
    }
    let linked = shell::capture(&mut tree)?;
    // `name v1.2.3`, and where it lies, if that is no registry.
    let linked: BTreeSet<String> = linked
        .lines()
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, rest)| format!("{name} {}", rest.split(' ').next().unwrap_or(rest)))
        .collect();
    let metadata = shell::capture(&mut shell::cargo(&["metadata", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo knows no packages")?;
    let mut libraries = Vec::new();
    for package in packages.iter().filter(|one| !one["source"].is_null()) {
        let text = |field: &str| package[field].as_str().unwrap_or_default();
        let name = format!("{} {}", text("name"), text("version"));
        if linked.contains(&name) {
            let manifest = Path::new(text("manifest_path"));
            libraries.push(Library {
                name,
                terms: text("license").to_owned(),
                folder: manifest
                    .parent()
                    .context("a manifest lies in a folder")?
                    .into(),
            });
        }
    }
    libraries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(libraries)
}
