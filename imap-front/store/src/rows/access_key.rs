//! An access key of a user for a mailbox (RFC 4467 §2.2).

use bytes::Bytes;
use mail::AccessKey;
use mail::signed_url::KEY_BYTES;

use super::{RowDecoder, RowEncoder, damaged};
use crate::Error;

const SPACE: &str = "access_keys";

/// A key, and how often the user had given up all of theirs when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccessKeyRow {
    pub resets: u64,
    pub key: AccessKey,
}

impl AccessKeyRow {
    pub fn encode(&self) -> Bytes {
        let encoder = RowEncoder::new().u64(self.resets);
        encoder.bytes(self.key.as_bytes()).done()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut decoder = RowDecoder::new(SPACE, bytes)?;
        let resets = decoder.u64()?;
        let key: [u8; KEY_BYTES] = decoder
            .bytes()?
            .try_into()
            .map_err(|_| damaged(SPACE, "not a key"))?;
        let key = AccessKey::new(key);
        Ok(Self { resets, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_row_goes_both_ways() {
        let row = AccessKeyRow {
            resets: 3,
            key: AccessKey::new([7; KEY_BYTES]),
        };
        let bytes = row.encode();
        assert_eq!(AccessKeyRow::decode(&bytes).expect("valid"), row);
        assert!(AccessKeyRow::decode(&bytes[..bytes.len() - 1]).is_err());
    }
}
