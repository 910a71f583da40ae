//! Which UIDs a mailbox has: from the cache, brought up to date, or counted through.

use std::ops::ControlFlow::Continue;
use std::sync::Arc;

use mail::{MailboxId, ModSeq, Uid};

use super::{keys, tables};
use crate::Error;
use crate::kv::{Kv, Space};
use crate::rows::Mailbox;

/// The UIDs that are in the mailbox now, ascending.
pub(super) fn uids(kv: &dyn Kv, id: MailboxId, mailbox: &Mailbox) -> Result<Arc<[Uid]>, Error> {
    let Some(cache) = kv.uid_cache() else {
        return all(kv, id);
    };
    let known = match (cache.find(id, mailbox.modseq), kv.base()) {
        (Some(known), _) => Some(known),
        // Only what is committed may be kept: a transaction may come to nothing.
        (None, Some(base)) => match tables::mailbox(base, id)? {
            Some(before) => Some((before.modseq, uids(base, id, &before)?)),
            None => None,
        },
        (None, None) => None,
    };
    let list = match known {
        Some((modseq, uids)) if modseq == mailbox.modseq => return Ok(uids),
        Some((modseq, uids)) => brought_up_to_date(kv, id, modseq, &uids)?,
        None => all(kv, id)?,
    };
    if kv.base().is_none() {
        cache.keep(id, mailbox.modseq, &list);
    }
    Ok(list)
}

fn brought_up_to_date(
    kv: &dyn Kv,
    id: MailboxId,
    modseq: ModSeq,
    before: &[Uid],
) -> Result<Arc<[Uid]>, Error> {
    let gone = expunged_after(kv, id, modseq)?;
    let mut uids: Vec<Uid> = before.to_vec();
    if !gone.is_empty() {
        uids.retain(|uid| gone.binary_search(uid).is_err());
    }
    let next = Uid(before.last().map_or(0, |uid| uid.0).saturating_add(1));
    collect(kv, id, next, &mut uids)?;
    Ok(uids.into())
}

fn all(kv: &dyn Kv, id: MailboxId) -> Result<Arc<[Uid]>, Error> {
    let mut uids = Vec::new();
    collect(kv, id, Uid(0), &mut uids)?;
    Ok(uids.into())
}

fn collect(kv: &dyn Kv, id: MailboxId, from: Uid, uids: &mut Vec<Uid>) -> Result<(), Error> {
    let (_, to) = keys::rows(id);
    kv.scan(
        Space::Messages,
        &keys::message(id, from),
        &to,
        false,
        &mut |key, _| {
            uids.push(keys::uid_of(key));
            Continue(())
        },
    )
}

/// UIDs expunged after `since`, ascending, those included that came after it too.
fn expunged_after(kv: &dyn Kv, id: MailboxId, since: ModSeq) -> Result<Vec<Uid>, Error> {
    let mut uids = Vec::new();
    let (from, to) = keys::changed_after(id, since);
    kv.scan(Space::Expunged, &from, &to, false, &mut |key, _| {
        uids.push(keys::uid_of(key));
        Continue(())
    })?;
    uids.sort_unstable();
    Ok(uids)
}
