//! The task of a mailbox that is being filled by a restore or an import.

use mail::MailboxId;

use super::keys;
use super::tables::task;
use crate::Error;
use crate::kv::{Kv, Space, Transaction};
use crate::rows::{Mailbox, u64_row};

/// A mailbox that is being filled, and the one that it replaces.
pub(super) struct Filling {
    pub row: Mailbox,
    pub replaces: Option<MailboxId>,
    pub name: String,
}

impl Filling {
    pub fn read(kv: &dyn Kv, id: MailboxId) -> Result<Option<Self>, Error> {
        let Some(value) = kv.get(Space::Tasks, &keys::task(task::PLACING, id.0))? else {
            return Ok(None);
        };
        let damaged = || Error::Damaged {
            space: Space::Tasks.name(),
            what: "not a mailbox that is being filled",
        };
        let (replaces, rest) = value.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (name, row) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let replaces = MailboxId(u64_row(replaces)?);
        Ok(Some(Self {
            row: Mailbox::decode(row)?,
            replaces: Some(replaces).filter(|it| it.0 != 0),
            name: String::from_utf8_lossy(name).into_owned(),
        }))
    }

    pub fn write(&self, txn: &mut Transaction<'_>, id: MailboxId) {
        let replaces = self.replaces.map_or(0, |it| it.0);
        let mut value = replaces.to_be_bytes().to_vec();
        value.extend_from_slice(&(self.name.len() as u32).to_be_bytes());
        value.extend_from_slice(self.name.as_bytes());
        value.extend_from_slice(&self.row.encode());
        txn.put(Space::Tasks, &keys::task(task::PLACING, id.0), value);
    }
}
