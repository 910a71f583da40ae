//! How mailbox names stand on the wire: in modified UTF-7, or in UTF-8 for a client that has
//! enabled it (RFC 9051 §5.1, RFC 9755 §3).

use std::borrow::Cow;

use super::mutf7;

/// How a session and its client write mailbox names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameForm {
    /// In modified UTF-7 (RFC 3501 §5.1.3).
    #[default]
    Utf7,
    /// In UTF-8, since ENABLE IMAP4rev2.
    Utf8,
    /// The same, and searches are in no other character set: since ENABLE UTF8=ACCEPT.
    Utf8Alone,
}

impl NameForm {
    /// That of a client which has enabled IMAP4rev2, and UTF8=ACCEPT, or not.
    pub fn of(rev2: bool, accepts_utf8: bool) -> Self {
        match (rev2, accepts_utf8) {
            (_, true) => Self::Utf8Alone,
            (true, false) => Self::Utf8,
            (false, false) => Self::Utf7,
        }
    }

    /// Whether it is UTF-8.
    pub fn is_utf8(self) -> bool {
        self != Self::Utf7
    }

    /// Whether searches name no character set (RFC 9755 §3).
    pub fn names_no_charset(self) -> bool {
        self == Self::Utf8Alone
    }

    /// Reads a name.
    ///
    /// # Errors
    /// What is wrong with it: bytes that are no UTF-8, and controls, name no mailbox.
    pub fn decode(self, bytes: &[u8]) -> Result<String, &'static str> {
        if self == Self::Utf7 {
            return mutf7::decode(bytes);
        }
        const EXPECTED: &str = "a mailbox name in UTF-8";
        let text = std::str::from_utf8(bytes).map_err(|_| EXPECTED)?;
        match text.chars().any(char::is_control) {
            true => Err(EXPECTED),
            false => Ok(text.to_owned()),
        }
    }

    /// Writes a name, or the beginning of one.
    pub fn encode(self, name: &str) -> Cow<'_, str> {
        match self {
            Self::Utf7 => Cow::Owned(mutf7::encode(name)),
            Self::Utf8 | Self::Utf8Alone => Cow::Borrowed(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ampersand_is_itself_in_utf8() {
        assert_eq!(NameForm::Utf8.decode(b"a&AOQ-b").as_deref(), Ok("a&AOQ-b"));
        assert_eq!(NameForm::Utf8.encode("a&\u{e4}"), "a&\u{e4}");
        assert_eq!(NameForm::Utf7.encode("a&\u{e4}"), "a&-&AOQ-");
        assert_eq!(NameForm::Utf7.decode(b"a&AOQ-b").as_deref(), Ok("aäb"));
    }

    #[test]
    fn what_is_no_utf8_is_no_name() {
        for bytes in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"a\tb", b"\xc2\x85"] {
            assert!(
                NameForm::Utf8.decode(bytes).is_err(),
                "{}",
                bytes.escape_ascii()
            );
        }
    }
}
