//! Numbers that mailboxes and bodies have in the store of a backup are theirs after a restore, too,
//! so that their identifiers stay (RFC 8474). Those of another store are set aside before, as no
//! number may be given to two things.

use bytes::Bytes;
use mail::{MailboxId, SpoolId};

use super::{backing_up, bodies, keys, tables};
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::put::Was;
use crate::rows::u64_row;

/// The highest number that is set aside: a store goes on above it.
const NUMBER_MAX: u64 = 1 << 48;
/// The counters.
pub(super) const MAILBOXES: &str = "mailbox";
pub(super) const BODIES: &str = "body";

/// The row of [`Space::Meta`] with the numbers of a store that were set aside.
fn range_key(source: u128, counter: &str) -> Vec<u8> {
    let source = source.to_be_bytes();
    [b"numbers-of/", &source[..], counter.as_bytes()].concat()
}

/// The row that says that a mailbox of another store was made with its number: it is so once.
fn made_key(mailbox: u64) -> Vec<u8> {
    [b"made-as/", &mailbox.to_be_bytes()[..]].concat()
}

/// The first number, excluded, and the last that are set aside.
fn range(kv: &dyn Kv, source: u128, counter: &str) -> Result<Option<(u64, u64)>, Error> {
    let Some(row) = kv.get(Space::Meta, &range_key(source, counter))? else {
        return Ok(None);
    };
    let (first, last) = row.split_at_checked(8).ok_or(Error::Damaged {
        space: Space::Meta.name(),
        what: "not a range of numbers",
    })?;
    Ok(Some((u64_row(first)?, u64_row(last)?)))
}

/// Sets numbers up to one aside, as far as nothing was given them.
pub(super) fn reserve(
    txn: &mut Transaction<'_>,
    source: u128,
    counter: &str,
    to: u64,
) -> Result<(), Error> {
    if backing_up::identity(txn)? == Some(source) {
        return Ok(());
    }
    let (last, to) = (tables::counter(txn, counter)?, to.min(NUMBER_MAX));
    let from = match range(txn, source, counter)? {
        // What is above it has been given to others.
        Some((_, had)) if had != last => return Ok(()),
        Some((from, _)) => from,
        None => last,
    };
    if to > last {
        let row = [from.to_be_bytes(), to.to_be_bytes()].concat();
        txn.put(Space::Meta, &range_key(source, counter), row);
        txn.put(Space::Meta, counter.as_bytes(), keys::number(to));
    }
    Ok(())
}

fn is_set_aside(kv: &dyn Kv, (source, number): Was, counter: &str) -> Result<bool, Error> {
    let range = range(kv, source, counter)?;
    Ok(range.is_some_and(|(from, to)| from < number && number <= to))
}

/// Whether a mailbox can have the number that it had.
pub(super) fn can_keep(txn: &Transaction<'_>, was: Was) -> Result<bool, Error> {
    Ok(is_set_aside(txn, was, MAILBOXES)? && txn.get(Space::Meta, &made_key(was.1))?.is_none())
}

/// The number of a mailbox that is made.
pub(super) fn mailbox(txn: &mut Transaction<'_>, was: Option<Was>) -> Result<MailboxId, Error> {
    if let Some(was) = was
        && can_keep(txn, was)?
    {
        txn.put(Space::Meta, &made_key(was.1), vec![]);
        return Ok(MailboxId(was.1));
    }
    Ok(MailboxId(tables::next(txn, MAILBOXES)?))
}

/// The number of a body.
pub(super) enum Numbered {
    /// Nothing has it.
    Free(u64),
    /// A body with the same bytes has it, which one more message uses now.
    Shared(u64),
}

/// Whether no body and no upload has a number.
fn is_free(kv: &dyn Kv, body: u64) -> Result<bool, Error> {
    let is_spooled = kv.get(Space::Spools, &keys::number(body))?.is_some();
    Ok(!is_spooled && kv.get(Space::Bodies, &keys::piece(body, 0))?.is_none())
}

/// The number of a body that is kept.
pub(super) fn body(
    txn: &mut Transaction<'_>,
    was: Option<Was>,
    bytes: &Bytes,
) -> Result<Numbered, Error> {
    // An empty body has no rows: nobody knows whether its number is free.
    if let Some(was) = was.filter(|_| !bytes.is_empty()) {
        let is_own = backing_up::identity(txn)? == Some(was.0);
        let is_own = is_own && was.1 <= tables::counter(txn, BODIES)?;
        if is_own || is_set_aside(txn, was, BODIES)? {
            if is_free(txn, was.1)? {
                return Ok(Numbered::Free(was.1));
            }
            if has(txn, was.1, bytes)? {
                bodies::share(txn, was.1)?;
                return Ok(Numbered::Shared(was.1));
            }
        }
    }
    Ok(Numbered::Free(tables::next(txn, BODIES)?))
}

/// Whether a body has these bytes, and is no upload.
fn has(kv: &dyn Kv, body: u64, bytes: &Bytes) -> Result<bool, Error> {
    if kv.get(Space::Spools, &keys::number(body))?.is_some() {
        return Ok(false);
    }
    let mut number = 0;
    for piece in bytes.chunks(tables::PIECE_BYTES as usize) {
        let row = kv.get(Space::Bodies, &keys::piece(body, number))?;
        if row.as_deref() != Some(piece) {
            return Ok(false);
        }
        number += 1;
    }
    Ok(kv.get(Space::Bodies, &keys::piece(body, number))?.is_none())
}

/// Begins an upload with a number of another store's, if it can have that.
pub(super) fn spool(txn: &mut Transaction<'_>, was: Was) -> Result<Option<SpoolId>, Error> {
    if !is_set_aside(txn, was, BODIES)? || !is_free(txn, was.1)? {
        return Ok(None);
    }
    txn.put(Space::Spools, &keys::number(was.1), keys::number(0));
    Ok(Some(SpoolId(was.1)))
}
