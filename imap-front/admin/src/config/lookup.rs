//! Finding options by name, by likeness and by pattern.

use super::kind::ConfigOption;
use super::options::{OWN, exact, options};
use super::plugins::{PREFIX, without_instance};

/// Edits by which a mistyped name differs from the one that was meant, at most.
const LIKE: usize = 4;
/// The same of a name that may be a plug-in's own: fewer, as it is not known what it may be.
const MISTYPED: usize = 2;

/// The option of that name, without regard to case. Any other name that may be an option of a
/// plug-in's own has one for all of them, whose name ends in `*`.
pub fn find(name: &str) -> Option<&'static ConfigOption> {
    let name = name.to_ascii_lowercase();
    let known = exact(&name).or_else(|| exact(&without_instance(&name)?));
    known.or_else(|| is_own(&name).then_some(&OWN))
}

/// Whether it stands under the name of an instance, and looks like no option that all have.
fn is_own(name: &str) -> bool {
    let Some(bare) = without_instance(name) else {
        return false;
    };
    let (_, own) = bare.rsplit_once(PREFIX).unwrap_or_default();
    let (instance, _) = name.split_at(name.len() - own.len() + 1);
    own.len() > 1
        && options().all(|option| !option.name.starts_with(instance))
        && [name, &bare].iter().all(|it| nearest(it).0 > MISTYPED)
}

/// The option whose name is most like `name`, and by how many edits it differs.
fn nearest(name: &str) -> (usize, Option<&'static ConfigOption>) {
    let all = options().map(|option| (distance(name, option.name), option));
    let nearest = all.min_by_key(|(distance, _)| *distance);
    nearest.map_or((usize::MAX, None), |(edits, option)| (edits, Some(option)))
}

/// The option whose name is most like `name`, under an instance's name or not, if any is like it
/// at all.
pub fn like(name: &str) -> Option<&'static ConfigOption> {
    let name = name.to_ascii_lowercase();
    let bare = without_instance(&name);
    let names = [Some(name), bare].into_iter().flatten();
    let (edits, option) = names.map(|it| nearest(&it)).min_by_key(|it| it.0)?;
    option.filter(|_| edits <= LIKE)
}

/// Whether a name matches a pattern, in any case: `*` stands for any text and `?` for any
/// character; a pattern without either matches anywhere in the name.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    if !pattern.contains(['*', '?']) {
        return name.contains(&pattern);
    }
    glob(pattern.as_bytes(), name.as_bytes())
}

fn glob(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|from| glob(rest, &name[from..])),
        Some((c, rest)) => name
            .split_first()
            .is_some_and(|(n, name)| (*c == b'?' || c == n) && glob(rest, name)),
    }
}

/// Edits that turn one string into the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let change = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, expected) in [
            ("imap.p", true),
            ("service.*", true),
            ("*.PORT", true),
            ("service.i?ap.port", true),
            ("imap.port?", false),
            ("*.ports", false),
        ] {
            assert_eq!(matches(pattern, "service.imap.port"), expected, "{pattern}");
        }
    }

    #[test]
    fn names_are_found_in_any_case_and_nearly_right() {
        assert_eq!(find("Service.IMAP.Port").unwrap().name, "service.imap.port");
        assert!(find("service.imap.prot").is_none());
        assert_eq!(like("service.imap.prot").unwrap().name, "service.imap.port");
        assert!(like("completely.different.thing").is_none());
    }

    #[test]
    fn what_stands_under_an_instance_is_the_plug_ins_own_unless_it_is_mistyped() {
        let under = |rest: &str| find(&format!("local.store.notifyplugin.{rest}"));
        for own in ["mine.prefix", "mine.url.of.it", "MINE.Host"] {
            assert_eq!(under(own).expect("its own").name, OWN.name, "{own}");
        }
        let known = under("mine.enshost").expect("all have it");
        assert_eq!(known.name, "local.store.notifyplugin.enshost");
        for mistyped in [
            "mine.enshots",
            "deletemsg.enabel",
            "newmsg.x",
            "mine.",
            "mine",
            "prefix",
        ] {
            assert!(under(mistyped).is_none(), "{mistyped}");
        }
        let near = like("local.store.notifyplugin.mine.enshots").expect("one is near");
        assert_eq!(near.name, "local.store.notifyplugin.enshost");
    }
}
