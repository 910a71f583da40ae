//! An in-memory model of the mail store: what each request means, written as plainly as possible.
//!
//! In reading order: [`Model`] (the requests), `state` (users, names, mailboxes), `access` (who may
//! do what), `catch_up` (what happened since), `listing`, `watching`, `acl`, `naming`, `quotas`,
//! `metadata`, `signing`, `depositing`, `changing`, `replacing`, `reading`.
//!
//! It is an oracle and a stand-in. As an oracle it shares no code with the durable store, so that
//! a test may run both and compare. As a stand-in it serves the simulator: it is deterministic,
//! has no clock, and can lose what was not made durable.
//!
//! Invariants: a change is lost by [`Model::crash`] unless [`Model::sync`] came after it; uploads
//! never survive a crash.

mod access;
mod acl;
mod catch_up;
mod changing;
mod depositing;
mod listing;
mod making;
mod metadata;
mod naming;
mod quotas;
mod reading;
mod replacing;
mod signing;
mod state;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mail::reply::Challenge;
use mail::request::{Credentials, Evidence};
use mail::{Event, InternalDate, Namespaces, News, Refusal, Reply, Request, UserId};

use state::State;

/// Limits that the model goes by; 0 is without limit for both parts of the quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message in bytes.
    pub message_bytes_max: u64,
    /// Bytes that each user may keep.
    pub quota_bytes: u64,
    /// Messages that each user may keep.
    pub quota_messages: u64,
    /// Keywords that one mailbox may have.
    pub keywords_max: usize,
    /// Names that one user may have: mailboxes, and subscriptions to what is not there.
    pub names_max: usize,
    /// Bytes of the largest value of an entry of metadata.
    pub metadata_value_bytes_max: u64,
    /// What entries of metadata of one user may take, in bytes.
    pub metadata_bytes_max: u64,
    /// Messages up to this size come along with a `Fetch`.
    pub inline_bytes_max: u64,
    /// Whether rights may be given to `anyone`.
    pub anyone: bool,
    /// Entries that an access control list may have.
    pub acl_entries_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 50 << 20,
            quota_bytes: 0,
            quota_messages: 0,
            keywords_max: 64,
            names_max: 10_000,
            metadata_value_bytes_max: 16 << 10,
            metadata_bytes_max: 1 << 20,
            inline_bytes_max: 64 << 10,
            anyone: true,
            acl_entries_max: 64,
        }
    }
}

/// An exchange of SCRAM-SHA-256 that the model knows by heart: it computes none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scram {
    /// What it challenges any client with.
    pub challenge: Challenge,
    /// Whose proof this is.
    pub user: Box<str>,
    /// What the proof is made of.
    pub auth_message: Box<str>,
    /// The proof.
    pub proof: Box<[u8]>,
    /// What the server shows that it knows.
    pub signature: Box<[u8]>,
}

/// The result of a request: the answer, and what to announce once it is durable.
pub type Outcome = (Reply, Vec<Arc<Event>>);

/// The model: lives wherever a store would; values only, so cloning one forks the world.
///
/// Requests come in by [`Model::handle`]; [`Model::sync`] and [`Model::crash`] model the disk;
/// [`Model::add_user`] and [`Model::remove_user`] are the administrator.
#[derive(Clone, Debug)]
pub struct Model {
    now: InternalDate,
    limits: Limits,
    passwords: BTreeMap<Box<str>, Box<[u8]>>,
    scram: Option<Scram>,
    admins: BTreeSet<Box<str>>,
    submitters: BTreeSet<Box<str>>,
    state: State,
    durable: State,
    dirty: bool,
}

impl Default for Model {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Model {
    /// An empty store. Its time is 2001-09-09T01:46:40Z until [`Model::set_now`].
    pub fn new(limits: Limits) -> Self {
        let now = InternalDate {
            unix_s: 1_000_000_000,
            zone_min: 0,
        };
        let state = State {
            now,
            ..State::default()
        };
        Self {
            now,
            limits,
            passwords: BTreeMap::new(),
            scram: None,
            admins: BTreeSet::new(),
            submitters: BTreeSet::new(),
            durable: state.clone(),
            state,
            dirty: false,
        }
    }

    /// Sets the time that messages without a date and UIDVALIDITY are given.
    pub fn set_now(&mut self, now: InternalDate) {
        self.now = now;
        // No crash loses it.
        (self.state.now, self.durable.now) = (now, now);
    }

