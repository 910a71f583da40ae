//! Keys: big-endian numbers one after the other.

use mail::{Grantee, MailboxId, MailboxName, ModSeq, Uid, UserId};

pub(crate) fn number(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

pub(crate) fn name(user: UserId, name: &str) -> Vec<u8> {
    [&user.0.to_be_bytes(), name.as_bytes()].concat()
}

/// The range of all names of a user.
pub(crate) fn names(user: UserId) -> (Vec<u8>, Vec<u8>) {
    (number(user.0), number(user.0 + 1))
}

/// The range of all names below one.
pub(crate) fn names_below(user: UserId, parent: &MailboxName) -> (Vec<u8>, Vec<u8>) {
    // '0' is the character after '/'.
    (
        name(user, &format!("{parent}/")),
        name(user, &format!("{parent}0")),
    )
}

pub(crate) fn message(mailbox: MailboxId, uid: Uid) -> Vec<u8> {
    [&mailbox.0.to_be_bytes()[..], &uid.0.to_be_bytes()].concat()
}

/// The range of messages from a UID to another, which is included.
pub(crate) fn messages(mailbox: MailboxId, low: Uid, high: Uid) -> (Vec<u8>, Vec<u8>) {
    let to = match high.0.checked_add(1) {
        Some(next) => message(mailbox, Uid(next)),
        None => number(mailbox.0 + 1),
    };
    (message(mailbox, low), to)
}

/// The range of all rows of a mailbox, in any keyspace that begins with it.
pub(crate) fn rows(mailbox: MailboxId) -> (Vec<u8>, Vec<u8>) {
    (number(mailbox.0), number(mailbox.0 + 1))
}

/// An entry of metadata, by its name in lower case.
pub(crate) fn entry(mailbox: MailboxId, user: UserId, name: &str) -> Vec<u8> {
    let numbers = [mailbox.0, user.0].map(u64::to_be_bytes);
    [numbers.as_flattened(), name.as_bytes()].concat()
}

/// The range of a user's entries of a mailbox.
pub(crate) fn entries(mailbox: MailboxId, user: UserId) -> (Vec<u8>, Vec<u8>) {
    (
        entry(mailbox, user, ""),
        entry(mailbox, UserId(user.0 + 1), ""),
    )
}

/// The access key of a user for a mailbox.
pub(crate) fn access_key(mailbox: MailboxId, user: UserId) -> Vec<u8> {
    entry(mailbox, user, "")
}

/// The user in the key of an entry.
pub(crate) fn user_of_entry(key: &[u8]) -> UserId {
    let middle: [u8; 8] = key[8..16].try_into().expect("eight bytes");
    UserId(u64::from_be_bytes(middle))
}

/// The UID at a message key's end.
pub(crate) fn uid_of(key: &[u8]) -> Uid {
    let end: [u8; 4] = key[key.len() - 4..].try_into().expect("four bytes");
    Uid(u32::from_be_bytes(end))
}

/// The mod-sequence in the key of a change.
pub(crate) fn modseq_of(key: &[u8]) -> ModSeq {
    let middle: [u8; 8] = key[8..16].try_into().expect("eight bytes");
    ModSeq(u64::from_be_bytes(middle))
}

/// A task of a kind for a mailbox, or for a user.
pub(crate) fn task(kind: u8, whose: u64) -> Vec<u8> {
    [&[kind][..], &whose.to_be_bytes()].concat()
}

pub(crate) fn changed(mailbox: MailboxId, modseq: ModSeq, uid: Uid) -> Vec<u8> {
    [
        &mailbox.0.to_be_bytes()[..],
        &modseq.0.to_be_bytes(),
        &uid.0.to_be_bytes(),
    ]
    .concat()
}

/// The range of changes after a mod-sequence.
pub(crate) fn changed_after(mailbox: MailboxId, since: ModSeq) -> (Vec<u8>, Vec<u8>) {
    (
        changed(mailbox, ModSeq(since.0 + 1), Uid(0)),
        number(mailbox.0 + 1),
    )
}

pub(crate) fn piece(body: u64, index: u32) -> Vec<u8> {
    [&body.to_be_bytes()[..], &index.to_be_bytes()].concat()
}

/// An expunge that waits for something since a time in seconds.
pub(crate) fn departed(waits: u8, since_s: u64, mailbox: MailboxId, modseq: ModSeq) -> Vec<u8> {
    let numbers = [since_s, mailbox.0, modseq.0].map(u64::to_be_bytes);
    [&[waits][..], numbers.as_flattened()].concat()
}

/// The parts of such a key; none if it is not one.
pub(crate) fn departed_parts(key: &[u8]) -> Option<(u8, u64, MailboxId, ModSeq)> {
    let (waits, rest) = key.split_first()?;
    let (numbers, []) = rest.as_chunks::<8>() else {
        return None;
    };
    let [since_s, mailbox, modseq] = *<&[[u8; 8]; 3]>::try_from(numbers).ok()?;
    let number = u64::from_be_bytes;
    let (mailbox, modseq) = (MailboxId(number(mailbox)), ModSeq(number(modseq)));
    Some((*waits, number(since_s), mailbox, modseq))
}

/// The access control list of a mailbox.
pub(crate) fn acl(mailbox: MailboxId) -> Vec<u8> {
    [&[ACL][..], &mailbox.0.to_be_bytes()].concat()
}

/// First byte of keys in [`crate::kv::Space::Acls`]: lists by mailbox.
pub(crate) const ACL: u8 = 1;
/// What a grantee was given, by grantee, owner and mailbox.
pub(crate) const GRANT: u8 = 2;
/// How many mailboxes that are, by grantee and owner.
pub(crate) const GRANTS: u8 = 3;

/// A number for each grantee; no user has the number 0.
pub(crate) fn grantee(grantee: Grantee) -> u64 {
    match grantee {
        Grantee::Anyone => 0,
        Grantee::User(user) => user.0,
    }
}

/// Somebody was given rights on a mailbox of an owner.
pub(crate) fn grant(to: Grantee, owner: UserId, mailbox: MailboxId) -> Vec<u8> {
    let numbers = [grantee(to), owner.0, mailbox.0].map(u64::to_be_bytes);
    [&[GRANT][..], numbers.as_flattened()].concat()
}

/// The range of all that a grantee was given.
pub(crate) fn grants(to: Grantee) -> (Vec<u8>, Vec<u8>) {
    let key = |number: u64| [&[GRANT][..], &number.to_be_bytes()].concat();
    (key(grantee(to)), key(grantee(to) + 1))
}

/// Owner and mailbox of such a key; none if it is not one.
pub(crate) fn grant_parts(key: &[u8]) -> Option<(UserId, MailboxId)> {
    let (numbers, []) = key.strip_prefix(&[GRANT])?.as_chunks::<8>() else {
        return None;
    };
    let [_, owner, mailbox] = *<&[[u8; 8]; 3]>::try_from(numbers).ok()?;
    Some((
        UserId(u64::from_be_bytes(owner)),
        MailboxId(u64::from_be_bytes(mailbox)),
    ))
}

/// How many mailboxes of an owner a grantee was let into.
pub(crate) fn grant_count(to: Grantee, owner: UserId) -> Vec<u8> {
    let numbers = [grantee(to), owner.0].map(u64::to_be_bytes);
    [&[GRANTS][..], numbers.as_flattened()].concat()
}

/// The range of what one expunge took out of a mailbox.
pub(crate) fn changed_at(mailbox: MailboxId, at: ModSeq) -> (Vec<u8>, Vec<u8>) {
    (
        changed(mailbox, at, Uid(0)),
        changed(mailbox, ModSeq(at.0 + 1), Uid(0)),
    )
}
