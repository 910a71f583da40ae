//! The services of a base directory: which there are, in which order, and what each needs.

pub mod environment;
mod pid_file;
mod process;
pub mod refreshed;
mod upgrade;
mod watch;

use std::ffi::{OsStr, OsString};

pub use pid_file::{is_replaced, running};
pub use process::{
    LAUNCH, Progress, READY_FD, Refreshed, ServiceError, exec, forget_dead, launch, refresh, start,
    stop,
};
pub use upgrade::upgrade;
pub use watch::{died, watch};

use crate::{Base, Config};

/// A service that is a process.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// What `start-msg` calls it.
    pub name: &'static str,
    /// Its program in `lib/`.
    pub program: &'static str,
    /// The switch that enables it.
    pub enable: &'static str,
}

/// Starts the others again when they die.
pub static WATCHER: Service = Service {
    name: "watcher",
    program: "watcher",
    enable: "local.watcher.enable",
};
/// The event notification broker.
pub static ENS: Service = Service {
    name: "ens",
    program: "enpd",
    enable: "local.ens.enable",
};
/// IMAP and LMTP, and the store.
pub static IMAP: Service = Service {
    name: "imap",
    program: "imapd",
    enable: "service.imap.enable",
};
/// What the store is called on command lines. It lives in `imapd`; starting it recovers and
/// checks it.
pub const STORE: &str = "store";
/// What `start-msg` is told to have a new version take over from the one that runs.
pub const UPGRADE: &str = "upgrade";
/// High availability: the watcher gives up instead of starting anything again.
pub const HA: &str = "ha";

/// Names that `start-msg` and `stop-msg` take, in the order in which services start.
pub const NAMES: [&str; 4] = ["watcher", "ens", STORE, "imap"];

impl Service {
    /// The service of that name, if it is a process.
    pub fn named(name: &OsStr) -> Option<&'static Self> {
        [&WATCHER, &ENS, &IMAP]
            .into_iter()
            .find(|service| service.name == name)
    }

    /// Whether the configuration wants it. A broker that is a part of `imapd` is no process.
    pub fn is_enabled(&self, config: &Config) -> bool {
        config.switch(self.enable) && !(self == &ENS && config.switch("ens.embedded"))
    }

    /// The arguments of its program.
    pub fn arguments(&self, base: &Base, config: &Config) -> Vec<OsString> {
        if self != &ENS {
            return vec![];
        }
        let mut arguments = Vec::new();
        for (flag, option) in [
            ("--listen", "service.listenaddr"),
            ("--port", "ens.port"),
            ("--tls-port", "ens.sslport"),
            ("--max-connections", "ens.maxconnections"),
            ("--write-timeout", "ens.writetimeout"),
            ("--keepalive", "ens.keepalive"),
            ("--spin", "ens.spin"),
            ("--max-subscriptions", "ens.maxsubscriptions"),
            ("--max-all-subscriptions", "ens.maxallsubscriptions"),
        ] {
            arguments.extend([flag.into(), config.value(option).into()]);
        }
        for (flag, option) in [
            ("--max-pending", "ens.maxpending"),
            ("--max-subscription-bytes", "ens.maxsubscriptionbytes"),
            (
                "--max-all-subscription-bytes",
                "ens.maxallsubscriptionbytes",
            ),
        ] {
            let bytes = config.count(option).to_string();
            arguments.extend([flag.into(), bytes.into()]);
        }
        for (flag, option) in [
            ("--no-landlock", "service.landlock"),
            ("--no-seccomp", "service.seccomp"),
            ("--no-restricted-rings", "service.restrictrings"),
        ] {
            arguments.extend((!config.switch(option)).then(|| flag.into()));
        }
        arguments.extend(["--certificates".into(), base.tls().into()]);
        arguments.extend(["--control".into(), base.broker_control().into()]);
        arguments.extend(["--refreshed".into(), base.refreshed(self.program).into()]);
        arguments.extend((config.word("ssl.minversion") == "tls1.3").then(|| "--tls13".into()));
        if config.count("ens.shards") > 0 {
            arguments.extend(["--shards".into(), config.value("ens.shards").into()]);
        }
        if let Some(socket) = config.path("ens.socket") {
            arguments.extend(["--socket".into(), base.root().join(socket).into()]);
        }
        arguments.extend(of_site(base, config));
        arguments
    }
}

/// What makes the broker one of several.
fn of_site(base: &Base, config: &Config) -> Vec<OsString> {
    let mut arguments = vec![];
    if config.value("ens.nats.url").is_empty() {
        return arguments;
    }
    for (flag, option) in [("--nats", "ens.nats.url"), ("--nats-site", "ens.nats.site")] {
        arguments.extend([flag.into(), config.value(option).into()]);
    }
    let scope = config.word("ens.nats.scope");
    arguments.extend(["--nats-scope".into(), scope.into()]);
    let most = config.count("ens.nats.maxpending").to_string();
    arguments.extend(["--nats-pending".into(), most.into()]);
    for (flag, option) in [
        ("--nats-credentials", "ens.nats.credentials"),
        ("--nats-ca", "ens.nats.ca"),
        ("--nats-certificate", "ens.nats.certificate"),
    ] {
        if let Some(path) = config.path(option) {
            arguments.extend([flag.into(), base.root().join(path).into()]);
        }
    }
    arguments
}

/// Tells `start-msg` that this program, which it started, serves.
///
/// # Errors
/// If it can't be told.
pub fn report_ready() -> std::io::Result<()> {
    use std::io::Write as _;
    let Some(number) = std::env::var(READY_FD)
        .ok()
        .and_then(|number| number.parse::<u32>().ok())
    else {
        return Ok(());
    };
    let pipe = std::fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/self/fd/{number}"));
    writeln!(pipe?, "ready")
}

/// Checks names of services as the command line gives them.
///
/// # Errors
/// The first name that is none of this release's services.
pub fn check_names<'a>(names: impl IntoIterator<Item = &'a OsStr>) -> Result<(), String> {
    match names
        .into_iter()
        .find(|name| !NAMES.iter().any(|known| known == name))
    {
        None => Ok(()),
        Some(name) => Err(format!(
            "there is no service {} in this release; there are {}",
            name.to_string_lossy(),
            NAMES.join(", ")
        )),
    }
}