    /// Sets where others' mailboxes lie among a user's names: at first, nowhere. Durable at once.
    pub fn set_namespaces(&mut self, namespaces: Namespaces) {
        self.state.namespaces = namespaces.clone();
        self.durable.namespaces = namespaces;
    }

    /// Lets a user log in by that password, and gives them their INBOX. Durable at once.
    pub fn add_user(&mut self, name: &str, password: &str) -> UserId {
        self.passwords
            .insert(name.into(), password.as_bytes().into());
        let user = self.ensure_user(name);
        self.sync();
        user
    }

    /// Lets a user, who is there, log in by this exchange.
    pub fn add_scram(&mut self, scram: Scram) {
        self.scram = Some(scram);
    }

    /// Makes a user an administrator.
    pub fn add_admin(&mut self, name: &str) {
        self.admins.insert(name.into());
    }

    /// Lets a user submit messages for others.
    pub fn add_submitter(&mut self, name: &str) {
        self.submitters.insert(name.into());
    }

    /// Keeps a user from logging in. Their mail stays.
    pub fn remove_user(&mut self, name: &str) {
        self.passwords.remove(name);
    }

    /// The user of that name, with an INBOX, whether they may log in or not.
    pub fn ensure_user(&mut self, name: &str) -> UserId {
        self.dirty = true;
        making::ensure_user(&mut self.state, self.now, name)
    }

    /// The user of that name, if the store knows them.
    pub fn user_id(&self, name: &str) -> Option<UserId> {
        self.state.users.get(name).copied()
    }

    /// Whether a crash would lose something.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Makes all that was done durable. Costs a shallow copy: mailboxes are shared until changed.
    pub fn sync(&mut self) {
        if std::mem::take(&mut self.dirty) {
            self.durable = self.state.clone();
        }
    }

    /// Loses all that was not made durable, and all uploads, and starts again.
    pub fn crash(&mut self) {
        self.dirty = false;
        self.state = self.durable.clone();
        self.state.spools.clear();
        self.durable.spools.clear();
    }

    /// Uploads under way.
    pub fn uploads(&self) -> usize {
        self.state.spools.len()
    }

    /// Answers a request, and says what is to be announced if it changed something. The answer to
    /// a change is to be held back until [`Model::sync`].
    pub fn handle(&mut self, mut request: Request) -> Outcome {
        use Request as R;
        if let R::Quota { user, is_admin, .. }
        | R::SetQuota { user, is_admin, .. }
        | R::SetMetadata { user, is_admin, .. } = &mut request
        {
            *is_admin |= quotas::is_admin(&self.state, &self.admins, *user);
        }
        match request {
            R::Metadata {
                user,
                mailbox,
                query,
            } => {
                let reply = metadata::get(&self.state, user, mailbox.as_ref(), &query);
                (reply, vec![])
            }
            R::Quota { user, of, is_admin } => {
                let reply = quotas::get(&self.state, &self.limits, user, &of, is_admin);
                (reply, vec![])
            }
            R::OpenUrl {
                user,
                url,
                mut submits,
            } => {
                submits |= quotas::is_admin(&self.state, &self.submitters, user);
                (
                    signing::open(&self.state, self.now, user, &url, submits),
                    vec![],
                )
            }
            R::Authenticate(credentials) => (self.authenticate(&credentials), vec![]),
            R::Recipient { whole, local } => {
                let mut names = whole.into_iter().chain([local]);
                let found = names.find(|name| self.passwords.contains_key(&**name));
                (Reply::Recipient(found), vec![])
            }
            R::Challenge { .. } => {
                let challenge = self.scram.as_ref().map(|it| it.challenge.clone());
                let none = Reply::Refused(Refusal::Credentials);
                (challenge.map_or(none, Reply::Challenged), vec![])
            }
            R::List { .. }
            | R::Status { .. }
            | R::Watched { .. }
            | R::Acl { .. }
            | R::Sync { .. }
            | R::View { .. }
            | R::Changes { .. }
            | R::Fetch { .. }
            | R::Read { .. }
            | R::Decode { .. }
            | R::Search { .. }
            | R::Arrange { .. } => {
                let reply = reading::answer(&self.state, &self.limits, self.now, request);
                (reply, vec![])
            }
            request => {
                self.state.name_changes.clear();
                self.dirty |= request.is_write() || request.claims();
                self.change(request)
            }
        }
    }

    /// What is announced of a change, whose events these are: to be asked before the next one.
    pub fn news(&mut self, events: Vec<Arc<Event>>) -> Vec<News> {
        watching::news(&mut self.state, events)
    }

