//! Dovecot of Debian: a process a session, or sessions that hibernate.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::daemon::{Daemon, Folder};
use super::{Address, PASSWORD, Server};
use crate::base::free_port;
use crate::paths;

/// The unprivileged user who has the mail.
const USER: &str = "mail";
/// The configuration's name.
const CONF: &str = "dovecot.conf";

/// The kernel's limit of inotify instances a user. Dovecot needs one for each session that idles,
/// or else looks for mail every 30 s only.
const INSTANCES: &str = "/proc/sys/fs/inotify/max_user_instances";
/// What the sessions need at most.
const INSTANCES_ENOUGH: u32 = 8192;

/// A limit of the kernel that is raised until this is dropped.
struct Raised {
    before: String,
}

impl Raised {
    fn instances() -> Result<Option<Self>> {
        let before = fs::read_to_string(INSTANCES)?.trim().to_owned();
        if before.parse::<u32>()? >= INSTANCES_ENOUGH {
            return Ok(None);
        }
        fs::write(INSTANCES, INSTANCES_ENOUGH.to_string())
            .with_context(|| format!("cannot raise {INSTANCES}; are you root?"))?;
        Ok(Some(Self { before }))
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        if let Err(failure) = fs::write(INSTANCES, &self.before) {
            eprintln!("cannot set {INSTANCES} to {} again: {failure}", self.before);
        }
    }
}

/// One installation.
pub(super) struct Dovecot {
    daemon: Option<Daemon>,
    folder: Folder,
    _instances: Option<Raised>,
    hibernates: bool,
}

impl Dovecot {
    /// An installation without mail.
    pub(super) fn fresh(name: &str, hibernates: bool) -> Result<Self> {
        let folder = Folder::fresh(paths::target().join("peers").join(name))?;
        folder.folder_of(USER, "mail")?;
        Ok(Self {
            daemon: None,
            folder,
            _instances: Raised::instances()?,
            hibernates,
        })
    }
}

impl Server for Dovecot {
    fn start(&mut self) -> Result<Address> {
        let (imap, lmtp) = (free_port()?, free_port()?);
        let text = configuration(imap, lmtp, self.hibernates);
        let path = self.folder.write(CONF, &text)?;
        let mut program = Command::new("dovecot");
        program.arg("-F").arg("-c").arg(&path);
        let daemon = Daemon::start(program, &self.folder, &[imap, lmtp])?;
        let tree = daemon.pid();
        self.daemon = Some(daemon);
        Ok(Address::new(imap, lmtp, tree))
    }

    fn stop(&mut self) -> Result<()> {
        self.daemon.take().context("it runs")?.stop()
    }

    fn configuration(&self) -> Vec<(&'static str, String)> {
        vec![(CONF, configuration(143, 24, self.hibernates))]
    }
}

/// What differs from what the package has: plain passwords on loopback, one password for all, and
/// limits that let the sessions in. Everything that costs or saves a write is as it comes.
fn configuration(imap: u16, lmtp: u16, hibernates: bool) -> String {
    let timeout = if hibernates {
        "imap_hibernate_timeout = 1s\n"
    } else {
        ""
    };
    format!(
        "\
base_dir = BASE/run
state_dir = BASE/state
log_path = /dev/stderr
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
auth_cache_size = 10M
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid={USER} gid={USER} home=BASE/mail/%u
}}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
mail_max_userip_connections = 100000
default_process_limit = 3000
default_client_limit = 10000
{timeout}service imap-login {{
  service_count = 0
  process_min_avail = 2
  process_limit = 2
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service imap {{
  process_limit = 3000
  unix_listener imap-master {{
    user = dovecot
  }}
}}
service imap-hibernate {{
  unix_listener imap-hibernate {{
    mode = 0600
    user = {USER}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::configuration;

    #[test]
    fn the_configuration_has_the_ports_and_hibernates_if_asked() {
        let text = configuration(4143, 4024, true);
        let count = |what: &str| text.matches(what).count();
        assert_eq!(count("{"), count("}"), "{text}");
        assert_eq!(
            (count("port = 4143\n"), count("port = 4024\n")),
            (1, 1),
            "{text}"
        );
        assert_eq!(count("imap_hibernate_timeout = 1s\n"), 1);
        assert!(!configuration(1, 2, false).contains("imap_hibernate_timeout"));
    }
}
