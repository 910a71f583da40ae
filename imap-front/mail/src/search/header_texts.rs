//! What searches see of the header fields that they are most often about, to be kept for many
//! messages at a time.

use super::content::{listed, texts};
use crate::collation::fold;
use crate::mime::header;

/// Begins each text of a field: no text that is looked for may hold it, so that none is found over
/// the end of another.
const BEGIN: u8 = b'\n';

/// A field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextField {
    /// Subject
    Subject,
    /// From
    From,
    /// To
    To,
    /// Cc
    Cc,
    /// Bcc
    Bcc,
}

impl TextField {
    /// How many there are.
    pub const COUNT: usize = 5;
    /// All, each at its number.
    pub const ALL: [Self; Self::COUNT] = [Self::Subject, Self::From, Self::To, Self::Cc, Self::Bcc];

    fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::From => "from",
            Self::To => "to",
            Self::Cc => "cc",
            Self::Bcc => "bcc",
        }
    }

    /// The field of a name, if it is one of these.
    pub fn of(name: &str) -> Option<Self> {
        let is = |field: &Self| field.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(is)
    }
}

/// What is looked for in a field, as its texts are kept; none if it can't be found so.
pub fn needle(text: &str) -> Option<Vec<u8>> {
    let folded = fold(text).into_bytes();
    (!folded.contains(&BEGIN)).then_some(folded)
}

/// Appends the texts of a message's fields, each field's to its own. A field that is there leaves
/// at least a byte. False, and nothing is appended, if the header does not end in these bytes,
/// which are not all of the message.
pub fn append(begins: &[u8], is_all: bool, to: [&mut Vec<u8>; TextField::COUNT]) -> bool {
    let length = header::length(begins);
    if length == begins.len() && !is_all {
        return false;
    }
    for field in header::fields(&begins[..length]) {
        let is = |known: &TextField| known.name().as_bytes().eq_ignore_ascii_case(field.name);
        let Some(known) = TextField::ALL.into_iter().find(is) else {
            continue;
        };
        let has_addresses = known != TextField::Subject;
        let envelope = has_addresses.then(|| listed(field.value));
        for text in texts(field.value).chain(envelope) {
            let bytes = &mut *to[known as usize];
            bytes.push(BEGIN);
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{Candidate, Key, Program, matches};
    use crate::{EmailId, Flags, InternalDate, ModSeq, Uid};
    use bytes::Bytes;

    fn texts_of(header: &[u8], is_all: bool) -> Option<[Vec<u8>; TextField::COUNT]> {
        let mut all = <[Vec<u8>; TextField::COUNT]>::default();
        append(header, is_all, all.each_mut()).then_some(all)
    }

    /// What is found in the kept texts is what is found in the message.
    #[test]
    fn they_are_what_a_look_at_the_message_finds() {
        let message = b"From: =?utf-8?q?J=C3=BCrgen?= \"the (x)\" <j@Example.org>\r\n\
            Subject: =?iso-8859-1?q?Gr=FC=DFe?= aus\r\n Wien\r\n\
            SUBJECT: another\r\n\
            To: a@b (note), Group: c@d;\r\n\
            Cc:\r\n\
            X-Other: zz\r\n\r\nSubject: body\r\n";
        let kept = texts_of(message, true).expect("it ends");
        for name in ["Subject", "from", "TO", "cc", "Bcc"] {
            for text in [
                "",
                "j\u{fc}rgen",
                "GR\u{dc}\u{df}E AUS WIEN",
                "another",
                "example",
                "note",
                "group",
                "c@d",
                "zz",
                "body",
                "wien\u{a0}",
                "<j@example.org>, ",
                "aus  wien",
                "wienanother",
            ] {
                let candidate = Candidate {
                    uid: Uid(1),
                    modseq: ModSeq(1),
                    flags: &Flags::default(),
                    date: InternalDate::default(),
                    saved: None,
                    email: EmailId(1),
                    size: 1,
                    now_s: 0,
                    recent: false,
                    thread: &|| None,
                    header: &|_, _| None,
                    bytes: &|| Bytes::from_static(message),
                };
                let key = Key::Header(name.into(), text.into());
                let expected = matches(&Program { key }, &candidate);
                let field = TextField::of(name).expect("one of them");
                let bytes = &kept[field as usize];
                let needle = needle(text).expect("one line");
                let found = !bytes.is_empty() && memchr::memmem::find(bytes, &needle).is_some();
                assert_eq!(found, expected, "{name} {text:?}");
            }
        }
        assert!(needle("a\nb").is_none() && TextField::of("X-Other").is_none());
    }

    #[test]
    fn a_header_that_does_not_end_says_nothing() {
        assert!(texts_of(b"Subject: a\r\nTo: b", false).is_none());
        assert!(texts_of(b"Subject: a\r\nTo: b", true).is_some());
        assert!(texts_of(b"Subject: a\r\n\r\nbody", false).is_some());
    }
}
