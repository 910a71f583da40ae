//! Bytes to requests.

/// The longest request that is taken, in bytes: its line and its fields.
pub const HEAD_BYTES_MAX: usize = 8 << 10;
/// Fields of a request.
const FIELDS_MAX: usize = 64;

/// What a client sends, until it is worked on.
#[derive(Debug, Default)]
pub struct Requests {
    input: Vec<u8>,
    /// Names of further fields that are handed on, in small letters.
    wanted: &'static [&'static str],
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// It.
    Get,
    /// What would be said of it.
    Head,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// GET or HEAD.
    pub method: Method,
    /// The path, without a query.
    pub path: String,
    /// Host, if it is told: without its port, in small letters.
    pub host: Option<String>,
    /// Authorization.
    pub authorization: Option<String>,
    /// Whether the client may ask again on the same connection.
    pub keeps_open: bool,
    /// Further fields that are wanted, by their names in small letters.
    pub fields: Vec<(&'static str, String)>,
}

impl Request {
    /// The value of a field that is wanted, if the client has sent it.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What is wrong with a request; the connection ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is none.
    Syntax,
    /// It is too long, or has too many fields.
    TooLong,
    /// It wants something done that can't be done here.
    Method,
    /// It has a body.
    Body,
    /// It is of another version.
    Version,
}

impl Fault {
    /// The answer's code (RFC 9110 §15.5, RFC 6585 §5).
    pub fn code(self) -> u16 {
        match self {
            Self::Syntax => 400,
            Self::Method => 405,
            Self::Body => 413,
            Self::TooLong => 431,
            Self::Version => 505,
        }
    }
}

impl Requests {
    /// Requests of which these fields are wanted too, by their names in small letters.
    pub fn wanting(wanted: &'static [&'static str]) -> Self {
        Self {
            wanted,
            ..Self::default()
        }
    }

    /// Bytes came. No more than [`Requests::room`] are to be given.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// How many bytes may come now.
    pub fn room(&self) -> usize {
        HEAD_BYTES_MAX.saturating_sub(self.input.len())
    }

    /// Whether a part of a request is there.
    pub fn has_begun(&self) -> bool {
        !self.input.is_empty()
    }

    /// The next request; none until all of it is there.
    ///
    /// # Errors
    /// What is wrong with it; nothing more can be taken from this client.
    pub fn next_request(&mut self) -> Result<Option<Request>, Fault> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut parsed = httparse::Request::new(&mut fields);
        let length = match parsed.parse(&self.input) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if self.room() == 0 => return Err(Fault::TooLong),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Fault::TooLong),
            Err(httparse::Error::Version) => return Err(Fault::Version),
            Err(_) => return Err(Fault::Syntax),
        };
        let request = read(&parsed, self.wanted)?;
        self.input.drain(..length);
        Ok(Some(request))
    }
}

fn read(parsed: &httparse::Request<'_, '_>, wanted: &[&'static str]) -> Result<Request, Fault> {
    let method = match parsed.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        _ => return Err(Fault::Method),
    };
    let (mut host, mut authorization, mut close, mut keep) = (None, None, false, false);
    let mut fields: Vec<(&str, String)> = Vec::new();
    for field in parsed.headers.iter() {
        let value = std::str::from_utf8(field.value).map_err(|_| Fault::Syntax)?;
        let value = value.trim();
        let name = field.name.to_ascii_lowercase();
        if let Some(name) = wanted.iter().find(|wanted| **wanted == name) {
            if fields.iter().any(|(known, _)| known == name) {
                return Err(Fault::Syntax);
            }
            fields.push((name, value.to_owned()));
        }
        match name.as_str() {
            // RFC 9112 §6.1: what follows such a request can't be told from a request.
            "transfer-encoding" => return Err(Fault::Body),
            "content-length" if value != "0" => return Err(Fault::Body),
            // RFC 9112 §3.2
            "host" if host.is_some() => return Err(Fault::Syntax),
            "host" => host = Some(without_port(value)),
            "authorization" if authorization.is_some() => return Err(Fault::Syntax),
            "authorization" => authorization = Some(value.to_owned()),
            "connection" => {
                let has = |wanted: &str| {
                    let mut words = value.split(',');
                    words.any(|word| word.trim().eq_ignore_ascii_case(wanted))
                };
                (close, keep) = (close || has("close"), keep || has("keep-alive"));
            }
            _ => {}
        }
    }
    let is_new = parsed.version == Some(1);
    if is_new && host.is_none() {
        return Err(Fault::Syntax);
    }
    let target = parsed.path.unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    Ok(Request {
        method,
        path: path.to_owned(),
        host,
        authorization,
        keeps_open: !close && (is_new || keep),
        fields,
    })
}

