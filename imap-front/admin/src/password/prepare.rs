//! The one way in which passwords are prepared before they are hashed or compared.

use std::borrow::Cow;

use zeroize::Zeroizing;

/// A password as it is hashed: text in UTF-8 by SASLprep (RFC 4013), so that the same password
/// typed on another keyboard is the same here. What SASLprep forbids (control characters,
/// unassigned code points, mixed directions) and what is not UTF-8 is taken as it is.
pub fn prepare(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let text = std::str::from_utf8(password).ok();
    let prepared = text.and_then(|text| stringprep::saslprep(text).ok());
    Zeroizing::new(match prepared {
        Some(Cow::Owned(text)) => text.into_bytes(),
        Some(Cow::Borrowed(text)) => text.as_bytes().to_vec(),
        None => password.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_rfc_4013_and_what_it_forbids() {
        let prepared = |text: &str| String::from_utf8(prepare(text.as_bytes()).to_vec()).unwrap();
        for (typed, expected) in [
            ("I\u{AD}X", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\u{AA}", "a"),
            ("\u{2168}", "IX"),
            ("a\u{A0}b", "a b"),
            ("\u{AD}", ""),
        ] {
            assert_eq!(prepared(typed), expected, "{typed:?}");
        }
        for forbidden in ["\u{7}", "\u{627}\u{31}", "a\tb"] {
            assert_eq!(prepared(forbidden), forbidden, "taken as it is");
        }
        assert_eq!(**prepare(b"\xff\xfe"), [0xff, 0xfe]);
    }
}
