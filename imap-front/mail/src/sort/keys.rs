//! What a message's header gives to sort and thread it by, as bytes that are kept with the message.

use mail_parser::HeaderValue;
use mail_parser::parsers::MessageStream;
use xxhash_rust::xxh3::xxh3_64;

use super::{message_ids, subject};
use crate::ThreadId;
use crate::collation::fold;
use crate::mime::Address;
use crate::mime::address::parse as addresses;
use crate::mime::budget::Room;
use crate::mime::header::{self, Field};
use crate::search::decoded_words;

/// Bytes of a header that are looked at; fields beyond are as good as missing.
pub const HEADER_BYTES_MAX: usize = 64 << 10;
/// Bytes of a text that are kept. A longer one ends in a hash of all of it, so that it is equal to
/// no other.
const TEXT_BYTES_MAX: usize = 512;
/// Bytes of a list of addresses that are looked at for the first, if they hold more than one.
const FIRST_BYTES: usize = 1024;
/// Bytes of a subject, or of what is shown of an address, that are looked at.
const SHOWN_BYTES_MAX: usize = 4 << 10;
/// Bytes of a date that are looked at.
const DATE_BYTES_MAX: usize = 256;

/// How the bytes are laid out.
const VERSION: u8 = 1;
const HAS_SENT: u8 = 1;
const IS_ANSWER: u8 = 2;
const HAS_ID: u8 = 4;
/// Version, bits, when it was sent, Message-ID, lengths of the texts, number of references.
const FIXED_BYTES: usize = 1 + 1 + 8 + 8 + 2 * TEXTS + 1;
const TEXTS: usize = 6;

/// The keys of one message. Texts are as the collation compares them, and have no NUL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SortKeys<'a> {
    /// The Date field, in seconds since 1970-01-01T00:00:00Z, if there is one that means a day.
    pub sent_s: Option<i64>,
    /// The base subject (RFC 5256 §2.1).
    pub subject: &'a [u8],
    /// By its subject it is a reply or a forward.
    pub is_answer: bool,
    /// Mailbox of the first From address.
    pub from: &'a [u8],
    /// Mailbox of the first To address.
    pub to: &'a [u8],
    /// Mailbox of the first Cc address.
    pub cc: &'a [u8],
    /// What is shown of the first From address (RFC 5957 §3).
    pub display_from: &'a [u8],
    /// What is shown of the first To address.
    pub display_to: &'a [u8],
    /// Hash of its Message-ID.
    pub id: Option<u64>,
    references: &'a [u8],
}

impl<'a> SortKeys<'a> {
    /// The keys that these bytes hold; none if they are not such, or of another version.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (fixed, mut rest) = bytes.split_at_checked(FIXED_BYTES)?;
        if fixed[0] != VERSION {
            return None;
        }
        let number = |at: usize| u64::from_le_bytes(*fixed[at..].first_chunk().expect("eight"));
        let mut texts = [&[][..]; TEXTS];
        for (text, at) in texts.iter_mut().zip((18..).step_by(2)) {
            let len = u16::from_le_bytes(*fixed[at..].first_chunk()?);
            (*text, rest) = rest.split_at_checked(usize::from(len))?;
        }
        let [subject, from, to, cc, display_from, display_to] = texts;
        (rest.len() == 8 * usize::from(fixed[FIXED_BYTES - 1])).then_some(Self {
            sent_s: (fixed[1] & HAS_SENT != 0).then_some(number(2) as i64),
            subject,
            is_answer: fixed[1] & IS_ANSWER != 0,
            from,
            to,
            cc,
            display_from,
            display_to,
            id: (fixed[1] & HAS_ID != 0).then_some(number(10)),
            references: rest,
        })
    }

    /// The thread that it belongs to, as its own header tells: that of the oldest message it refers
    /// to, or its own.
    pub fn thread(&self) -> Option<ThreadId> {
        self.references().next().or(self.id).map(ThreadId)
    }

    /// Hashes of the Message-IDs that it refers to, the oldest first.
    pub fn references(&self) -> impl Iterator<Item = u64> + use<'a> {
        let (ids, _) = self.references.as_chunks::<8>();
        ids.iter().map(|id| u64::from_le_bytes(*id))
    }
}

