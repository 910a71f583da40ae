//! An installed base directory, and the server in it.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use admin::service;
use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::install::{self, Profile};
use crate::shell;

/// How often other ports are tried when somebody took one between its reservation and its use.
const PORT_TRIES: usize = 5;
/// Whom the services of a throwaway base run as: its folder lies in a checkout, which may be closed
/// to other users, and no user is made for it.
const THROWAWAY_USER: &str = "root";
/// How long a server may take until it listens.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
/// How long a killed process may take to be gone.
const GONE_WITHIN: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

/// A base directory. Dropping it stops a server that still runs in it.
pub struct Base {
    folder: PathBuf,
}

/// Where a started server listens.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// IMAP without TLS.
    pub imap: SocketAddr,
    /// IMAP over TLS, if there is a certificate.
    pub imaps: Option<SocketAddr>,
    /// LMTP.
    pub lmtp: SocketAddr,
}

impl Base {
    /// Lays out a base directory anew, without users or mail, from what was built, with IDLE.
    pub fn fresh(folder: PathBuf, profile: Profile) -> Result<Base> {
        let base = Base::bare(folder, profile)?;
        base.set("service.listenaddr", "127.0.0.1")?;
        base.offer_idle()?;
        Ok(base)
    }

    /// The same as an installation leaves it: nothing is set.
    pub fn bare(folder: PathBuf, profile: Profile) -> Result<Base> {
        let base = Base { folder };
        if base.folder.exists() {
            // An interrupted run may have left servers behind.
            base.stop_all()?;
            fs::remove_dir_all(&base.folder)
                .with_context(|| format!("cannot remove {}", base.folder.display()))?;
        }
        install::lay_out(&base.folder, profile, THROWAWAY_USER)?;
        Ok(base)
    }

    /// Takes back everything that was set.
    pub fn reset(&self) -> Result<()> {
        let base = admin::Base::new(&self.folder);
        // What a start kept of its environment.
        let _ = fs::remove_file(base.ens_environment());
        fs::remove_file(base.msg_conf()).context("cannot remove the configuration")
    }

    /// What the administration guide has set for IDLE, with the broker within the server.
    fn offer_idle(&self) -> Result<()> {
        for (name, value) in [
            ("local.store.notifyplugin", "lib/libibiff"),
            (
                "local.store.notifyplugin.enseventkey",
                "enp://127.0.0.1/store/%M",
            ),
            ("local.store.notifyplugin.noneinbox.enable", "1"),
            ("ens.embedded", "yes"),
        ] {
            self.set(name, value)?;
        }
        Ok(())
    }

    /// The base directory's path.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One of the administrator's commands.
    pub fn sbin(&self, program: &str) -> Command {
        Command::new(self.folder.join("sbin").join(program))
    }

