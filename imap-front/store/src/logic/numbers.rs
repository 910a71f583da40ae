//! Numbers of mailboxes and of bodies, and what clients know them by (RFC 8474 §4, §5.1). Each
//! store gives identifiers of a block of its own, so that what comes from another store keeps them,
//! and none ever means two things to a client whose mail moves from host to host. A body's
//! identifier is its number. A mailbox's number is a topic, which has fewer bits: it counts within
//! the block.

use bytes::Bytes;
use mail::{MailboxId, ObjectId, SpoolId};

use super::{bodies, keys, tables};
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::rows::{Mailbox, u64_row};

/// Bits of a number that count within its block; the block is above them. Block 0 is of stores that
/// are not marked, and what was given before they were: such numbers may be given elsewhere, too.
const COUNT_BITS: u32 = 40;
/// Blocks, without block 0: numbers are below 2^63.
const BLOCKS: u128 = (1 << 23) - 1;
/// The row of [`Space::Meta`] with what this store, and no other, is marked with.
const IDENTITY: &[u8] = b"identity";
/// The counters.
const MAILBOXES: &str = "mailbox";
const BODIES: &str = "body";

/// What the store is marked with, if it is.
pub(crate) fn identity(kv: &dyn Kv) -> Result<Option<u128>, Error> {
    let Some(row) = kv.get(Space::Meta, IDENTITY)? else {
        return Ok(None);
    };
    let bytes: [u8; 16] = row[..].try_into().map_err(|_| Error::Damaged {
        space: Space::Meta.name(),
        what: "not an identity",
    })?;
    Ok(Some(u128::from_be_bytes(bytes)))
}

/// Marks the store, unless it is.
pub(crate) fn mark(txn: &mut Transaction<'_>, identity: u128) -> Result<(), Error> {
    if self::identity(txn)?.is_none() {
        txn.put(Space::Meta, IDENTITY, identity.to_be_bytes().to_vec());
    }
    Ok(())
}

/// The row of [`Space::Meta`] with the mailbox that was last restored with an identifier.
fn restored_key(object: ObjectId) -> Vec<u8> {
    [b"restored-as/", &object.0.to_be_bytes()[..]].concat()
}

/// Where numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block(u64);

impl Block {
    /// Of no store.
    pub const UNMARKED: Self = Self(0);

    /// Whose numbers a store gives.
    pub fn of_store(kv: &dyn Kv) -> Result<Self, Error> {
        Ok(Self::of_mark(identity(kv)?))
    }

    /// Whose numbers a store with this mark gives, or one without.
    pub fn of_mark(identity: Option<u128>) -> Self {
        let block = |identity| Self(1 + (identity % BLOCKS) as u64);
        identity.map_or(Self::UNMARKED, block)
    }

    fn of_number(number: u64) -> Self {
        Self(number >> COUNT_BITS)
    }

    /// Whether a number is one of these.
    pub fn has(self, number: u64) -> bool {
        Self::of_number(number) == self
    }

    /// What clients know a mailbox by.
    pub fn object(self, id: MailboxId, row: &Mailbox) -> ObjectId {
        row.object.unwrap_or(ObjectId(self.number(id.0)))
    }

    /// One of these, by its count.
    fn number(self, count: u64) -> u64 {
        (self.0 << COUNT_BITS) | (count & ((1 << COUNT_BITS) - 1))
    }

    /// The last of them that the store whose these are gave a body, or the one before its first.
    fn last(self, kv: &dyn Kv) -> Result<u64, Error> {
        let last = tables::counter(kv, BODIES)?;
        // What was given before the store was marked is counted on.
        Ok(self.number(last))
    }
}

/// The number of a body that is new.
fn next(txn: &mut Transaction<'_>, own: Block) -> Result<u64, Error> {
    let number = own.last(txn)? + 1;
    txn.put(Space::Meta, BODIES.as_bytes(), keys::number(number));
    Ok(number)
}

/// Removes all uploads, and gives none of the store's numbers up to `highest` again.
pub(crate) fn forget_uploads(
    txn: &mut Transaction<'_>,
    own: Block,
    highest: u64,
) -> Result<usize, Error> {
    if own.last(txn)? < highest {
        txn.put(Space::Meta, BODIES.as_bytes(), keys::number(highest));
    }
    tables::recover_spools(txn)
}

/// The number of a mailbox that is made.
pub(super) fn mailbox(txn: &mut Transaction<'_>) -> Result<MailboxId, Error> {
    Ok(MailboxId(tables::next(txn, MAILBOXES)?))
}

