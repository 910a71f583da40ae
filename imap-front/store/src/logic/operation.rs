//! Operations of any size: a slice at a time, with others between them.

use std::sync::Arc;

use mail::request::FlagChange;
use mail::{Delta, Event, MailboxId, ModSeq, Refusal, Reply, Uid, UidRanges, UidSet, UserId};

use super::changing::{self, Stored};
use super::copying::{self, Staging, Target};
use super::numbering;
use super::renaming::Renaming;
use super::tables::{self, task};
use super::{Applied, Rules, keeping, keys};
use crate::Error;
use crate::index_build::SharedBuild;
use crate::kv::{Kv, Space, Transaction};
use crate::put::Expiring;

/// Rows that are looked at in one turn for an index.
pub(crate) const BUILD_ROWS: usize = 4096;

/// An operation that takes more than one slice.
pub(crate) struct Operation {
    kind: Kind,
    build: Option<SharedBuild>,
    /// Another mailbox whose index is needed before it goes on.
    cold: Option<MailboxId>,
}

/// How far an operation has come.
pub(crate) enum Step {
    /// It goes on.
    More(Vec<Arc<Event>>),
    /// It can't go on yet.
    Waits,
    /// It is done; what follows needs no answer.
    Done(Box<Reply>, Vec<Arc<Event>>, Option<Operation>),
}

enum Kind {
    Store(Box<Storing>),
    Expunge(Expunging),
    /// And how many of the messages were looked at.
    Expire(Box<Expiring>, usize),
    Move(Moving),
    Copy(Box<Staging>),
    /// A COPY that came to nothing.
    Discard(MailboxId, Refusal),
    Settle(MailboxId, Uid),
    Drop(MailboxId),
    /// And whether somebody waits for it.
    Rename(Renaming, bool),
    /// A RENAME that was cut off, as its row says.
    Resume(UserId),
    /// What was expunged is given up and forgotten when it is due.
    WorkOff,
    /// An index is built, for who waits.
    Warm,
}

pub(super) struct Storing {
    id: MailboxId,
    ranges: UidRanges,
    next: Uid,
    change: FlagChange,
    since: ModSeq,
    modified: UidSet,
    own: Vec<(ModSeq, ModSeq)>,
    crossed: UidSet,
}

struct Expunging {
    id: MailboxId,
    within: Option<UidRanges>,
    next: Uid,
    since: ModSeq,
}

/// MOVE is all or nothing for each message only (RFC 6851 §3.3).
struct Moving {
    from: MailboxId,
    to: Target,
    which: Which,
    since: ModSeq,
    /// UIDs before and after, in the same order.
    source_uids: UidSet,
    uids: UidSet,
}

enum Which {
    /// Those in ranges, from a UID on.
    Chosen(UidRanges, Uid),
    /// All from a UID to another, which is excluded: INBOX is renamed.
    All(Uid, Uid),
}

impl From<Kind> for Operation {
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            build: None,
            cold: None,
        }
    }
}

impl Operation {
    pub(super) fn store(storing: Storing) -> Self {
        Kind::Store(Box::new(storing)).into()
    }

    pub fn expunge(id: MailboxId, within: Option<UidRanges>, next: Uid, since: ModSeq) -> Self {
        Kind::Expunge(Expunging {
            id,
            within,
            next,
            since,
        })
        .into()
    }

    pub fn expire(expiring: Expiring) -> Self {
        Kind::Expire(Box::new(expiring), 0).into()
    }

    pub(super) fn copy(staging: Staging) -> Self {
        Kind::Copy(Box::new(staging)).into()
    }

    pub(super) fn move_chosen(
        from: MailboxId,
        to: Target,
        ranges: UidRanges,
        since: ModSeq,
    ) -> Self {
        Self::moving(from, to, Which::Chosen(ranges, Uid(0)), since)
    }

    pub(super) fn move_all(from: MailboxId, to: Target, end: Uid) -> Self {
        Self::moving(from, to, Which::All(Uid(1), end), ModSeq(0))
    }

    fn moving(from: MailboxId, to: Target, which: Which, since: ModSeq) -> Self {
        Kind::Move(Moving {
            from,
            to,
            which,
            since,
            source_uids: UidSet::default(),
            uids: UidSet::default(),
        })
        .into()
    }

    pub fn settle(id: MailboxId) -> Self {
        Kind::Settle(id, Uid(0)).into()
    }

    pub fn drop_mailbox(id: MailboxId) -> Self {
        Kind::Drop(id).into()
    }

    pub(super) fn rename(renaming: Renaming) -> Self {
        Kind::Rename(renaming, true).into()
    }

