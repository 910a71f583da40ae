//! `config/ens.env`: the broker's environment, lines `NAME=value` as systemd reads them. Every
//! start reads it, also one by the watcher, whose own environment may be of long ago.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use crate::Base;
use crate::files;

/// What a person's environment brings is kept, so that it holds at the next start too.
const KEPT: &str = "ENS_ACCESS";
/// Who may connect is the administrator's affair.
const MODE: u32 = 0o600;

/// Keeps `value` of `ENS_ACCESS`, as somebody has it who starts the broker by hand; an empty one
/// means none. Tells whether the file has changed.
///
/// # Errors
/// If the file can't be read or written.
pub fn keep(base: &Base, value: &str) -> io::Result<bool> {
    let path = base.ens_environment();
    let present = variables(base)?;
    if present.get(KEPT).map_or("", String::as_str) == value {
        return Ok(false);
    }
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    let is_other = |line: &&str| parse(line).is_none_or(|(name, _)| name != KEPT);
    let mut lines: Vec<String> = text.lines().filter(is_other).map(str::to_owned).collect();
    if !value.is_empty() {
        // The rules may stand on several lines, which a backslash joins.
        let value = value.replace("\\\n", " ").replace('\n', " ");
        lines.push(format!("{KEPT}='{value}'"));
    }
    files::replace(&path, MODE, |to| {
        lines.iter().try_for_each(|line| writeln!(to, "{line}"))
    })?;
    Ok(true)
}

/// All variables of the file. A file that doesn't exist has none.
///
/// # Errors
/// If it can't be read.
pub fn variables(base: &Base) -> io::Result<BTreeMap<String, String>> {
    let text = match fs::read_to_string(base.ens_environment()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    Ok(text.lines().filter_map(parse).collect())
}

/// Has a program's environment be what the file says.
///
/// # Errors
/// If the file can't be read.
pub(super) fn apply(base: &Base, command: &mut std::process::Command) -> io::Result<()> {
    command.env_remove(KEPT).envs(variables(base)?);
    Ok(())
}

fn parse(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (name, value) = line.split_once('=')?;
    let value = value.trim();
    let inner = ['\'', '"']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    Some((name.trim().to_owned(), inner.unwrap_or(value).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_kept_beside_other_lines() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("config")).unwrap();
        let base = Base::new(folder.path());
        assert!(!keep(&base, "").unwrap(), "there was none");
        let text = "# the broker's\nENS_STATS=60\nENS_ACCESS=\"+10.0.0.1|255.0.0.0\"\n";
        fs::write(base.ens_environment(), text).unwrap();
        let rules = || variables(&base).unwrap().remove(KEPT);
        assert_eq!(rules().as_deref(), Some("+10.0.0.1|255.0.0.0"));
        assert!(keep(&base, "+127.0.0.1|255.255.255.255;\\\n-10.0.0.1|255.0.0.0").unwrap());
        let kept = "+127.0.0.1|255.255.255.255; -10.0.0.1|255.0.0.0";
        assert_eq!(rules().as_deref(), Some(kept));
        assert!(!keep(&base, kept).unwrap(), "it is the same");
        assert_eq!(variables(&base).unwrap()["ENS_STATS"], "60");
        assert!(keep(&base, "").unwrap());
        assert_eq!(rules(), None);
    }
}
