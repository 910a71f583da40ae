//! What is said in OAUTHBEARER (RFC 7628) and XOAUTH2, its forerunner, from the server's side: a
//! bearer token (RFC 6750), and as whom its holder wants to act.

use super::config::TokenHints;

/// Between the parts of a message, and after the last.
const SEPARATOR: char = '\x01';
/// What ends a message: the separator of the last part, and one more.
const END: &str = "\x01\x01";

/// Which of the two is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    OAuthBearer,
    XOAuth2,
}

/// A client's message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bearer<'a> {
    /// As whom it wants to act, if it says so.
    pub user: Option<Box<str>>,
    /// Empty if it wants to know first what token is wanted.
    pub token: &'a str,
}

/// What is wrong with a token, as far as its client may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Token,
    Scope,
}

impl<'a> Bearer<'a> {
    /// ```text
    /// client-resp = gs2-header kvsep *kvpair kvsep        ; RFC 7628 §3.1
    /// XOAUTH2:      "user=" name kvsep "auth=Bearer " token kvsep kvsep
    /// ```
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(dialect: Dialect, message: &'a [u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(message).map_err(|_| "UTF-8")?;
        let (first, pairs) = text.split_once(SEPARATOR).ok_or("0x01 behind the name")?;
        let user = match dialect {
            Dialect::OAuthBearer => gs2_header(first)?,
            Dialect::XOAuth2 => Some(first.strip_prefix("user=").ok_or("user=")?.into()),
        };
        if user.as_deref().is_some_and(|name| name.contains('\0')) {
            return Err("a name");
        }
        let pairs = pairs.strip_suffix(END).ok_or("0x01 twice at the end")?;
        let mut token = None;
        for pair in pairs.split(SEPARATOR) {
            let (key, value) = pair.split_once('=').ok_or("key=value")?;
            if key == "auth" && token.replace(bearer(value)?).is_some() {
                return Err("auth= once");
            }
        }
        let token = token.ok_or("auth=Bearer and a token")?;
        Ok(Self {
            user: user.filter(|name| !name.is_empty()),
            token,
        })
    }
}

/// `gs2-cb-flag "," [authzid] ","`: there is no binding to a channel here.
fn gs2_header(text: &str) -> Result<Option<Box<str>>, &'static str> {
    let parts: Vec<&str> = text.split(',').collect();
    let [flag, authorization, ""] = parts[..] else {
        return Err("a GS2 header");
    };
    if flag != "n" && flag != "y" {
        return Err("n or y");
    }
    match authorization {
        "" => Ok(None),
        text => super::scram::name(text.strip_prefix("a=").ok_or("a=")?).map(Some),
    }
}

/// `Bearer` SP token (RFC 6750 §2.1), or nothing.
fn bearer(value: &str) -> Result<&str, &'static str> {
    if value.is_empty() {
        return Ok("");
    }
    let (scheme, token) = value.split_once(' ').ok_or("Bearer and a token")?;
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty() && token.bytes().all(is_token) {
        Ok(token)
    } else {
        Err("Bearer and a token")
    }
}

/// What a client is told whose token is not taken: JSON (RFC 7628 §3.2.2).
pub(super) fn refusal(dialect: Dialect, fault: Fault, hints: &TokenHints) -> String {
    let mut text = match (dialect, fault) {
        (Dialect::OAuthBearer, Fault::Token) => r#"{"status":"invalid_token""#,
        (Dialect::OAuthBearer, Fault::Scope) => r#"{"status":"insufficient_scope""#,
        (Dialect::XOAuth2, Fault::Token) => r#"{"status":"401","schemes":"bearer""#,
        (Dialect::XOAuth2, Fault::Scope) => r#"{"status":"403","schemes":"bearer""#,
    }
    .to_owned();
    let configuration = match dialect {
        Dialect::OAuthBearer => &hints.configuration[..],
        Dialect::XOAuth2 => "",
    };
    for (key, value) in [
        ("scope", &hints.scope[..]),
        ("openid-configuration", configuration),
    ] {
        if !value.is_empty() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            text.push_str(&format!(r#","{key}":"{value}""#));
        }
    }
    text + "}"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(dialect: Dialect, text: &str) -> Result<(Option<Box<str>>, &str), &'static str> {
        Bearer::parse(dialect, text.as_bytes()).map(|it| (it.user, it.token))
    }

    #[test]
    fn messages_of_oauthbearer() {
        let parsed = |text| parsed(Dialect::OAuthBearer, text);
        // The example of RFC 7628 §4.1.
        let text = "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01\
                    auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        let (user, token) = parsed(text).unwrap();
        assert_eq!(user.as_deref(), Some("user@example.com"));
        assert_eq!(token, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
        assert_eq!(
            parsed("y,,\x01auth=bearer a.b.c\x01\x01"),
            Ok((None, "a.b.c"))
        );
        let escaped = parsed("n,a=a=2C=3Db,\x01auth=Bearer x\x01\x01").unwrap();
        assert_eq!(escaped.0.as_deref(), Some("a,=b"));
        // Who asks first what is wanted (RFC 7628 §4.3).
        assert_eq!(parsed("n,,\x01auth=\x01\x01"), Ok((None, "")));
        for bad in [
            "",
            "\x01",
            "n,,",
            "n,,\x01",
            "n,,\x01\x01",
            "n,,\x01auth=Bearer x\x01",
            "n,,\x01auth=Bearer x",
            "n,\x01auth=Bearer x\x01\x01",
            "n,b=x,\x01auth=Bearer x\x01\x01",
            "n,a=,\x01auth=Bearer x\x01\x01",
            "p=tls-exporter,,\x01auth=Bearer x\x01\x01",
            "n,,\x01auth=Basic x\x01\x01",
            "n,,\x01auth=Bearer\x01\x01",
            "n,,\x01auth=Bearer \x01\x01",
            "n,,\x01auth=Bearer x y\x01\x01",
            "n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01",
            "n,,\x01host\x01auth=Bearer x\x01\x01",
            "n,,\x01host=x\x01\x01",
        ] {
            assert!(parsed(bad).is_err(), "{}", bad.escape_debug());
        }
        assert!(Bearer::parse(Dialect::OAuthBearer, b"n,,\xFF\x01").is_err());
    }

    #[test]
    fn messages_of_xoauth2() {
        let parsed = |text| parsed(Dialect::XOAuth2, text);
        let good = parsed("user=some@example.com\x01auth=Bearer ya29.x\x01\x01").unwrap();
        assert_eq!(
            (good.0.as_deref(), good.1),
            (Some("some@example.com"), "ya29.x")
        );
        for bad in [
            "n,a=x,\x01auth=Bearer x\x01\x01",
            "user=x\x01\x01",
            "user=a\0b\x01auth=Bearer x\x01\x01",
        ] {
            assert!(parsed(bad).is_err(), "{}", bad.escape_debug());
        }
    }

    #[test]
    fn what_is_told_of_a_token_that_is_not_taken() {
        let hints = TokenHints {
            scope: r#"imap "x\"#.into(),
            configuration: "https://id.example.org/.well-known/openid-configuration".into(),
        };
        assert_eq!(
            refusal(Dialect::OAuthBearer, Fault::Token, &hints),
            r#"{"status":"invalid_token","scope":"imap \"x\\","#.to_owned()
                + r#""openid-configuration":"#
                + r#""https://id.example.org/.well-known/openid-configuration"}"#
        );
        assert_eq!(
            refusal(Dialect::XOAuth2, Fault::Scope, &TokenHints::default()),
            r#"{"status":"403","schemes":"bearer"}"#
        );
    }
}