    /// Gives up and forgets what was expunged, as far as it is due.
    pub fn work_off() -> Self {
        Kind::WorkOff.into()
    }

    /// Builds the index of a mailbox.
    pub fn warm_up(id: MailboxId) -> Self {
        Self {
            cold: Some(id),
            ..Kind::Warm.into()
        }
    }

    /// Whether it is that.
    pub fn is_work_off(&self) -> bool {
        matches!(self.kind, Kind::WorkOff)
    }

    /// What has to go on after the server was ended.
    ///
    /// # Errors
    /// If the disk fails or a row is damaged.
    pub fn unfinished(kv: &dyn Kv) -> Result<Vec<Self>, Error> {
        let mut tasks = Vec::new();
        kv.scan(Space::Tasks, &[], &[0xff; 10], false, &mut |key, _| {
            tasks.push(key.to_vec());
            std::ops::ControlFlow::Continue(())
        })?;
        let operation = |key: Vec<u8>| {
            let (kind, whose) = key.split_first()?;
            let whose = u64::from_be_bytes(whose.try_into().ok()?);
            let id = MailboxId(whose);
            match *kind {
                task::STAGED => Some(Kind::Discard(id, Refusal::NoMessage).into()),
                task::SETTLE => Some(Self::settle(id)),
                task::DROP | task::PLACING => Some(Self::drop_mailbox(id)),
                task::RENAME => Some(Kind::Resume(UserId(whose)).into()),
                _ => None,
            }
        };
        Ok(tasks.into_iter().filter_map(operation).collect())
    }

    /// The mailboxes that it changes: others that change them wait until it is done.
    pub fn mailboxes(&self) -> [MailboxId; 2] {
        match &self.kind {
            Kind::Store(storing) => [storing.id; 2],
            Kind::Expunge(expunging) => [expunging.id; 2],
            Kind::Expire(expiring, _) => [expiring.mailbox; 2],
            Kind::Move(moving) => [moving.from, moving.to.id],
            Kind::Copy(staging) => [staging.from, staging.id],
            Kind::Discard(id, _) | Kind::Settle(id, _) | Kind::Drop(id) => [*id; 2],
            // No mailbox has this id: RENAMEs take turns.
            Kind::Rename(..) | Kind::Resume(_) => [MailboxId(0); 2],
            // Nor this: each of its slices stands alone.
            Kind::WorkOff | Kind::Warm => [MailboxId(u64::MAX); 2],
        }
    }

    /// What has to be undone in slices if it can't go on, and why it can't.
    pub fn failed(&self, refusal: Refusal) -> Option<Self> {
        match &self.kind {
            Kind::Copy(staging) if staging.has_begun() => {
                Some(Kind::Discard(staging.id, refusal).into())
            }
            // Once: if it fails again the next start goes on.
            Kind::Rename(renaming, true) => Some(Kind::Resume(renaming.user).into()),
            _ => None,
        }
    }

    /// Does the next slice.
    ///
    /// # Errors
    /// If the disk fails or a row is damaged; the caller undoes the slice.
    pub fn go_on(&mut self, txn: &mut Transaction<'_>, rules: &Rules) -> Result<Step, Error> {
        if let Some(waits) = self.warm(txn)? {
            return Ok(waits);
        }
        match self.slice(txn, rules) {
            Err(Error::Cold(id)) => {
                txn.undo();
                self.cold = Some(id);
                Ok(Step::More(vec![]))
            }
            step => step,
        }
    }

    fn slice(&mut self, txn: &mut Transaction<'_>, rules: &Rules) -> Result<Step, Error> {
        let max = rules.options.slice_messages;
        match &mut self.kind {
            Kind::Store(storing) => storing.go_on(txn, rules),
            Kind::Expunge(expunging) => expunging.go_on(txn, rules),
            Kind::Expire(expiring, at) => expiring.go_on(at, txn, rules),
            Kind::Move(moving) => moving.go_on(txn, rules),
            Kind::Copy(staging) => copy(staging, txn, rules),
            Kind::Discard(id, refusal) => {
                let is_done = copying::discard_some(txn, *id, max)?;
                Ok(step(is_done, Reply::Refused(refusal.clone())))
            }
            Kind::Settle(id, next) => {
                let is_done = copying::settle_some(txn, *id, next, max)?;
                Ok(step(is_done, Reply::Done))
            }
            Kind::Rename(renaming, is_awaited) => {
                Ok(match renaming.go_on(txn, rules, *is_awaited)? {
                    Some(reply) => Step::Done(Box::new(reply), vec![], None),
                    None => Step::More(vec![]),
                })
            }
            Kind::Resume(user) => {
                let Some(renaming) = Renaming::resume(txn, *user)? else {
                    return Ok(step(true, Reply::Done));
                };
                self.kind = Kind::Rename(renaming, false);
                Ok(Step::More(vec![]))
            }
            Kind::Drop(id) => {
                let is_done = copying::drop_some(txn, rules, *id)?;
                Ok(step(is_done, Reply::Done))
            }
            Kind::WorkOff => {
                let is_done = keeping::work_off(txn, rules)?;
                Ok(step(is_done, Reply::Done))
            }
            Kind::Warm => Ok(step(true, Reply::Done)),
        }
    }

