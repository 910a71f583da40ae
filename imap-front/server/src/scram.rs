//! Whether SCRAM is offered: looked at again when the users have changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use admin::Users;
use proto::imap::SessionConfig;

use crate::control::Authenticator;

/// What sessions see, and what it was decided by.
pub struct Scram {
    offered: Arc<AtomicBool>,
    /// The directory's version, and how many verifiers were learned.
    seen: Option<(u64, usize)>,
}

impl Scram {
    /// Of sessions with this configuration; not looked at yet.
    pub fn new(session: &SessionConfig) -> Self {
        Self {
            offered: session.scram.clone(),
            seen: None,
        }
    }

    /// Looks whether users or verifiers have come or gone.
    pub fn look(&mut self, users: &Users, authenticator: &Authenticator) {
        let now = (users.version(), authenticator.learned());
        if self.seen.replace(now) == Some(now) {
            return;
        }
        let before = self.offered.load(Ordering::Relaxed);
        let offered = authenticator.offers_scram(before);
        self.offered.store(offered, Ordering::Relaxed);
        match (before, offered) {
            (false, true) => tracing::info!("SCRAM-SHA-256 is offered"),
            (true, false) => tracing::info!(
                "SCRAM-SHA-256 is not offered any more: a user has no verifier for it"
            ),
            _ => {}
        }
    }
}
