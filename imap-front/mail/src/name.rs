//! Mailbox names: UTF-8, `/` between levels, `INBOX` in capitals.

use std::sync::Arc;

/// Hierarchy delimiter.
pub const DELIMITER: char = '/';
/// Longest name in bytes that can be created.
pub const NAME_BYTES_MAX: usize = 1024;
/// Deepest nesting that can be created.
pub const LEVELS_MAX: usize = 32;

/// A mailbox name of one user in its canonical form. Any case of `INBOX`, alone or as the first
/// level, becomes `INBOX` (RFC 3501 §5.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Arc<str>);

impl MailboxName {
    /// Canonicalises a name. It is not checked for being creatable: see [`MailboxName::creatable`].
    pub fn new(name: &str) -> Self {
        let (first, rest) = match name.find(DELIMITER) {
            Some(at) => name.split_at(at),
            None => (name, ""),
        };
        if first.eq_ignore_ascii_case("INBOX") && first != "INBOX" {
            return Self(format!("INBOX{rest}").into());
        }
        Self(name.into())
    }

    /// The user's inbox.
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `INBOX`.
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    /// The name one level up, if there is one.
    pub fn parent(&self) -> Option<MailboxName> {
        self.0.rfind(DELIMITER).map(|at| Self(self.0[..at].into()))
    }

    /// Whether `self` lies below `other`.
    pub fn is_below(&self, other: &MailboxName) -> bool {
        self.0.len() > other.0.len()
            && self.0.starts_with(&*other.0)
            && self.0[other.0.len()..].starts_with(DELIMITER)
    }

    /// Why a mailbox of this name can't be created, if so: empty or too long, an empty level, a
    /// control character or separator of lines, a wildcard (`%`, `*`), or too deep.
    pub fn creatable(&self) -> Result<(), &'static str> {
        if self.0.is_empty() {
            return Err("a mailbox name can't be empty");
        }
        if self.0.len() > NAME_BYTES_MAX {
            return Err("the mailbox name is longer than 1024 bytes");
        }
        if self.0.split(DELIMITER).any(str::is_empty) {
            return Err("a level of the mailbox name is empty");
        }
        if self.0.split(DELIMITER).count() > LEVELS_MAX {
            return Err("mailboxes can't be nested deeper than 32 levels");
        }
        if self
            .0
            .chars()
            .any(|c| c.is_control() || "%*\u{2028}\u{2029}".contains(c))
        {
            return Err("a mailbox name can't contain control characters, % or *");
        }
        Ok(())
    }
}

/// Whether a text is composed as far as it can be (RFC 5198 §2, §3: normalization form C).
pub fn is_composed(text: &str) -> bool {
    text.is_ascii() || unicode_normalization::is_nfc(text)
}

impl std::fmt::Display for MailboxName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
