//! One line of the user directory:
//! `name:{SCHEME}hash[:quota_bytes[:quota_messages[:id[:verifier]]]]`.

use zeroize::Zeroizing;

use argon2::password_hash::rand_core::{OsRng, RngCore};

use crate::password::{self, scram::Verifier};

/// Longest user name in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest line in bytes, its end not counted.
pub const LINE_BYTES_MAX: usize = 1024;

/// A user as the directory has it.
#[derive(Clone)]
pub struct User {
    /// The canonical name, in lower case.
    pub name: Box<str>,
    /// The stored password, `{SCHEME}hash`.
    pub stored: Zeroizing<String>,
    /// What SCRAM-SHA-256 is verified by, if the entry has it beside its hash.
    pub verifier: Option<Zeroizing<String>>,
    /// Nobody can log in as this user; mail is taken all the same.
    pub locked: bool,
    /// Bytes of mail the user may have; the server's default if none is given.
    pub quota: Quota,
    /// What the store calls the user's mail: the name and the entry's id. A user who is deleted and
    /// added again has another id, and so finds none of the mail from before.
    pub account: Box<str>,
}

/// The name under which an account was made: its user's still, unless that was renamed.
pub(super) fn first_name(account: &str) -> &str {
    account
        .split_once(ACCOUNT_MARK)
        .map_or(account, |(name, _)| name)
}

/// Stands between name and id in an account; no name contains it.
const ACCOUNT_MARK: char = '#';
/// Stands before the hash of a user who is locked.
const LOCK_MARK: char = '!';
/// Longest id of an entry.
const ID_BYTES_MAX: usize = 16;
/// Letters and digits of a new id: 41 bits of chance.
const ID_BYTES: usize = 8;

/// An id for a new entry.
pub(super) fn new_id() -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut chance = OsRng.next_u64();
    let mut digit = |_| {
        let digit = DIGITS[(chance % 36) as usize];
        chance /= 36;
        char::from(digit)
    };
    (0..ID_BYTES).map(&mut digit).collect()
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A user's own limits; what is not given is the server's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of mail.
    pub bytes: Option<Limit>,
    /// Messages.
    pub messages: Option<Limit>,
}

/// A limit, or the lack of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// No limit, written `-1`.
    None,
    /// At most this, at least 1.
    Most(u64),
}

/// The canonical form of a user's name: lower case. Names differ by more than case.
///
/// # Errors
/// What is wrong with the name.
pub fn canonical(name: &str) -> Result<Box<str>, &'static str> {
    let name = if name.is_ascii() {
        name.to_ascii_lowercase()
    } else {
        name.to_lowercase()
    };
    if name.is_empty() {
        return Err("the name is empty");
    }
    if name.len() > NAME_BYTES_MAX {
        return Err("the name is longer than 128 bytes");
    }
    // These mean something else in addresses, mailbox names, event keys or this file.
    let special =
        |c: char| c.is_whitespace() || c.is_control() || r#":/+%*"\(){}<>[],;#"#.contains(c);
    if name.contains(special) {
        return Err(
            "a name can't contain blanks, control characters or any of :/+%*\"\\(){}<>[],;#",
        );
    }
    if name.starts_with(['-', '.', '@']) || name.ends_with(['.', '@']) || name.contains("..") {
        return Err("a name can't begin with - . or @, end with . or @, or contain ..");
    }
    if name.matches('@').count() > 1 {
        return Err("a name can contain @ only once, before its domain");
    }
    Ok(name.into())
}

/// The parts of a line.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub name: &'a str,
    pub stored: &'a str,
    pub locked: bool,
    pub quota: Quota,
    /// Empty in an entry without one.
    pub id: &'a str,
    /// The name under which the account was made, if the user was renamed since.
    pub first_name: Option<&'a str>,
    /// What SCRAM is verified by, without its scheme.
    pub verifier: Option<&'a str>,
}

impl Entry<'_> {
    /// See [`User::account`].
    pub fn account(&self) -> Box<str> {
        match self.id {
            "" => self.name.into(),
            id => format!("{}{ACCOUNT_MARK}{id}", self.first_name.unwrap_or(self.name)).into(),
        }
    }

    /// All of it but for its secrets.
    pub fn user(&self) -> User {
        User {
            name: self.name.into(),
            stored: Zeroizing::new(self.stored.to_owned()),
            verifier: self.verifier.map(|it| Zeroizing::new(it.to_owned())),
            locked: self.locked,
            quota: self.quota,
            account: self.account(),
        }
    }

    /// Whether who logged in by the one may stay by the other.
    pub fn admits_as(&self, other: &Self) -> bool {
        self.stored == other.stored
            && self.locked == other.locked
            && self.account() == other.account()
    }

    /// The line, its end included.
    pub fn to_line(self) -> Zeroizing<String> {
        let limit = |limit: Option<Limit>| match limit {
            None => String::new(),
            Some(Limit::None) => "-1".into(),
            Some(Limit::Most(number)) => number.to_string(),
        };
        let lock = if self.locked { "!" } else { "" };
        let mut line = Zeroizing::new(String::with_capacity(LINE_BYTES_MAX));
        line.push_str(&format!("{}:{lock}", self.name));
        line.push_str(self.stored);
        let id = match self.first_name {
            Some(first) => format!("{first}{ACCOUNT_MARK}{}", self.id),
            None => self.id.to_owned(),
        };
        let parts = [
            limit(self.quota.bytes),
            limit(self.quota.messages),
            id,
            self.verifier.unwrap_or_default().to_owned(),
        ];
        // Two quotas or none; the rest only as far as there is something.
        let count = match parts.iter().rposition(|part| !part.is_empty()) {
            None => 0,
            Some(last) => (last + 1).max(2),
        };
        for part in &parts[..count] {
            line.push(':');
            line.push_str(part);
        }
        line.push('\n');
        line
    }
}

