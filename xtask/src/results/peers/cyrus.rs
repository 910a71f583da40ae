//! Cyrus of Debian with idled.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::daemon::{Daemon, Folder};
use super::{Address, PASSWORD, Server};
use crate::base::free_port;
use crate::packages;
use crate::{paths, shell};

/// Where Debian has what `cyrus-common` brings; `imapd` and `idled` come unpacked beside it.
const PROGRAMS: &str = "/usr/lib/cyrus/bin";
/// The user whom Cyrus becomes.
const USER: &str = "cyrus";
/// Its part of the users' names in the database of passwords.
const REALM: &str = "localhost";
/// Connections that may wait to be accepted. With its own 32 the kernel drops some of those that
/// come together, and their clients wait for ever.
const BACKLOG: &str = "4096";
/// What the store expects to be there.
const FOLDERS: [&str; 9] = [
    "spool",
    "run",
    "conf/db",
    "conf/log",
    "conf/msg",
    "conf/proc",
    "conf/quota",
    "conf/socket",
    "conf/user",
];

/// One installation.
pub(super) struct Cyrus {
    daemon: Option<Daemon>,
    folder: Folder,
}

impl Cyrus {
    /// An installation with users and without mail.
    pub(super) fn fresh(name: &str, users: usize) -> Result<Self> {
        let folder = Folder::fresh(paths::target().join("peers").join(name))?;
        packages::unpack("cyrus-imapd", folder.path())?;
        for name in FOLDERS {
            fs::create_dir_all(folder.path().join(name))?;
        }
        let list = folder.write("users", &passwords(users))?;
        shell::run(
            Command::new("db5.3_load")
                .arg("-f")
                .arg(&list)
                .arg(folder.path().join("sasldb2")),
        )?;
        folder.write("imapd.conf", IMAPD)?;
        folder.give(USER)?;
        Ok(Self {
            daemon: None,
            folder,
        })
    }
}

impl Server for Cyrus {
    fn start(&mut self) -> Result<Address> {
        let (imap, lmtp) = (free_port()?, free_port()?);
        let services = self.folder.write("cyrus.conf", &services(imap, lmtp))?;
        let mut program = Command::new(format!("{PROGRAMS}/master"));
        program
            .arg("-C")
            .arg(self.folder.path().join("imapd.conf"))
            .arg("-M")
            .arg(&services)
            .arg("-p")
            .arg(self.folder.path().join("run/master.pid"))
            .args(["-l", BACKLOG]);
        let daemon = Daemon::start(program, &self.folder, &[imap, lmtp])?;
        let tree = daemon.pid();
        self.daemon = Some(daemon);
        Ok(Address::new(imap, lmtp, tree))
    }

    fn stop(&mut self) -> Result<()> {
        self.daemon.take().context("it runs")?.stop()
    }

    fn configuration(&self) -> Vec<(&'static str, String)> {
        vec![
            ("imapd.conf", IMAPD.to_owned()),
            ("cyrus.conf", services(143, 24)),
        ]
    }
}

/// What differs from what the package has: plain passwords on loopback, and mailboxes that are made
/// when they are first needed. Everything that costs or saves a write is as it comes.
const IMAPD: &str = "\
configdirectory: BASE/conf
partition-default: BASE/spool
defaultpartition: default
servername: localhost
allowplaintext: yes
sasl_mech_list: PLAIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: BASE/sasldb2
autocreate_quota: 0
autocreate_post: yes
idlesocket: BASE/run/idle
lmtpsocket: BASE/run/lmtp
notifysocket: BASE/run/notify
proc_path: BASE/run/proc
mboxname_lockpath: BASE/run/lock
";

fn services(imap: u16, lmtp: u16) -> String {
    let unpacked = format!("BASE{PROGRAMS}");
    format!(
        "\
START {{
  recover cmd=\"{PROGRAMS}/ctl_cyrusdb -C BASE/imapd.conf -r\"
}}
SERVICES {{
  imap cmd=\"{unpacked}/imapd -C BASE/imapd.conf\" listen=\"127.0.0.1:{imap}\" proto=\"tcp4\"
  lmtp cmd=\"{PROGRAMS}/lmtpd -C BASE/imapd.conf -a\" listen=\"127.0.0.1:{lmtp}\" proto=\"tcp4\"
}}
DAEMON {{
  idled cmd=\"{unpacked}/idled -C BASE/imapd.conf\"
}}
EVENTS {{
}}
"
    )
}

/// The database of passwords as `db_load` takes it.
fn passwords(users: usize) -> String {
    let mut text = "VERSION=3\nformat=print\ntype=hash\nHEADER=END\n".to_owned();
    for number in 0..users {
        let _ = writeln!(
            text,
            " load{number}\\00{REALM}\\00userPassword\n {PASSWORD}"
        );
    }
    text.push_str("DATA=END\n");
    text
}

#[cfg(test)]
mod tests {
    use super::{passwords, services};

    #[test]
    fn services_listen_on_loopback_only() {
        let text = services(4143, 4024);
        assert_eq!(text.matches('{').count(), text.matches('}').count());
        for port in [4143, 4024] {
            assert!(
                text.contains(&format!("listen=\"127.0.0.1:{port}\"")),
                "{text}"
            );
        }
    }

    #[test]
    fn passwords_are_lines_of_keys_and_values() {
        let text = passwords(2);
        let key = " load1\\00localhost\\00userPassword\n secret\n";
        assert!(text.contains(key), "{text}");
        assert!(text.ends_with("DATA=END\n"));
    }
}
