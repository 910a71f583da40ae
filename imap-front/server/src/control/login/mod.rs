//! Passwords: what verified lately is remembered, cheap hashes are checked at once, costly ones by
//! [`Workers`], each only once for all who ask the same at the same time. Failures cost a growing
//! [delay](Delay).

mod attempts;
mod checks;
mod delay;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use admin::password;
use admin::users::{self, Login, User, UsersError};
use ahash::RandomState;
use mail::request::Credentials;
use mail::{Refusal, Reply};
use store::Store;

use super::Replier;
use super::fair_queue::Owner;
use super::workers::{NotDone, Workers};
use crate::bounds::{Bound, Bounds};
use crate::front::{Requester, network};
use crate::sparing::Sparing;
use crate::stalls::Stalls;
use attempts::Attempts;
use checks::{Check, Checks, Identity, Waiter};
use delay::Delay;

/// Costly checks that may wait from one address, or for one user of this host.
const GROUP_MAX: usize = 64;
/// Costly checks that may wait in all.
const ALL_MAX: usize = 4096;

/// Letters of a name that somebody failed to log in by, as they are logged.
const NAME_LOGGED_MAX: usize = 128;

/// Checks names and passwords.
pub struct Authenticator {
    login: Login,
    store: Store,
    replier: Replier,
    bounds: Arc<Bounds>,
    attempts: Attempts,
    checks: Checks,
    delay: Delay,
    workers: Workers,
    hasher: RandomState,
    computed: AtomicU64,
    lookups: Sparing,
}

