//! What a backup has besides names and messages. Programs that don't know these records pass over
//! them.

use bytes::Bytes;

use super::code::{Decoder, Encoder, Malformed};

/// Limits of a user that were set by SETQUOTA (RFC 9208).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsRecord {
    /// Bytes, messages and mailboxes that there may be; none is without limit.
    pub limits: [Option<u64>; 3],
    /// Bytes and messages that the user directory allowed when they were set; 0 is without limit.
    pub instead_of: [u64; 2],
}

/// An entry of metadata (RFC 5464): of the mailbox whose turn it is, else of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryRecord {
    /// The account of whose it is, if it is private.
    pub account: Option<String>,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Bytes,
}

impl LimitsRecord {
    pub(super) fn encode(&self, to: &mut Encoder) {
        for limit in self.limits {
            to.u8(u8::from(limit.is_some())).u64(limit.unwrap_or(0));
        }
        for told in self.instead_of {
            to.u64(told);
        }
    }

    pub(super) fn decode(from: &mut Decoder) -> Result<Self, Malformed> {
        let mut record = Self::default();
        for limit in &mut record.limits {
            let (is_set, value) = (from.u8()?, from.u64()?);
            *limit = (is_set != 0).then_some(value);
        }
        for told in &mut record.instead_of {
            *told = from.u64()?;
        }
        Ok(record)
    }
}

impl EntryRecord {
    pub(super) fn encode(&self, to: &mut Encoder) {
        to.u8(u8::from(self.account.is_some()))
            .text(self.account.as_deref().unwrap_or_default())
            .text(&self.name)
            .bytes(&self.value);
    }

    pub(super) fn decode(from: &mut Decoder) -> Result<Self, Malformed> {
        let (is_private, account) = (from.u8()? != 0, from.text()?);
        Ok(Self {
            account: is_private.then_some(account),
            name: from.text()?,
            value: from.bytes()?,
        })
    }
}
