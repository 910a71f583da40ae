//! Typed rows.

use std::ops::ControlFlow::{Break, Continue};
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use mail::{MailboxId, MailboxName, ModSeq, Uid, UidValidity, UserId};

use super::keys;
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::rows::{Account, Mailbox, MessageRow, Name, u64_row};

/// Bytes in each piece of a body but the last.
pub(super) const PIECE_BYTES: u64 = 64 << 10;

/// Tasks in [`Space::Tasks`].
pub(super) mod task {
    /// A COPY was not finished: what was staged is removed.
    pub const STAGED: u8 = 1;
    /// Rows of batches get mod-sequences of their own.
    pub const SETTLE: u8 = 2;
    /// A mailbox has lost its name: its rows are removed.
    pub const DROP: u8 = 3;
    /// Names of a user are moved: from one, to another.
    pub const RENAME: u8 = 4;
    /// A mailbox is being filled and has no name yet: what it replaces, its name, its figures.
    pub const PLACING: u8 = 5;
}

pub(crate) fn lookup_user(kv: &dyn Kv, name: &str) -> Result<Option<UserId>, Error> {
    match kv.get(Space::Users, name.as_bytes())? {
        Some(row) => Ok(Some(UserId(u64_row(&row)?))),
        None => Ok(None),
    }
}

pub(super) fn account(kv: &dyn Kv, user: UserId) -> Result<Account, Error> {
    match kv.get(Space::Accounts, &keys::number(user.0))? {
        Some(row) => Account::decode(&row),
        None => Ok(Account::default()),
    }
}

pub(crate) fn user_name(kv: &dyn Kv, user: UserId) -> Result<String, Error> {
    account(kv, user).map(|account| account.name)
}

pub(super) fn put_account(txn: &mut Transaction<'_>, user: UserId, account: &Account) {
    txn.put(Space::Accounts, &keys::number(user.0), account.encode());
}

/// A user uses less.
pub(super) fn refund(
    txn: &mut Transaction<'_>,
    user: UserId,
    bytes: u64,
    messages: u64,
) -> Result<(), Error> {
    let mut row = account(txn, user)?;
    row.bytes = row.bytes.saturating_sub(bytes);
    row.messages = row.messages.saturating_sub(messages);
    put_account(txn, user, &row);
    Ok(())
}

pub(super) fn name(kv: &dyn Kv, user: UserId, name: &MailboxName) -> Result<Name, Error> {
    match kv.get(Space::Names, &keys::name(user, name.as_str()))? {
        Some(row) => Name::decode(&row),
        None => Ok(Name::default()),
    }
}

/// Sets a name's row, or removes it if it says nothing; its user's row counts it.
pub(super) fn put_name(
    txn: &mut Transaction<'_>,
    user: UserId,
    name: &MailboxName,
    row: &Name,
) -> Result<(), Error> {
    let key = keys::name(user, name.as_str());
    let (was, is) = (
        txn.get(Space::Names, &key)?.is_some(),
        row.exists || row.subscribed,
    );
    if is {
        txn.put(Space::Names, &key, row.encode());
    } else {
        txn.delete(Space::Names, &key);
    }
    if was == is {
        return Ok(());
    }
    let mut account = account(txn, user)?;
    if let Some(names) = &mut account.names {
        *names = match is {
            true => names.saturating_add(1),
            false => names.saturating_sub(1),
        };
        put_account(txn, user, &account);
    }
    Ok(())
}

/// How many rows of names a user has. In a base that is older than the count they are counted once.
pub(super) fn names(txn: &mut Transaction<'_>, user: UserId) -> Result<usize, Error> {
    let mut account = account(txn, user)?;
    if let Some(names) = account.names {
        return Ok(names as usize);
    }
    let count = count_names(txn, user)?;
    account.names = Some(count);
    put_account(txn, user, &account);
    Ok(count as usize)
}

/// Rows of names of a user, counted one by one.
pub(super) fn count_names(kv: &dyn Kv, user: UserId) -> Result<u32, Error> {
    let (from, to) = keys::names(user);
    let mut count = 0;
    kv.scan(Space::Names, &from, &to, false, &mut |_, _| {
        count += 1;
        Continue(())
    })?;
    Ok(count)
}

pub(crate) fn mailbox(kv: &dyn Kv, id: MailboxId) -> Result<Option<Mailbox>, Error> {
    match kv.get(Space::Mailboxes, &keys::number(id.0))? {
        Some(row) => Mailbox::decode(&row).map(Some),
        None => Ok(None),
    }
}