    /// What it is called in logs.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Store(_) => "a slice of Store",
            Kind::Expunge(_) => "a slice of Expunge",
            Kind::Expire(..) => "a slice of an expiry",
            Kind::Move(_) => "a slice of a move",
            Kind::Copy(..) => "a slice of Copy",
            Kind::Discard(..) => "a slice of a Copy taken back",
            Kind::Settle(..) => "a slice after Copy",
            Kind::Drop(_) => "a slice of Delete",
            Kind::Rename(..) | Kind::Resume(_) => "a slice of Rename",
            Kind::WorkOff => "a slice after Expunge",
            Kind::Warm => "a slice of a look through a mailbox",
        }
    }

    /// Looks at some rows more if the index of its mailbox has to be built before.
    fn warm(&mut self, txn: &Transaction<'_>) -> Result<Option<Step>, Error> {
        let id = match (self.cold, &self.kind) {
            (Some(id), _) => id,
            (_, Kind::Store(storing)) => storing.id,
            (_, Kind::Expunge(expunging)) => expunging.id,
            (_, Kind::Expire(expiring, _)) => expiring.mailbox,
            (_, Kind::Move(moving)) => moving.from,
            _ => return Ok(None),
        };
        let (Some(indexes), Some(base)) = (txn.indexes(), txn.base()) else {
            return Ok(None);
        };
        if self.build.is_none() {
            if !numbering::is_cold(txn, id)? {
                self.cold = None;
                return Ok(None);
            }
            self.build = indexes.build(id);
        }
        let Some(shared) = self.build.clone() else {
            return Ok(Some(Step::More(vec![])));
        };
        // A reader is at it.
        let Ok(mut build) = shared.try_lock() else {
            return Ok(Some(Step::Waits));
        };
        if numbering::build_some(base, &shared, &mut build, BUILD_ROWS)? {
            self.build = None;
        }
        Ok(Some(Step::More(vec![])))
    }
}

fn step(is_done: bool, reply: Reply) -> Step {
    match is_done {
        true => Step::Done(Box::new(reply), vec![], None),
        false => Step::More(vec![]),
    }
}

pub(super) fn refused(refusal: Refusal) -> Result<Step, Error> {
    Ok(Step::Done(Box::new(Reply::Refused(refusal)), vec![], None))
}

impl Storing {
    pub fn new(id: MailboxId, ranges: UidRanges, change: FlagChange, since: ModSeq) -> Self {
        Self {
            id,
            ranges,
            next: Uid(0),
            change,
            since,
            modified: UidSet::default(),
            own: vec![],
            crossed: UidSet::default(),
        }
    }

    /// Does the first slice, which may be all.
    pub fn begin(mut self, txn: &mut Transaction<'_>, rules: &Rules) -> Result<Applied, Error> {
        let stored = match self.store_some(txn, rules)? {
            Ok(stored) => stored,
            Err(refusal) => return super::refused(refusal),
        };
        if stored.next.is_some() {
            return Ok(Applied {
                reply: None,
                events: stored.events,
                then: Some(Operation::store(self)),
            });
        }
        let delta = changing::delta(txn, self.id, self.since, (stored.before, &stored.events))?;
        Ok((self.reply(delta), stored.events).into())
    }

    fn go_on(&mut self, txn: &mut Transaction<'_>, rules: &Rules) -> Result<Step, Error> {
        let stored = match self.store_some(txn, rules)? {
            Ok(stored) => stored,
            Err(refusal) => return refused(refusal),
        };
        if stored.next.is_some() {
            return Ok(Step::More(stored.events));
        }
        let reply = self.reply(vec![Event::more(self.id, self.since)]);
        Ok(Step::Done(Box::new(reply), stored.events, None))
    }