/// The keys of a message that begins with these bytes.
pub fn of_header(message: &[u8]) -> Vec<u8> {
    let message = &message[..message.len().min(HEADER_BYTES_MAX)];
    let fields = Fields::of(&message[..header::length(message)]);
    let value = |field: Option<&[u8]>| field.map(header::unfold);
    let subject = value(fields.subject).unwrap_or_default();
    let (subject, is_answer) = subject::base(&subject[..subject.len().min(SHOWN_BYTES_MAX)]);
    let sent_s = value(fields.date).and_then(|date| sent(&date));
    let ids = value(fields.message_id).map(|value| message_ids::of_value(&value));
    let id = ids.and_then(|ids| ids.first().copied());
    let references = message_ids::references(
        value(fields.references).as_deref(),
        value(fields.in_reply_to).as_deref(),
    );
    let (from, to, cc) = (first(fields.from), first(fields.to), first(fields.cc));
    let texts = [
        text(&subject),
        text(&mailbox(&from)),
        text(&mailbox(&to)),
        text(&mailbox(&cc)),
        text(&shown(&from)),
        text(&shown(&to)),
    ];
    let length = texts.iter().map(Vec::len).sum::<usize>() + 8 * references.len();
    let mut bytes = Vec::with_capacity(FIXED_BYTES + length);
    let bit = |bit, is: bool| if is { bit } else { 0 };
    bytes.push(VERSION);
    bytes.push(
        bit(HAS_SENT, sent_s.is_some()) | bit(IS_ANSWER, is_answer) | bit(HAS_ID, id.is_some()),
    );
    bytes.extend(sent_s.unwrap_or_default().to_le_bytes());
    bytes.extend(id.unwrap_or_default().to_le_bytes());
    for text in &texts {
        bytes.extend((text.len() as u16).to_le_bytes());
    }
    bytes.push(references.len() as u8);
    texts.iter().for_each(|text| bytes.extend(text));
    bytes.extend(references.iter().flat_map(|id| id.to_le_bytes()));
    bytes
}

/// Values of the first fields of their names, folded as they are.
#[derive(Default)]
struct Fields<'a> {
    date: Option<&'a [u8]>,
    subject: Option<&'a [u8]>,
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    cc: Option<&'a [u8]>,
    message_id: Option<&'a [u8]>,
    references: Option<&'a [u8]>,
    in_reply_to: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn of(header: &'a [u8]) -> Self {
        let mut fields = Self::default();
        for Field { name, value, .. } in header::fields(header) {
            let slot = match name.len() {
                2 if name.eq_ignore_ascii_case(b"to") => &mut fields.to,
                2 if name.eq_ignore_ascii_case(b"cc") => &mut fields.cc,
                4 if name.eq_ignore_ascii_case(b"date") => &mut fields.date,
                4 if name.eq_ignore_ascii_case(b"from") => &mut fields.from,
                7 if name.eq_ignore_ascii_case(b"subject") => &mut fields.subject,
                10 if name.eq_ignore_ascii_case(b"message-id") => &mut fields.message_id,
                10 if name.eq_ignore_ascii_case(b"references") => &mut fields.references,
                11 if name.eq_ignore_ascii_case(b"in-reply-to") => &mut fields.in_reply_to,
                _ => continue,
            };
            slot.get_or_insert(value);
        }
        fields
    }
}

/// The first address of a field, as the envelope has it: of a group its beginning.
fn first(value: Option<&[u8]>) -> Address {
    let Some(value) = value.map(header::unfold) else {
        return Address::default();
    };
    let mut list = Vec::new();
    if value.len() > FIRST_BYTES {
        list = addresses(&value[..FIRST_BYTES], &mut Room::default());
    }
    // The first of several is whole wherever the rest was cut off.
    if list.len() < 2 {
        list = addresses(&value, &mut Room::default());
    }
    list.into_iter().next().unwrap_or_default()
}

fn mailbox(address: &Address) -> String {
    lossy(address.mailbox.as_deref().unwrap_or_default())
}

