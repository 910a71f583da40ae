//! Which mailboxes a LIST or LSUB names (RFC 3501 §6.3.8, §6.3.9; RFC 5258; RFC 3348; RFC 6154).

use std::collections::BTreeMap;

use mail::MailboxName;
use mail::name::DELIMITER;
use mail::reply::MailboxInfo;
use mail::request::SpecialUse;

use crate::imap::ast::List;

/// One line of the answer.
pub(super) struct Match {
    pub name: MailboxName,
    pub attributes: Vec<&'static str>,
    pub selectable: bool,
    /// Subscribed names lie below it that are not listed themselves.
    pub child_info: bool,
}

/// What is known of a name, of a mailbox or of a mere parent.
#[derive(Clone, Copy, Default)]
struct Facts {
    selectable: bool,
    exists: bool,
    subscribed: bool,
    special_use: Option<SpecialUse>,
    has_children: bool,
}

pub(super) fn list(infos: &[MailboxInfo], list: &List) -> Vec<Match> {
    let facts = facts(infos);
    let patterns = patterns(list);
    let matches = |name: &str| patterns.iter().any(|pattern| matches(pattern, name));
    let mut found = Vec::new();
    for (name, fact) in &facts {
        if !matches(name.as_str()) {
            continue;
        }
        let selected = (!list.select.subscribed || fact.subscribed)
            && (!list.select.special_use || fact.special_use.is_some())
            && (list.select.subscribed || fact.exists);
        let below = list.select.recursive_match
            && facts.iter().any(|(other, fact)| {
                fact.subscribed && other.is_below(name) && !matches(other.as_str())
            });
        if selected || below {
            found.push(Match {
                name: name.clone(),
                attributes: attributes(fact, list),
                selectable: fact.selectable,
                child_info: below,
            });
        }
    }
    found
}

fn attributes(fact: &Facts, list: &List) -> Vec<&'static str> {
    let mut words = Vec::new();
    if !fact.exists {
        words.push("\\NonExistent");
    } else if !fact.selectable {
        words.push("\\Noselect");
    }
    words.push(if fact.has_children {
        "\\HasChildren"
    } else {
        "\\HasNoChildren"
    });
    if fact.subscribed && (list.returns.subscribed || list.select.subscribed) {
        words.push("\\Subscribed");
    }
    // RFC 6154 §2: they may be in any LIST answer.
    if let Some(special_use) = fact.special_use {
        words.push(match special_use {
            SpecialUse::All => "\\All",
            SpecialUse::Archive => "\\Archive",
            SpecialUse::Drafts => "\\Drafts",
            SpecialUse::Flagged => "\\Flagged",
            SpecialUse::Junk => "\\Junk",
            SpecialUse::Sent => "\\Sent",
            SpecialUse::Trash => "\\Trash",
        });
    }
    words
}

/// LSUB: subscribed names, and with `%` parents of such that are hidden by it (RFC 3501 §6.3.9).
pub(super) fn lsub(infos: &[MailboxInfo], list: &List) -> Vec<Match> {
    let patterns = patterns(list);
    let matches = |name: &str| patterns.iter().any(|pattern| matches(pattern, name));
    let mut found: BTreeMap<MailboxName, bool> = BTreeMap::new();
    for info in infos.iter().filter(|info| info.subscribed) {
        if matches(info.name.as_str()) {
            found.insert(info.name.clone(), info.selectable);
            continue;
        }
        let mut parent = info.name.parent();
        while let Some(name) = parent {
            if matches(name.as_str()) {
                found.entry(name.clone()).or_insert(false);
            }
            parent = name.parent();
        }
    }
    found
        .into_iter()
        .map(|(name, selectable)| Match {
            name,
            attributes: if selectable {
                vec![]
            } else {
                vec!["\\Noselect"]
            },
            selectable,
            child_info: false,
        })
        .collect()
}

/// All names, parents that only their children imply included.
fn facts(infos: &[MailboxInfo]) -> BTreeMap<MailboxName, Facts> {
    let mut facts: BTreeMap<MailboxName, Facts> = BTreeMap::new();
    for info in infos {
        let fact = facts.entry(info.name.clone()).or_default();
        fact.selectable = info.selectable;
        fact.exists = info.exists;
        fact.subscribed = info.subscribed;
        fact.special_use = info.special_use;
        if !info.exists {
            continue;
        }
        let mut parent = info.name.parent();
        while let Some(name) = parent {
            let fact = facts.entry(name.clone()).or_default();
            fact.has_children = true;
            fact.exists = true;
            parent = name.parent();
        }
    }
    facts
}

/// The patterns after the reference (RFC 3501 §6.3.8: they are joined here).
fn patterns(list: &List) -> Vec<String> {
    list.patterns
        .iter()
        .map(|pattern| {
            let joined = format!("{}{pattern}", list.reference);
            let is_inbox = joined
                .get(..5)
                .is_some_and(|head| head.eq_ignore_ascii_case("INBOX"))
                && matches!(joined.as_bytes().get(5), None | Some(b'/' | b'*' | b'%'));
            if is_inbox {
                format!("INBOX{}", &joined[5..])
            } else {
                joined
            }
        })
        .collect()
}

/// Whether a name matches a pattern: `*` is anything, `%` anything within a level.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    // Places in the pattern that the name so far can have led to.
    let mut places = vec![false; pattern.len() + 1];
    places[0] = true;
    let spread = |places: &mut Vec<bool>| {
        for at in 0..pattern.len() {
            if places[at] && matches!(pattern[at], b'*' | b'%') {
                places[at + 1] = true;
            }
        }
    };
    spread(&mut places);
    for &byte in name {
        let mut next = vec![false; pattern.len() + 1];
        for at in (0..pattern.len()).filter(|&at| places[at]) {
            match pattern[at] {
                b'*' => next[at] = true,
                b'%' if byte != DELIMITER as u8 => next[at] = true,
                same if same == byte => next[at + 1] = true,
                _ => {}
            }
        }
        places = next;
        spread(&mut places);
    }
    places[pattern.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        let check = |pattern, name, expected| {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        };
        check("*", "a/b/c", true);
        check("%", "a", true);
        check("%", "a/b", false);
        check("a/%", "a/b", true);
        check("a/%", "a/b/c", false);
        check("a/*c", "a/b/c", true);
        check("%/%", "a/b", true);
        check("a*%b", "axyb", true);
        check("", "", true);
        check("", "a", false);
        let stars = "*a".repeat(200);
        check(&stars, &"b".repeat(1000), false);
    }
}
