//! Metadata of mailboxes and of the server (RFC 5464).

use std::sync::Arc;

use bytes::Bytes;

use crate::list::Matcher;
use crate::name::DELIMITER;

/// Longest name of an entry, in bytes.
pub const ENTRY_NAME_BYTES_MAX: usize = 512;
/// What an entry costs besides its name and value, in bytes.
const ENTRY_BYTES: u64 = 64;

/// An entry's name: `/private/…` or `/shared/…`, as somebody spelled it. Case means nothing
/// (RFC 5464 §3.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(Box<str>);

impl EntryName {
    /// A name, or just one of the two in front.
    ///
    /// # Errors
    /// What is expected instead.
    pub fn new(name: &[u8]) -> Result<Self, &'static str> {
        let plain = |&b: &u8| (0x20..0x7f).contains(&b) && b != b'*' && b != b'%';
        if name.len() > ENTRY_NAME_BYTES_MAX {
            return Err("an entry's name of at most 512 bytes");
        }
        if !name.iter().all(plain) || name.ends_with(b"/") || name.windows(2).any(|it| it == b"//")
        {
            return Err("an entry's name without *, %, // and a / at its end");
        }
        let name = String::from_utf8_lossy(name);
        let key = name.to_ascii_lowercase();
        let is_below = |above: &str| {
            let rest = key.strip_prefix(above);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(DELIMITER))
        };
        if is_below("/private") || is_below("/shared") {
            return Ok(Self(name.into()));
        }
        Err("an entry such as /private/comment or /shared/comment")
    }

    /// As it was spelled.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In lower case: names with the same key are the same.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// Whether it is one of each user's own.
    pub fn is_private(&self) -> bool {
        self.0.as_bytes()[1].eq_ignore_ascii_case(&b'p')
    }

    /// Whether it is `/private` or `/shared` itself, which has no value.
    pub fn is_bare(&self) -> bool {
        !self.0[1..].contains(DELIMITER)
    }
}

/// An entry and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: EntryName,
    /// Its value; none is NIL, no such entry.
    pub value: Option<Bytes>,
}

impl Entry {
    /// What it counts for among all that a user may keep, in bytes.
    pub fn cost(&self) -> u64 {
        let value = self.value.as_ref().map_or(0, Bytes::len);
        ENTRY_BYTES + (self.name.0.len() + value) as u64
    }
}

/// The names of entries: of those that are a user's own, and of those that all share.
pub fn private_and_shared(entries: &[Entry]) -> (Arc<[EntryName]>, Arc<[EntryName]>) {
    let of = |is_private: bool| {
        let some = entries.iter().map(|entry| &entry.name);
        let some = some.filter(|name| name.is_private() == is_private);
        some.cloned().collect()
    };
    (of(true), of(false))
}

/// How far below an entry its others are asked for (RFC 5464 §4.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Itself.
    #[default]
    Zero,
    /// The next level too.
    One,
    /// All levels.
    Infinity,
}

/// Which entries are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Entries, and those so far below.
    Entries(Vec<EntryName>, Depth),
    /// Those whose names match one of these patterns, which are in lower case and like those of
    /// LIST.
    Like(Vec<Box<str>>),
}

/// What is asked of a mailbox's or the server's entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataQuery {
    /// Which entries.
    pub wanted: Wanted,
    /// Bytes of the largest value that is told.
    pub value_bytes_max: Option<u64>,
}

/// The entries that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataFound {
    /// In the order of their keys; those asked for one by one in that order, and also if they are
    /// not there.
    pub entries: Vec<Entry>,
    /// Bytes of the largest value, if it was too large to be told.
    pub longest: Option<u64>,
}

impl MetadataFound {
    /// What it takes in memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|it| it.cost() as usize).sum()
    }
}

impl MetadataQuery {
    /// The names, if entries are asked for one by one.
    pub fn exact(&self) -> Option<&[EntryName]> {
        match &self.wanted {
            Wanted::Entries(names, Depth::Zero) => Some(names),
            _ => None,
        }
    }

