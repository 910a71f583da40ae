//! Changing `msg.conf`: locked, all or nothing, other lines and comments kept.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use super::{ConfigError, checked, find, options, syntax, unknown};
use crate::files;
use crate::lines::{Editor, LineEdit, LinesError};

/// A new configuration file's mode.
const MODE: u32 = 0o600;

/// What to do to one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigEdit {
    /// Set it to a value; empty clears it.
    Set(String, String),
    /// Remove the administrator's value.
    Delete(String),
}

/// Makes all the edits to the file, or none.
///
/// # Errors
/// An unknown option or a bad value, a file that is not in order, or one that can't be written.
pub fn apply(file: &Path, edits: &[ConfigEdit]) -> Result<(), ConfigError> {
    let mut wanted: BTreeMap<String, Option<&str>> = BTreeMap::new();
    for edit in edits {
        let (name, value) = resolve(edit)?;
        wanted.insert(name.to_ascii_lowercase(), value);
    }
    let editor = Editor::wait(file, MODE)?;
    // What is there must be in order, or an edit could hide or lose something.
    let present = super::read(file)?;
    let line = |name: &str, value: &str| format!("{name} = {}\n", syntax::quoted(value));
    editor.rewrite(
        "",
        |text| {
            let Ok(syntax::Line::Entry { name, .. }) = syntax::parse(text) else {
                return LineEdit::Keep;
            };
            let name = name.to_ascii_lowercase();
            match wanted.get(&name) {
                None => LineEdit::Keep,
                Some(None) => LineEdit::Drop,
                Some(Some(value)) => LineEdit::Replace(line(&name, value)),
            }
        },
        |to| {
            for (name, value) in wanted
                .iter()
                .filter(|(name, _)| !present.contains_key(*name))
            {
                let Some(value) = value else { continue };
                to.write_all(line(name, value).as_bytes())
                    .map_err(LinesError::file(file))?;
            }
            Ok(())
        },
    )
}

fn resolve(edit: &ConfigEdit) -> Result<(&str, Option<&str>), ConfigError> {
    match edit {
        ConfigEdit::Set(name, value) => {
            checked(name, value).map_err(ConfigError::Value)?;
            Ok((name, Some(value)))
        }
        ConfigEdit::Delete(name) => {
            find(name).ok_or_else(|| ConfigError::Value(unknown(name)))?;
            Ok((name, None))
        }
    }
}

/// The edits in a file of `option=value` lines.
///
/// # Errors
/// The first line that can't be understood or applied.
pub fn parse_import(file: &Path) -> Result<Vec<ConfigEdit>, ConfigError> {
    if !file.exists() {
        return Err(LinesError::file(file)(io::ErrorKind::NotFound.into()).into());
    }
    let mut edits = Vec::new();
    super::entries(file, |name, value| {
        edits.push(ConfigEdit::Set(name, value));
        Ok(())
    })?;
    Ok(edits)
}

/// The text of `msg.conf.defaults`: every option with its help and default, and the user of this
/// installation.
pub fn defaults_text(service_user: &str) -> String {
    let mut text = String::from(
        "# The options of this release and their defaults. Each release writes this file anew:\n\
         # set options in msg.conf, with configutil.\n",
    );
    for option in options() {
        text.push_str("\n# ");
        text.push_str(option.help);
        text.push('\n');
        let default = match option.name {
            "service.user" => service_user,
            _ => option.default,
        };
        let default = syntax::quoted(default);
        text.push_str(&format!("{} = {default}\n", option.name));
    }
    text
}

/// Writes `msg.conf.defaults` of an installation whose services run as `service_user`.
///
/// # Errors
/// If the file can't be written.
pub fn write_defaults(file: &Path, service_user: &str) -> io::Result<()> {
    files::replace(file, MODE, |to: &mut dyn Write| {
        to.write_all(defaults_text(service_user).as_bytes())
    })
}
