//! What nginx's mail proxy asks and is answered (its module `ngx_mail_auth_http_module`): fields of
//! an HTTP request, and fields of the answer.

use std::net::{IpAddr, SocketAddr};

use monitor::http::Request;

use super::map::{MOVES, Place};

/// The fields that are looked at.
pub const WANTED: &[&str] = &["auth-user", "auth-protocol", "auth-method"];

/// What is told of a name that nobody has, with a response code (RFC 5530 §3) as a host has it for
/// a wrong password: nginx says it behind its NO.
const UNKNOWN: &str = "[AUTHENTICATIONFAILED] Invalid login or password";
/// Seconds after which nginx asks its client again for a name and a password.
const WAIT_SECONDS: u32 = 3;

/// What the proxy asks.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// Where the mail of this user is, who calls themselves that.
    User(String),
    /// Nothing that can be answered: this is why.
    Nothing(&'static str),
}

/// Where a client is led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Led {
    /// There.
    To(SocketAddr),
    /// Nowhere now.
    Moving,
    /// Nowhere: there is no such user.
    Unknown,
    /// Nowhere now: the map or the users can't be read.
    Unreadable,
}

impl Led {
    /// To a place: to the port there, or by the way to the host.
    pub fn to(place: Place, port: u16, ways: &[(IpAddr, SocketAddr)]) -> Self {
        match place {
            Place::Moving => Self::Moving,
            Place::Host(host) => {
                let way = ways.iter().find(|(of, _)| *of == host);
                Self::To(way.map_or(SocketAddr::new(host, port), |(_, way)| *way))
            }
        }
    }
}

impl Asked {
    /// Of a request.
    pub fn of(request: &Request) -> Self {
        let is = |field: &str, value: &str| {
            let said = request.field(field);
            said.is_none_or(|said| said.eq_ignore_ascii_case(value))
        };
        if !is("auth-protocol", "imap") {
            return Self::Nothing("Only IMAP is led here");
        }
        // By another method no password comes that could be handed on.
        if !is("auth-method", "plain") {
            return Self::Nothing("Log in by LOGIN or PLAIN");
        }
        match request.field("auth-user").and_then(decoded) {
            Some(user) => Self::User(user),
            None => Self::Nothing(UNKNOWN),
        }
    }
}

/// nginx writes blanks, controls, `%` and what is not ASCII as `%XX`.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push((digit()? * 16 + digit()?) as u8);
    }
    String::from_utf8(bytes).ok()
}

/// The answer, with which the connection ends.
pub fn answer(asked: &Asked, lead: impl FnOnce(&str) -> Led) -> String {
    let refused = |why: &str| format!("Auth-Status: {why}\r\nAuth-Wait: {WAIT_SECONDS}\r\n");
    // Without Auth-Wait nginx closes the connection, and the client comes again by itself.
    let later = |why: &str| format!("Auth-Status: {why}\r\n");
    let fields = match asked {
        Asked::Nothing(why) => refused(why),
        Asked::User(user) => match lead(user) {
            Led::To(address) => format!(
                "Auth-Status: OK\r\nAuth-Server: {}\r\nAuth-Port: {}\r\n",
                address.ip(),
                address.port()
            ),
            Led::Moving => later(&format!("[UNAVAILABLE] {MOVES}")),
            Led::Unknown => refused(UNKNOWN),
            Led::Unreadable => later("[UNAVAILABLE] Nobody can be led now, try again later"),
        },
    };
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\nConnection: close\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use monitor::http::Requests;

    use super::*;

    /// As nginx 1.22 asks.
    fn asked(user: &str, more: &str) -> Asked {
        let mut requests = Requests::wanting(WANTED);
        let text = format!(
            "GET /auth HTTP/1.0\r\nHost: localhost\r\nAuth-Method: plain\r\nAuth-User: {user}\r\n\
             Auth-Pass: open-sesame\r\n{more}Auth-Login-Attempt: 1\r\n\r\n"
        );
        requests.feed(text.as_bytes());
        Asked::of(&requests.next_request().unwrap().unwrap())
    }

    #[test]
    fn who_is_meant_is_read() {
        let imap = "Auth-Protocol: imap\r\n";
        let user = |name: &str| Asked::User(name.into());
        assert_eq!(asked("fred@example.org", imap), user("fred@example.org"));
        assert_eq!(asked("j%C3%B6rg%25", imap), user("j\u{f6}rg%"));
        for bad in ["fred%", "fred%4", "fred%zz", "%ff"] {
            assert_eq!(asked(bad, imap), Asked::Nothing(UNKNOWN), "{bad}");
        }
        let pop3 = asked("fred", "Auth-Protocol: pop3\r\n");
        assert_eq!(pop3, Asked::Nothing("Only IMAP is led here"));
    }

    #[test]
    fn an_answer_says_where_or_why_not() {
        let say = |led| answer(&asked("fred", ""), |_| led);
        let host: IpAddr = "192.0.2.11".parse().unwrap();
        let way = [(host, "127.0.0.1:10011".parse().unwrap())];
        let to = say(Led::to(Place::Host(host), 143, &[]));
        assert!(
            to.contains("OK\r\nAuth-Server: 192.0.2.11\r\nAuth-Port: 143\r\n"),
            "{to}"
        );
        let to = say(Led::to(Place::Host(host), 143, &way));
        assert!(
            to.contains("OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: 10011\r\n"),
            "{to}"
        );
        let unknown = say(Led::Unknown);
        assert!(unknown.contains(
            "Auth-Status: [AUTHENTICATIONFAILED] Invalid login or password\r\nAuth-Wait: 3\r\n"
        ));
        let moving = say(Led::to(Place::Moving, 143, &way));
        assert!(
            moving.contains("try again") && !moving.contains("Auth-Wait"),
            "{moving}"
        );
        assert!(!moving.contains("Auth-Server"));
    }
}
