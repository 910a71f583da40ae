//! Section names as they are echoed (RFC 3501 §7.4.2 `BODY[<section>]<<origin octet>>`).

use mail::mime::What;

use crate::imap::ast::{Section, SectionText};
use crate::imap::encode::astring;

/// `BODY[1.HEADER.FIELDS (DATE)]<0>`
pub fn section_label(out: &mut Vec<u8>, section: &Section, origin: Option<u32>) {
    out.extend_from_slice(b"BODY[");
    let mut parts = section.part.iter().map(u32::to_string).collect::<Vec<_>>();
    let (word, fields) = match &section.text {
        SectionText::Whole => ("", None),
        SectionText::Header => ("HEADER", None),
        SectionText::HeaderFields(fields) => ("HEADER.FIELDS", Some(fields)),
        SectionText::HeaderFieldsNot(fields) => ("HEADER.FIELDS.NOT", Some(fields)),
        SectionText::Text => ("TEXT", None),
        SectionText::Mime => ("MIME", None),
    };
    if !word.is_empty() {
        parts.push(word.to_owned());
    }
    out.extend_from_slice(parts.join(".").as_bytes());
    if let Some(fields) = fields {
        out.extend_from_slice(b" (");
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                out.push(b' ');
            }
            astring(out, field.as_bytes());
        }
        out.push(b')');
    }
    out.push(b']');
    if let Some(origin) = origin {
        out.extend_from_slice(format!("<{origin}>").as_bytes());
    }
}

/// What of a part a section is about; field lists are taken out of its header.
pub fn what(text: &SectionText) -> What {
    match text {
        SectionText::Whole => What::Whole,
        SectionText::Text => What::Text,
        SectionText::Mime => What::Mime,
        SectionText::Header | SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) => {
            What::Header
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        let check = |part: &[u32], text, origin, expected: &str| {
            let mut out = Vec::new();
            section_label(
                &mut out,
                &Section {
                    part: part.to_vec(),
                    text,
                },
                origin,
            );
            assert_eq!(String::from_utf8(out).expect("ASCII"), expected);
        };
        check(&[], SectionText::Whole, None, "BODY[]");
        check(&[1, 2], SectionText::Mime, Some(0), "BODY[1.2.MIME]<0>");
        let fields = SectionText::HeaderFields(vec!["Date".into(), "From".into()]);
        check(&[4], fields, None, "BODY[4.HEADER.FIELDS (Date From)]");
    }
}