/// Takes a line apart; its name and hash are not checked.
pub(super) fn split(line: &str) -> Result<Entry<'_>, String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("the line is longer than {LINE_BYTES_MAX} bytes"));
    }
    let mut parts = line.split(':');
    let name = parts.next().unwrap_or_default();
    let stored = parts.next().ok_or("the line must be name:{SCHEME}hash")?;
    // Before anything else it is a password in clear, which an import may have.
    let unlocked = stored
        .strip_prefix(LOCK_MARK)
        .filter(|rest| rest.starts_with('{'));
    let mut limit = |what: &str| match parts.next() {
        None | Some("") => Ok(None),
        Some("-1") => Ok(Some(Limit::None)),
        Some(number) => number
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .map(|number| Some(Limit::Most(number)))
            .ok_or(format!(
                "the {what} must be a whole number of at least 1, or -1 for no limit"
            )),
    };
    let quota = Quota {
        bytes: limit("quota in bytes")?,
        messages: limit("quota in messages")?,
    };
    let account = parts.next().unwrap_or_default();
    let (first_name, id) = match account.split_once(ACCOUNT_MARK) {
        Some((name, id)) => (Some(name), id),
        None => (None, account),
    };
    let is_id = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    if id.len() > ID_BYTES_MAX || !id.bytes().all(is_id) {
        return Err(format!(
            "the id must be at most {ID_BYTES_MAX} small letters and digits"
        ));
    }
    if first_name.is_some() && id.is_empty() {
        return Err("there is a former name without an id".into());
    }
    let verifier = parts.next().filter(|text| !text.is_empty());
    if parts.next().is_some() {
        return Err("there is more after the verifier".into());
    }
    Ok(Entry {
        name,
        stored: unlocked.unwrap_or(stored),
        locked: unlocked.is_some(),
        quota,
        id,
        first_name,
        verifier,
    })
}

/// Takes a line of the directory apart and checks it.
pub(super) fn parse(line: &str) -> Result<Entry<'_>, String> {
    let entry = split(line)?;
    if &*canonical(entry.name)? != entry.name {
        return Err(format!("the name {} must be in lower case", entry.name));
    }
    if let Some(first) = entry.first_name
        && canonical(first).as_deref() != Ok(first)
    {
        return Err(format!("the former name {first} is none"));
    }
    password::check_stored(entry.stored)?;
    if entry
        .verifier
        .is_some_and(|it| !Verifier::is_beside_any(it))
    {
        return Err("the verifier for SCRAM-SHA-256 is none".into());
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("Ann", "ann"),
            ("ÄNN@Example.org", "änn@example.org"),
            ("a.b-c_d", "a.b-c_d"),
        ] {
            assert_eq!(&*canonical(name).unwrap(), expected);
        }
        for bad in [
            "", "a b", "a:b", "a/b", "a+b", ".a", "-a", "a@b@c", "a..b", "@a", "a@", "a\n",
        ] {
            assert!(canonical(bad).is_err(), "{bad:?}");
        }
        assert!(canonical(&"x".repeat(NAME_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn accounts() {
        let account = |line: &str| split(line).unwrap().account();
        assert_eq!(&*account("ann:h"), "ann");
        assert_eq!(&*account("ann:h:::k3"), "ann#k3");
        assert_eq!(&*account("bob:h:::ann#k3"), "ann#k3", "renamed");
        assert_eq!(first_name("ann#k3"), "ann");
        assert_eq!(first_name("ann"), "ann");
        assert!(new_id() != new_id() && new_id().len() == ID_BYTES);
    }

    #[test]
    fn quotas() {
        let quota = |line: &str| split(line).map(|entry| entry.quota);
        assert_eq!(quota("a:h"), Ok(Quota::default()));
        assert_eq!(
            quota("a:h:5:-1"),
            Ok(Quota {
                bytes: Some(Limit::Most(5)),
                messages: Some(Limit::None)
            })
        );
        assert_eq!(
            quota("a:h::7"),
            Ok(Quota {
                bytes: None,
                messages: Some(Limit::Most(7))
            })
        );
        for bad in [
            "a",
            "a:h:x",
            "a:h:-2",
            "a:h:0",
            "a:h:1:2:A",
            "a:h:1:2:3:4:5",
            "a:h:::b#",
        ] {
            assert!(quota(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            bytes in proptest::option::of(1_u64..),
            none: bool,
            locked: bool,
            id in "[a-z0-9]{0,8}",
            renamed: bool,
            verifier: bool,
        ) {
            let messages = none.then_some(Limit::None);
            let quota = Quota { bytes: bytes.map(Limit::Most), messages };
            let first_name = (renamed && !id.is_empty()).then_some("old");
            let verifier = verifier.then_some("1,2,3,4");
            let id = &*id;
            let (name, stored) = ("ann", "{SSHA256}x");
            let entry = Entry { name, stored, locked, quota, id, first_name, verifier };
            let line = entry.to_line();
            let read = split(line.trim_end()).unwrap();
            prop_assert_eq!((read.name, read.stored, read.quota), (name, stored, quota));
            prop_assert_eq!(read.account(), entry.account());
            prop_assert_eq!((read.locked, read.verifier), (locked, verifier));
        }
    }
}
