//! Who may look: whoever is on this host, or has the token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::Request;

/// Names by which a browser reaches its own host.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What a client has to show.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// Letters that can't be guessed.
    ///
    /// # Errors
    /// If they can.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.len() < 32 {
            return Err("a token has 32 letters at least");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token has letters, digits and signs of ASCII only");
        }
        Ok(Self(text.to_owned()))
    }

    /// What it is, in a time that tells nothing but its length.
    fn is(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }
}

/// Who may look.
#[derive(Clone, Debug)]
pub enum Access {
    /// Whoever can connect, which is this host. A page of elsewhere may have led a browser here by
    /// a name of its own: it learns nothing.
    OwnHost,
    /// Whoever shows the token.
    Token(Token),
}

/// Why somebody may not look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The token is missing or wrong.
    Token,
    /// It was asked for by another name.
    Host,
}

impl Access {
    /// Whether a request may be answered.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, request: &Request) -> Result<(), Refused> {
        match self {
            Self::OwnHost => {
                let host = request.host.as_deref();
                match host.is_none_or(|host| OWN_NAMES.contains(&host)) {
                    true => Ok(()),
                    false => Err(Refused::Host),
                }
            }
            Self::Token(token) => {
                let shown = request.authorization.as_deref().and_then(shown);
                match shown.is_some_and(|shown| token.is(&shown)) {
                    true => Ok(()),
                    false => Err(Refused::Token),
                }
            }
        }
    }
}

/// `Bearer TOKEN` (RFC 6750 §2.1); or `Basic` with any name and the token for a password
/// (RFC 7617), as browsers ask people.
fn shown(authorization: &str) -> Option<Vec<u8>> {
    let (scheme, value) = authorization.split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = STANDARD.decode(value).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
    use super::super::{Method, Request};
    use super::*;

    fn request(host: Option<&str>, authorization: Option<&str>) -> Request {
        Request {
            method: Method::Get,
            path: "/".into(),
            host: host.map(str::to_owned),
            authorization: authorization.map(str::to_owned),
            keeps_open: true,
            fields: Vec::new(),
        }
    }

    #[test]
    fn on_this_host_only_names_of_this_host_are_answered() {
        let check = |host| Access::OwnHost.check(&request(host, None));
        for host in [None, Some("localhost"), Some("127.0.0.1"), Some("[::1]")] {
            assert_eq!(check(host), Ok(()));
        }
        for host in ["evil.example", "localhost.evil.example", "", "127.0.0.2"] {
            assert_eq!(check(Some(host)), Err(Refused::Host), "{host}");
        }
    }

    #[test]
    fn elsewhere_the_token_is_asked_for() {
        let text = "0123456789abcdef0123456789abcdef";
        let access = Access::Token(Token::new(&format!("{text}\n")).unwrap());
        let check = |value: &str| access.check(&request(Some("h"), Some(value)));
        assert_eq!(check(&format!("Bearer {text}")), Ok(()));
        assert_eq!(check(&format!("bearer  {text}")), Ok(()));
        let basic = |pair: String| format!("Basic {}", STANDARD.encode(pair));
        assert_eq!(check(&basic(format!("me:{text}"))), Ok(()));
        for wrong in [
            String::new(),
            "Bearer".into(),
            "Bearer ".into(),
            format!("Bearer {text}x"),
            format!("Bearer {}", &text[1..]),
            format!("Digest {text}"),
            basic(text.into()),
            basic(format!("{text}:me")),
            "Basic !".into(),
        ] {
            assert_eq!(check(&wrong), Err(Refused::Token), "{wrong}");
        }
        assert_eq!(access.check(&request(Some("h"), None)), Err(Refused::Token));
        assert!(Token::new("short").is_err());
        assert!(Token::new(&"\u{e9}".repeat(32)).is_err());
        assert!(!format!("{access:?}").contains(text));
    }
}
