//! Password checks under way: who asks the same at the same time gets the same answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use admin::users::Fingerprint;
use mail::UserId;
use zeroize::Zeroizing;

use super::counts::Scheme;
use super::{Authenticator, without_signature};
use crate::control::fair_queue::Owner;
use crate::control::workers::{NotDone, Progress, Work};
use crate::front::Requester;

/// Sessions that may wait for one check.
const WAITERS_MAX: usize = 4096;

/// A session that waits for a check.
pub(super) struct Waiter {
    pub requester: Arc<Requester>,
    pub asked: Identity,
}

/// Who a client says to be, and as whom it wants to act.
pub(super) struct Identity {
    pub user: Box<str>,
    pub authorization: Option<Box<str>>,
    /// What was shown.
    pub by: Scheme,
}

impl Identity {
    /// The name that was given, whatever is shown for it, and what that is.
    pub fn named(&self) -> (&str, Scheme) {
        match (self.by, self.authorization.as_deref()) {
            // Who has a token says at most as whom it wants to act.
            (Scheme::Token, acting) => (acting.unwrap_or_default(), self.by),
            _ => (&self.user, self.by),
        }
    }
}

/// The checks that wait or are done now, by what is checked.
#[derive(Default)]
pub(super) struct Checks {
    waiters: Mutex<HashMap<Fingerprint, Vec<Waiter>>>,
}

impl Checks {
    fn waiters(&self) -> MutexGuard<'_, HashMap<Fingerprint, Vec<Waiter>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins a check. True if it is the first to ask, and has to see to it.
    ///
    /// # Errors
    /// Gives the waiter back if too many wait for this check.
    pub fn join(&self, check: Fingerprint, waiter: Waiter) -> Result<bool, Waiter> {
        let mut all = self.waiters();
        let waiters = all.entry(check).or_default();
        if waiters.len() >= WAITERS_MAX {
            waiters.retain(|waiter| !waiter.requester.is_gone());
        }
        if waiters.len() >= WAITERS_MAX {
            return Err(waiter);
        }
        waiters.push(waiter);
        Ok(waiters.len() == 1)
    }

    /// Ends a check, for those who waited.
    fn take(&self, check: &Fingerprint) -> Vec<Waiter> {
        self.waiters().remove(check).unwrap_or_default()
    }

    fn is_wanted(&self, check: &Fingerprint) -> bool {
        let mut all = self.waiters();
        let wanted = all
            .get(check)
            .is_some_and(|waiters| waiters.iter().any(|it| !it.requester.is_gone()));
        if !wanted {
            all.remove(check);
        }
        wanted
    }
}

/// One check; the password is wiped after it.
pub(super) struct Check {
    authenticator: Arc<Authenticator>,
    owner: Owner,
    fingerprint: Fingerprint,
    user: Box<str>,
    password: Zeroizing<Box<[u8]>>,
}

impl Check {
    pub fn new(
        authenticator: Arc<Authenticator>,
        owner: Owner,
        fingerprint: Fingerprint,
        user: Box<str>,
        password: Zeroizing<Box<[u8]>>,
    ) -> Self {
        Self {
            authenticator,
            owner,
            fingerprint,
            user,
            password,
        }
    }

    fn waiters(&self) -> Vec<Waiter> {
        self.authenticator.checks.take(&self.fingerprint)
    }
}

impl Work for Check {
    fn piece(&mut self) -> Progress {
        let authenticator = &self.authenticator;
        let verified = authenticator.verify(&self.user, &self.password);
        if let Ok(Some(user)) = &verified {
            authenticator.learn(self.owner, user, &self.password);
        }
        let verified = without_signature(verified);
        for waiter in self.waiters() {
            authenticator.answer(waiter.requester, &waiter.asked, &verified);
        }
        Progress::Done
    }

    fn is_wanted(&self) -> bool {
        self.authenticator.checks.is_wanted(&self.fingerprint)
    }

    fn refuse(self: Box<Self>, why: NotDone) {
        for waiter in self.waiters() {
            self.authenticator.refuse(&waiter, why);
        }
    }

    fn about(&self) -> (&'static str, Option<UserId>) {
        ("Password", None)
    }
}

#[cfg(test)]
mod tests {
    use engine::event::{SessionId, ShardId};

    use super::*;

    #[test]
    fn the_first_sees_to_the_check_and_all_are_answered() {
        let checks = Checks::default();
        let requester = |slot| {
            let id = SessionId {
                shard: ShardId(0),
                generation: 0,
                slot,
            };
            Arc::new(Requester::new(id, None, None))
        };
        let waiter = |requester: &Arc<Requester>| Waiter {
            requester: requester.clone(),
            asked: Identity {
                user: "ann".into(),
                authorization: None,
                by: Scheme::Password,
            },
        };
        let check = [7; 16];
        let all: Vec<_> = (0..15).map(requester).collect();
        let first: Vec<bool> = all
            .iter()
            .map(|it| checks.join(check, waiter(it)).unwrap_or(true))
            .collect();
        assert_eq!(first.iter().filter(|first| **first).count(), 1);
        all.iter().skip(1).for_each(|it| it.leave());
        assert!(checks.is_wanted(&check));
        assert_eq!(checks.take(&check).len(), 15);
        checks.join(check, waiter(&all[1])).ok();
        assert!(!checks.is_wanted(&check), "its only waiter has left");
        assert!(checks.take(&check).is_empty());
    }
}