    /// Sets a configuration option.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        shell::capture(self.sbin("configutil").args(["-o", name, "-v", value])).map(drop)
    }

    /// Makes users, from lines `name:password` or `name:{SCHEME}hash`. Passwords given in clear are
    /// hashed cheaply: these are users for a while, and tests must not wait for them.
    pub fn import(&self, lines: &str) -> Result<()> {
        let list = self.folder.join("run/import");
        fs::write(&list, lines)?;
        let mut import = self.sbin("msguser");
        import.args(["import", "--scheme", "ssha256"]).arg(&list);
        let imported = shell::capture(&mut import);
        fs::remove_file(&list)?;
        imported.map(drop)
    }

    /// Starts the server on ports of loopback that are free at the moment.
    pub fn start_anywhere(&self) -> Result<Ports> {
        let mut failure = None;
        for _ in 0..PORT_TRIES {
            self.take_free_ports()?;
            match self.start() {
                Ok(ports) => return Ok(ports),
                Err(reason) => failure = Some(reason),
            }
        }
        Err(failure.expect("at least one try was made"))
    }

    /// Starts the server on the same ports as another that listens on another address.
    pub fn start_beside(&self, other: &Ports) -> Result<Ports> {
        self.take_free_ports()?;
        self.set("service.imap.port", &other.imap.port().to_string())?;
        self.set("service.lmtp.port", &other.lmtp.port().to_string())?;
        if let Some(imaps) = other.imaps {
            self.set("service.imap.sslport", &imaps.port().to_string())?;
        }
        self.start()
    }

    /// Sets ports of loopback that are free at the moment; returns that of IMAP.
    pub fn take_free_ports(&self) -> Result<u16> {
        let [imap, imaps, lmtp, ens] = [free_port()?, free_port()?, free_port()?, free_port()?];
        self.set("service.imap.port", &imap.to_string())?;
        self.set("service.imap.sslport", &imaps.to_string())?;
        self.set("service.lmtp.port", &lmtp.to_string())?;
        self.set("ens.port", &ens.to_string())?;
        self.set("local.store.notifyplugin.ensport", &ens.to_string())?;
        Ok(imap)
    }

    /// Starts all services as they are configured.
    pub fn start_all(&self) -> Result<()> {
        shell::capture(&mut self.sbin("start-msg")).map(drop)
    }

    /// Stops all services that run, with SIGKILL if they don't otherwise.
    pub fn stop_all(&self) -> Result<()> {
        let base = admin::Base::new(&self.folder);
        for service in [&service::WATCHER, &service::IMAP, &service::ENS] {
            if service::running(&base, service)?.is_some()
                && shell::capture(self.sbin("stop-msg").arg(service.name)).is_err()
            {
                shell::capture(self.sbin("stop-msg").args(["-f", service.name]))?;
            }
        }
        Ok(())
    }

    /// Starts the server as it is configured.
    pub fn start(&self) -> Result<Ports> {
        let said = shell::capture(self.sbin("start-msg").arg("imap"))?;
        Ok(Ports {
            imap: bound(&said, "imap")?,
            imaps: bound(&said, "imaps").ok(),
            lmtp: bound(&said, "lmtp")?,
        })
    }

    /// Stops the server in good order.
    pub fn stop(&self) -> Result<()> {
        shell::capture(self.sbin("stop-msg").arg("imap")).map(drop)
    }

    /// Kills the server with SIGKILL, if it runs, and waits until it is gone.
    pub fn kill(&self) -> Result<()> {
        let Some(pid) = self.running()? else {
            return Ok(());
        };
        let process = pidfd_open(pid, PidfdFlags::empty()).context("cannot watch the server")?;
        pidfd_send_signal(&process, Signal::KILL).context("cannot kill the server")?;
        let mut ended = [PollFd::new(&process, PollFlags::IN)];
        if poll(&mut ended, Some(&GONE_WITHIN))? == 0 {
            bail!("the killed server is still there");
        }
        Ok(())
    }

    /// The server's process, if it runs.
    pub fn running(&self) -> Result<Option<Pid>> {
        service::running(&admin::Base::new(&self.folder), &service::IMAP)
            .context("cannot read run/imapd.pid")
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        let _ = self.stop_all();
    }
}

/// A port of loopback that nobody has at the moment.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits until a server takes connections on a port of loopback.
pub fn wait_until_listening(name: &str, port: u16) -> Result<()> {
    let until = Instant::now() + LISTENS_WITHIN;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > until {
            bail!("{name} does not listen on port {port}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The address in start-msg's line `SERVICE listening on ADDRESS`.
fn bound(said: &str, service: &str) -> Result<SocketAddr> {
    let address = said
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix(service)?
                .trim()
                .strip_prefix("listening on ")
        })
        .find_map(|rest| rest.split_whitespace().next()?.parse().ok());
    address.with_context(|| format!("start-msg names no port for {service}; it said: {said}"))
}

#[cfg(test)]
mod tests {
    use super::bound;

    #[test]
    fn bound_ports_are_read_from_what_start_msg_prints() {
        let said = "starting imap\nimap listening on 127.0.0.1:40143\n\
                    lmtp listening on 127.0.0.1:40024\n";
        assert_eq!(bound(said, "imap").unwrap().port(), 40143);
        assert_eq!(bound(said, "lmtp").unwrap().port(), 40024);
        assert!(bound(said, "imaps").is_err());
    }
}
