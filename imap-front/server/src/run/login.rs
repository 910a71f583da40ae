//! What logins are checked by.

use std::sync::Arc;

use admin::users::{Learned, Login, ScramUse};
use admin::{Base, Config, Users};

use super::StartError;

/// Verified passwords that are remembered.
const LOGINS_REMEMBERED: usize = 64 * 1024;

/// What users and their passwords are checked by.
///
/// # Errors
/// What is wrong with `store.admins` or `service.imap.submitusers`.
pub(super) fn login(base: &Base, config: &Config, users: &Arc<Users>) -> Result<Login, StartError> {
    let path = base.verifiers();
    let learned = Learned::open(&path, users.count());
    let learned = learned.inspect_err(|error| {
        let path = path.display();
        tracing::error!("{path}: {error}; no verifiers for SCRAM are made at logins");
    });
    let wrong = |option: &'static str| {
        move |why: String| {
            let why = format!("{option}: {why}");
            StartError::Kernel("the control plane", std::io::Error::other(why))
        }
    };
    let (admins, submitters) = ("store.admins", "service.imap.submitusers");
    Login::new(users.clone(), LOGINS_REMEMBERED)
        .with_learned(learned.ok())
        .with_scram(ScramUse::named(&config.word("service.imap.scram")))
        .with_admins(&config.word(admins))
        .map_err(wrong(admins))?
        .with_submitters(&config.word(submitters))
        .map_err(wrong(submitters))
}
