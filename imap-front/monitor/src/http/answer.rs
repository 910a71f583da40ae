//! Answers to bytes.

use std::fmt::Write as _;
use std::time::SystemTime;

use super::Method;

/// What a page may load and do: what lies here, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
/// What all answers say.
const ALWAYS: &str = "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n";
/// How a client shows the token: programs by the one, people by the other.
const CHALLENGE: &str = "WWW-Authenticate: Bearer realm=\"Ensign\"\r\n\
                         WWW-Authenticate: Basic realm=\"Ensign: any name, and the token\", \
                         charset=\"UTF-8\"\r\n";

/// The head of an answer that brings events until the connection ends (`text/event-stream`).
pub const EVENTS_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                               Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n\
                               Connection: close\r\n\r\nretry: 1000\n\n";

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its type.
    pub kind: &'static str,
    /// It.
    pub bytes: Vec<u8>,
}

impl Body {
    /// A line for people.
    pub fn line(text: &str) -> Self {
        Self {
            kind: "text/plain; charset=utf-8",
            bytes: format!("{text}\n").into_bytes(),
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its code.
    pub code: u16,
    /// What is sent.
    pub body: Body,
}

impl Answer {
    /// A code with a line for people.
    pub fn of(code: u16, text: &str) -> Self {
        let body = Body::line(text);
        Self { code, body }
    }

    /// What was asked for.
    pub fn good(kind: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let body = Body { kind, bytes };
        Self { code: 200, body }
    }

    /// As it is sent, at that time.
    pub fn to_bytes(&self, method: Method, keeps_open: bool, now: SystemTime) -> Vec<u8> {
        let (code, body) = (self.code, &self.body);
        let mut head = format!("HTTP/1.1 {code} {}\r\n", reason(code));
        let (length, kind) = (body.bytes.len(), body.kind);
        let date = httpdate::fmt_http_date(now);
        let connection = if keeps_open { "keep-alive" } else { "close" };
        let more = match code {
            401 => CHALLENGE,
            405 => "Allow: GET, HEAD\r\n",
            _ => "",
        };
        write!(
            head,
            "Date: {date}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
             Cache-Control: no-store\r\nConnection: {connection}\r\n{ALWAYS}{more}\
             Content-Security-Policy: {POLICY}\r\n\r\n"
        )
        .expect("a string takes everything");
        let mut bytes = head.into_bytes();
        if method == Method::Get {
            bytes.extend_from_slice(&body.bytes);
        }
        bytes
    }
}

/// An event, of a text without an end of a line in it.
pub fn event(data: &str) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
    use super::*;

    #[test]
    fn an_answer_says_how_long_it_is() {
        let answer = Answer::of(401, "no");
        let bytes = answer.to_bytes(Method::Get, false, SystemTime::UNIX_EPOCH);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "no\n");
        for line in [
            "HTTP/1.1 401 Unauthorized",
            "Content-Length: 3",
            "Connection: close",
            "Date: Thu, 01 Jan 1970 00:00:00 GMT",
            "WWW-Authenticate: Bearer realm=\"Ensign\"",
        ] {
            assert!(head.lines().any(|have| have == line), "{line}\n{text}");
        }
        let head = answer.to_bytes(Method::Head, true, SystemTime::UNIX_EPOCH);
        assert!(head.ends_with(b"\r\n\r\n"));
    }
}