    fn change(&mut self, request: Request) -> Outcome {
        use Request as R;
        let (state, limits, now) = (&mut self.state, &self.limits, self.now);
        let context = naming::Context {
            now,
            names_max: limits.names_max,
        };
        match request {
            R::Create {
                user,
                name,
                special_use,
            } => naming::create(state, context, user, &name, special_use),
            R::Delete { user, name } => naming::delete(state, user, &name),
            R::Rename { user, from, to } => naming::rename(state, context, user, &from, &to),
            R::Subscribe { user, name, on } => naming::subscribe(state, context, user, &name, on),
            R::SetAcl {
                user,
                name,
                identifier,
                mode,
                rights,
            } => acl::set(state, limits, (user, &name), &identifier, (mode, rights)),
            R::SetMetadata {
                user,
                mailbox,
                entries,
                is_admin,
            } => metadata::set(state, limits, user, mailbox.as_ref(), entries, is_admin),
            R::SignUrls { user, urls, fresh } => signing::sign(state, user, &urls, fresh.as_ref()),
            R::ResetKeys { user, mailbox } => signing::reset(state, user, mailbox.as_ref()),
            R::SetQuota {
                whose,
                limits: to,
                is_admin,
                ..
            } => quotas::set(state, limits, &whose, to, is_admin),
            R::Open {
                user,
                name,
                read_only,
            } => reading::open(state, user, &name, read_only),
            R::Claim { mailbox, below } => reading::claim(state, mailbox, below),
            R::Store {
                mailbox,
                ranges,
                change,
                since,
            } => changing::store(state, limits, mailbox, &ranges, &change, since),
            R::Expunge {
                mailbox,
                within,
                since,
            } => changing::expunge(state, mailbox, within.as_ref(), since),
            R::Close { user, mailbox } => changing::close(state, mailbox, user),
            R::Copy {
                mailbox,
                messages,
                user,
                to,
                how,
                since,
            } => {
                let copy = changing::CopyOrMove {
                    from: mailbox,
                    messages: &messages,
                    how,
                    since,
                };
                changing::copy(state, limits, &copy, user, &to)
            }
            request => self.take_in(request),
        }
    }

    /// Messages come.
    fn take_in(&mut self, request: Request) -> Outcome {
        use Request as R;
        let (state, limits, now) = (&mut self.state, &self.limits, self.now);
        match request {
            R::Spool { spool, chunk } => depositing::spool(state, limits, spool, &chunk),
            R::Discard { spool } => {
                state.spools.remove(&spool);
                (Reply::Done, vec![])
            }
            R::Append {
                user,
                name,
                flags,
                date,
                body,
            } => {
                let row = (flags, date.unwrap_or(now));
                depositing::append(state, limits, user, &name, row, body)
            }
            R::AppendAll {
                user,
                name,
                messages,
            } => depositing::append_all(state, limits, now, user, &name, messages),
            R::Replace {
                user,
                mailbox,
                uid,
                since,
                name,
                message,
            } => {
                let old = (mailbox, uid, since);
                replacing::replace(state, (limits, now), (user, &name), old, *message)
            }
            R::Deliver {
                targets,
                body,
                submitter,
            } => depositing::deliver(state, limits, now, &targets, (body, submitter)),
            _ => refused(Refusal::Cannot("not a change")),
        }
    }

    fn authenticate(&mut self, credentials: &Credentials) -> Reply {
        let acts_as = credentials
            .authorization
            .as_ref()
            .unwrap_or(&credentials.user);
        let signature = match &credentials.evidence {
            Evidence::Password(password) => self
                .passwords
                .get(&credentials.user)
                .is_some_and(|known| known == password)
                .then_some(None),
            Evidence::Proof {
                auth_message,
                proof,
            } => self
                .scram
                .as_ref()
                .filter(|it| it.user == credentials.user)
                .filter(|it| it.auth_message == *auth_message && it.proof == *proof)
                .map(|it| Some(it.signature.clone())),
            // It knows neither issuers of tokens nor authorities.
            Evidence::Token(_) | Evidence::Certificate | Evidence::Nameless(_) => None,
        };
        let Some(signature) = signature.filter(|_| *acts_as == credentials.user) else {
            return Reply::Refused(Refusal::Credentials);
        };
        let user = match self.user_id(&credentials.user) {
            Some(user) => user,
            None => self.ensure_user(&credentials.user),
        };
        match signature {
            None => Reply::Authenticated(user),
            Some(signature) => Reply::Proved { user, signature },
        }
    }
}

fn refused(refusal: Refusal) -> Outcome {
    (Reply::Refused(refusal), vec![])
}
