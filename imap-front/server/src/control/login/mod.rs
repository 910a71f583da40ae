//! Who logs in. Of passwords, what verified lately is remembered, cheap hashes are checked at once,
//! as SCRAM's proofs and tokens are, costly ones by [`Workers`], each only once for all who ask the
//! same at the same time. Failures cost a growing [delay](Delay).

mod attempts;
mod checks;
mod counts;
mod delay;
mod learning;
mod rate;
mod sets;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use admin::password::{self, scram::Key};
use admin::users::{self, Login, User, UsersError};
use ahash::RandomState;
use ens::sparing::Sparing;
use mail::reply::Challenge;
use mail::request::{Credentials, Evidence};
use mail::{Refusal, Reply, UserId};
use store::Store;
use zeroize::Zeroizing;

use super::Replier;
use super::fair_queue::Owner;
use super::workers::{NotDone, Workers};
use crate::bounds::{Bound, Bounds};
use crate::front::{Requester, network};
use crate::lines::{Line, Lines};
use crate::refusals::Refused;
use crate::stalls::Stalls;
use crate::tokens::{TokenFault, Tokens};
use attempts::Attempts;
use checks::{Check, Checks, Identity, Waiter};
use counts::{Counts, Ended, Scheme};
use delay::Delay;
use learning::{Learn, Learning};

pub use rate::Rate;

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
    learning: Learning,
    rate: Rate,
    lines: Arc<Lines>,
    workers: Workers,
    hasher: RandomState,
    computed: AtomicU64,
    lookups: Sparing,
    unchecked: Sparing,
    tokens: Option<Arc<Tokens>>,
    counts: Counts,
}

