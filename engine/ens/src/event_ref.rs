//! Event references: `scheme://authority/resource?name=value&name=value` (RFC 2396).
//!
//! Scheme, authority and resource together are the *key*; to the broker they are one string.
//! Names and values are percent-encoded (RFC 3986 §2.1) and compared decoded, in their case.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::scope::Scope;

/// Longest event reference, in bytes.
pub const EVENT_REF_BYTES_MAX: usize = 8 * 1024;
/// Parameters that a pattern may ask for.
pub const PATTERN_PARAMS_MAX: usize = 32;

/// What stands encoded in values: everything that has a meaning in a reference.
const IN_VALUES: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?');

/// Why a text is no event reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefError {
    /// It has no scheme.
    #[error("{0:?} is no event reference: it must begin like enp://authority/resource")]
    NoScheme(String),
    /// Longer than [`EVENT_REF_BYTES_MAX`].
    #[error("an event reference has at most {EVENT_REF_BYTES_MAX} bytes, not {0}")]
    TooLong(usize),
    /// It has a control character or a blank.
    #[error("{0:?} has a blank or a control character; write %20 and the like")]
    Blank(String),
    /// The pool's name has other characters than those of base64.
    #[error("the pool {0:?} has characters other than A-Z a-z 0-9 + / =")]
    PoolName(String),
    /// More than [`PATTERN_PARAMS_MAX`].
    #[error("a pattern has at most {PATTERN_PARAMS_MAX} parameters, not {0}")]
    TooManyParams(usize),
}

/// An event reference, borrowed from its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRef<'a> {
    text: &'a str,
    /// Where the key ends.
    key: usize,
}

impl<'a> EventRef<'a> {
    /// Takes a text apart.
    ///
    /// # Errors
    /// If it isn't an event reference.
    pub fn parse(text: &'a str) -> Result<Self, RefError> {
        if text.len() > EVENT_REF_BYTES_MAX {
            return Err(RefError::TooLong(text.len()));
        }
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7F) {
            return Err(RefError::Blank(text.into()));
        }
        if !text.contains("://") || text.starts_with("://") {
            return Err(RefError::NoScheme(text.into()));
        }
        // The service bus writes its parameters without a question mark.
        let key = text
            .find('?')
            .or_else(|| text.find('&'))
            .unwrap_or(text.len());
        Ok(Self { text, key })
    }

    /// All of it, as it was written.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Scheme, authority and resource, decoded.
    pub fn key(&self) -> Cow<'a, str> {
        decoded(&self.text[..self.key])
    }

    /// The parameters, decoded, in order. One without `=` has an empty value.
    pub fn params(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        let rest = self.text.get(self.key + 1..).unwrap_or("");
        rest.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
    }

    /// The value of a parameter, the first of that name.
    pub fn param(&self, name: &str) -> Option<Cow<'a, str>> {
        self.params()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value)
    }
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    percent_decode_str(text).decode_utf8_lossy()
}

/// What a subscriber asks for: a key, parameters that the event must have, and perhaps a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// The name of the pool; empty for the one without a name.
    pub pool: Option<Box<str>>,
    /// The key, decoded, without `/*`.
    pub key: Arc<str>,
    /// Deeper keys match too: it ended in `/*`.
    pub deep: bool,
    /// Whose events; it is not a part of the text. Pools of different scopes are different ones.
    pub scope: Scope,
    /// Parameters, decoded.
    pub params: Box<[(Box<str>, Box<str>)]>,
}

