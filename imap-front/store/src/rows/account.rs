//! A user's row.

use bytes::Bytes;
use mail::QuotaLimits;

use super::{RowDecoder, RowEncoder};
use crate::{Error, Quota};

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub name: String,
    pub bytes: u64,
    pub messages: u64,
    /// Rows of names; none until they are counted, in a base that is older than the count.
    pub names: Option<u32>,
    /// Limits that were set by SETQUOTA.
    pub set_quota: Option<SetQuota>,
    /// What entries of metadata cost, in bytes.
    pub metadata_bytes: u64,
}

/// Limits that hold as long as the directory says what it said when they were set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SetQuota {
    pub limits: QuotaLimits,
    pub instead_of: Quota,
}

/// In the place of names that are not counted, if something follows.
const UNCOUNTED: u32 = u32::MAX;

impl SetQuota {
    fn decode(decoder: &mut RowDecoder<'_>) -> Result<Self, Error> {
        let mut limit = || {
            let (is_set, limit) = (decoder.u8()?, decoder.u64()?);
            Ok::<_, Error>((is_set != 0).then_some(limit))
        };
        let limits = QuotaLimits {
            bytes: limit()?,
            messages: limit()?,
            mailboxes: limit()?,
        };
        let instead_of = Quota {
            bytes: decoder.u64()?,
            messages: decoder.u64()?,
        };
        Ok(Self { limits, instead_of })
    }
}

impl Account {
    pub fn encode(&self) -> Bytes {
        let encoder = RowEncoder::new()
            .bytes(self.name.as_bytes())
            .u64(self.bytes)
            .u64(self.messages);
        if self.set_quota.is_none() && self.metadata_bytes == 0 {
            return match self.names {
                Some(names) => encoder.u32(names).done(),
                None => encoder.done(),
            };
        }
        let encoder = encoder
            .u32(self.names.unwrap_or(UNCOUNTED))
            .u64(self.metadata_bytes);
        let Some(set) = &self.set_quota else {
            return encoder.done();
        };
        let QuotaLimits {
            bytes,
            messages,
            mailboxes,
        } = set.limits;
        [bytes, messages, mailboxes]
            .into_iter()
            .fold(encoder, |encoder, limit| {
                encoder
                    .u8(u8::from(limit.is_some()))
                    .u64(limit.unwrap_or(0))
            })
            .u64(set.instead_of.bytes)
            .u64(set.instead_of.messages)
            .done()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut decoder = RowDecoder::new("accounts", bytes)?;
        let mut account = Self {
            name: decoder.text()?.to_owned(),
            bytes: decoder.u64()?,
            messages: decoder.u64()?,
            ..Self::default()
        };
        if !decoder.is_at_end() {
            account.names = Some(decoder.u32()?).filter(|names| *names != UNCOUNTED);
        }
        if !decoder.is_at_end() {
            account.metadata_bytes = decoder.u64()?;
        }
        if !decoder.is_at_end() {
            account.set_quota = Some(SetQuota::decode(&mut decoder)?);
        }
        Ok(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_row_goes_both_ways() {
        for names in [None, Some(3)] {
            let limits = QuotaLimits {
                bytes: Some(0),
                ..QuotaLimits::default()
            };
            let account = Account {
                names,
                set_quota: Some(SetQuota {
                    limits,
                    instead_of: Quota {
                        bytes: 4,
                        messages: 5,
                    },
                }),
                metadata_bytes: 5,
                ..Account::default()
            };
            assert_eq!(Account::decode(&account.encode()).expect("valid"), account);
        }
    }
}
