//! The stage of proxies: HAProxy, nginx, Dovecot and Postfix lead clients to two hosts, with the
//! configurations of `docs/proxies.md`.

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use super::failures::Failures;
use crate::base::{Base, Ports};
use crate::count::Count;
use crate::install::{self, Profile};
use crate::packages::{self, drivers, folder, python};
use crate::shell;

/// The users' password.
const PASSWORD: &str = "open-sesame";
/// Where each host listens, and the user whose mail it has.
const HOSTS: [(&str, &str); 2] = [
    ("127.0.0.11", "fred@example.org"),
    ("127.0.0.12", "mary@example.org"),
];
/// What both have: a proxy with a header, one that names clients by the command ID, and a limit of
/// connections of an address that a test can reach.
const OPTIONS: [(&str, &str); 4] = [
    ("service.imap.proxyprotocol", "yes"),
    ("service.proxy.networks", "127.0.0.2"),
    ("service.imap.trustednetworks", "127.0.0.1"),
    ("service.imap.maxperaddress", "6"),
];

/// Runs every proxy in front of two fresh hosts; or those only through which clients idle, for so
/// many minutes.
pub fn run(failures: &mut Failures, idle_minutes: Option<u32>) -> Result<Count> {
    packages::install()?;
    let mut ports: Option<Ports> = None;
    let mut bases = Vec::new();
    for (address, user) in HOSTS {
        let base = Base::fresh(folder().join(address), Profile::current())?;
        for (name, value) in OPTIONS {
            base.set(name, value)?;
        }
        base.set("service.listenaddr", address)?;
        base.set("service.lmtp.listenaddr", address)?;
        base.import(&format!("{user}:{PASSWORD}\n"))?;
        certify(&base, bases.first())?;
        ports = Some(match ports {
            None => base.start_anywhere()?,
            Some(first) => base.start_beside(&first)?,
        });
        bases.push(base);
    }
    let Some((imaps, lmtp)) = ports.and_then(|of| Some((of.imaps?.port(), of.lmtp.port()))) else {
        bail!("the hosts have a certificate and do not listen for TLS");
    };
    let mut command = Command::new(python());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(drivers().join("lead.py"));
    for base in &bases {
        command.arg("--base").arg(base.folder());
    }
    command
        .args(["--imaps", &imaps.to_string()])
        .args(["--lmtp", &lmtp.to_string()])
        .args(["--password", PASSWORD, "--logs"])
        .arg(folder().join("logs"));
    if let Some(minutes) = idle_minutes {
        command.args(["--idle-minutes", &minutes.to_string()]);
    }
    let mut count = Count::default();
    let good = shell::watch(&mut command, |line| {
        count += Count::of_clients(line);
        failures.look(line);
    })?;
    if good && count.passed == 0 || !good && count.failed == 0 {
        bail!("the proxies' runner broke off");
    }
    bases.iter().try_for_each(Base::stop)?;
    Ok(count)
}

/// Makes a certificate, or takes that of the other host: they have the same authority.
fn certify(base: &Base, other: Option<&Base>) -> Result<()> {
    let of = |base: &Base| admin::Base::new(base.folder());
    install::certify(&of(base))?;
    for name in ["default.pem", "default.key"] {
        if let Some(other) = other {
            fs::copy(of(other).tls().join(name), of(base).tls().join(name))?;
        }
    }
    Ok(())
}
