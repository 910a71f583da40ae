//! Mail that other programs keep in files.

mod beneath;
pub mod maildir;
pub mod mbox;
pub mod names;

use mail::{Flags, InternalDate, Uid};

/// A message of elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The UID that it has there.
    pub uid: Option<Uid>,
    /// Its flags.
    pub flags: Flags,
    /// Its internal date, if it is known.
    pub date: Option<InternalDate>,
    /// Its bytes, with CRLF at the ends of lines.
    pub bytes: Vec<u8>,
}

/// The Message-ID of a message, or of a part of its header: what stands between `<` and `>`, or
/// all of the field.
pub fn message_id(header: &[u8]) -> Option<String> {
    let mut found: Option<String> = None;
    for line in header.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_continued = line.starts_with(b" ") || line.starts_with(b"\t");
        match &mut found {
            Some(value) if is_continued => value.push_str(&String::from_utf8_lossy(line)),
            Some(_) => break,
            None if line.is_empty() => break,
            None => {
                const FIELD: &[u8] = b"message-id:";
                if let Some((name, value)) = line.split_at_checked(FIELD.len())
                    && name.eq_ignore_ascii_case(FIELD)
                {
                    found = Some(String::from_utf8_lossy(value).into_owned());
                }
            }
        }
    }
    let value = found?;
    let inner = value
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    let id = inner.map_or(value.trim(), |(id, _)| id.trim());
    Some(id.to_owned()).filter(|id| !id.is_empty())
}

/// Whether a keyword can be one here: an atom (RFC 3501 §9), and no system flag.
pub fn is_keyword(word: &str) -> bool {
    let may = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
    !word.is_empty() && word.len() <= 255 && word.bytes().all(may)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_are_found() {
        let id = |text: &str| message_id(text.as_bytes());
        let of = "Subject: x\r\nMESSAGE-ID:\r\n <a@b>\r\n\r\nMessage-ID: <c>";
        assert_eq!(id(of).as_deref(), Some("a@b"));
        assert_eq!(
            id("Message-Id: odd one\nTo: x\n\n").as_deref(),
            Some("odd one")
        );
        assert_eq!(id("Subject: x\r\n\r\nMessage-ID: <c>\r\n"), None);
        assert_eq!(id("\r\n"), None);
    }

    #[test]
    fn keywords_are_atoms() {
        assert!(is_keyword("$Work") && is_keyword("NonJunk"));
        assert!(!is_keyword("a b") && !is_keyword("") && !is_keyword("\\Odd"));
    }
}
