//! What each request means, over any rows.
//!
//! In reading order: `keys`, `tables` (typed rows), `access` (whose a name is, and what one may
//! do), `acl` (who may do what), `numbering` (which message has which number),
//! `catch_up` (what happened since), `resync` (what a client has missed), `reading`, `fetching`,
//! `searching`, `texts` (of headers, for searches), `arranging` (SORT and THREAD), `naming` and
//! `renaming` (mailboxes), `keywords` (their places), `news` (what is announced), `watching` (what
//! sessions watch beside), `limits` and `quotas` (what there is room for), `metadata`,
//! `signing` (URLAUTH), `depositing`, `appending` and `replacing` (messages come), `choosing`
//! (which are meant), `changing` (flags, expunges), `keeping` (what was expunged), `copying` and
//! `bodies`, `operation` (what takes many slices), `backing_up` and `putting` (backups and
//! restores).

pub(crate) mod keys;

mod access;
mod acl;
#[cfg(test)]
mod acl_tests;
mod appending;
#[cfg(test)]
mod arrange_tests;
mod arranging;
mod backing_up;
mod bodies;
mod catch_up;
#[cfg(test)]
mod catch_up_tests;
mod changing;
mod choosing;
mod copying;
mod damage;
mod depositing;
mod expiring;
mod fetching;
mod filling;
#[cfg(test)]
mod index_tests;
pub(crate) mod keeping;
mod keywords;
mod limits;
mod made;
#[cfg(test)]
mod made_tests;
mod metadata;
mod naming;
mod news;
mod notifications;
mod numbering;
mod numbers;
mod operation;
mod putting;
mod quotas;
mod reading;
mod renaming;
mod replacing;
mod resync;
#[cfg(test)]
mod search_tests;
mod searching;
mod signing;
#[cfg(test)]
mod slice_tests;
mod tables;
mod texts;
mod watching;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use mail::request::{CopyHow, NewMessage};
use mail::{
    Event, InView, InternalDate, MailboxId, MailboxName, ModSeq, Refusal, Reply, Request, Rights,
    Uid, UidRanges, UserId,
};

pub(crate) use arranging::Arranging;
pub(crate) use backing_up::{
    backed_up, commit_of, frozen_bytes, frozen_changes, frozen_entries, frozen_expunges,
    frozen_limits, frozen_mailbox, frozen_messages, frozen_names, usage, user_after,
};
pub(crate) use damage::place;
pub(crate) use made::{Made, keep_made};
pub(crate) use naming::renew_uid_validities;
pub(crate) use news::of as news_of;
pub(crate) use numbers::{Block, forget_uploads, identity, mark};

use copying::Target;
use fetching::Source;
use made::MadeStructures;
pub(crate) use numbering::build_some;
use operation::Storing;
pub(crate) use operation::{BUILD_ROWS, Operation, Step};
pub(crate) use putting::put;
pub(crate) use reading::{Counting, status_with_deleted};
pub(crate) use searching::{Findings, Search};
pub(crate) use tables::{
    check_body, lookup_user, mailbox, name_of, named_mailbox, note_claim, recover_spools, user_name,
};

use crate::kv::{Kv, Transaction};
use crate::read_caches::ReadCaches;
use crate::{Error, Options};

/// Messages to be looked at from which on the texts of all their neighbours' headers are gathered:
/// a few are looked at sooner.
const TEXTS_MIN: u64 = 256;

/// Bodies, and how they begin.
pub(crate) type BodiesCame = Vec<(u64, Bytes)>;

/// What the store goes by besides its rows.
pub struct Rules {
    /// Limits.
    pub options: Options,
    /// Now, for messages without a date and for UIDVALIDITY.
    pub now: InternalDate,
    /// Whose numbers bodies get, once the store is open.
    pub(crate) block: OnceLock<Block>,
    /// What reads keep.
    pub(crate) caches: OnceLock<ReadCaches>,
    /// Structures that had to be made and are to be kept with their messages.
    pub(crate) made: MadeStructures,
    /// How many messages have to be looked at for texts of headers to be gathered.
    pub(crate) texts_min: u64,
    /// What mailboxes are called that changed lately.
    pub(crate) names: news::NamesKept,
    /// Bodies that came to be kept, if that is to be noted.
    pub(crate) came: Option<Mutex<BodiesCame>>,
}