/// Notes that messages below a UID were claimed as recent.
pub(crate) fn note_claim(txn: &mut Transaction<'_>, id: MailboxId, from: Uid) -> Result<(), Error> {
    if let Some(mut row) = mailbox(txn, id)?
        && row.recent_from < from
    {
        row.recent_from = from;
        put_mailbox(txn, id, &row);
    }
    Ok(())
}

/// The mailbox of a name, with its id.
pub(crate) fn named_mailbox(
    kv: &dyn Kv,
    user: UserId,
    wanted: &MailboxName,
) -> Result<Option<(MailboxId, Mailbox)>, Error> {
    match name(kv, user, wanted)?.mailbox {
        Some(id) => Ok(mailbox(kv, id)?.map(|row| (id, row))),
        None => Ok(None),
    }
}

/// Whose a mailbox is, and its name.
pub(crate) fn name_of(kv: &dyn Kv, id: MailboxId) -> Result<Option<(UserId, MailboxName)>, Error> {
    let Some(row) = mailbox(kv, id)? else {
        return Ok(None);
    };
    let (from, to) = keys::names(row.user);
    let mut found = None;
    kv.scan(Space::Names, &from, &to, false, &mut |key, value| {
        let is_it = Name::decode(value).is_ok_and(|name| name.mailbox == Some(id));
        if is_it {
            found = Some(MailboxName::new(&String::from_utf8_lossy(&key[8..])));
            Break(())
        } else {
            Continue(())
        }
    })?;
    Ok(found.map(|name| (row.user, name)))
}

pub(super) fn put_mailbox(txn: &mut Transaction<'_>, id: MailboxId, row: &Mailbox) {
    txn.put(Space::Mailboxes, &keys::number(id.0), row.encode());
}

/// A message that can be seen.
pub(super) fn message(
    kv: &dyn Kv,
    id: MailboxId,
    mailbox: &Mailbox,
    uid: Uid,
) -> Result<Option<MessageRow>, Error> {
    if uid >= mailbox.uid_next {
        return Ok(None);
    }
    match kv.get(Space::Messages, &keys::message(id, uid))? {
        Some(row) => Ok(Some(mailbox.resolved(uid, MessageRow::decode(&row)?))),
        None => Ok(None),
    }
}

/// All messages of a mailbox that can be seen, by UID.
pub(super) fn messages(
    kv: &dyn Kv,
    id: MailboxId,
    mailbox: &Mailbox,
    mut each: impl FnMut(Uid, MessageRow),
) -> Result<(), Error> {
    let to = keys::message(id, mailbox.uid_next);
    rows(kv, id, Uid(0), &to, |uid, row| {
        each(uid, mailbox.resolved(uid, row));
        true
    })
}

/// Rows of messages from a UID to a key, by UID, as long as more are wanted: those that can't be
/// seen too, and those of batches as they are.
pub(super) fn rows(
    kv: &dyn Kv,
    id: MailboxId,
    from: Uid,
    to: &[u8],
    mut each: impl FnMut(Uid, MessageRow) -> bool,
) -> Result<(), Error> {
    let from = keys::message(id, from);
    let mut outcome = Ok(());
    kv.scan(
        Space::Messages,
        &from,
        to,
        false,
        &mut |key, value| match MessageRow::decode(value) {
            Ok(row) => match each(keys::uid_of(key), row) {
                true => Continue(()),
                false => Break(()),
            },
            Err(error) => {
                outcome = Err(error);
                Break(())
            }
        },
    )?;
    outcome
}

/// The next number of a counter, from 1.
pub(super) fn next(txn: &mut Transaction<'_>, counter: &str) -> Result<u64, Error> {
    let last = self::counter(txn, counter)?;
    txn.put(Space::Meta, counter.as_bytes(), keys::number(last + 1));
    Ok(last + 1)
}

/// The last number that a counter gave; 0 before the first.
pub(super) fn counter(kv: &dyn Kv, counter: &str) -> Result<u64, Error> {
    match kv.get(Space::Meta, counter.as_bytes())? {
        Some(row) => u64_row(&row),
        None => Ok(0),
    }
}

/// The highest figures of a user's mailboxes that were deleted.
pub(super) struct Gone {
    pub uid_validity: UidValidity,
    pub uid_next: Uid,
    pub modseq: ModSeq,
}

/// The row of [`Space::Meta`] with [`Gone`].
fn gone_key(user: UserId) -> Vec<u8> {
    [b"gone/", &user.0.to_be_bytes()[..]].concat()
}

