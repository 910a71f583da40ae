//! Messages, and parts of them, that IMAP URLs name (RFC 5092).

use mail::{MailboxName, Uid};

use super::ast::Section;
use super::parse::section_spec;

/// Longest URL that is read, in bytes: the longest name in percent-encoding, and as much again.
pub const URL_BYTES_MAX: usize = 8 << 10;

/// What is wrong with a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URL needs {0}")]
pub struct BadUrl(pub &'static str);

/// A message, or a part of it, that a relative URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageUrl {
    /// Where it is.
    pub mailbox: UrlMailbox,
    /// The mailbox's UIDVALIDITY, if it is said.
    pub uid_validity: Option<u32>,
    /// Which message.
    pub uid: Uid,
    /// Which part of it; the default is all.
    pub section: Section,
    /// What of that: the first octet, and how many at most.
    pub partial: Option<(u32, u32)>,
}

/// A mailbox in a relative URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlMailbox {
    /// The selected one.
    Selected,
    /// This one.
    Named(MailboxName),
    /// The one that this path leads to from where the selected one is, or from the top if none is.
    Beside(Box<str>),
}

impl UrlMailbox {
    /// The mailbox that is meant, if the selected one has this name: none if it is itself.
    pub fn from(self, selected: Option<&MailboxName>) -> Option<MailboxName> {
        match self {
            Self::Selected => None,
            Self::Named(name) => Some(name),
            Self::Beside(path) => {
                let above = selected.and_then(MailboxName::parent);
                let above = above.as_ref().map_or("", MailboxName::as_str);
                Some(MailboxName::new(&without_dots(&format!("{above}/{path}"))))
            }
        }
    }
}

/// ```text
/// relative = [mailbox [uidvalidity] "/"] iuid ["/" isection] ["/" ipartial]
///                                    ; RFC 5092 §11 iabsolute-path, irelative-path
/// mailbox  = ["/"] enc-mailbox       ; the selected one if there is none
/// uidvalidity = ";UIDVALIDITY=" nz-number
/// iuid     = ";UID=" nz-number
/// isection = ";SECTION=" enc-section
/// ipartial = ";PARTIAL=" number ["." nz-number]
/// ```
///
/// # Errors
/// If it is none, or not relative, or names no message.
pub fn relative(url: &[u8]) -> Result<MessageUrl, BadUrl> {
    let url = match std::str::from_utf8(url) {
        Ok(url) if url.is_ascii() => url,
        _ => return Err(BadUrl("letters of ASCII")),
    };
    let path_end = url.find(['/', ';']).unwrap_or(url.len());
    if url.starts_with("//") || url[..path_end].contains(':') {
        return Err(BadUrl("to be relative, without a server"));
    }
    if !url.bytes().all(|b| is_bchar(b) || b == b'%' || b == b';') {
        return Err(BadUrl("other characters in percent-encoding"));
    }
    let mut pieces = url.split(';');
    let path = pieces.next().unwrap_or_default();
    let mut parameters = Parameters {
        pieces: pieces.collect(),
    };
    let uid_validity = match parameters.next("UIDVALIDITY=", true)? {
        Some(text) => Some(nz_number(text)?),
        None => None,
    };
    let uid = parameters.next("UID=", false)?;
    let uid = Uid(nz_number(uid.ok_or(BadUrl("/;UID= and a number"))?)?);
    let section = match parameters.next("SECTION=", false)? {
        Some(text) => section(text)?,
        None => Section::default(),
    };
    let partial = match parameters.next("PARTIAL=", false)? {
        Some(text) => Some(partial(text)?),
        None => None,
    };
    if !parameters.pieces.is_empty() {
        return Err(BadUrl("its parameters in their order, and no others"));
    }
    Ok(MessageUrl {
        mailbox: mailbox(path, uid_validity.is_some())?,
        uid_validity,
        uid,
        section,
        partial,
    })
}

/// What stands behind the path, between semicolons.
struct Parameters<'a> {
    pieces: std::collections::VecDeque<&'a str>,
}

impl<'a> Parameters<'a> {
    /// The value of the next parameter, if it is this. Unless it is the last, a slash follows.
    fn next(&mut self, key: &str, is_before: bool) -> Result<Option<&'a str>, BadUrl> {
        let is_key = |piece: &&str| {
            let start = piece.as_bytes().get(..key.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(key.as_bytes()))
        };
        let Some(piece) = self.pieces.front().copied().filter(is_key) else {
            return Ok(None);
        };
        self.pieces.pop_front();
        let value = &piece[key.len()..];
        if self.pieces.is_empty() && !is_before {
            return Ok(Some(value));
        }
        let value = value.strip_suffix('/').ok_or(BadUrl("/ before ;"))?;
        Ok(Some(value))
    }
}

