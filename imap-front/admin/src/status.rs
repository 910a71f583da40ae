//! `run/imapd.status`: what the running server has in force, for who asks while the files may say
//! something else already. The server writes it when it starts and when the conditions of IDLE
//! change.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;

use rustix::process::Pid;

use crate::config::{self, quoted};
use crate::idle::Condition;
use crate::{Base, Config, files};

const MODE: u32 = 0o600;

/// What the running server said.
#[derive(Debug, PartialEq, Eq)]
pub struct Status {
    /// Options that take effect at a start only, in force now.
    settings: BTreeMap<String, String>,
    /// The conditions of IDLE, for people.
    pub conditions: String,
    /// Whether all are met.
    pub idle: bool,
}

/// Writes what this process, the server, has in force.
///
/// # Errors
/// If the file can't be written.
pub fn write(config: &Config, conditions: &[Condition]) -> io::Result<()> {
    let mut text = format!("pid {}\n", std::process::id());
    for option in config::options().filter(|option| !option.refreshable) {
        let value = quoted(config.value(option.name));
        let _ = writeln!(text, "setting {} = {value}", option.name);
    }
    let met = conditions.iter().all(|condition| condition.met);
    let _ = writeln!(text, "idle {met}");
    for condition in conditions {
        let _ = writeln!(text, "{condition}");
    }
    let path = Base::new(config.base()).status();
    files::replace(&path, MODE, |to| to.write_all(text.as_bytes()))
}

impl Status {
    /// What the server has written that is this process; none if it has written nothing.
    pub fn of(base: &Base, server: Pid) -> Option<Self> {
        let text = fs::read_to_string(base.status()).ok()?;
        Self::parse(&text, server.as_raw_nonzero().get())
    }

    fn parse(text: &str, pid: i32) -> Option<Self> {
        let rest = text.strip_prefix(&format!("pid {pid}\n"))?;
        let (settings, rest) = rest.split_once("idle ")?;
        let (idle, conditions) = rest.split_once('\n')?;
        let setting = |line: &str| {
            let (name, value) = line.strip_prefix("setting ")?.split_once(" = ")?;
            Some((name.to_owned(), value.to_owned()))
        };
        Some(Self {
            settings: settings.lines().filter_map(setting).collect(),
            conditions: conditions.to_owned(),
            idle: idle == "true",
        })
    }

    /// Options that stand otherwise in the files, a line each.
    pub fn differences(&self, config: &Config) -> Vec<String> {
        let differs = |(name, running): (&String, &String)| {
            config::find(name)?;
            let file = quoted(config.value(name));
            (file != *running).then(|| {
                format!(
                    "{name} is {running} in the running server and {file} in the files; restart it"
                )
            })
        };
        self.settings.iter().filter_map(differs).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_server_is_told_from_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let base = Base::new(folder.path());
        for below in ["config", "run"] {
            fs::create_dir(folder.path().join(below)).unwrap();
        }
        let then = Config::load(&base).unwrap();
        let not_met = Condition {
            text: "a broker".into(),
            met: false,
            remedy: "start it".into(),
        };
        write(&then, &[not_met]).unwrap();
        let text = fs::read_to_string(base.status()).unwrap();
        let pid = std::process::id().cast_signed();
        let status = Status::parse(&text, pid).unwrap();
        assert_eq!(
            Status::parse(&text, pid + 1),
            None,
            "another process wrote it"
        );
        assert!(!status.idle);
        assert_eq!(status.conditions, "not met: a broker\n         start it\n");
        assert!(status.differences(&then).is_empty());
        let changed = "service.imap.port = 1143\nlogfile.imap.loglevel = debug\n";
        fs::write(base.msg_conf(), changed).unwrap();
        let expected =
            "service.imap.port is 143 in the running server and 1143 in the files; restart it";
        assert_eq!(
            status.differences(&Config::load(&base).unwrap()),
            [expected]
        );
    }
}