impl Rules {
    /// Those of a store with such options, now.
    pub(crate) fn new(options: Options) -> Self {
        Self {
            now: (options.now)(),
            options,
            block: OnceLock::new(),
            caches: OnceLock::new(),
            made: MadeStructures::default(),
            texts_min: TEXTS_MIN,
            names: news::NamesKept::default(),
            came: None,
        }
    }

    fn note_body(&self, body: u64, begins: Bytes) {
        if let Some(came) = &self.came {
            let mut came = came.lock().unwrap_or_else(PoisonError::into_inner);
            came.push((body, begins));
        }
    }

    /// Bodies that were noted since this was last asked.
    pub(crate) fn take_bodies(&self) -> BodiesCame {
        let came = self.came.as_ref();
        let came = came.map(|it| it.lock().unwrap_or_else(PoisonError::into_inner));
        came.map_or_else(Vec::new, |mut came| std::mem::take(&mut *came))
    }

    /// What reads keep.
    pub(crate) fn caches(&self) -> &ReadCaches {
        self.caches.get_or_init(ReadCaches::default)
    }

    /// Whose numbers bodies get.
    pub(crate) fn block(&self) -> Block {
        *self.block.get().unwrap_or(&Block::UNMARKED)
    }

    /// Now, in seconds.
    fn now_s(&self) -> u64 {
        u64::try_from(self.now.unix_s).unwrap_or(0)
    }

    /// The account of the user who logs in with a name, if there is one.
    fn account(&self, name: &str) -> Option<Box<str>> {
        match &self.options.directory {
            Some(directory) => directory.account(name),
            None => Some(name.into()),
        }
    }

    /// The name by which an account's user logs in; none if nobody does, or somebody else.
    fn present_name(&self, account: &str) -> Option<Box<str>> {
        let name = match &self.options.directory {
            Some(directory) => directory.name(account),
            None => account.into(),
        };
        let is_theirs = self.account(&name).is_some_and(|it| &*it == account);
        is_theirs.then_some(name)
    }
}

/// The result of a change.
pub(crate) struct Applied {
    /// The answer; none yet if it goes on.
    pub reply: Option<Reply>,
    /// What to announce once it is durable.
    pub events: Vec<Arc<Event>>,
    /// How it goes on, slice by slice.
    pub then: Option<Operation>,
}

impl From<(Reply, Vec<Arc<Event>>)> for Applied {
    fn from((reply, events): (Reply, Vec<Arc<Event>>)) -> Self {
        Self {
            reply: Some(reply),
            events,
            then: None,
        }
    }
}

impl From<Operation> for Applied {
    fn from(operation: Operation) -> Self {
        Self {
            reply: None,
            events: vec![],
            then: Some(operation),
        }
    }
}

/// Answers a request that changes nothing. `None` if it changes something.
///
/// # Errors
/// If the disk fails or a row is damaged; [`Error::Cold`] if an index has to be built before,
/// [`Error::Moved`] if a newer view is needed.
pub(crate) fn read(kv: &dyn Kv, rules: &Rules, request: &Request) -> Result<Option<Reply>, Error> {
    use Request as R;
    Ok(Some(match request {
        R::List { user, query, after } => {
            let infos = reading::mailboxes(kv, rules, *user, query)?;
            Reply::Listed(query.piece(&infos, after.as_ref()))
        }
        R::Acl {
            user,
            name,
            question,
        } => acl::answer(kv, rules, (*user, name), question)?,
        R::Status { user, name, .. } => reading::status(kv, rules, *user, name)?,
        R::Quota { user, of, is_admin } => quotas::get(kv, rules, *user, of, *is_admin)?,
        R::Metadata {
            user,
            mailbox,
            query,
        } => metadata::get(kv, rules, *user, mailbox.as_ref(), query)?,
        R::OpenUrl { user, url, submits } => signing::open(kv, rules, *user, url, *submits)?,
        R::Watched {
            user,
            scope,
            only,
            needs,
            max,
        } => watching::watched(kv, rules, (*user, scope), (only, *needs), *max)?,
        R::Sync { mailbox, since } => reading::sync(kv, rules, *mailbox, *since)?,
        R::View { mailbox, at } => reading::view(kv, rules, *mailbox, *at)?,
        R::Changes {
            mailbox,
            since,
            upto,
            known,
            vanished,
        } => {
            let span = (*since, *upto);
            resync::changes(kv, rules, *mailbox, span, known, *vanished)?
        }
        R::Fetch {
            mailbox,
            uids,
            want,
            budget_bytes,
        } => {
            let want = (*want, Source::Any);
            match fetching::fetch(kv, rules, (*mailbox, uids), want, *budget_bytes)? {
                Some(reply) => reply,
                None => Reply::Refused(Refusal::Bug),
            }
        }
        R::Read {
            mailbox,
            uid,
            range,
        } => fetching::piece(kv, *mailbox, *uid, range.clone())?,
        R::Decode {
            mailbox,
            uid,
            range,
            decoder,
            only_size,
        } => {
            let of = (range.clone(), *decoder);
            fetching::decode(kv, *mailbox, *uid, of, *only_size)?
        }
        R::Search {
            mailbox,
            program,
            since,
            recent_from,
        } => {
            let search = Search {
                mailbox: *mailbox,
                program,
                recent_from: *recent_from,
            };
            let mut findings = Findings::default();
            loop {
                if let Some(reply) = search.go_on(kv, rules, *since, &mut findings)? {
                    break reply;
                }
            }
        }
        // Claimed where claims are kept: in memory.
        R::Claim { .. } => Reply::Done,
        R::Open { user, name, .. } => reading::open(kv, rules, *user, name)?,
        _ => return Ok(None),
    }))
}

