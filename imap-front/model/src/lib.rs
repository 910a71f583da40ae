//! The store's in-memory model: deterministic, without clock and disk, for tests and the simulator.
//!
//! It carries requests out by the store's own rules over rows in memory, so that what it lacks is
//! exactly what a simulation supplies: when a commit happens, how long it takes, and what a crash
//! loses.

use std::collections::BTreeMap;
use std::sync::Arc;

use mail::request::Credentials;
use mail::{Event, InternalDate, Refusal, Reply, Request, UserId};
use store::kv::{Memory, Transaction};
use store::logic::{self, Rules};
use store::{Options, is_write};

/// A mail store in memory.
pub struct Model {
    rows: Memory,
    synced: Memory,
    rules: Rules,
    passwords: BTreeMap<Box<str>, Box<[u8]>>,
}

impl Default for Model {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl Model {
    /// An empty store with these limits.
    pub fn new(options: Options) -> Self {
        Self {
            rows: Memory::default(),
            synced: Memory::default(),
            rules: Rules {
                options,
                now: InternalDate {
                    unix_s: 1_000_000_000,
                    zone_min: 0,
                },
            },
            passwords: BTreeMap::new(),
        }
    }

    /// Sets the time that new messages and UIDVALIDITY are given.
    pub fn set_now(&mut self, now: InternalDate) {
        self.rules.now = now;
    }

    /// Adds a user with an INBOX; durable at once.
    pub fn add_user(&mut self, name: &str, password: &str) -> UserId {
        self.passwords
            .insert(name.into(), password.as_bytes().into());
        let user = self.ensure_user(name);
        self.sync();
        user
    }

    fn ensure_user(&mut self, name: &str) -> UserId {
        let mut txn = Transaction::new(&self.rows);
        let user = logic::ensure_user(&mut txn, &self.rules, name).expect("memory does not fail");
        let changes = txn.into_changes();
        self.rows.apply(changes);
        user
    }

    /// Carries a request out. The events are to be announced, and the reply given, once it is
    /// durable: after [`Model::sync`].
    pub fn handle(&mut self, request: Request) -> (Reply, Vec<Arc<Event>>) {
        if let Request::Authenticate(credentials) = &request {
            return (self.authenticate(credentials), vec![]);
        }
        if !is_write(&request)
            && let Some(reply) =
                logic::read(&self.rows, &self.rules, &request).expect("memory does not fail")
        {
            return (reply, vec![]);
        }
        let mut txn = Transaction::new(&self.rows);
        let outcome = logic::apply(&mut txn, &self.rules, request).expect("memory does not fail");
        let changes = txn.into_changes();
        self.rows.apply(changes);
        outcome
    }

    fn authenticate(&mut self, credentials: &Credentials) -> Reply {
        if self.passwords.get(&credentials.user) == Some(&credentials.password) {
            Reply::Authenticated(self.ensure_user(&credentials.user.clone()))
        } else {
            Reply::Refused(Refusal::Credentials)
        }
    }

    /// Makes everything so far durable.
    pub fn sync(&mut self) {
        self.synced = self.rows.clone();
    }

    /// Loses what was not durable.
    pub fn crash(&mut self) {
        self.rows = self.synced.clone();
    }
}