fn mailbox(path: &str, has_validity: bool) -> Result<UrlMailbox, BadUrl> {
    // Its parameter is said at once, and a message's behind a slash.
    let name = match has_validity {
        true => path,
        false if path.is_empty() => "",
        false => path.strip_suffix('/').ok_or(BadUrl("/ before ;UID="))?,
    };
    if name.ends_with('/') && name.len() > 1 {
        return Err(BadUrl("no / at the end of a mailbox's name"));
    }
    let text = String::from_utf8(decoded(name)?).ok();
    let is_text = |text: &String| !text.chars().any(char::is_control);
    let text = text
        .filter(is_text)
        .ok_or(BadUrl("a mailbox name in UTF-8"))?;
    Ok(match text.strip_prefix('/') {
        _ if has_validity && text.trim_start_matches('/').is_empty() => {
            return Err(BadUrl("a mailbox before ;UIDVALIDITY="));
        }
        Some("") => UrlMailbox::Selected,
        Some(rooted) => UrlMailbox::Named(MailboxName::new(&without_dots(rooted))),
        None if text.is_empty() => UrlMailbox::Selected,
        None => UrlMailbox::Beside(text.into()),
    })
}

/// A path without the segments `.` and `..` (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    segments.join("/")
}

/// As BODY[] has it (RFC 5092 §6).
fn section(text: &str) -> Result<Section, BadUrl> {
    const EXPECTED: BadUrl = BadUrl("a section as in BODY[] behind ;SECTION=");
    let text = decoded(text)?;
    // Strings in literals have no place in it.
    if text.iter().any(u8::is_ascii_control) {
        return Err(EXPECTED);
    }
    section_spec(&text).map_err(|_| EXPECTED)
}

fn partial(text: &str) -> Result<(u32, u32), BadUrl> {
    let (first, count) = match text.split_once('.') {
        Some((first, count)) => (first, nz_number(count)?),
        None => (text, u32::MAX),
    };
    Ok((number(first)?, count))
}

fn nz_number(text: &str) -> Result<u32, BadUrl> {
    let number = number(text)?;
    (number > 0).then_some(number).ok_or(BadUrl("no 0 there"))
}

fn number(text: &str) -> Result<u32, BadUrl> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = is_number.then(|| text.parse().ok()).flatten();
    number.ok_or(BadUrl("numbers below 4294967296"))
}

/// ```text
/// bchar = achar / ":" / "@" / "/"                 ; RFC 5092 §11
/// achar = unreserved / sub-delims-sh / "&" / "="
/// sub-delims-sh = "!" / "$" / "'" / "(" / ")" / "*" / "+" / ","
/// unreserved    = ALPHA / DIGIT / "-" / "." / "_" / "~"  ; RFC 3986 §2.3
/// ```
fn is_bchar(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~!$'()*+,&=:@/".contains(&b)
}

/// Without percent-encoding.
pub(super) fn decoded(text: &str) -> Result<Vec<u8>, BadUrl> {
    const EXPECTED: BadUrl = BadUrl("two hexadecimal digits behind %");
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = bytes.next().and_then(|b| char::from(b).to_digit(16));
            digit.ok_or(EXPECTED)
        };
        out.push((digit()? * 16 + digit()?) as u8);
    }
    Ok(out)
}