/// What is shown of an address (RFC 5957 §3): its name, or else the address itself.
fn shown(address: &Address) -> String {
    let name = address.name.as_deref().unwrap_or_default();
    let name = &name[..name.len().min(SHOWN_BYTES_MAX)];
    let name = decoded_words(name).unwrap_or_else(|| lossy(name));
    match (&address.host, address.mailbox.is_some()) {
        _ if !name.trim().is_empty() => name,
        (Some(host), true) => format!("{}@{}", mailbox(address), lossy(host)),
        _ => mailbox(address),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A text as it is kept.
fn text(text: &str) -> Vec<u8> {
    let mut folded = fold(text).into_bytes();
    if folded.len() > TEXT_BYTES_MAX {
        let hash = format!("{:016x}", xxh3_64(&folded));
        let mut end = TEXT_BYTES_MAX - hash.len();
        while folded[end] & 0xc0 == 0x80 {
            end -= 1;
        }
        folded.truncate(end);
        folded.extend(hash.into_bytes());
    }
    folded
}

/// When a message was sent, in seconds since 1970-01-01T00:00:00Z (RFC 5256 §2.2): in UTC if its
/// zone is none, at midnight if its time is none; nothing if there is no such day.
fn sent(text: &[u8]) -> Option<i64> {
    let text = &text[..text.len().min(DATE_BYTES_MAX)];
    let parsed = |line: Vec<u8>| match MessageStream::new(&line).parse_date() {
        HeaderValue::DateTime(date) => Some(date),
        _ => None,
    };
    let whole = parsed([text, b"\n"].concat());
    let mut date = whole.or_else(|| parsed([text, b" 00:00:00 +0000\n"].concat()))?;
    if !(1..=12).contains(&date.month) || !(1..=31).contains(&date.day) {
        return None;
    }
    if date.hour > 23 || date.minute > 59 || date.second > 60 {
        (date.hour, date.minute, date.second) = (0, 0, 0);
    }
    Some(match has_zone(text) {
        true => date.to_timestamp(),
        false => date.to_timestamp_local(),
    })
}

/// Whether the zone that a date gives in digits, if it does, is one.
fn has_zone(date: &[u8]) -> bool {
    let sign = date.iter().rposition(|byte| matches!(byte, b'+' | b'-'));
    match sign.map(|at| &date[at + 1..]) {
        Some([h, h2, m, _, ..]) => (*h < b'2' || *h == b'2' && *h2 <= b'3') && *m <= b'5',
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn keys_of_a_header() {
        let bytes = of_header(
            b"From: =?utf-8?q?J=C3=BCrgen?= <jay@example.org>, b@c\r\n\
              To: a group: x@y;\r\nCC: plain@example.org\r\n\
              Date: Sun, 31 Dec 2000 16:01:33 -0800\r\nSubject: Re: One\r\n two\r\n\
              Message-ID: <1@x>\r\nReferences: <2@x>\r\n <3@x>\r\n\r\nSubject: no\r\n",
        );
        let keys = SortKeys::read(&bytes).expect("just made");
        assert_eq!(keys.sent_s, Some(978_307_293));
        assert_eq!(text_of(keys.subject), "ONE TWO");
        assert!(keys.is_answer);
        assert_eq!(text_of(keys.from), "JAY");
        assert_eq!(text_of(keys.to), "A GROUP");
        assert_eq!(text_of(keys.cc), "PLAIN");
        assert_eq!(text_of(keys.display_from), "JU\u{308}RGEN");
        assert_eq!(text_of(keys.display_to), "A GROUP");
        assert!(keys.id.is_some() && keys.references().count() == 2);
        for len in 0..bytes.len() {
            assert_eq!(SortKeys::read(&bytes[..len]), None);
        }
        let empty = of_header(b"");
        let keys = SortKeys::read(&empty).expect("just made");
        assert_eq!(keys, SortKeys::default());
        assert_eq!(empty.len(), FIXED_BYTES);
    }

    #[test]
    fn an_address_without_a_name_is_shown_itself() {
        let bytes = of_header(b"From: a@b\r\nTo: \"\" <c@d>\r\n\r\n");
        let keys = SortKeys::read(&bytes).expect("just made");
        assert_eq!(text_of(keys.display_from), "A@B");
        assert_eq!(text_of(keys.display_to), "C@D");
    }

    #[test]
    fn sent_dates() {
        let at = |date: &str| sent(date.as_bytes());
        let new_year = at("1 Jan 2001 00:01:33 +0000");
        assert_eq!(new_year, Some(978_307_293));
        assert_eq!(at("31 Dec 2000 16:01:33 -0800"), new_year);
        assert_eq!(at("Mon, 1 Jan 2001 00:01:33"), new_year, "no zone");
        assert_eq!(at("1 Jan 2001 00:01:33 +9999"), new_year, "no such zone");
        let midnight = Some(978_307_200);
        assert_eq!(at("1 Jan 2001"), midnight);
        assert_eq!(at("1 Jan 2001 77:01:33 +0000"), midnight);
        for date in ["", "yesterday", "40 Jan 2001 00:00:00 +0000"] {
            assert_eq!(at(date), None, "{date}");
        }
    }

    /// What a delivery costs the writer: no header makes it more than a few looks at 64 KB.
    #[test]
    fn forged_headers_cost_no_more_than_others() {
        let fill = |name: &str, text: &str| {
            let lines = text.repeat(60_000 / text.len());
            format!("{name}: {lines}\r\n\r\n")
        };
        for text in [
            "=?ab?q?x",
            "=?utf-8?q?a",
            "re[",
            "[a]",
            "(",
            "\"",
            "<",
            "a:",
            ",",
            "\\",
            "<a@b",
        ] {
            for name in [
                "Subject",
                "From",
                "To",
                "Cc",
                "Date",
                "References",
                "Message-ID",
            ] {
                let header = fill(name, text);
                // A quadratic look at any of these takes seconds.
                for _ in 0..2 {
                    of_header(header.as_bytes());
                }
            }
        }
    }

    #[test]
    fn long_texts_are_cut_and_differ_still() {
        let long = |end: &str| format!("{}{end}", "ä".repeat(9000));
        assert_ne!(text(&long("a")), text(&long("b")));
        assert_eq!(text(&long("a")), text(&long("A")));
        assert!(text(&long("")).len() <= TEXT_BYTES_MAX);
        let subject = format!(
            "Subject: {}\r\nTo: {}\r\n\r\n",
            long("x"),
            "a@b, ".repeat(9000)
        );
        let bytes = of_header(subject.as_bytes());
        let keys = SortKeys::read(&bytes).expect("just made");
        assert_eq!(text_of(keys.to), "A");
        assert!(bytes.len() < FIXED_BYTES + TEXTS * TEXT_BYTES_MAX);
    }
}
