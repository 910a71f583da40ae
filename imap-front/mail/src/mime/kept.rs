//! A structure as bytes, to be kept with its message: the version, the hash of the rest, and the
//! rest.

use xxhash_rust::xxh3::xxh3_64;

use super::Structure;

/// Changes with the fields of a structure, and with what is parsed of a message.
const VERSION: u8 = 2;
const FIXED_BYTES: usize = 1 + 8;

impl Structure {
    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let fixed = vec![VERSION; FIXED_BYTES];
        let mut bytes = postcard::to_extend(self, fixed).expect("memory takes all of it");
        let hash = xxh3_64(&bytes[FIXED_BYTES..]);
        bytes[1..FIXED_BYTES].copy_from_slice(&hash.to_le_bytes());
        bytes
    }

    /// From what [`Structure::to_bytes`] gave; none of anything else, and of another version's.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_at_checked(FIXED_BYTES)?;
        let hash = u64::from_le_bytes(*fixed[1..].first_chunk()?);
        // What was not written so is not looked into: its depth would have no bound.
        (fixed[0] == VERSION && hash == xxh3_64(rest))
            .then(|| postcard::from_bytes(rest).ok())
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MESSAGE: &[u8] = b"Subject: one\r\nFrom: Ann <ann@example.com>\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: two\r\n\r\ntext\r\n\
        --b\r\nContent-Disposition: attachment; filename=a\r\n\r\nxyz\r\n--b--\r\n";

    #[test]
    fn a_structure_comes_back() {
        let structure = Structure::parse(MESSAGE);
        let bytes = structure.to_bytes();
        assert_eq!(Structure::from_bytes(&bytes), Some(structure));
        assert!(bytes.len() < 400, "{}", bytes.len());
    }

    #[test]
    fn what_is_damaged_is_none() {
        let bytes = Structure::parse(MESSAGE).to_bytes();
        for at in 0..bytes.len() {
            assert_eq!(Structure::from_bytes(&bytes[..at]), None);
            let mut other = bytes.clone();
            other[at] ^= 4;
            assert_eq!(Structure::from_bytes(&other), None);
        }
    }

    proptest! {
        #[test]
        fn any_structure_comes_back(
            header in "([A-Za-z-]{1,12}: [ -~]{0,40}\r\n){0,6}",
            body in "[ -~\r\n]{0,80}",
        ) {
            let structure = Structure::parse(format!("{header}\r\n{body}").as_bytes());
            prop_assert_eq!(Structure::from_bytes(&structure.to_bytes()), Some(structure));
        }
    }
}
