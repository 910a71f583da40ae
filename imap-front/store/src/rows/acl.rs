//! Access control lists as rows.

use bytes::Bytes;
use mail::{Acl, AclEntry, Grantee, Rights, UserId};

use super::{RowDecoder, RowEncoder};
use crate::Error;
use crate::logic::keys;

/// A mailbox's access control list, and what is needed to list the mailbox to whom it lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AclRow {
    pub acl: Acl,
    /// What its owner calls it.
    pub name: String,
}

impl AclRow {
    pub fn encode(&self) -> Bytes {
        let encoder = RowEncoder::new()
            .u64(self.acl.owner.0)
            .bytes(self.name.as_bytes());
        let entry = |encoder: RowEncoder, entry: &AclEntry| {
            let bits = u32::from(entry.rights.bits()) | (u32::from(entry.negative) << 31);
            encoder.u64(keys::grantee(entry.grantee)).u32(bits)
        };
        self.acl.entries.iter().fold(encoder, entry).done()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut decoder = RowDecoder::new("acls", bytes)?;
        let mut acl = Acl {
            owner: UserId(decoder.u64()?),
            entries: vec![],
        };
        let name = decoder.text()?.to_owned();
        while !decoder.is_at_end() {
            let grantee = match decoder.u64()? {
                0 => Grantee::Anyone,
                user => Grantee::User(UserId(user)),
            };
            let bits = decoder.u32()?;
            acl.entries.push(AclEntry {
                grantee,
                negative: bits >> 31 != 0,
                rights: Rights::from_bits(bits as u16),
            });
        }
        Ok(Self { acl, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_go_both_ways() {
        let entry = |grantee, negative| AclEntry {
            grantee,
            negative,
            rights: Rights::READ | Rights::ADMINISTER,
        };
        let acl = AclRow {
            acl: Acl {
                owner: UserId(3),
                entries: vec![
                    entry(Grantee::Anyone, false),
                    entry(Grantee::User(UserId(8)), true),
                ],
            },
            name: "a/b".into(),
        };
        assert_eq!(AclRow::decode(&acl.encode()).expect("valid"), acl);
    }
}
