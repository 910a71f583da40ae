//! Verifiers for SCRAM made at logins: some milliseconds of a worker's time each, so a few in a
//! second.
#![expect(
    clippy::disallowed_methods,
    reason = "what is made in a second goes by the machine's clock"
)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use admin::users::User;
use ens::sparing::Sparing;
use mail::UserId;
use zeroize::Zeroizing;

use super::Authenticator;
use crate::control::workers::{NotDone, Progress, Work};

/// Verifiers that are made in a second: at most a tenth of a core's time. Who comes in between is
/// learned at a later login.
const LEARNED_A_SECOND: u32 = 16;

/// How many were begun lately.
#[derive(Default)]
pub(super) struct Learning {
    second: Mutex<(Option<Instant>, u32)>,
    failures: Sparing,
}

impl Learning {
    /// Whether one more may be begun now; it counts then.
    pub fn may_begin(&self) -> bool {
        self.may_begin_at(Instant::now())
    }

    fn may_begin_at(&self, now: Instant) -> bool {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, count) = &mut *second;
        if began.is_none_or(|it| now.saturating_duration_since(it) >= Duration::from_secs(1)) {
            (*began, *count) = (Some(now), 0);
        }
        *count += 1;
        *count <= LEARNED_A_SECOND
    }
}

/// One that is to be made; the password is wiped after it.
pub(super) struct Learn {
    authenticator: Arc<Authenticator>,
    user: User,
    password: Zeroizing<Box<[u8]>>,
}

impl Learn {
    pub fn new(
        authenticator: Arc<Authenticator>,
        user: User,
        password: Zeroizing<Box<[u8]>>,
    ) -> Self {
        Self {
            authenticator,
            user,
            password,
        }
    }
}

impl Work for Learn {
    fn piece(&mut self) -> Progress {
        let Authenticator {
            login, learning, ..
        } = &*self.authenticator;
        // Another login of the same user may have been first.
        if login.can_learn(&self.user)
            && let Err(error) = login.learn(&self.user, &self.password)
        {
            learning.failures.say(|more| {
                tracing::error!("can't keep a verifier for SCRAM: {error}{more}");
            });
        }
        Progress::Done
    }

    fn is_wanted(&self) -> bool {
        true
    }

    /// It is made at a later login.
    fn refuse(self: Box<Self>, _: NotDone) {}

    fn about(&self) -> (&'static str, Option<UserId>) {
        ("Verifier", None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_made_in_a_second() {
        let learning = Learning::default();
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let begun = (0..3000).filter(|ms| learning.may_begin_at(at(*ms)));
        assert_eq!(begun.count(), 3 * LEARNED_A_SECOND as usize);
    }
}
