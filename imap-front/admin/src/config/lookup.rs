//! Finding options by name, by likeness and by pattern.

use super::kind::ConfigOption;
use super::options::{exact, options};

/// The option of that name, without regard to case.
pub fn find(name: &str) -> Option<&'static ConfigOption> {
    let name = name.to_ascii_lowercase();
    exact(&name).or_else(|| exact(&super::plugins::without_instance(&name)?))
}

/// The option whose name is most like `name`, if any is like it at all.
pub fn like(name: &str) -> Option<&'static ConfigOption> {
    let name = name.to_ascii_lowercase();
    options()
        .map(|option| (distance(&name, option.name), option))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 4)
        .map(|(_, option)| option)
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
}
