//! What each request means, over any rows.
//!
//! In reading order: `keys`, `tables` (typed rows), `uids` (who is which), `catch_up` (what
//! happened since), `reading`, `naming` (mailboxes), `depositing` (messages come), `changing`
//! (flags, expunges, copies).

pub(crate) mod keys;

mod catch_up;
mod changing;
mod damage;
mod depositing;
mod naming;
mod notifications;
mod reading;
mod tables;
mod uids;

use std::sync::Arc;

use mail::{Event, InternalDate, Refusal, Reply, Request, UserId};

pub(crate) use damage::place;
pub(crate) use naming::renew_uid_validities;
pub use reading::SearchPiece;

pub(crate) use reading::search_piece;
pub(crate) use tables::{lookup_user, name_of, recover_spools, user_name};

use crate::kv::{Kv, Transaction};
use crate::{Error, Options};

/// What the store goes by besides its rows.
pub struct Rules {
    /// Limits.
    pub options: Options,
    /// Now, for messages without a date and for UIDVALIDITY.
    pub now: InternalDate,
}

/// The result of a change: the answer, and what to announce once it is durable.
pub type Outcome = (Reply, Vec<Arc<Event>>);

/// Whether a request has to go through the writer. `Open` may, to claim `\Recent`.
pub fn is_write(request: &Request) -> bool {
    use Request as R;
    match request {
        R::Authenticate(_)
        | R::List { .. }
        | R::Status { .. }
        | R::Sync { .. }
        | R::View { .. }
        | R::Fetch { .. }
        | R::Read { .. }
        | R::Search { .. }
        | R::Open { .. } => false,
        R::Create { .. }
        | R::Delete { .. }
        | R::Rename { .. }
        | R::Subscribe { .. }
        | R::Store { .. }
        | R::Expunge { .. }
        | R::Copy { .. }
        | R::Spool { .. }
        | R::Discard { .. }
        | R::Append { .. }
        | R::Deliver { .. } => true,
    }
}

/// Answers a request that changes nothing. `None` if it has to change something after all: an
/// `Open` that claims recent messages.
///
/// # Errors
/// If the disk fails or a row is damaged.
pub fn read(kv: &dyn Kv, rules: &Rules, request: &Request) -> Result<Option<Reply>, Error> {
    use Request as R;
    Ok(Some(match request {
        R::List { user, query, after } => {
            Reply::Listed(query.piece(&reading::mailboxes(kv, *user)?, after.as_ref()))
        }
        R::Status { user, name } => reading::status(kv, *user, name)?,
        R::Sync { mailbox, since } => Reply::Synced(catch_up::delta(kv, *mailbox, *since)?),
        R::View { mailbox, at } => reading::view(kv, *mailbox, *at)?,
        R::Fetch {
            mailbox,
            uids,
            want,
            budget_bytes,
        } => reading::fetch(kv, rules, *mailbox, uids, *want, *budget_bytes)?,
        R::Read {
            mailbox,
            uid,
            range,
        } => reading::piece(kv, *mailbox, *uid, range.clone())?,
        R::Search {
            mailbox,
            program,
            since,
            recent_from,
        } => reading::search(kv, *mailbox, program, *since, *recent_from)?,
        R::Open {
            user,
            name,
            read_only,
        } => return reading::open(kv, *user, name, *read_only),
        _ => return Ok(None),
    }))
}

/// Carries out a request that changes something, in a transaction.
///
/// # Errors
/// If the disk fails or a row is damaged; the caller undoes the operation.
pub fn apply(txn: &mut Transaction<'_>, rules: &Rules, request: Request) -> Result<Outcome, Error> {
    use Request as R;
    match request {
        R::Create {
            user,
            name,
            special_use,
        } => naming::create(txn, rules, user, &name, special_use),
        R::Delete { user, name } => naming::delete(txn, user, &name),
        R::Rename { user, from, to } => naming::rename(txn, rules, user, &from, &to),
        R::Subscribe { user, name, on } => naming::subscribe(txn, rules, user, &name, on),
        R::Open {
            user,
            name,
            read_only,
        } => changing::open(txn, user, &name, read_only),
        R::Store {
            mailbox,
            uids,
            mode,
            flags,
            unchanged_since,
            since,
        } => {
            let change = changing::FlagChange {
                mode,
                flags,
                unchanged_since,
            };
            changing::store(txn, rules, mailbox, &uids, &change, since)
        }
        R::Expunge {
            mailbox,
            within,
            since,
        } => changing::expunge(txn, rules, mailbox, within.as_deref(), since),
        R::Copy {
            mailbox,
            uids,
            user,
            to,
            remove,
            since,
        } => changing::copy(txn, rules, mailbox, &uids, (user, &to), remove, since),
        R::Spool { spool, chunk } => depositing::spool(txn, rules, spool, &chunk),
        R::Discard { spool } => depositing::discard(txn, spool),
        R::Append {
            user,
            name,
            flags,
            date,
            body,
        } => depositing::append(txn, rules, user, &name, (flags, date), body),
        R::Deliver { targets, body } => depositing::deliver(txn, rules, &targets, body),
        request => {
            let reply = read(txn, rules, &request)?;
            Ok((
                reply.unwrap_or(Reply::Refused(Refusal::Cannot("not a store request"))),
                vec![],
            ))
        }
    }
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

fn refused(refusal: Refusal) -> Result<Outcome, Error> {
    Ok((Reply::Refused(refusal), vec![]))
}