/// What a mailbox may have given of UIDs and mod-sequences that comes back under its UIDVALIDITY;
/// none if nothing of the user's was deleted.
pub(super) fn gone(kv: &dyn Kv, user: UserId) -> Result<Option<Gone>, Error> {
    let Some(row) = kv.get(Space::Meta, &gone_key(user))? else {
        return Ok(None);
    };
    let damaged = Error::Damaged {
        space: Space::Meta.name(),
        what: "not what was deleted",
    };
    let numbers: &[u8; 16] = row[..].try_into().map_err(|_| damaged)?;
    let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|it| numbers[at + it]));
    Ok(Some(Gone {
        uid_validity: UidValidity(number(0)),
        uid_next: Uid(number(4)),
        modseq: ModSeq(u64::from(number(8)) << 32 | u64::from(number(12))),
    }))
}

/// Notes that a mailbox is deleted.
pub(super) fn note_gone(txn: &mut Transaction<'_>, mailbox: &Mailbox) -> Result<(), Error> {
    if mailbox.uid_next <= Uid(1) {
        return Ok(());
    }
    let had = gone(txn, mailbox.user)?;
    let most = |of: fn(&Gone) -> u64, new: u64| had.as_ref().map_or(0, of).max(new);
    let uid_validity = most(|it| it.uid_validity.0.into(), mailbox.uid_validity.0.into());
    let uid_next = most(|it| it.uid_next.0.into(), mailbox.uid_next.0.into());
    let modseq = most(|it| it.modseq.0, mailbox.modseq.0);
    let row = [uid_validity << 32 | uid_next, modseq].map(u64::to_be_bytes);
    txn.put(Space::Meta, &gone_key(mailbox.user), row.concat());
    Ok(())
}

/// A range of a body's bytes, within what its message says is its size.
///
/// # Errors
/// If the disk fails, or a piece is missing or has another length: never less than was asked for.
pub(super) fn body(kv: &dyn Kv, body: u64, range: Range<u64>) -> Result<Bytes, Error> {
    let mut bytes = BytesMut::new();
    let mut at = range.start;
    while at < range.end {
        let index = at / PIECE_BYTES;
        let Some(piece) = kv.get(Space::Bodies, &keys::piece(body, index as u32))? else {
            return Err(Error::Damaged {
                space: Space::Bodies.name(),
                what: "a piece of a message is missing",
            });
        };
        let from = (at - index * PIECE_BYTES) as usize;
        let to = (range.end - index * PIECE_BYTES).min(PIECE_BYTES) as usize;
        if piece.len() < to {
            return Err(Error::Damaged {
                space: Space::Bodies.name(),
                what: "a piece of a message is too short",
            });
        }
        if from == 0 && to == piece.len() && at == range.start && range.end - at == to as u64 {
            return Ok(piece);
        }
        bytes.extend_from_slice(&piece[from..to]);
        at = (index + 1) * PIECE_BYTES;
    }
    Ok(bytes.freeze())
}

/// Whether all pieces of a body can be read and have their lengths; one is in memory at a time.
///
/// # Errors
/// If not.
pub(crate) fn check_body(kv: &dyn Kv, id: u64, size: u64) -> Result<(), Error> {
    for index in 0..size.div_ceil(PIECE_BYTES) {
        let from = index * PIECE_BYTES;
        body(kv, id, from..size.min(from + PIECE_BYTES))?;
    }
    Ok(())
}

/// Whether the structure of a message of `size` bytes is kept beside it. That of one piece is made
/// of what would have to be read in its place.
pub(super) fn keeps_structure(size: u64) -> bool {
    size > PIECE_BYTES
}

/// Removes the pieces of a body.
pub(super) fn remove_pieces(txn: &mut Transaction<'_>, body: u64, size: u64) {
    for index in 0..size.div_ceil(PIECE_BYTES) {
        txn.delete(Space::Bodies, &keys::piece(body, index as u32));
    }
}

/// Removes uploads that no message uses: what a crash left behind.
pub(crate) fn recover_spools(txn: &mut Transaction<'_>) -> Result<usize, Error> {
    let mut spools = Vec::new();
    txn.scan(Space::Spools, &[], &[0xff; 9], false, &mut |key, value| {
        spools.push((key.to_vec(), value.to_vec()));
        Continue(())
    })?;
    for (key, value) in &spools {
        remove_pieces(txn, u64_row(key)?, u64_row(value)?);
        txn.delete(Space::Spools, key);
    }
    Ok(spools.len())
}