impl Authenticator {
    /// Starts its threads.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(
        login: Login,
        store: Store,
        replier: Replier,
        threads: usize,
        watch: (Arc<Bounds>, Arc<Stalls>),
    ) -> io::Result<Self> {
        Ok(Self {
            login,
            store,
            bounds: watch.0.clone(),
            attempts: Attempts::default(),
            checks: Checks::default(),
            delay: Delay::start(replier.clone(), watch.0.clone())?,
            workers: Workers::start("password", threads, (GROUP_MAX, ALL_MAX), watch)?,
            replier,
            hasher: RandomState::new(),
            computed: AtomicU64::new(0),
            lookups: Sparing::default(),
        })
    }

    /// Costly passwords computed since the start.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// Who gets mail of that address: a user whose name is all of it, or else its local part.
    pub fn recipient(&self, whole: Option<&str>, local: &str) -> Reply {
        for name in whole.into_iter().chain([local]) {
            match self.login.users().find(name) {
                Ok(Some(user)) => return Reply::Recipient(Some(user.account)),
                Ok(None) => {}
                Err(error) => {
                    self.lookups.say(|more| {
                        tracing::error!("lmtp: users can't be looked up: {error}{more}");
                    });
                    let text = "users can't be looked up".into();
                    return Reply::Refused(Refusal::Unavailable(text));
                }
            }
        }
        Reply::Recipient(None)
    }

    /// Checks credentials and answers, now or later.
    pub fn handle(self: &Arc<Self>, requester: Arc<Requester>, credentials: Credentials) {
        let Credentials { user, password, .. } = &credentials;
        if let Some(known) = self.login.recall(user, password) {
            return self.answer(requester, &identity(&credentials), &Ok(Some(known)));
        }
        if self.is_cheap(user) {
            let verified = self.login.verify(user, password);
            return self.answer(requester, &identity(&credentials), &verified);
        }
        let check = self.login.fingerprint(user, password);
        let owner = self.owner(&requester, user);
        let waiter = Waiter {
            requester,
            credentials: identity(&credentials),
        };
        match self.checks.join(check, waiter) {
            Ok(false) => {}
            Ok(true) => {
                let check = Check::new(self.clone(), check, credentials);
                self.workers.run(owner, Box::new(check));
            }
            Err(waiter) => self.refuse(&waiter.requester, NotDone::TooManyOfOne),
        }
    }

    /// Addresses take turns, and the names that one of them tries. Whoever comes from this host
    /// may speak for many users: there users take turns.
    fn owner(&self, requester: &Requester, user: &str) -> Owner {
        let member = self.hasher.hash_one(user);
        let group = requester.client.map_or(member, network);
        Owner { group, member }
    }

    fn verify(&self, user: &str, password: &[u8]) -> Result<Option<User>, UsersError> {
        self.computed.fetch_add(1, Ordering::Relaxed);
        self.login.verify(user, password)
    }

    fn is_cheap(&self, name: &str) -> bool {
        match self.login.users().find(name) {
            Ok(Some(user)) => {
                password::split(&user.stored).is_ok_and(|(scheme, _)| scheme.is_cheap())
            }
            _ => false,
        }
    }

    fn answer(
        &self,
        requester: Arc<Requester>,
        asked: &Identity,
        verified: &Result<Option<User>, UsersError>,
    ) {
        let other = asked.authorization.as_deref();
        let acting = match verified {
            Ok(Some(user)) if self.is_current(user) => self.login.acting_as(user, other),
            Ok(_) => Ok(None),
            Err(error) => return self.cannot_check(&requester, error),
        };
        match acting {
            Ok(Some(user)) => {
                if !user.name.eq_ignore_ascii_case(&asked.user) {
                    tracing::info!("{:?} logs in as {}", &*asked.user, user.name);
                }
                self.attempts.succeeded(&counted(&asked.user));
                self.accept(&requester, &user);
            }
            Ok(None) => {
                log_failure(&requester, &asked.user);
                let delay = self
                    .attempts
                    .failed(&counted(&asked.user), requester.client);
                self.delay.refuse(requester, delay);
            }
            Err(error) => self.cannot_check(&requester, &error),
        }
    }

    fn cannot_check(&self, requester: &Requester, error: &UsersError) {
        tracing::error!("can't check a password: {error}");
        let why = "passwords can't be checked now, try again later";
        let reply = Reply::Refused(Refusal::Busy(why));
        self.replier.reply(requester.id, reply);
    }

    /// Whether the directory has the entry still that the password was checked against: a check
    /// takes a while.
    fn is_current(&self, user: &User) -> bool {
        let now = self.login.users().find(&user.name).ok().flatten();
        now.is_some_and(|now| {
            now.stored == user.stored && now.account == user.account && !now.locked
        })
    }

    /// The password is right: answers with the store's user, made at the first login.
    fn accept(&self, requester: &Requester, user: &User) {
        let id = requester.id;
        match self.store.user(&user.account) {
            Ok(Some(user)) => self.replier.reply(id, Reply::Authenticated(user)),
            _ => {
                let replier = self.replier.clone();
                let completion = Box::new(move |reply| replier.reply(id, reply));
                if self.store.ensure_user(&user.account, completion).is_err() {
                    self.replier.reply(id, super::busy());
                }
            }
        }
    }

    fn refuse(&self, requester: &Requester, why: NotDone) {
        let reply = match why {
            NotDone::Failed => Reply::Refused(Refusal::Bug),
            NotDone::TooManyOfOne => {
                self.bounds.meet(Bound::AddressLoginRefused);
                too_many()
            }
            NotDone::TooMany => {
                self.bounds.meet(Bound::LoginRefused);
                too_many()
            }
        };
        self.replier.reply(requester.id, reply);
    }
}

fn too_many() -> Reply {
    Reply::Refused(Refusal::Busy(
        "too many logins are waiting, try again later",
    ))
}

fn identity(credentials: &Credentials) -> Identity {
    Identity {
        user: credentials.user.clone(),
        authorization: credentials.authorization.clone(),
    }
}

/// The name whose failures are counted: the same in any case.
fn counted(user: &str) -> Box<str> {
    users::canonical(user).unwrap_or_else(|_| user.into())
}

/// The line by which whoever guards the host knows an address that guesses. The name comes from the
/// client: it is quoted, and its control characters are escaped.
fn log_failure(requester: &Requester, user: &str) {
    let user: String = user.chars().take(NAME_LOGGED_MAX).collect();
    match requester.client {
        Some(client) => {
            let client = client.to_canonical();
            tracing::warn!("login failed from {client}, user {user:?}");
        }
        None => tracing::warn!("login failed from this host, user {user:?}"),
    }
}