    fn store_some(
        &mut self,
        txn: &mut Transaction<'_>,
        rules: &Rules,
    ) -> Result<Result<Stored, Refusal>, Error> {
        let which = (&self.ranges, self.next);
        let done = changing::store_some(txn, rules, self.id, which, &self.change, self.since)?;
        if let Ok(stored) = &done {
            self.modified.union(&stored.modified);
            self.crossed.union(&stored.crossed);
            match (self.own.last_mut(), stored.own) {
                (Some((_, last)), Some(own)) if last.0 + 1 == own.0 => *last = own,
                (_, Some(own)) => self.own.push((own, own)),
                (_, None) => {}
            }
            self.next = stored.next.unwrap_or(self.next);
        }
        Ok(done)
    }

    fn reply(&mut self, delta: Delta) -> Reply {
        Reply::Stored {
            modified: std::mem::take(&mut self.modified),
            own: std::mem::take(&mut self.own),
            crossed: std::mem::take(&mut self.crossed),
            delta,
        }
    }
}

impl Expunging {
    fn go_on(&mut self, txn: &mut Transaction<'_>, rules: &Rules) -> Result<Step, Error> {
        let within = self.within.as_ref();
        let done = match changing::expunge_some(txn, rules, self.id, within, self.next)? {
            Ok(done) => done,
            Err(refusal) => return refused(refusal),
        };
        if let Some(next) = done.next {
            self.next = next;
            return Ok(Step::More(done.events));
        }
        let reply = Reply::Synced(vec![Event::more(self.id, self.since)]);
        Ok(Step::Done(Box::new(reply), done.events, None))
    }
}

impl Moving {
    fn go_on(&mut self, txn: &mut Transaction<'_>, rules: &Rules) -> Result<Step, Error> {
        let Some(source) = tables::mailbox(txn, self.from)? else {
            return refused(Refusal::NoMailbox);
        };
        let max = rules.options.slice_messages;
        let (leaving, next) = match &self.which {
            Which::Chosen(ranges, next) => {
                copying::leaving(txn, (self.from, &source), ranges, *next, max)?
            }
            Which::All(next, end) => {
                let mut leaving = Vec::new();
                let to = keys::message(self.from, *end);
                tables::rows(txn, self.from, *next, &to, |uid, row| {
                    let flags = row.flags(&source);
                    leaving.push((uid, source.resolved(uid, row), flags));
                    leaving.len() < max
                })?;
                let next = leaving.last().map(|(uid, ..)| Uid(uid.0 + 1));
                let next = next.filter(|_| leaving.len() == max);
                (leaving, next)
            }
        };
        let done = match copying::transfer(txn, rules, self.from, &leaving, self.to, true)? {
            Ok(done) => done,
            Err(refusal) => {
                copying::undo(txn, &refusal);
                return refused(refusal);
            }
        };
        self.source_uids.union(&done.from);
        self.uids.union(&done.to);
        if let Some(next) = next {
            let (Which::Chosen(_, at) | Which::All(at, _)) = &mut self.which;
            *at = next;
            return Ok(Step::More(done.events));
        }
        let reply = match self.which {
            Which::All(..) => Reply::Done,
            Which::Chosen(..) => Reply::Copied {
                uid_validity: done.uid_validity,
                from: std::mem::take(&mut self.source_uids),
                to: std::mem::take(&mut self.uids),
                delta: vec![Event::more(self.from, self.since)],
            },
        };
        Ok(Step::Done(Box::new(reply), done.events, None))
    }
}

fn copy(staging: &mut Staging, txn: &mut Transaction<'_>, rules: &Rules) -> Result<Step, Error> {
    if staging.at.is_some() {
        return match staging.go_on(txn, rules)? {
            Ok(()) => Ok(Step::More(vec![])),
            Err(refusal) => {
                copying::undo(txn, &refusal);
                Ok(nothing(staging, refusal))
            }
        };
    }
    match staging.publish(txn)? {
        Ok((uid_validity, events)) => {
            let reply = Reply::Copied {
                uid_validity,
                from: std::mem::take(&mut staging.source_uids),
                to: std::mem::take(&mut staging.uids),
                delta: vec![Event::more(staging.from, staging.since)],
            };
            Ok(Step::Done(
                Box::new(reply),
                events,
                Some(Operation::settle(staging.id)),
            ))
        }
        Err(refusal) => Ok(nothing(staging, refusal)),
    }
}

/// A COPY came to nothing: what is staged was never seen, and is removed later.
fn nothing(staging: &Staging, refusal: Refusal) -> Step {
    let discard = staging
        .has_begun()
        .then(|| Kind::Discard(staging.id, refusal.clone()).into());
    Step::Done(Box::new(Reply::Refused(refusal)), vec![], discard)
}
