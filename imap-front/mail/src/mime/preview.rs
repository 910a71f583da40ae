//! The beginning of a message's text, as clients show it in lists (RFC 8970).

use std::ops::Range;

use mail_parser::decoders::html::html_to_text;

use super::{Content, Part, Structure};
use crate::search::text_of;

/// Characters of a preview (RFC 8970 §3.1).
const CHARS_MAX: usize = 200;
/// Bytes of a part that are looked at.
const BYTES_MAX: u64 = 16 << 10;

/// Elements of HTML whose content nobody reads.
const HIDDEN: [&str; 4] = ["head", "style", "script", "template"];

/// The part of a message of which there is a preview: its first text that is not an attachment,
/// plain before HTML. And where in the message the bytes are that are looked at.
pub fn part(structure: &Structure) -> Option<(&Part, Range<u64>)> {
    let is_plain = |part: &Part| part.subtype.eq_ignore_ascii_case(b"plain");
    let is_html = |part: &Part| part.subtype.eq_ignore_ascii_case(b"html");
    let found = find(&structure.root, &is_plain).or_else(|| find(&structure.root, &is_html))?;
    let Range { start, end } = found.body;
    Some((found, start..end.min(start + BYTES_MAX)))
}

/// The first text within a part that is wanted; those of messages in it are others'.
fn find<'a>(part: &'a Part, is_wanted: &dyn Fn(&Part) -> bool) -> Option<&'a Part> {
    match &part.content {
        Content::Multipart(parts) => parts.iter().find_map(|part| find(part, is_wanted)),
        Content::Message(_) => None,
        Content::Leaf => {
            let is_attached = part
                .disposition
                .as_ref()
                .is_some_and(|(kind, _)| kind.eq_ignore_ascii_case(b"attachment"));
            let is_text = part.media_type.eq_ignore_ascii_case(b"text");
            Some(part).filter(|part| is_text && !is_attached && is_wanted(part))
        }
    }
}

/// The preview, of as many bytes of a part as [`part`] says.
pub fn of(part: &Part, bytes: &[u8]) -> String {
    let is_cut = part.body.end - part.body.start > bytes.len() as u64;
    // Half a line may not be decodable.
    let lines = match bytes.iter().rposition(|&b| b == b'\n') {
        Some(end) if is_cut => &bytes[..end],
        _ => bytes,
    };
    let text = text_of(part, lines);
    let text = match part.subtype.eq_ignore_ascii_case(b"html") {
        true => html_to_text(&shown(&text)).into(),
        false => text,
    };
    let mut preview = String::new();
    let mut left = CHARS_MAX;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        let word = word.trim_matches(|c| ('\u{200b}'..='\u{200f}').contains(&c) || c == '\u{feff}');
        if word.is_empty() {
            continue;
        }
        if !preview.is_empty() {
            preview.push(' ');
            left -= 1;
        }
        let taken: String = word.chars().take(left).collect();
        left -= taken.chars().count();
        preview.push_str(&taken);
        if left < 2 {
            break;
        }
    }
    preview
}

/// HTML without the content of elements that are not shown.
fn shown(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let mut shown = String::with_capacity(html.len());
    let mut at = 0;
    while let Some(next) = lower[at..].find('<').map(|next| at + next) {
        let tag = &lower[next + 1..];
        let hides = |name: &&&str| {
            let rest = tag.strip_prefix(**name);
            rest.is_some_and(|rest| rest.starts_with(|c: char| c == '>' || c.is_ascii_whitespace()))
        };
        let Some(name) = HIDDEN.iter().find(hides) else {
            shown.push_str(&html[at..=next]);
            at = next + 1;
            continue;
        };
        shown.push_str(&html[at..next]);
        let close = format!("</{name}");
        let Some(end) = lower[next..].find(&close).map(|end| next + end) else {
            return shown;
        };
        at = lower[end..].find('>').map_or(html.len(), |gt| end + gt + 1);
    }
    shown.push_str(&html[at..]);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(message: &str) -> Option<String> {
        let structure = Structure::parse(message.as_bytes());
        let (part, range) = part(&structure)?;
        let bytes = &message.as_bytes()[range.start as usize..range.end as usize];
        Some(of(part, bytes))
    }

    #[test]
    fn plain_text_is_decoded_and_its_blanks_are_joined() {
        let message = "Content-Type: text/plain; charset=iso-8859-1\r\n\
                       Content-Transfer-Encoding: quoted-printable\r\n\r\n\
                       Gr=FC=DFe \r\n\r\n\t aus=\r\n Wien\r\n";
        assert_eq!(preview(message).as_deref(), Some("Grüße aus Wien"));
        assert_eq!(
            preview("\r\n\u{feff}a\0b\u{200b}\r\n").as_deref(),
            Some("a b")
        );
        assert_eq!(preview("\r\n").as_deref(), Some(""));
        assert_eq!(preview("no empty line").as_deref(), Some(""));
    }

    #[test]
    fn it_is_200_characters_at_most_of_messages_of_any_size() {
        let long = format!("\r\n{}", "Ü ab\r\n".repeat(100_000));
        let found = preview(&long).expect("a text");
        assert!((198..=200).contains(&found.chars().count()), "{found}");
        let word = preview(&format!("\r\n{}", "x".repeat(100_000))).expect("a text");
        assert_eq!(word.len(), 200);
        let encoded = format!(
            "Content-Transfer-Encoding: base64\r\n\r\n{}",
            "dGV4dCB0ZXh0IHRleHQgdGV4dCB0ZXh0IHRleHQg\r\n".repeat(10_000)
        );
        assert!(preview(&encoded).expect("a text").starts_with("text text"));
    }

    #[test]
    fn html_is_shown_without_its_marks() {
        let html = "<HTML><head><title>No</title></head><body><style type=\"text/css\">p { x }\
                    </style><p class=a>Caf&eacute; &amp; more<br>next</p><script>no()</script\n>\
                    <!-- no --> end<header>Top</header></body>";
        let message = format!("Content-Type: text/html; charset=utf-8\r\n\r\n{html}");
        let found = preview(&message).expect("a text");
        assert!(found.starts_with("Café & more next"), "{found}");
        assert!(found.contains("end") && found.contains("Top") && !found.contains("no"));
        assert!(!found.to_lowercase().contains("p {"), "{found}");
        for broken in [
            "<style",
            "<style>never closed",
            "<",
            "&",
            "&#xffffffff;",
            "</",
        ] {
            preview(&format!("Content-Type: text/html\r\n\r\n{broken}")).expect("a text");
        }
    }

    #[test]
    fn plain_text_comes_before_html_and_attachments_never() {
        let part = |header: &str, text: &str| format!("--b\r\n{header}\r\n\r\n{text}\r\n");
        let message = |parts: &[String]| {
            let all = parts.concat();
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{all}--b--\r\n")
        };
        let attached = part("Content-Disposition: attachment", "attached");
        let html = part("Content-Type: text/html", "<b>html</b>");
        let plain = part("Content-Type: text/plain", "plain");
        let inner = part("Content-Type: message/rfc822", "\r\ninner");
        let found = preview(&message(&[attached.clone(), html.clone(), plain]));
        assert_eq!(found.as_deref(), Some("plain"));
        let found = preview(&message(&[attached.clone(), html]));
        assert_eq!(found.as_deref(), Some("html"));
        assert_eq!(preview(&message(&[attached, inner])), None);
    }
}