/// Answers a FETCH of structures or headers as far as those are in memory; none if the first is
/// not.
///
/// # Errors
/// As [`read`].
pub(crate) fn fetch_known(
    kv: &dyn Kv,
    rules: &Rules,
    request: &Request,
) -> Result<Option<Reply>, Error> {
    match request {
        Request::Fetch {
            mailbox,
            uids,
            want,
            budget_bytes,
        } => {
            let want = (*want, Source::Known);
            fetching::fetch(kv, rules, (*mailbox, uids), want, *budget_bytes)
        }
        _ => Ok(None),
    }
}

/// Carries out a request that changes something, in a transaction.
///
/// # Errors
/// If the disk fails or a row is damaged; the caller undoes the operation.
pub(crate) fn apply(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    request: Request,
) -> Result<Applied, Error> {
    use Request as R;
    match request {
        R::Create {
            user,
            name,
            special_use,
        } => naming::create(txn, rules, user, &name, special_use),
        R::Delete { user, name } => naming::delete(txn, rules, user, &name),
        R::Rename { user, from, to } => naming::rename(txn, rules, user, &from, &to),
        R::Subscribe { user, name, on } => naming::subscribe(txn, rules, user, &name, on),
        R::SetAcl {
            user,
            name,
            identifier,
            mode,
            rights,
        } => acl::set(txn, rules, (user, &name), &identifier, (mode, rights)),
        R::SetQuota {
            whose,
            limits,
            is_admin,
            ..
        } => quotas::set(txn, rules, &whose, limits, is_admin),
        R::SetMetadata {
            user,
            mailbox,
            entries,
            is_admin,
        } => metadata::set(txn, rules, user, mailbox.as_ref(), entries, is_admin),
        R::SignUrls { user, urls, fresh } => signing::sign(txn, rules, user, &urls, fresh.as_ref()),
        R::ResetKeys { user, mailbox } => signing::reset(txn, rules, user, mailbox.as_ref()),
        R::Store {
            mailbox,
            ranges,
            change,
            since,
        } => {
            let storing = Storing::new(mailbox, ranges, change, since);
            if numbering::is_cold(txn, mailbox)? {
                return Ok(Operation::store(storing).into());
            }
            storing.begin(txn, rules)
        }
        R::Expunge {
            mailbox,
            within,
            since,
        } => expunge(txn, rules, mailbox, within, since),
        R::Close { user, mailbox } => close(txn, rules, user, mailbox),
        R::Copy {
            mailbox,
            messages,
            user,
            to,
            how,
            since,
        } => copy(txn, rules, mailbox, (messages, since), (user, &to), how),
        request => take_in(txn, rules, request),
    }
}