impl Authenticator {
    /// Starts its threads.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(
        (login, (rate, lines)): (Login, (Rate, Arc<Lines>)),
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
            learning: Learning::default(),
            rate,
            lines,
            delay: Delay::start(replier.clone(), watch.0.clone())?,
            workers: Workers::start("password", threads, (GROUP_MAX, ALL_MAX), watch)?,
            replier,
            hasher: RandomState::new(),
            computed: AtomicU64::new(0),
            lookups: Sparing::default(),
            unchecked: Sparing::default(),
            tokens: None,
            counts: Counts::default(),
        })
    }

    /// Takes tokens, too, if there is something to check them by.
    pub fn with_tokens(self, tokens: Option<Arc<Tokens>>) -> Self {
        Self { tokens, ..self }
    }

    /// Costly passwords computed since the start.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// What verified lately, for a process that takes over.
    pub fn remembered(&self) -> Zeroizing<Vec<u8>> {
        self.login.hand_over_remembered()
    }

    /// Remembers what verified in another process. False if these are not its bytes.
    pub fn remember_again(&self, bytes: &[u8]) -> bool {
        self.login.take_remembered(bytes)
    }

    /// How logins have ended: what was shown, how, and how often.
    pub fn ended(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        self.counts.all()
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

    /// Whether who has logged in is an administrator.
    pub fn is_admin(&self, user: UserId) -> bool {
        let account = self.store.user_name(user);
        account.is_ok_and(|account| self.login.is_admin(&self.name_of(&account)))
    }

    /// Whether who has logged in submits messages for others.
    pub fn submits(&self, user: UserId) -> bool {
        let account = self.store.user_name(user);
        account.is_ok_and(|account| self.login.submits(&self.name_of(&account)))
    }

    /// Bytes that nobody can guess.
    pub fn fresh_key(&self) -> [u8; 32] {
        self.login.fresh_key()
    }

    /// The present name of the user of an account.
    pub fn name_of(&self, account: &str) -> Box<str> {
        self.login.users().name_of(account)
    }

    /// The account of a user, if there is one of that name.
    pub fn account_of(&self, name: &str) -> Option<Box<str>> {
        let user = self.login.users().find(name).ok().flatten();
        user.map(|user| user.account)
    }

    /// Checks credentials and answers, now or later.
    pub fn handle(self: &Arc<Self>, requester: Arc<Requester>, credentials: Credentials) {
        let Credentials {
            user,
            authorization,
            evidence,
        } = credentials;
        let by = match evidence {
            Evidence::Password(_) => Scheme::Password,
            Evidence::Token(_) => Scheme::Token,
            Evidence::Certificate | Evidence::Nameless(_) => Scheme::Certificate,
            Evidence::Proof { .. } => Scheme::Scram,
        };
        let asked = Identity {
            user,
            authorization,
            by,
        };
        match evidence {
            Evidence::Password(_)
            | Evidence::Token(_)
            | Evidence::Certificate
            | Evidence::Nameless(_)
                if !self.admits(&requester, asked.named()) => {}
            // It belongs to no challenge, which would have been counted.
            Evidence::Proof { ref proof, .. }
                if proof.is_empty() && !self.admits(&requester, asked.named()) => {}
            Evidence::Password(password) => {
                self.handle_password(requester, asked, Zeroizing::new(password));
            }
            Evidence::Token(token) => self.handle_token(requester, asked, &Zeroizing::new(token)),
            Evidence::Certificate => self.vouched(requester, &asked),
            Evidence::Nameless(why) => self.nameless(requester, &asked, why),
            Evidence::Proof {
                auth_message,
                proof,
            } => {
                let login = &self.login;
                let proved = login.check_proof(&asked.user, auth_message.as_bytes(), &proof);
                let proved = proved.map(|it| it.map(|(user, key)| (user, Some(key))));
                self.answer(requester, &asked, &proved);
            }
        }
    }

    /// The token names the user, whoever its holder says to be.
    fn handle_token(&self, requester: Arc<Requester>, asked: Identity, token: &[u8]) {
        let (claimed, by) = (asked.authorization, asked.by);
        let Some(tokens) = &self.tokens else {
            let wrong = Refusal::Credentials;
            return self.fail(requester, (&claimed.unwrap_or_default(), by), wrong, None);
        };
        match tokens.check(token) {
            Ok(user) => {
                let asked = Identity {
                    user,
                    authorization: claimed,
                    by,
                };
                self.vouched(requester, &asked);
            }
            Err(fault @ TokenFault::Expired) => {
                // It was right once, and is no guess: its client learns at once that it needs
                // another.
                self.counts.count(by, Ended::Expired);
                self.lines.put(Line::Failed {
                    who: requester.who(),
                    name: shortened(&claimed.unwrap_or_default()),
                    why: Some(fault.to_string().into()),
                    expired: true,
                });
                let reply = Reply::Refused(Refusal::Credentials);
                self.replier.reply(requester.id, reply);
            }
            Err(fault) => {
                let refusal = match fault {
                    TokenFault::Scope(_) => Refusal::Scope,
                    _ => Refusal::Credentials,
                };
                let (name, why) = (claimed.unwrap_or_default(), fault.to_string());
                self.fail(requester, (&name, by), refusal, Some(why));
            }
        }
    }

    /// Something else than a password has shown who it is.
    fn vouched(&self, requester: Arc<Requester>, asked: &Identity) {
        let found = self.login.vouched(&asked.user);
        self.answer(requester, asked, &without_signature(found));
    }

    /// The certificate is a good one, and has no name that could be a user's.
    fn nameless(&self, requester: Arc<Requester>, asked: &Identity, why: &'static str) {
        let told = format!("its certificate names nobody: {why}");
        let refusal = Refusal::Certificate(why);
        self.fail(requester, (&asked.user, asked.by), refusal, Some(told));
    }

    fn handle_password(
        self: &Arc<Self>,
        requester: Arc<Requester>,
        asked: Identity,
        password: Zeroizing<Box<[u8]>>,
    ) {
        let user = &*asked.user;
        if let Some(known) = self.login.recall(user, &password) {
            return self.answer(requester, &asked, &Ok(Some((known, None))));
        }
        let owner = self.owner(&requester, user);
        if self.is_cheap(user) {
            let verified = self.login.verify(user, &password);
            if let Ok(Some(user)) = &verified {
                self.learn(owner, user, &password);
            }
            return self.answer(requester, &asked, &without_signature(verified));
        }
        let check = self.login.fingerprint(user, &password);
        let user = asked.user.clone();
        let waiter = Waiter { requester, asked };
        match self.checks.join(check, waiter) {
            Ok(false) => {}
            Ok(true) => {
                let check = Check::new(self.clone(), owner, check, user, password);
                self.workers.run(owner, Box::new(check));
            }
            Err(waiter) => self.refuse(&waiter, NotDone::TooManyOfOne),
        }
    }

    /// Whether the address may try a login now; it is answered if not. A proof belongs to a
    /// challenge, which was counted.
    fn admits(&self, requester: &Requester, (name, by): (&str, Scheme)) -> bool {
        let admits = self.rate.admits(requester.client);
        if !admits {
            self.counts.count(by, Ended::Limited);
            self.bounds.meet(Bound::LoginRate);
            self.turn_away(requester, name, Refused::Rate);
            let why = "too many logins from your address, try again in a minute";
            let reply = Reply::Refused(Refusal::Limit(why));
            self.replier.reply(requester.id, reply);
        }
        admits
    }

    /// Answers what a client of SCRAM makes its proof of.
    pub fn challenge(&self, requester: &Requester, user: &str) {
        if !self.admits(requester, (user, Scheme::Scram)) {
            return;
        }
        match self.login.challenge(user) {
            Ok(challenge) => {
                let challenge = Challenge {
                    salt: challenge.salt,
                    iterations: challenge.iterations,
                    nonce: challenge.nonce,
                };
                let reply = Reply::Challenged(challenge);
                self.replier.reply(requester.id, reply);
            }
            Err(error) => self.cannot_check((requester, Scheme::Scram), &error),
        }
    }

    /// Whether SCRAM is to be offered to clients; how it was if the users can't be read now.
    pub fn offers_scram(&self, before: bool) -> bool {
        self.login.offers_scram().unwrap_or(before)
    }

    /// How many verifiers were learned.
    pub fn learned(&self) -> usize {
        self.login.learned()
    }

    /// Has a verifier made of a password that is right, if that is wanted and not too many are.
    fn learn(self: &Arc<Self>, owner: Owner, user: &User, password: &Zeroizing<Box<[u8]>>) {
        if self.login.can_learn(user) && self.learning.may_begin() {
            let learn = Learn::new(self.clone(), user.clone(), password.clone());
            self.workers.run(owner, Box::new(learn));
        }
    }

    /// Addresses take turns, the names that one of them tries, and a name that many of them try.
    /// Whoever comes from this host may speak for many users: there users take turns. Addresses
    /// that have failed lately hold up no others, and who was right before nobody.
    fn owner(&self, requester: &Requester, user: &str) -> Owner {
        let user = counted(user);
        let member = self.hasher.hash_one(&user);
        Owner {
            group: requester.client.map_or(member, network),
            member,
            standing: self.attempts.standing(&user, requester.client),
        }
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

    fn answer(&self, requester: Arc<Requester>, asked: &Identity, verified: &Verified) {
        let other = asked.authorization.as_deref();
        let (acting, signature) = match verified {
            Ok(Some((user, signature))) if self.is_current(user) => {
                (self.login.acting_as(user, other), signature.as_ref())
            }
            Ok(_) => (Ok(None), None),
            Err(error) => return self.cannot_check((&requester, asked.by), error),
        };
        match acting {
            Ok(Some(user)) => {
                if !user.name.eq_ignore_ascii_case(&asked.user) {
                    self.lines.put(Line::ActsAs {
                        who: requester.who(),
                        user: user.name.clone(),
                        by: shortened(&asked.user),
                    });
                }
                self.attempts
                    .succeeded(&counted(&asked.user), requester.client);
                self.counts.count(asked.by, Ended::Ok);
                self.accept(&requester, &user, signature);
            }
            Ok(None) => {
                let wrong = Refusal::Credentials;
                self.fail(requester, (&asked.user, asked.by), wrong, None);
            }
            Err(error) => self.cannot_check((&requester, asked.by), &error),
        }
    }

    /// Refuses a login, later the more have failed. The line is the one by which whoever guards the
    /// host knows an address that guesses; of a token or certificate it says what is wrong.
    fn fail(
        &self,
        requester: Arc<Requester>,
        (user, by): (&str, Scheme),
        refusal: Refusal,
        why: Option<String>,
    ) {
        self.counts.count(by, Ended::Failed);
        self.lines.put(Line::Failed {
            who: requester.who(),
            name: shortened(user),
            why: why.map(Box::from),
            expired: false,
        });
        let delay = self.attempts.failed(&counted(user), requester.client);
        self.delay.refuse(requester, refusal, delay);
    }

    fn cannot_check(&self, (requester, by): (&Requester, Scheme), error: &UsersError) {
        self.counts.count(by, Ended::Unavailable);
        self.unchecked
            .say(|more| tracing::error!("can't check a login: {error}{more}"));
        let why = "logins can't be checked now, try again later";
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

    /// The password is right, or the proof, whose answer is then signed: answers with the store's
    /// user, made at the first login.
    fn accept(&self, requester: &Requester, user: &User, signature: Option<&Key>) {
        let id = requester.id;
        let signature: Option<Box<[u8]>> = signature.map(|key| key[..].into());
        match self.store.user(&user.account) {
            Ok(Some(user)) => self.replier.reply(id, signed(user, signature)),
            _ => {
                let replier = self.replier.clone();
                let completion = Box::new(move |reply| match reply {
                    Reply::Authenticated(user) => replier.reply(id, signed(user, signature)),
                    other => replier.reply(id, other),
                });
                if self.store.ensure_user(&user.account, completion).is_err() {
                    self.replier.reply(id, super::busy());
                }
            }
        }
    }

    fn refuse(&self, waiter: &Waiter, why: NotDone) {
        let (requester, (name, by)) = (&*waiter.requester, waiter.asked.named());
        self.counts.count(by, Ended::Unavailable);
        let bound = match why {
            NotDone::Failed => {
                let reply = Reply::Refused(Refusal::Bug);
                return self.replier.reply(requester.id, reply);
            }
            NotDone::TooManyOfOne => Bound::AddressLoginRefused,
            NotDone::TooMany => Bound::LoginRefused,
        };
        self.bounds.meet(bound);
        self.turn_away(requester, name, Refused::Waiting);
        self.replier.reply(requester.id, too_many());
    }

    /// The line of a login that was not looked at.
    fn turn_away(&self, requester: &Requester, name: &str, what: Refused) {
        let (who, name) = (requester.who(), shortened(name));
        self.lines.put(Line::Refused { who, what, name });
    }
}

fn too_many() -> Reply {
    Reply::Refused(Refusal::Busy(
        "too many logins are waiting, try again later",
    ))
}

/// The user whose password or proof is right, and the server's signature if it was a proof.
type Verified = Result<Option<(User, Option<Key>)>, UsersError>;

fn without_signature(verified: Result<Option<User>, UsersError>) -> Verified {
    verified.map(|it| it.map(|user| (user, None)))
}

fn signed(user: UserId, signature: Option<Box<[u8]>>) -> Reply {
    match signature {
        Some(signature) => Reply::Proved { user, signature },
        None => Reply::Authenticated(user),
    }
}

/// The name whose failures are counted: the same in any case.
fn counted(user: &str) -> Box<str> {
    users::canonical(user).unwrap_or_else(|_| user.into())
}

/// A name that comes from a client, as much of it as is logged.
fn shortened(name: &str) -> Box<str> {
    name.chars()
        .take(NAME_LOGGED_MAX)
        .collect::<String>()
        .into()
}
