//! An entry of a mailbox's or the server's metadata.

use bytes::Bytes;
use mail::UserId;
use mail::metadata::{Entry, EntryName};

use super::{RowDecoder, RowEncoder, damaged};
use crate::Error;

const SPACE: &str = "metadata";

/// A row of metadata. Entries that are NIL have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MetadataRow {
    /// For whom it counts; nobody is 0.
    pub payer: UserId,
    /// As it was spelled.
    pub name: Box<str>,
    pub value: Bytes,
}

impl MetadataRow {
    pub fn encode(&self) -> Bytes {
        RowEncoder::new()
            .u64(self.payer.0)
            .bytes(self.name.as_bytes())
            .bytes(&self.value)
            .done()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut decoder = RowDecoder::new(SPACE, bytes)?;
        Ok(Self {
            payer: UserId(decoder.u64()?),
            name: decoder.text()?.into(),
            value: Bytes::copy_from_slice(decoder.bytes()?),
        })
    }

    /// The entry that it is.
    pub fn entry(&self) -> Result<Entry, Error> {
        let name = EntryName::new(self.name.as_bytes());
        Ok(Entry {
            name: name.map_err(|_| damaged(SPACE, "not an entry's name"))?,
            value: Some(self.value.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entrys_row_goes_both_ways() {
        let row = MetadataRow {
            payer: UserId(4),
            name: "/private/Comment".into(),
            value: Bytes::from_static(b"a\0b"),
        };
        assert_eq!(MetadataRow::decode(&row.encode()).expect("valid"), row);
        let entry = row.entry().expect("a name");
        assert_eq!(
            (entry.name.as_str(), entry.value),
            ("/private/Comment", Some(row.value))
        );
        assert!(MetadataRow::default().entry().is_err());
    }
}
