//! BODY and BODYSTRUCTURE (RFC 3501 §7.4.2).

use mail::mime::{Content, Parameter, Part, Structure};

use super::envelope;
use crate::imap::encode::{nstring, string};

/// What is told of parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// BODYSTRUCTURE, with extension data.
    pub extended: bool,
    /// A `message/global` is a message, as `message/rfc822` is (RFC 9051 §7.5.2, RFC 9755 §6); for
    /// others it is a part like any.
    pub global: bool,
}

/// The structure of a part.
pub fn bodystructure(out: &mut Vec<u8>, part: &Part, shape: Shape) {
    let extended = shape.extended;
    out.push(b'(');
    match &part.content {
        Content::Multipart(parts) => {
            parts
                .iter()
                .for_each(|part| bodystructure(out, part, shape));
            out.push(b' ');
            string(out, &part.subtype);
            if extended {
                out.push(b' ');
                parameters(out, &part.parameters);
                extension(out, part);
            }
        }
        _ => {
            single(out, part, shape);
            if extended {
                out.push(b' ');
                nstring(out, part.md5.as_deref());
                extension(out, part);
            }
        }
    }
    out.push(b')');
}

fn single(out: &mut Vec<u8>, part: &Part, shape: Shape) {
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
    let is = |have: &[u8], want: &str| have.eq_ignore_ascii_case(want.as_bytes());
    let is_global = is(&part.media_type, "message") && is(&part.subtype, "global");
    // One that is encoded is not looked into, but told in the same form.
    let unseen;
    let message = match &part.content {
        _ if is_global && !shape.global => None,
        Content::Message(message) => Some(&**message),
        _ if is_global => {
            unseen = Structure::parse(b"");
            Some(&unseen)
        }
        _ => None,
    };
    if let Some(message) = message {
        out.push(b' ');
        envelope(out, &message.envelope);
        out.push(b' ');
        bodystructure(out, &message.root, shape);
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
    use super::*;

    fn shaped(message: &str, shape: Shape) -> String {
        let mut out = Vec::new();
        bodystructure(&mut out, &Structure::parse(message.as_bytes()).root, shape);
        String::from_utf8(out).expect("ASCII")
    }

    fn rendered(message: &str, extended: bool) -> String {
        let global = false;
        shaped(message, Shape { extended, global })
    }

    #[test]
    fn a_global_message_is_a_message_for_who_has_heard_of_them() {
        let message = |encoding: &str| {
            format!(
                "Content-Type: message/global\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n\
                 Subject: x\r\n\r\ny\r\n"
            )
        };
        let told = |encoding: &str, global| {
            let extended = false;
            shaped(&message(encoding), Shape { extended, global })
        };
        let other = "(\"message\" \"global\" NIL NIL NIL \"8bit\" 17)";
        assert_eq!(told("8bit", false), other);
        let text = "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\"";
        let expected = format!(
            "(\"message\" \"global\" NIL NIL NIL \"8bit\" 17 \
             (NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL) {text} 3 1) 3)"
        );
        assert_eq!(told("8bit", true), expected);
        // What can't be looked into has the same form.
        let expected = format!(
            "(\"message\" \"global\" NIL NIL NIL \"base64\" 17 \
             (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) {text} 0 0) 0)"
        );
        assert_eq!(told("base64", true), expected);
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