/// Messages come.
fn take_in(txn: &mut Transaction<'_>, rules: &Rules, request: Request) -> Result<Applied, Error> {
    use Request as R;
    match request {
        R::Spool { spool, chunk } => depositing::spool(txn, rules, spool, &chunk),
        R::Discard { spool } => depositing::discard(txn, spool),
        R::Append {
            user,
            name,
            flags,
            date,
            body,
        } => {
            let message = NewMessage { flags, date, body };
            appending::append_one(txn, rules, user, &name, message)
        }
        R::AppendAll {
            user,
            name,
            messages,
        } => appending::append_all(txn, rules, user, &name, messages),
        R::Replace {
            user,
            mailbox,
            uid,
            since,
            name,
            message,
        } => replacing::replace(txn, rules, (user, &name), (mailbox, uid, since), *message),
        R::Deliver {
            targets,
            body,
            submitter,
        } => depositing::deliver(txn, rules, &targets, (body, submitter)),
        _ => refused(Refusal::Cannot("not a change")),
    }
}

fn close(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    user: UserId,
    id: MailboxId,
) -> Result<Applied, Error> {
    let Some(row) = tables::mailbox(txn, id)? else {
        return refused(Refusal::NoMailbox);
    };
    match access::rights(txn, id, &row, user)?.contains(Rights::EXPUNGE) {
        true => expunge(txn, rules, id, None, row.modseq),
        false => Ok((Reply::Done, vec![]).into()),
    }
}

fn expunge(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    id: MailboxId,
    within: Option<UidRanges>,
    since: ModSeq,
) -> Result<Applied, Error> {
    if numbering::is_cold(txn, id)? {
        return Ok(Operation::expunge(id, within, Uid(0), since).into());
    }
    let done = match changing::expunge_some(txn, rules, id, within.as_ref(), Uid(0))? {
        Ok(done) => done,
        Err(refusal) => return refused(refusal),
    };
    if let Some(next) = done.next {
        return Ok(Applied {
            reply: None,
            events: done.events,
            then: Some(Operation::expunge(id, within, next, since)),
        });
    }
    let delta = changing::delta(txn, id, since, (done.before, &done.events))?;
    Ok((Reply::Synced(delta), done.events).into())
}

fn copy(
    txn: &mut Transaction<'_>,
    rules: &Rules,
    from: MailboxId,
    (messages, since): (InView, ModSeq),
    (user, to): (UserId, &MailboxName),
    how: CopyHow,
) -> Result<Applied, Error> {
    let Some(source) = tables::mailbox(txn, from)? else {
        return refused(Refusal::NoMailbox);
    };
    // RFC 6851 §4.2 for what a MOVE needs.
    let needed = match how {
        CopyHow::Move => Rights::READ | Rights::DELETE_MESSAGES | Rights::EXPUNGE,
        _ => Rights::READ,
    };
    let has = access::rights(txn, from, &source, user)?;
    if !has.contains(needed) {
        return refused(access::denied(has));
    }
    let target = match access::may(txn, rules, user, to, Rights::INSERT)? {
        Ok(target) => target,
        Err(refusal) => return refused(refusal),
    };
    let to = Target {
        id: target.id,
        rights: target.rights,
    };
    if !numbering::is_cold(txn, from)? {
        let (max, of) = (rules.options.slice_messages, (from, &source));
        let (some, next) = match how {
            CopyHow::Move => copying::leaving(txn, of, &messages.ranges, Uid(0), max)?,
            _ => choosing::in_view(txn, of, (&messages, since), Uid(0), max)?,
        };
        let is_whole = some.len() as u32 >= messages.count;
        match (next, how) {
            (None, CopyHow::Whole) if !is_whole => return refused(Refusal::NoMessage),
            (None, _) => return copying::copy(txn, rules, of, (&some, since), (to, how)),
            (Some(_), _) => {}
        }
    }
    Ok(match how {
        CopyHow::Move => Operation::move_chosen(from, to, messages.ranges, since),
        how => Operation::copy(copying::Staging::new(from, to, (messages, since), how)),
    }
    .into())
}

/// The user of that name, made with an INBOX if they were not known.
///
/// # Errors
/// If the disk fails or a row is damaged.
pub fn ensure_user(txn: &mut Transaction<'_>, rules: &Rules, name: &str) -> Result<UserId, Error> {
    match lookup_user(txn, name)? {
        Some(user) => Ok(user),
        None => naming::make_user(txn, rules, name),
    }
}

fn refused(refusal: Refusal) -> Result<Applied, Error> {
    Ok((Reply::Refused(refusal), vec![]).into())
}