/// The mailbox that clients know by an identifier.
fn known_by(kv: &dyn Kv, own: Block, object: ObjectId) -> Result<Option<MailboxId>, Error> {
    let mut may_be = vec![];
    if own.has(object.0) {
        may_be.push(MailboxId(Block::UNMARKED.number(object.0)));
    }
    if let Some(row) = kv.get(Space::Meta, &restored_key(object))? {
        may_be.push(MailboxId(u64_row(&row)?));
    }
    for id in may_be {
        if let Some(row) = tables::mailbox(kv, id)?
            && own.object(id, &row) == object
        {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Whether a mailbox that is restored can be known by what it was: a store that was not marked may
/// have given that to another, too.
pub(super) fn can_keep(kv: &dyn Kv, own: Block, object: ObjectId) -> Result<bool, Error> {
    Ok(!Block::UNMARKED.has(object.0) && known_by(kv, own, object)?.is_none())
}

/// A restored mailbox gets its name, in the place of another: it is known by what it was, unless
/// some mailbox is that has not gone.
pub(super) fn place(
    txn: &mut Transaction<'_>,
    own: Block,
    (id, row): (MailboxId, &mut Mailbox),
    replaces: Option<MailboxId>,
) -> Result<(), Error> {
    let Some(object) = row.object else {
        return Ok(());
    };
    match known_by(txn, own, object)? {
        Some(other) if Some(other) != replaces => row.object = None,
        _ => txn.put(Space::Meta, &restored_key(object), keys::number(id.0)),
    }
    Ok(())
}

/// The number of a body.
pub(super) enum Numbered {
    /// Nothing has it.
    Free(u64),
    /// A body with the same bytes has it, which one more message uses now.
    Shared(u64),
}

/// Whether a number can be that of the body that had it: another store gave it, or this one did.
fn can_be(kv: &dyn Kv, own: Block, body: u64) -> Result<bool, Error> {
    Ok(!Block::UNMARKED.has(body) && (!own.has(body) || body <= own.last(kv)?))
}

/// Whether no body and no upload has a number.
fn is_free(kv: &dyn Kv, body: u64) -> Result<bool, Error> {
    let is_spooled = kv.get(Space::Spools, &keys::number(body))?.is_some();
    Ok(!is_spooled && kv.get(Space::Bodies, &keys::piece(body, 0))?.is_none())
}

/// The number of a body that is kept, which may have had one.
pub(super) fn body(
    txn: &mut Transaction<'_>,
    own: Block,
    was: Option<u64>,
    bytes: &Bytes,
) -> Result<Numbered, Error> {
    // An empty body has no rows: nobody knows whether its number is free.
    if let Some(was) = was.filter(|_| !bytes.is_empty())
        && can_be(txn, own, was)?
    {
        if is_free(txn, was)? {
            return Ok(Numbered::Free(was));
        }
        if has(txn, was, bytes)? {
            bodies::share(txn, was)?;
            return Ok(Numbered::Shared(was));
        }
    }
    Ok(Numbered::Free(next(txn, own)?))
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

/// The number of an upload, which is that of the body that it becomes.
pub(super) fn spool(txn: &mut Transaction<'_>, own: Block) -> Result<SpoolId, Error> {
    Ok(SpoolId(next(txn, own)?))
}

/// Begins an upload with the number that a body had, if it can have that.
pub(super) fn spool_as(
    txn: &mut Transaction<'_>,
    own: Block,
    was: u64,
) -> Result<Option<SpoolId>, Error> {
    if !can_be(txn, own, was)? || !is_free(txn, was)? {
        return Ok(None);
    }
    txn.put(Space::Spools, &keys::number(was), keys::number(0));
    Ok(Some(SpoolId(was)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Memory;

    const ONE: Block = Block(1);
    const TWO: Block = Block(2);
    const FIRST: u64 = 1 << COUNT_BITS;

    fn written(rows: &mut Memory, work: impl FnOnce(&mut Transaction<'_>)) {
        let mut txn = Transaction::new(rows);
        work(&mut txn);
        let changes = txn.into_changes();
        rows.apply(changes);
    }

    fn kept(txn: &mut Transaction<'_>, own: Block, was: u64, bytes: &'static [u8]) -> (u64, bool) {
        match body(txn, own, Some(was), &Bytes::from_static(bytes)).expect("memory") {
            Numbered::Free(number) => {
                txn.put(Space::Bodies, &keys::piece(number, 0), bytes.to_vec());
                (number, false)
            }
            Numbered::Shared(number) => (number, true),
        }
    }

    #[test]
    fn numbers_of_lost_uploads_are_not_given_again() {
        let mut rows = Memory::default();
        written(&mut rows, |txn| {
            assert_eq!(spool(txn, ONE).expect("memory"), SpoolId(FIRST + 1));
            txn.put(Space::Spools, &keys::number(FIRST + 1), keys::number(3));
            txn.put(Space::Bodies, &keys::piece(FIRST + 1, 0), vec![0; 3]);
        });
        // Uploads up to the seventh were begun in commits that are lost.
        written(&mut rows, |txn| {
            assert_eq!(forget_uploads(txn, ONE, FIRST + 7).expect("memory"), 1);
            assert_eq!(spool(txn, ONE).expect("memory"), SpoolId(FIRST + 8));
            let (spools, bodies) = (keys::number(FIRST + 1), keys::piece(FIRST + 1, 0));
            assert_eq!(txn.get(Space::Spools, &spools).expect("memory"), None);
            assert_eq!(txn.get(Space::Bodies, &bodies).expect("memory"), None);
        });
    }

    #[test]
    fn a_store_gives_the_numbers_of_its_block() {
        let mut rows = Memory::default();
        written(&mut rows, |txn| {
            assert_eq!(Block::of_store(txn).expect("memory"), Block::UNMARKED);
            let own = Block::UNMARKED;
            assert_eq!(spool(txn, own).expect("memory"), SpoolId(1));
            mark(txn, u128::MAX).expect("memory");
            let own = Block::of_store(txn).expect("memory");
            // What it gave before is its own still.
            let number = spool(txn, own).expect("memory").0;
            assert_eq!(number & (FIRST - 1), 2);
            assert!(own.has(number) && !Block::UNMARKED.has(number) && number < 1 << 63);
            // Topics have fewer bits.
            assert_eq!(mailbox(txn).expect("memory"), MailboxId(1));
            let object = own.object(MailboxId(1), &Mailbox::default()).0;
            assert!(own.has(object) && object & (FIRST - 1) == 1);
        });
    }

    #[test]
    fn one_mailbox_is_known_by_an_identifier() {
        let mut rows = Memory::default();
        written(&mut rows, |txn| {
            let (ours, theirs) = (ObjectId(FIRST + 1), ObjectId(2 * FIRST + 1));
            let id = mailbox(txn).expect("memory");
            tables::put_mailbox(txn, id, &Mailbox::default());
            let keeps = |txn: &Transaction<'_>, object| can_keep(txn, ONE, object).expect("memory");
            assert!(!keeps(txn, ours) && keeps(txn, theirs) && !keeps(txn, ObjectId(1)));
            let restore = |txn: &mut Transaction<'_>, object, replaces| {
                let id = mailbox(txn).expect("memory");
                let mut row = Mailbox {
                    object: Some(object),
                    ..Mailbox::default()
                };
                place(txn, ONE, (id, &mut row), replaces).expect("memory");
                tables::put_mailbox(txn, id, &row);
                (id, row.object)
            };
            let (second, object) = restore(txn, theirs, None);
            assert!(object == Some(theirs) && !keeps(txn, theirs));
            // Two at a time: the second is known by another.
            assert_eq!(restore(txn, theirs, None).1, None);
            assert_eq!(restore(txn, theirs, Some(second)).1, Some(theirs));
            // What has gone is known again, but once.
            txn.delete(Space::Mailboxes, &keys::number(id.0));
            assert!(keeps(txn, ours));
            assert_eq!(restore(txn, ours, None).1, Some(ours));
            assert!(!keeps(txn, ours));
        });
    }

    #[test]
    fn a_body_keeps_its_number_unless_another_has_it() {
        let mut rows = Memory::default();
        written(&mut rows, |txn| {
            let was = 2 * FIRST + 9;
            assert_eq!(kept(txn, ONE, was, b"one"), (was, false));
            assert_eq!(kept(txn, ONE, was, b"one"), (was, true));
            assert_eq!(kept(txn, ONE, was, b"two"), (FIRST + 1, false));
            // Its own is not given before its turn, and not to something else.
            assert_eq!(kept(txn, ONE, FIRST + 2, b"two"), (FIRST + 2, false));
            assert_eq!(kept(txn, ONE, FIRST + 2, b"two"), (FIRST + 2, true));
            assert_eq!(kept(txn, ONE, 7, b"two"), (FIRST + 3, false));
            // To the other store it comes back.
            txn.put(Space::Meta, BODIES.as_bytes(), keys::number(was));
            assert_eq!(kept(txn, TWO, was, b"one"), (was, true));
        });
    }
}