/// `name`, `name:port`, `[address]:port`.
fn without_port(host: &str) -> String {
    let name = match host.rfind(':') {
        Some(at) if !host[at..].contains(']') => &host[..at],
        _ => host,
    };
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
    use super::*;

    fn of(text: &str) -> Result<Option<Request>, Fault> {
        let mut requests = Requests::default();
        requests.feed(text.as_bytes());
        requests.next_request()
    }

    #[test]
    fn requests_come_in_any_pieces_and_one_after_the_other() {
        let text = "GET /metrics?x=1 HTTP/1.1\r\nHost: LocalHost:80\r\n\r\n\
                    HEAD / HTTP/1.0\r\nauthorization: Bearer x\r\n\r\nGET";
        let mut requests = Requests::default();
        let mut got = vec![];
        for byte in text.bytes() {
            requests.feed(&[byte]);
            got.extend(requests.next_request().unwrap());
        }
        assert_eq!(got.len(), 2);
        assert_eq!(
            (got[0].method, got[0].path.as_str()),
            (Method::Get, "/metrics")
        );
        assert_eq!(
            (got[0].host.as_deref(), got[0].keeps_open),
            (Some("localhost"), true)
        );
        assert_eq!((got[1].method, got[1].keeps_open), (Method::Head, false));
        assert_eq!(got[1].authorization.as_deref(), Some("Bearer x"));
        assert!(requests.has_begun());
    }

    #[test]
    fn fields_are_handed_on_to_who_wants_them() {
        let asked = |text: &str| {
            let mut requests = Requests::wanting(&["auth-user", "auth-protocol"]);
            requests.feed(text.as_bytes());
            requests.next_request()
        };
        let text = "GET / HTTP/1.0\r\nAuth-User: fred\r\nAuth-Pass: x\r\n";
        let request = asked(&format!("{text}\r\n")).unwrap().unwrap();
        assert_eq!(request.field("auth-user"), Some("fred"));
        assert_eq!(request.fields.len(), 1, "only what is wanted");
        let twice = format!("{text}AUTH-USER: mary\r\n\r\n");
        assert_eq!(asked(&twice), Err(Fault::Syntax));
        assert_eq!(of(&format!("{text}\r\n")).unwrap().unwrap().fields, []);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let host = "Host: h\r\n";
        for (text, fault) in [
            ("* BAD\r\n\r\n".to_owned(), Fault::Syntax),
            ("GET / HTTP/1.1\r\n\r\n".into(), Fault::Syntax),
            (format!("GET / HTTP/1.1\r\n{host}{host}\r\n"), Fault::Syntax),
            (format!("GET / HTTP/2.0\r\n{host}\r\n"), Fault::Version),
            (format!("POST / HTTP/1.1\r\n{host}\r\n"), Fault::Method),
            (
                format!("GET / HTTP/1.1\r\n{host}Content-Length: 1\r\n\r\n"),
                Fault::Body,
            ),
            (
                format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n"),
                Fault::Body,
            ),
            (
                format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65)),
                Fault::TooLong,
            ),
            ("G".repeat(HEAD_BYTES_MAX), Fault::TooLong),
        ] {
            let text = &text[..text.len().min(HEAD_BYTES_MAX)];
            assert_eq!(of(text), Err(fault), "{text}");
        }
        assert_eq!(of(&format!("GET / HTTP/1.1\r\n{host}")), Ok(None));
    }

    #[test]
    fn hosts_are_told_from_their_ports() {
        for (value, name) in [
            ("localhost", "localhost"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(without_port(value), name);
        }
    }

    #[test]
    fn any_bytes_lead_to_an_answer() {
        let seed = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        let mut state = 7u64;
        for _ in 0..20_000 {
            let mut bytes = seed.to_vec();
            for _ in 0..4 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let (at, byte) = ((state >> 40) as usize % bytes.len(), (state >> 32) as u8);
                match state >> 62 {
                    0 => drop(bytes.remove(at)),
                    1 => bytes.insert(at, byte),
                    _ => bytes[at] = byte,
                }
            }
            let mut requests = Requests::default();
            requests.feed(&bytes);
            while let Ok(Some(_)) = requests.next_request() {}
            assert!(requests.input.len() <= bytes.len());
        }
    }
}
