//! BODY and BODYSTRUCTURE (RFC 3501 §7.4.2).

use mail::mime::{Content, Parameter, Part};

use super::envelope;
use crate::imap::encode::{nstring, string};

/// The structure of a part; `extended` is BODYSTRUCTURE, with extension data.
pub fn bodystructure(out: &mut Vec<u8>, part: &Part, extended: bool) {
    out.push(b'(');
    match &part.content {
        Content::Multipart(parts) => {
            parts
                .iter()
                .for_each(|part| bodystructure(out, part, extended));
            out.push(b' ');
            string(out, &part.subtype);
            if extended {
                out.push(b' ');
                parameters(out, &part.parameters);
                extension(out, part);
            }
        }
        _ => {
            single(out, part, extended);
            if extended {
                out.push(b' ');
                nstring(out, part.md5.as_deref());
                extension(out, part);
            }
        }
    }
    out.push(b')');
}

fn single(out: &mut Vec<u8>, part: &Part, extended: bool) {
    string(out, &part.media_type);
    out.push(b' ');
    string(out, &part.subtype);
    out.push(b' ');
    parameters(out, &part.parameters);
    out.push(b' ');
    nstring(out, part.id.as_deref());
    out.push(b' ');
    nstring(out, part.description.as_deref());
    out.push(b' ');
    string(out, &part.encoding);
    let octets = part.body.end - part.body.start;
    out.extend_from_slice(format!(" {octets}").as_bytes());
    if let Content::Message(message) = &part.content {
        out.push(b' ');
        envelope(out, &message.envelope);
        out.push(b' ');
        bodystructure(out, &message.root, extended);
        out.extend_from_slice(format!(" {}", part.lines).as_bytes());
    } else if part.media_type.eq_ignore_ascii_case(b"text") {
        out.extend_from_slice(format!(" {}", part.lines).as_bytes());
    }
}

/// Disposition, language and location.
fn extension(out: &mut Vec<u8>, part: &Part) {
    out.push(b' ');
    match &part.disposition {
        Some((kind, list)) => {
            out.push(b'(');
            string(out, kind);
            out.push(b' ');
            parameters(out, list);
            out.push(b')');
        }
        None => out.extend_from_slice(b"NIL"),
    }
    out.push(b' ');
    match part.language.as_slice() {
        [] => out.extend_from_slice(b"NIL"),
        [tag] => string(out, tag),
        tags => {
            out.push(b'(');
            for (at, tag) in tags.iter().enumerate() {
                if at > 0 {
                    out.push(b' ');
                }
                string(out, tag);
            }
            out.push(b')');
        }
    }
    out.push(b' ');
    nstring(out, part.location.as_deref());
}

fn parameters(out: &mut Vec<u8>, list: &[Parameter]) {
    if list.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for (at, (name, value)) in list.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        string(out, name);
        out.push(b' ');
        string(out, value);
    }
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use mail::mime::Structure;

    use super::*;

    fn rendered(message: &str, extended: bool) -> String {
        let mut out = Vec::new();
        bodystructure(
            &mut out,
            &Structure::parse(message.as_bytes()).root,
            extended,
        );
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn text_of_the_rfc() {
        // RFC 3501 §7.4.2 gives the shape of a simple text body.
        let message = "\r\nx\r\ny\r\n";
        let plain = "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 6 2)";
        assert_eq!(rendered(message, false), plain);
        let extended =
            "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 6 2 NIL NIL NIL NIL)";
        assert_eq!(rendered(message, true), extended);
    }

    #[test]
    fn multipart_with_disposition() {
        let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n\
            --b\r\nContent-Type: image/png; name=a\r\n\
            Content-Disposition: attachment; filename=\"a b\"\r\n\
            Content-Language: de, en\r\n\
            Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n";
        let expected = "((\"image\" \"png\" (\"name\" \"a\") NIL NIL \"base64\" 4 NIL \
            (\"attachment\" (\"filename\" \"a b\")) (\"de\" \"en\") NIL) \"mixed\" \
            (\"boundary\" \"b\") NIL NIL NIL)";
        assert_eq!(rendered(message, true), expected);
    }
}