impl Pattern {
    /// Takes a subscription's event reference apart: `enp://…`, `enp+pool://…`,
    /// `enp+pool.NAME://…`,
    /// each with `/*` at the end of its resource if it likes.
    ///
    /// # Errors
    /// If it isn't an event reference.
    pub fn parse(text: &str) -> Result<Self, RefError> {
        let event_ref = EventRef::parse(text)?;
        let key = event_ref.key();
        let (pool, key) = match key.split_once("+pool") {
            Some((scheme, rest)) if !scheme.contains(':') => {
                let (name, rest) = rest.split_at(rest.find("://").unwrap_or(0));
                let name = name.strip_prefix('.').unwrap_or(name);
                let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
                if !name.bytes().all(is_base64) {
                    return Err(RefError::PoolName(name.into()));
                }
                (Some(name.into()), Cow::Owned(format!("{scheme}{rest}")))
            }
            _ => (None, key),
        };
        let (key, deep) = match key.strip_suffix("/*") {
            Some(key) => (key, true),
            None => (&*key, false),
        };
        let boxed = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into(), value.into());
        let params: Box<[_]> = event_ref.params().map(boxed).collect();
        if params.len() > PATTERN_PARAMS_MAX {
            return Err(RefError::TooManyParams(params.len()));
        }
        Ok(Self {
            pool,
            key: key.into(),
            deep,
            scope: Scope::Site,
            params,
        })
    }

    /// Whether it is as large as one that was parsed may be, at most.
    pub(crate) fn is_bounded(&self) -> bool {
        let pool = self.pool.as_ref().map_or(0, |pool| pool.len());
        let param = |(name, value): &(Box<str>, Box<str>)| name.len() + value.len();
        let params: usize = self.params.iter().map(param).sum();
        // Bytes that are no UTF-8 are three each when they are read.
        let bytes = pool + self.key.len() + params;
        self.params.len() <= PATTERN_PARAMS_MAX && bytes <= 3 * EVENT_REF_BYTES_MAX
    }

    /// Whether what other hosts publish is not asked for.
    pub fn is_local(&self) -> bool {
        self.scope == Scope::Local
    }

    /// What keeping a subscription to it takes, in bytes, about.
    pub fn cost(&self) -> usize {
        /// Of the subscription itself, in the tables of its client and of the matcher.
        const EACH: usize = 256;
        /// Of a parameter, beside its text.
        const PARAM: usize = 64;
        let pool = self.pool.as_ref().map_or(0, |pool| pool.len());
        let param = |(name, value): &(Box<str>, Box<str>)| PARAM + 2 * (name.len() + value.len());
        let params: usize = self.params.iter().map(param).sum();
        EACH + pool + 2 * self.key.len() + params
    }

    /// Whether an event is among those asked for.
    pub fn matches(&self, event: &EventRef<'_>) -> bool {
        let key = event.key();
        let fits = if self.deep {
            key.strip_prefix(&*self.key)
                .is_some_and(|rest| rest.starts_with('/'))
        } else {
            *key == *self.key
        };
        fits && self.has_params(event)
    }

    /// Whether each parameter asked for is among the event's (any order).
    pub fn has_params(&self, event: &EventRef<'_>) -> bool {
        let has = |(name, value): &(Box<str>, Box<str>)| {
            event
                .params()
                .any(|(have, what)| *have == **name && *what == **value)
        };
        self.params.iter().all(has)
    }
}

/// Writes an event reference, value by value.
#[derive(Clone, Debug)]
pub struct ReferenceBuilder {
    text: String,
    any: bool,
}

impl ReferenceBuilder {
    /// Begins with a key, taken as it is.
    pub fn new(key: &str) -> Self {
        let any = key.contains('?');
        Self {
            text: key.into(),
            any,
        }
    }

    /// Adds a parameter.
    pub fn param(&mut self, name: &str, value: impl std::fmt::Display) -> &mut Self {
        self.text.push(if self.any { '&' } else { '?' });
        self.any = true;
        let value = value.to_string();
        let value = utf8_percent_encode(&value, IN_VALUES);
        // Writing to a string can't fail.
        let _ = write!(self.text, "{name}={value}");
        self
    }

    /// The reference.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

/// How long a value is in a reference, in bytes.
pub fn escaped_length(value: &str) -> usize {
    utf8_percent_encode(value, IN_VALUES).map(str::len).sum()
}

/// The longest start of a value that takes at most so many bytes in a reference.
pub fn escaped_start(value: &str, most: usize) -> &str {
    let mut length = 0;
    let fits = |(_, character): &(usize, char)| {
        length += escaped_length(character.encode_utf8(&mut [0; 4]));
        length <= most
    };
    let count = value.char_indices().take_while(fits).count();
    let end = value.char_indices().nth(count).map(|(at, _)| at);
    &value[..end.unwrap_or(value.len())]
}

/// Puts a mailbox into an event key: `%M` becomes its name, encoded; `%%` a percent sign.
pub fn with_mailbox(key: &str, mailbox: &str) -> String {
    let mut out = String::with_capacity(key.len() + mailbox.len());
    let mut rest = key;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let code = rest[at..].get(..2);
        match code {
            Some("%M") => out.extend(utf8_percent_encode(mailbox, IN_VALUES)),
            Some("%%") => out.push_str("%25"),
            _ => {
                out.push('%');
                rest = &rest[at + 1..];
                continue;
            }
        }
        rest = &rest[at + 2..];
    }
    out.push_str(rest);
    out
}

