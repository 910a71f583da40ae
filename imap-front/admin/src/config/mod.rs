//! Configuration: `msg.conf` (the administrator's) over `msg.conf.defaults` (the release's) over
//! the built-in defaults of the [table](options).

mod edit;
mod kind;
mod lookup;
mod networks;
mod options;
mod page;
pub mod plugins;
mod syntax;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

pub use edit::{ConfigEdit, apply, defaults_text, parse_import, write_defaults};
pub use kind::{ConfigOption, Kind, bytes};
pub use lookup::{find, like, matches};
pub use networks::Networks;
pub use options::options;
pub use page::options_page;
pub use plugins::PlugIn;
pub use syntax::quoted;

use crate::Base;
use crate::lines::{self, LinesError};

/// Why the configuration can't be used: one line that says where and what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file, or a line of one.
    #[error(transparent)]
    Lines(#[from] LinesError),
    /// An option that doesn't exist, or a value it doesn't take.
    #[error("{0}")]
    Value(String),
}

/// The values in force when the files were read.
#[derive(Clone, Debug, Default)]
pub struct Config {
    base: PathBuf,
    set: BTreeMap<String, String>,
}

impl Config {
    /// Reads the base directory's configuration. Files that don't exist set nothing.
    ///
    /// # Errors
    /// The first line that can't be understood, or a file that can't be read.
    pub fn load(base: &Base) -> Result<Self, ConfigError> {
        Self::load_from(base, &base.msg_conf())
    }

    /// As [`Config::load`], with another file in the place of `msg.conf`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_from(base: &Base, msg_conf: &Path) -> Result<Self, ConfigError> {
        let mut config = Self {
            base: base.root().to_owned(),
            set: BTreeMap::new(),
        };
        for file in [base.msg_conf_defaults().as_path(), msg_conf] {
            config.set.extend(read(file)?);
        }
        Ok(config)
    }

    /// The value in force. A value that was cleared, or never set, is the built-in default.
    ///
    /// # Panics
    /// If the table has no such option: a mistake of ours.
    pub fn value(&self, name: &str) -> &str {
        let option = find(name).unwrap_or_else(|| panic!("no option {name} in the table"));
        match self.set.get(&name.to_ascii_lowercase()) {
            // A text may be empty on purpose; for the rest an empty value means none.
            Some(value) if !value.is_empty() || may_be_empty(&option.kind) => value,
            _ => option.default,
        }
    }

    fn number(&self, name: &str) -> i64 {
        let option = find(name).unwrap_or_else(|| panic!("no option {name} in the table"));
        option
            .kind
            .number(self.value(name))
            .expect("values are checked when they are read")
    }

    /// A number that is not negative.
    pub fn count(&self, name: &str) -> u64 {
        u64::try_from(self.number(name)).expect("the table gives a range that is not negative")
    }

    /// A number, or none if it is −1: no limit.
    pub fn limit(&self, name: &str) -> Option<u64> {
        u64::try_from(self.number(name)).ok()
    }

    /// A switch.
    pub fn switch(&self, name: &str) -> bool {
        kind::switch(self.value(name)).expect("values are checked when they are read")
    }

    /// A path, made absolute by the base directory; none if the option is empty.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.value(name);
        (!value.is_empty()).then(|| self.base.join(value))
    }

    /// Names, in lower case.
    pub fn names(&self, name: &str) -> Vec<String> {
        kind::names(self.value(name))
            .map(str::to_lowercase)
            .collect()
    }

    /// Networks.
    pub fn networks(&self, name: &str) -> Networks {
        Networks::parse(self.value(name)).expect("values are checked when they are read")
    }

    /// One of an option's words, in lower case.
    pub fn word(&self, name: &str) -> String {
        self.value(name).to_ascii_lowercase()
    }

    fn socket_address(&self, address: &str, port: &str) -> Option<SocketAddr> {
        let port = u16::try_from(self.count(port)).expect("the table's range is that of ports");
        let address: IpAddr = self
            .value(address)
            .parse()
            .expect("values are checked when they are read");
        (port != 0).then(|| SocketAddr::new(address, port))
    }

    /// The base directory.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Options that are set and stand under the name of a plug-in's instance.
    pub fn instanced(&self) -> impl Iterator<Item = &str> {
        let known = |name: &&str| options().all(|option| option.name != *name);
        self.set.keys().map(String::as_str).filter(known)
    }

    /// The notification plug-ins.
    pub fn plug_ins(&self) -> Vec<PlugIn> {
        plugins::parse(self.value(plugins::PREFIX)).expect("values are checked when they are read")
    }

    /// The value of one of a plug-in's options, such as `enshost`; none if it has no such option:
    /// one of its own it has only if the administrator has set it.
    pub fn plug_in_option(&self, plug_in: &PlugIn, name: &str) -> Option<&str> {
        let name = plug_in.option(name);
        let is_own = find(&name)?.name == options::OWN.name;
        if is_own && !self.set.contains_key(&name.to_ascii_lowercase()) {
            return None;
        }
        Some(self.value(&name))
    }

    /// A plug-in's event key, as `%M` and all.
    pub fn event_key(&self, plug_in: &PlugIn) -> &str {
        self.value(&plug_in.option("enseventkey"))
    }

    /// Where IMAP listens: `service.listenaddr` and `service.imap.port`; none if it is off.
    pub fn imap_address(&self) -> Option<SocketAddr> {
        self.socket_address("service.listenaddr", "service.imap.port")
    }

    /// Where IMAP over TLS listens: `service.listenaddr` and `service.imap.sslport`; none if it is
    /// off.
    pub fn imap_tls_address(&self) -> Option<SocketAddr> {
        self.socket_address("service.listenaddr", "service.imap.sslport")
    }

    /// Where LMTP listens: `service.lmtp.listenaddr` and `service.lmtp.port`; none if it is off.
    pub fn lmtp_address(&self) -> Option<SocketAddr> {
        self.socket_address("service.lmtp.listenaddr", "service.lmtp.port")
    }

    /// Where metrics and health are told: `service.http.listenaddr` and `service.http.port`; none
    /// if it is off.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.socket_address("service.http.listenaddr", "service.http.port")
    }

    /// `local.hostname`, or what the system calls itself, with its domain if /etc/hosts has that.
    pub fn hostname(&self) -> String {
        let name = self.value("local.hostname");
        if !name.is_empty() {
            return name.to_owned();
        }
        let system = rustix::system::uname();
        let name = system.nodename().to_string_lossy();
        if name.is_empty() {
            return "localhost".into();
        }
        let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        full_name(&name, &hosts).into()
    }

    /// `service.imap.banner` with its codes replaced. `protocol` is for `%p`, `version` for `%v`
    /// and `built` for what `%V` adds; `date` is for `%d`.
    pub fn banner(&self, protocol: &str, version: &str, built: &str, date: &str) -> String {
        let mut text = String::new();
        let mut template = self.value("service.imap.banner").chars();
        while let Some(c) = template.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            match template.next() {
                Some('h') => text.push_str(&self.hostname()),
                Some('p') => text.push_str(protocol),
                Some('P') => text.push_str("Ensign"),
                Some('v') => text.push_str(version),
                Some('V') if built.is_empty() => text.push_str(version),
                Some('V') => text.push_str(&format!("{version} (built {built})")),
                Some('d') => text.push_str(date),
                Some('%') | None => text.push('%'),
                Some(other) => text.extend(['%', other]),
            }
        }
        text
    }
}

