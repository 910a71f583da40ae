//! Which mailboxes a LIST or LSUB names (RFC 3501 §6.3.8, §6.3.9; RFC 5258; RFC 3348; RFC 6154).
//!
//! A listing is made in pieces: each begins after the name that the one before ended with, and
//! stops when it is long enough or has cost enough.

mod pattern;

use std::collections::BTreeMap;

use crate::name::DELIMITER;
use crate::{MailboxInfo, MailboxName, SpecialUse};

pub(crate) use pattern::Matcher;
pub use pattern::joined;

/// Whether a name matches a pattern as [`joined`] makes them.
pub fn matches(pattern: &str, name: &str) -> bool {
    Matcher::new(pattern).matches(name)
}

/// Bytes of names in a piece; the last name may exceed it.
const PIECE_BYTES_MAX: usize = 128 << 10;
/// Words that matching may touch for a piece, without those of [`Query::looks_below`]: some
/// milliseconds.
const PIECE_STEPS_MAX: usize = 1 << 21;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// A name that any of them matches is listed; each as [`joined`] made it.
    pub patterns: Vec<Box<str>>,
    /// LSUB: subscribed names, and with `%` parents of such that are hidden by it.
    pub lsub: bool,
    /// `SUBSCRIBED`: subscribed names only, existing or not.
    pub subscribed: bool,
    /// `SPECIAL-USE`: mailboxes with a use attribute only.
    pub special_use: bool,
    /// `RECURSIVEMATCH`: also names below which there are subscribed ones that don't match.
    pub recursive_match: bool,
}

/// How far below a prefix names can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Only the first level of the prefix itself.
    First,
    /// Further.
    Any,
}

/// A name in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: MailboxName,
    /// It can be selected.
    pub selectable: bool,
    /// It exists, be it as a mere parent.
    pub exists: bool,
    /// It is subscribed.
    pub subscribed: bool,
    /// Mailboxes lie below it.
    pub has_children: bool,
    /// Its use attribute.
    pub special_use: Option<SpecialUse>,
    /// Subscribed names lie below it that are not listed themselves (RFC 5258 §4 CHILDINFO).
    pub child_info: bool,
}

/// A piece of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Names, ascending.
    pub entries: Vec<Entry>,
    /// The name after which the next piece begins; none at the end.
    pub next: Option<MailboxName>,
}

impl Piece {
    /// What it takes in memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        let name = |entry: &Entry| size_of::<Entry>() + 16 + entry.name.as_str().len();
        self.entries.iter().map(name).sum()
    }
}

/// What is known of a name, of a mailbox or of a mere parent.
#[derive(Clone, Copy, Default)]
struct Facts {
    selectable: bool,
    exists: bool,
    subscribed: bool,
    special_use: Option<SpecialUse>,
    has_children: bool,
    /// A subscribed name below it does not match.
    hides: bool,
}

impl Query {
    /// The names after `after`, of all names that the user has.
    pub fn piece(&self, infos: &[MailboxInfo], after: Option<&MailboxName>) -> Piece {
        let mut matchers: Vec<Matcher> = self.patterns.iter().map(|p| Matcher::new(p)).collect();
        let mut facts = facts(infos);
        if self.looks_below() {
            mark_hidden(infos, after, &mut facts, &mut matchers);
        }
        let mut piece = Piece::default();
        let (mut bytes, mut steps, mut last) = (0, 0, "");
        let from = after.map_or("", MailboxName::as_str);
        let later =
            facts.range::<str, _>((std::ops::Bound::Excluded(from), std::ops::Bound::Unbounded));
        for (name, fact) in later {
            if bytes >= PIECE_BYTES_MAX || steps >= PIECE_STEPS_MAX {
                piece.next = Some(MailboxName::new(last));
                return piece;
            }
            steps += matchers
                .iter()
                .map(|matcher| matcher.steps(name))
                .sum::<usize>();
            if self.is_listed(name, fact, &mut matchers) {
                bytes += name.len();
                piece.entries.push(self.entry(name, fact));
            }
            last = name;
        }
        piece
    }

    /// How far below a prefix, which has a delimiter at its end, names can match; none if none can.
    pub fn depth_below(&self, prefix: &str) -> Option<Depth> {
        let depth = |pattern: &str| {
            let fixed = pattern
                .find(['%', '*'])
                .map_or(pattern, |at| &pattern[..at]);
            // Or the name above all of them itself.
            let can = prefix.starts_with(fixed) || fixed.starts_with(prefix);
            let is_flat = !pattern.contains('*') && !pattern.contains(DELIMITER);
            can.then_some(if is_flat { Depth::First } else { Depth::Any })
        };
        let depths = self.patterns.iter().filter_map(|pattern| depth(pattern));
        depths.max()
    }

    /// Whether a name's place in the listing depends on names below it.
    fn looks_below(&self) -> bool {
        let percent = || self.patterns.iter().any(|pattern| pattern.contains('%'));
        self.recursive_match || (self.lsub && percent())
    }

    fn is_listed(&self, name: &str, fact: &Facts, matchers: &mut [Matcher]) -> bool {
        let selected = if self.lsub {
            fact.subscribed
        } else {
            (!self.subscribed || fact.subscribed)
                && (!self.special_use || fact.special_use.is_some())
                && (self.subscribed || fact.exists)
        };
        (selected || fact.hides) && matchers.iter_mut().any(|matcher| matcher.matches(name))
    }

