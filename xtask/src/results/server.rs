//! A study of one server: started anew, on a store whose users had all been there before. What a
//! new user's mailbox costs is not what a session costs.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::kernel::Tuned;
use super::relative;
use crate::base::{Base, Ports};
use crate::install::Profile;
use crate::{paths, shell};

/// Runs loadgen with these arguments against a server with so many users; the report goes to
/// `folder`.
pub(super) fn run(arguments: &[String], users: u32, folder: &Path) -> Result<()> {
    let _tuned = Tuned::for_connections(users);
    let base = prepared(&People::cheap(users))?;
    let ports = base.start_anywhere()?;
    shell::run(
        load(&base, &ports)
            .args(arguments)
            .arg("--out")
            .arg(relative(folder)),
    )?;
    base.stop()
}

/// What users of a base are like.
pub(super) struct People {
    /// How many.
    pub(super) count: u32,
    /// `--scheme` of `loadgen users`.
    pub(super) scheme: &'static str,
    /// `--auth` of `loadgen idle`.
    pub(super) auth: &'static str,
    /// Options of the server.
    pub(super) options: &'static [(&'static str, &'static str)],
}

impl People {
    /// With a hash that costs nothing, who log in by LOGIN.
    pub(super) fn cheap(count: u32) -> Self {
        Self {
            count,
            scheme: "ssha256",
            auth: "login",
            options: &[],
        }
    }
}

/// Where the key by which tokens are checked is below the base directory.
pub(super) const ISSUER_FILE: &str = "config/issuer.pem";

/// A base directory with users whose mailboxes are there, and which lets them all in.
pub(super) fn prepared(people: &People) -> Result<Base> {
    let base = Base::fresh(paths::target().join("results"), Profile::current())?;
    // The kernel deals connections out by chance: a shard gets more than its share.
    let sessions_max = (people.count + people.count / 8).max(1000);
    base.set("service.imap.maxsessions", &sessions_max.to_string())?;
    for (name, value) in people.options {
        base.set(name, value)?;
    }
    let count = people.count.to_string();
    let mut users = base.sbin("loadgen");
    users.args(["users", "--count", &count, "--scheme", people.scheme]);
    base.import(&shell::capture(&mut users)?)?;
    if people.auth == "oauthbearer" {
        let key = shell::capture(base.sbin("loadgen").arg("issuer"))?;
        fs::write(base.folder().join(ISSUER_FILE), key).context("cannot write the issuer's key")?;
    }
    let ports = base.start_anywhere()?;
    let mut visit = load(&base, &ports);
    visit.args([
        "--sessions",
        &count,
        "--deliveries",
        "0",
        "--auth",
        people.auth,
    ]);
    visit.args(["--setup-concurrency", "1024", "--settle-seconds", "0"]);
    visit.args(["--patience-seconds", "120"]);
    shell::capture(&mut visit)?;
    base.stop()?;
    Ok(base)
}

/// `loadgen idle` against a started server, which it may look into and start again.
pub(super) fn load(base: &Base, ports: &Ports) -> Command {
    let root = relative(base.folder()).display().to_string();
    let mut load = base.sbin("loadgen");
    load.arg("idle")
        .args(["--imap", &ports.imap.to_string()])
        .args(["--lmtp", &ports.lmtp.to_string()])
        .args(["--server-pid-file", &format!("{root}/run/imapd.pid")])
        .args([
            "--server-statistics",
            &format!("{root}/run/imapd.statistics"),
        ])
        .arg("--restart-command")
        .arg(format!(
            "{root}/sbin/stop-msg imap && {root}/sbin/start-msg imap"
        ))
        .current_dir(paths::root());
    load
}

/// Makes the users that loadgen logs in.
pub(super) fn add_users(base: &Base, count: &str) -> Result<()> {
    let mut users = base.sbin("loadgen");
    base.import(&shell::capture(users.args(["users", "--count", count]))?)
}