    /// What it takes in memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        match &self.wanted {
            Wanted::Entries(names, _) => names.iter().map(|it| it.0.len()).sum(),
            Wanted::Like(patterns) => patterns.iter().map(|it| it.len()).sum(),
        }
    }

    /// The answer, of entries with values among which are all that are asked for.
    pub fn answer(&self, there: Vec<Entry>) -> MetadataFound {
        let mut there: Vec<(String, Entry)> =
            there.into_iter().map(|it| (it.name.key(), it)).collect();
        there.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut found = MetadataFound::default();
        match &self.wanted {
            Wanted::Entries(names, Depth::Zero) => {
                for name in names {
                    let key = name.key();
                    let at = there.binary_search_by(|(there, _)| there.cmp(&key)).ok();
                    let value = at.and_then(|at| there[at].1.value.clone());
                    // Named as it was asked for.
                    let name = name.clone();
                    self.tell(Entry { name, value }, &mut found);
                }
            }
            Wanted::Entries(names, depth) => {
                let above: Vec<String> = names.iter().map(EntryName::key).collect();
                for (key, entry) in there {
                    if above.iter().any(|above| is_below(&key, above, *depth)) {
                        self.tell(entry, &mut found);
                    }
                }
            }
            Wanted::Like(patterns) => {
                let mut matchers: Vec<Matcher> =
                    patterns.iter().map(|it| Matcher::new(it)).collect();
                for (key, entry) in there {
                    if matchers.iter_mut().any(|it| it.matches(&key)) {
                        self.tell(entry, &mut found);
                    }
                }
            }
        }
        found
    }

    fn tell(&self, entry: Entry, found: &mut MetadataFound) {
        let bytes = entry.value.as_ref().map_or(0, Bytes::len) as u64;
        if self.value_bytes_max.is_some_and(|most| bytes > most) {
            found.longest = found.longest.max(Some(bytes));
        } else {
            found.entries.push(entry);
        }
    }
}

/// Whether a key is another, or lies so far below.
fn is_below(key: &str, above: &str, depth: Depth) -> bool {
    let Some(rest) = key.strip_prefix(above) else {
        return false;
    };
    match (rest.strip_prefix(DELIMITER), depth) {
        (None, _) => rest.is_empty(),
        (Some(_), Depth::Zero) => false,
        (Some(below), Depth::One) => !below.contains(DELIMITER),
        (Some(_), Depth::Infinity) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> EntryName {
        EntryName::new(text.as_bytes()).expect("a name")
    }

    #[test]
    fn names_are_private_or_shared() {
        assert!(name("/Private/comment").is_private() && !name("/shared").is_private());
        assert!(name("/shared").is_bare() && !name("/shared/a").is_bare());
        for wrong in [
            "",
            "/",
            "comment",
            "/comment",
            "/sharedx/a",
            "/shared/",
            "/shared//a",
            "/shared/*",
            "/private/\u{fc}",
        ] {
            assert!(EntryName::new(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let long = format!("/shared/{}", "x".repeat(ENTRY_NAME_BYTES_MAX));
        assert!(EntryName::new(long.as_bytes()).is_err());
    }

    #[test]
    fn depths_and_sizes() {
        let there = || {
            let entry = |text: &str| Entry {
                name: name(text),
                value: Some(Bytes::copy_from_slice(text.as_bytes())),
            };
            let names = ["/shared/a/b/c", "/shared/A", "/shared/a/b", "/shared/ab"];
            names.map(entry).to_vec()
        };
        let found = |wanted, value_bytes_max| {
            let query = MetadataQuery {
                wanted,
                value_bytes_max,
            };
            let found = query.answer(there());
            let told = found.entries.iter().map(|it| match &it.value {
                Some(_) => it.name.as_str().to_owned(),
                None => format!("no {}", it.name.as_str()),
            });
            (told.collect::<Vec<_>>().join(" "), found.longest)
        };
        let below = |text, depth| Wanted::Entries(vec![name(text)], depth);
        let told = |wanted| found(wanted, None).0;
        assert_eq!(told(below("/shared/A", Depth::Zero)), "/shared/A");
        assert_eq!(told(below("/shared/x", Depth::Zero)), "no /shared/x");
        assert_eq!(
            told(below("/shared/a", Depth::One)),
            "/shared/A /shared/a/b"
        );
        let all = "/shared/A /shared/a/b /shared/a/b/c";
        assert_eq!(told(below("/shared/a", Depth::Infinity)), all);
        assert_eq!(told(below("/shared/a/x", Depth::Infinity)), "");
        assert_eq!(
            told(Wanted::Like(vec!["/shared/%".into()])),
            "/shared/A /shared/ab"
        );
        let (told, longest) = found(below("/shared/a", Depth::Infinity), Some(11));
        assert_eq!((&*told, longest), ("/shared/A /shared/a/b", Some(13)));
    }
}
