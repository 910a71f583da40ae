//! Changing `msg.conf`: locked, all or nothing, other lines and comments kept.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::{ConfigError, OPTIONS, checked, find, text, unknown};
use crate::files::{self, Lock};

/// A new configuration file's mode.
const MODE: u32 = 0o644;

/// What to do to one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Set it to a value; empty clears it.
    Set(String, String),
    /// Remove the administrator's value.
    Delete(String),
}

/// Makes all the changes to the file, or none.
///
/// # Errors
/// An unknown option or a bad value, a file that is not in order, or one that can't be written.
pub fn apply(file: &Path, changes: &[Change]) -> Result<(), ConfigError> {
    let mut wanted: BTreeMap<String, Option<&str>> = BTreeMap::new();
    for change in changes {
        let (name, value) = resolve(change)?;
        wanted.insert(name.to_ascii_lowercase(), value);
    }
    let failed = |cause| ConfigError::File {
        file: file.to_owned(),
        cause,
    };
    let _lock = Lock::wait(file).map_err(failed)?;
    // What is there must be in order, or an edit could hide or lose something.
    super::read(file)?;
    let present = match fs::read_to_string(file) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(failed)?,
    };
    let changed = rewrite(&present, &mut wanted);
    files::replace(file, MODE, |to| to.write_all(changed.as_bytes())).map_err(failed)
}

fn resolve(change: &Change) -> Result<(&str, Option<&str>), ConfigError> {
    match change {
        Change::Set(name, value) => {
            checked(name, value).map_err(ConfigError::Value)?;
            Ok((name, Some(value)))
        }
        Change::Delete(name) => {
            find(name).ok_or_else(|| ConfigError::Value(unknown(name)))?;
            Ok((name, None))
        }
    }
}

/// The text with each wanted option's line replaced, removed, or added at the end.
fn rewrite(present: &str, wanted: &mut BTreeMap<String, Option<&str>>) -> String {
    let mut changed = String::with_capacity(present.len() + 128);
    for line in present.lines() {
        let entry = match text::parse(line) {
            Ok(text::Line::Entry { name, .. }) => {
                let name = name.to_ascii_lowercase();
                wanted.remove(&name).map(|value| (name, value))
            }
            _ => None,
        };
        match entry {
            Some((name, Some(value))) => push(&mut changed, &name, value),
            Some((_, None)) => {}
            None => {
                changed.push_str(line);
                changed.push('\n');
            }
        }
    }
    for (name, value) in wanted.iter() {
        if let Some(value) = value {
            push(&mut changed, name, value);
        }
    }
    changed
}

fn push(to: &mut String, name: &str, value: &str) {
    to.push_str(name);
    to.push_str(" = ");
    to.push_str(&text::quoted(value));
    to.push('\n');
}

/// The changes in a file of `option=value` lines.
///
/// # Errors
/// The first line that can't be understood or applied.
pub fn parse_import(file: &Path) -> Result<Vec<Change>, ConfigError> {
    let text = fs::read_to_string(file).map_err(|cause| ConfigError::File {
        file: file.to_owned(),
        cause,
    })?;
    let mut changes = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let fail = |reason| ConfigError::Line {
            file: file.to_owned(),
            line: at + 1,
            reason,
        };
        if let text::Line::Entry { name, value } = text::parse(line).map_err(fail)? {
            checked(&name, &value).map_err(fail)?;
            changes.push(Change::Set(name, value));
        }
    }
    Ok(changes)
}

/// The text of `msg.conf.defaults`: every option with its help and default.
pub fn defaults_text() -> String {
    let mut text = String::from(
        "# The options of this release and their defaults. Each release writes this file anew:\n\
         # set options in msg.conf, with configutil.\n",
    );
    for setting in OPTIONS {
        text.push_str("\n# ");
        text.push_str(setting.help);
        text.push('\n');
        push(&mut text, setting.name, setting.default);
    }
    text
}

/// Writes `msg.conf.defaults`.
///
/// # Errors
/// If the file can't be written.
pub fn write_defaults(file: &Path) -> io::Result<()> {
    files::replace(file, MODE, |to: &mut dyn Write| {
        to.write_all(defaults_text().as_bytes())
    })
}