    fn entry(&self, name: &str, fact: &Facts) -> Entry {
        Entry {
            name: MailboxName::new(name),
            // RFC 3501 §6.3.9: a name that LSUB lists for those below it only is \\Noselect.
            selectable: fact.selectable && (!self.lsub || fact.subscribed),
            exists: fact.exists,
            subscribed: fact.subscribed,
            has_children: fact.has_children,
            special_use: fact.special_use,
            child_info: self.recursive_match && fact.hides,
        }
    }
}

/// All names, parents that only their children imply included.
fn facts(infos: &[MailboxInfo]) -> BTreeMap<&str, Facts> {
    let mut facts: BTreeMap<&str, Facts> = BTreeMap::new();
    for info in infos {
        let fact = facts.entry(info.name.as_str()).or_default();
        fact.selectable = info.selectable;
        fact.exists |= info.exists;
        fact.subscribed = info.subscribed;
        fact.special_use = info.special_use;
        if !info.exists {
            continue;
        }
        for parent in parents(info.name.as_str()) {
            let fact = facts.entry(parent).or_default();
            fact.exists = true;
            if std::mem::replace(&mut fact.has_children, true) {
                // So it was with those above.
                break;
            }
        }
    }
    facts
}

/// Notes above which names subscribed ones are hidden.
fn mark_hidden<'a>(
    infos: &'a [MailboxInfo],
    after: Option<&MailboxName>,
    facts: &mut BTreeMap<&'a str, Facts>,
    matchers: &mut [Matcher],
) {
    // What lies below a name comes after it.
    let from = infos.partition_point(|info| after.is_some_and(|after| info.name <= *after));
    for info in infos[from..].iter().filter(|info| info.subscribed) {
        let name = info.name.as_str();
        if matchers.iter_mut().any(|matcher| matcher.matches(name)) {
            continue;
        }
        for parent in parents(name) {
            if std::mem::replace(&mut facts.entry(parent).or_default().hides, true) {
                break;
            }
        }
    }
}

/// The names above a name, the longest first.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.rmatch_indices(DELIMITER).map(|(at, _)| &name[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, exists: bool, subscribed: bool) -> MailboxInfo {
        MailboxInfo {
            name: MailboxName::new(name),
            selectable: exists,
            exists,
            subscribed,
            special_use: None,
        }
    }

    fn query(patterns: &[&str]) -> Query {
        let patterns = patterns.iter().filter_map(|pattern| joined("", pattern));
        Query {
            patterns: patterns.collect(),
            ..Query::default()
        }
    }

    /// All pieces, and how many there were.
    fn listed(query: &Query, infos: &[MailboxInfo]) -> (Vec<Entry>, usize) {
        let (mut entries, mut count, mut after) = (vec![], 0, None);
        loop {
            let piece = query.piece(infos, after.as_ref());
            entries.extend(piece.entries);
            count += 1;
            match piece.next {
                Some(next) => after = Some(next),
                None => return (entries, count),
            }
        }
    }

    fn names(query: &Query, infos: &[MailboxInfo]) -> Vec<String> {
        let entries = listed(query, infos).0;
        entries.iter().map(|entry| entry.name.to_string()).collect()
    }

    #[test]
    fn pieces_are_bounded_and_complete() {
        let infos: Vec<MailboxInfo> = (0..10_000)
            .map(|n| info(&format!("{n:05}{}", "x".repeat(895)), true, n % 2 == 0))
            .collect();
        let (entries, pieces) = listed(&query(&["*"]), &infos);
        assert_eq!(entries.len(), 10_000);
        assert!(
            entries
                .iter()
                .zip(&infos)
                .all(|(entry, info)| entry.name == info.name)
        );
        assert!(
            pieces >= 10_000 * 900 / (PIECE_BYTES_MAX + 1024),
            "{pieces}"
        );
        // Nothing matches, and each piece costs no more than it may.
        let evil = query(&[&format!("{}zz", "*x%".repeat(340))]);
        let (entries, pieces) = listed(&evil, &infos);
        let words = 10_000 * 900 * (340 * 2 + 3usize).div_ceil(64);
        assert!(
            entries.is_empty() && pieces >= words / (2 * PIECE_STEPS_MAX),
            "{pieces}"
        );
    }

    #[test]
    fn lsub_names_parents_only_where_a_percent_sign_hides_what_is_below() {
        let infos = [
            info("ls", true, false),
            info("ls/a", true, false),
            info("ls/a/b", true, true),
        ];
        let lsub = |pattern| Query {
            lsub: true,
            ..query(&[pattern])
        };
        assert_eq!(names(&lsub("ls"), &infos), [""; 0]);
        assert_eq!(names(&lsub("*"), &infos), ["ls/a/b"]);
        assert_eq!(names(&lsub("%"), &infos), ["ls"]);
        assert_eq!(names(&lsub("ls/%"), &infos), ["ls/a"]);
        assert!(!listed(&lsub("%"), &infos).0[0].selectable);
    }

    #[test]
    fn recursive_match_tells_of_what_is_below() {
        let infos = [
            info("a", true, false),
            info("a!", true, false),
            info("a/b/c", false, true),
            info("d", true, true),
            info("d/e", true, true),
        ];
        let recursive = Query {
            subscribed: true,
            recursive_match: true,
            ..query(&["%"])
        };
        let (entries, _) = listed(&recursive, &infos);
        let found: Vec<_> = entries
            .iter()
            .map(|e| (e.name.as_str(), e.child_info))
            .collect();
        assert_eq!(found, [("a", true), ("d", true)]);
        assert_eq!(names(&query(&["*"]), &infos), ["a", "a!", "d", "d/e"]);
    }
}
