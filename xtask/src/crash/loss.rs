//! A store that has lost mail, as an administrator meets it: what start-msg says, refuses and does.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail, ensure};

use super::lmtp::{Lmtp, Outcome};
use crate::base::Base;
use crate::install::Profile;
use crate::{paths, shell};

/// Messages that are delivered before the damage.
const MESSAGES: usize = 20;
/// Where the journal is damaged: within its first commits.
const DAMAGED_AT: u64 = 200;

/// Damages the journal of a store that was stopped; start-msg must refuse it, say what is lost and
/// what to do, and start once the loss is accepted.
pub fn check(profile: Profile) -> Result<()> {
    let base = Base::fresh(paths::target().join("loss"), profile)?;
    base.import("loser:loser\n")?;
    let ports = base.start_anywhere()?;
    let mut lmtp = Lmtp::connect(ports.lmtp)?;
    for number in 0..MESSAGES {
        let outcomes = lmtp.deliver(
            &["loser"],
            &format!("Subject: {number}\r\n\r\n{number}\r\n"),
        )?;
        ensure!(outcomes == [Outcome::Accepted], "{outcomes:?}");
    }
    drop(lmtp);
    base.stop()?;
    let journal = base.folder().join("data/db/0.jnl");
    let file = OpenOptions::new().write(true).open(&journal);
    file.with_context(|| format!("no {}", journal.display()))?
        .write_all_at(&[0xee; 4], DAMAGED_AT)?;
    for _ in 0..2 {
        let refused = base.sbin("start-msg").output()?;
        let said = [&refused.stdout[..], &refused.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        if refused.status.code() != Some(1) {
            bail!("start-msg ended with {} and said {said}", refused.status);
        }
        for part in ["damaged from byte", "data/damaged-", "--accept-loss"] {
            ensure!(
                said.contains(part),
                "start-msg did not say {part:?}: {said}"
            );
        }
        ensure!(base.running()?.is_none(), "what is lost is served");
    }
    let said = shell::capture(base.sbin("start-msg").arg("--accept-loss"))?;
    ensure!(said.contains("was accepted"), "{said}");
    base.stop()?;
    // What was accepted once needs no word any more.
    shell::capture(base.sbin("start-msg").arg("imap"))?;
    println!("a damaged store was refused, said, and served once the loss was accepted");
    base.stop()
}