/// Whether a key ends in `%M` (and not in an escaped one), as IDLE needs it.
pub fn ends_in_mailbox(key: &str) -> bool {
    let Some(before) = key.strip_suffix("%M") else {
        return false;
    };
    let percents = before.bytes().rev().take_while(|&b| b == b'%').count();
    percents % 2 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, event: &str) -> bool {
        let pattern = Pattern::parse(pattern).expect("a pattern");
        pattern.matches(&EventRef::parse(event).expect("an event"))
    }

    const NEW: &str = "enp://127.0.0.1/store?evtType=NewMsg&timestamp=1047488403000\
        &hostname=eman&process=imta&pid=476&mailboxName=testuser&numMsgs=16";

    #[test]
    fn a_bare_key_matches_any_parameters_and_parameters_select() {
        assert!(matches("enp://127.0.0.1/store", NEW));
        assert!(matches(
            "enp://127.0.0.1/store?mailboxName=testuser&evtType=NewMsg",
            NEW
        ));
        assert!(!matches(
            "enp://127.0.0.1/store?evtType=NewMsg&mailboxName=blim",
            NEW
        ));
        assert!(!matches("enp://127.0.0.1/store?evttype=NewMsg", NEW));
        assert!(!matches("enp://127.0.0.1/store?evtType=newmsg", NEW));
        assert!(!matches("enp://127.0.0.1/stor", NEW));
    }

    #[test]
    fn a_star_matches_deeper_keys_only() {
        assert!(matches("enp://h/store/*", "enp://h/store/fred?a=b"));
        assert!(matches("enp://h/store/*", "enp://h/store/fred/Sent"));
        assert!(!matches("enp://h/store/*", "enp://h/store"));
        assert!(!matches("enp://h/store/*", "enp://h/stores/fred"));
    }

    #[test]
    fn values_are_compared_decoded() {
        assert!(matches("enp://h/a?m=R%26D", "enp://h/a?x=1&m=R%26D"));
        assert!(matches("enp://h/a%20b?m=%41", "enp://h/a%20b?m=A"));
        let mut builder = ReferenceBuilder::new("enp://h/store");
        builder.param("m", "a&b=c ?%é").param("n", 3);
        let text = builder.finish();
        let event = EventRef::parse(&text).expect("written well");
        assert_eq!(event.param("m").as_deref(), Some("a&b=c ?%é"));
        assert_eq!(event.param("n").as_deref(), Some("3"));
    }

    #[test]
    fn pools_are_named_in_the_scheme() {
        let pool = |text| Pattern::parse(text).map(|pattern| (pattern.pool, pattern.key));
        assert_eq!(
            pool("enp+pool://h/x"),
            Ok((Some("".into()), "enp://h/x".into()))
        );
        assert_eq!(
            pool("enp+pool.a1://h/x"),
            Ok((Some("a1".into()), "enp://h/x".into()))
        );
        assert_eq!(
            pool("enp://h/x+pool.a"),
            Ok((None, "enp://h/x+pool.a".into()))
        );
        assert!(pool("enp+pool.a_b://h/x").is_err());
    }

    #[test]
    fn the_service_bus_has_no_question_mark() {
        assert!(matches(
            "servbus:///service/ens",
            "servbus:///service/ens&pid=7&state=running"
        ));
    }

    #[test]
    fn mailboxes_stand_in_keys() {
        assert_eq!(
            with_mailbox("enp://h/store/%M", "fred/R&D"),
            "enp://h/store/fred/R%26D"
        );
        assert_eq!(
            with_mailbox("enp://h/100%%/%M", "fred"),
            "enp://h/100%25/fred"
        );
        assert_eq!(with_mailbox("enp://h/%", "fred"), "enp://h/%");
        assert!(ends_in_mailbox("enp://h/%M"));
        assert!(ends_in_mailbox("enp://h/%%%M"));
        assert!(!ends_in_mailbox("enp://h/%%M"));
        assert!(!ends_in_mailbox("enp://h/%M/x"));
    }

    #[test]
    fn what_is_no_reference_is_said() {
        for bad in ["", "store", "://x", "enp://a b", "enp://\n"] {
            assert!(EventRef::parse(bad).is_err(), "{bad}");
        }
        assert!(EventRef::parse(&format!("enp://{}", "x".repeat(9000))).is_err());
    }
}