/// A host's name with its domain, if a file like /etc/hosts gives it one.
fn full_name<'a>(name: &'a str, hosts: &'a str) -> &'a str {
    let is_full = |full: &&str| {
        let rest = full.strip_prefix(name);
        rest.is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'))
    };
    let line = |line: &'a str| line.split('#').next().unwrap_or(line);
    let words = hosts.lines().map(line);
    let mut names = words.flat_map(|line| line.split_whitespace().skip(1));
    names.find(is_full).unwrap_or(name)
}

fn may_be_empty(kind: &Kind) -> bool {
    matches!(kind, Kind::Names | Kind::Networks | Kind::Path | Kind::Text)
}

/// The options a file sets. A file that doesn't exist sets none.
fn read(file: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut set = BTreeMap::new();
    entries(file, |name, value| {
        let name = name.to_ascii_lowercase();
        match set.insert(name.clone(), value) {
            Some(_) => Err(format!("{name} is set twice; remove one line")),
            None => Ok(()),
        }
    })?;
    Ok(set)
}

/// Calls `take` with each option that a file sets, and its value.
fn entries(
    file: &Path,
    mut take: impl FnMut(String, String) -> Result<(), String>,
) -> Result<(), LinesError> {
    lines::each(file, |number, line| {
        let mut entry = || -> Result<(), String> {
            let line = std::str::from_utf8(line).map_err(|_| "this line is not UTF-8")?;
            let syntax::Line::Entry { name, value } = syntax::parse(line)? else {
                return Ok(());
            };
            checked(&name, &value)?;
            take(name, value)
        };
        entry().map_err(|reason| LinesError::line(file, number, reason))
    })
}

/// The option of that name, if it takes that value.
fn checked(name: &str, value: &str) -> Result<&'static ConfigOption, String> {
    let Some(option) = find(name) else {
        return Err(unknown(name));
    };
    option.kind.check(value).map_err(|expected| {
        let name = name.to_ascii_lowercase();
        format!("{name} can't be \"{value}\"; it takes {expected}")
    })?;
    Ok(option)
}

/// What to say about an option that does not exist.
pub fn unknown(name: &str) -> String {
    match like(name) {
        Some(near) => format!("there is no option {name}; did you mean {}?", near.name),
        None => format!("there is no option {name}; `configutil` lists all"),
    }
}

#[cfg(test)]
mod tests;
