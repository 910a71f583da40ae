//! The study of churn, half an hour of it: sessions come, idle, act and go under an oracle.

use std::path::Path;

use anyhow::Result;

use super::server::add_users;
use super::{Study, relative};
use crate::base::Base;
use crate::install::Profile;
use crate::{paths, shell};

/// Its sessions, mailboxes and minutes.
pub(super) const ARGUMENTS: &[&str] = &[
    "--sessions",
    "50000",
    "--mailboxes",
    MAILBOXES,
    "--minutes",
    "30",
];
/// A user each.
const MAILBOXES: &str = "40000";

/// Runs the study against a server of its own; the report goes to `folder`.
pub(super) fn run(study: &Study, folder: &Path) -> Result<()> {
    let base = Base::fresh(paths::target().join("results"), Profile::current())?;
    add_users(&base, MAILBOXES)?;
    let ports = base.start_anywhere()?;
    let mut load = base.sbin("loadgen");
    load.arg("soak")
        .args(["--imap", &ports.imap.to_string()])
        .args(["--lmtp", &ports.lmtp.to_string()])
        .args(study.arguments)
        .arg("--out")
        .arg(relative(folder))
        .current_dir(paths::root());
    if let Some(server) = base.running()? {
        load.args(["--server-pid", &server.as_raw_nonzero().to_string()]);
    }
    shell::run(&mut load)?;
    base.stop()
}