/// A URL as it stands in a response code: what can't stand there is in percent-encoding.
///
/// ```text
/// url-resp-text = 1*(%x01-09 / %x0B-0C / %x0E-5C / %x5E-FE)      ; RFC 4469 §5, erratum 2002
/// ```
pub fn in_code(url: &[u8]) -> String {
    let mut text = String::with_capacity(url.len());
    for &byte in url {
        match byte {
            b']' | b' ' | 0..0x20 | 0x7f.. => text.push_str(&format!("%{byte:02X}")),
            byte => text.push(char::from(byte)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::ast::SectionText;

    fn read(url: &str) -> Result<MessageUrl, BadUrl> {
        relative(url.as_bytes())
    }

    fn named(name: &str) -> UrlMailbox {
        UrlMailbox::Named(MailboxName::new(name))
    }

    #[test]
    fn urls_of_rfc_4469() {
        let url = read("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.MIME").expect("a URL");
        let section = Section {
            part: vec![1],
            text: SectionText::Mime,
        };
        let expected = MessageUrl {
            mailbox: named("Drafts"),
            uid_validity: Some(385_759_045),
            uid: Uid(20),
            section,
            partial: None,
        };
        assert_eq!(url, expected);
        let url = read("/Drafts;UIDVALIDITY=385759045/;UID=30").expect("a URL");
        assert_eq!((url.section, url.uid), (Section::default(), Uid(30)));
    }

    #[test]
    fn mailboxes_are_percent_encoded() {
        let mailbox = |url: &str| read(url).map(|url| url.mailbox);
        let name = "~peter/\u{65e5}\u{672c}\u{8a9e}/\u{53f0}\u{5317}";
        let url = "/~peter/%E6%97%A5%E6%9C%AC%E8%AA%9E/%E5%8F%B0%E5%8C%97/;UID=11916";
        assert_eq!(mailbox(url), Ok(named(name)));
        assert_eq!(mailbox("/a%20b%3Bc/;uid=1"), Ok(named("a b;c")));
        assert_eq!(mailbox("/a/./b/../c/;UID=1"), Ok(named("a/c")));
        assert_eq!(
            mailbox("/inbox/;UID=1"),
            Ok(UrlMailbox::Named(MailboxName::inbox()))
        );
        assert_eq!(mailbox("/;UID=1"), Ok(UrlMailbox::Selected));
        assert_eq!(mailbox(";UID=1"), Ok(UrlMailbox::Selected));
        assert_eq!(mailbox("b/;UID=1"), Ok(UrlMailbox::Beside("b".into())));
    }

    #[test]
    fn paths_begin_beside_the_selected_mailbox() {
        let from = |url: &str, selected: Option<&str>| {
            let selected = selected.map(MailboxName::new);
            let mailbox = read(url).expect("a URL").mailbox.from(selected.as_ref());
            mailbox.map(|name| name.as_str().to_owned())
        };
        assert_eq!(from("b/;UID=1", Some("a")).as_deref(), Some("b"));
        assert_eq!(from("b/;UID=1", Some("x/y/a")).as_deref(), Some("x/y/b"));
        assert_eq!(from("../b/;UID=1", Some("x/y/a")).as_deref(), Some("x/b"));
        assert_eq!(from("b/c/;UID=1", None).as_deref(), Some("b/c"));
        assert_eq!(from("/b/;UID=1", Some("x/y/a")).as_deref(), Some("b"));
        assert_eq!(from(";UID=1", Some("x/y/a")), None);
    }

    #[test]
    fn sections_and_partials() {
        let of = |url: &str| read(url).map(|url| (url.section.text, url.partial));
        let fields = SectionText::HeaderFields(vec!["DATE".into(), "From".into()]);
        let url = "/x/;UID=2/;SECTION=HEADER.FIELDS%20(DATE%20From)/;PARTIAL=0.1024";
        assert_eq!(of(url), Ok((fields, Some((0, 1024)))));
        let whole = SectionText::Whole;
        assert_eq!(of(";UID=2/;Partial=7"), Ok((whole, Some((7, u32::MAX)))));
    }

    #[test]
    fn what_is_none_is_refused() {
        for url in [
            "",
            "/",
            "/x",
            "/x/",
            "/x;UID=1",
            "/x/;UID=0",
            "/x/;UID=",
            "/x/;UID=4294967296",
            "/x/;UID=+1",
            "/x/;UID=1/",
            "/x/;UID=1;SECTION=1",
            "/x/;UID=1/;SECTION=",
            "/x/;UID=1/;SECTION=MIME",
            "/x/;UID=1/;SECTION=HEADER.FIELDS%20({1}%0D%0Aa)",
            "/x/;UID=1/;PARTIAL=1.0",
            "/x/;UID=1/;PARTIAL=",
            "/x/;UID=1/;PARTIAL=1/;SECTION=1",
            "/x/;UID=1/;SECTION=1/;SECTION=1",
            "/x/;UID=1;URLAUTH=anonymous",
            "/x/;UIDVALIDITY=1/;UID=1",
            "/x;UIDVALIDITY=1;UID=1",
            "/x;UIDVALIDITY=0/;UID=1",
            "/x;UIDVALIDITY=1",
            ";UIDVALIDITY=1/;UID=1",
            "/;UIDVALIDITY=1/;UID=1",
            "//host/x/;UID=1",
            "imap://fred@host/x/;UID=1",
            "imap:/x/;UID=1",
            "a:b/;UID=1",
            "/x?UNSEEN/;UID=1",
            "/x#y/;UID=1",
            "/x%/;UID=1",
            "/x%0/;UID=1",
            "/x%zz/;UID=1",
            "/x%FF/;UID=1",
            "/x%00/;UID=1",
            "/x%0A/;UID=1",
            "/x y/;UID=1",
            "/\u{e4}/;UID=1",
        ] {
            assert!(read(url).is_err(), "{url}");
        }
    }

    #[test]
    fn codes_have_no_bracket() {
        assert_eq!(in_code(b"/a;UID=1"), "/a;UID=1");
        assert_eq!(in_code(b"a]\r\n\xe4\\"), "a%5D%0D%0A%E4\\");
    }
}
