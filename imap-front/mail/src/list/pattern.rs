//! Patterns of mailbox names: `*` is anything, `%` anything within a level (RFC 3501 §6.3.8).

use crate::name::{DELIMITER, NAME_BYTES_MAX};

/// A pattern after its reference, as matching takes it; none if no name can match it. Runs of
/// wildcards are one, and any case of INBOX in front is the canonical one.
pub fn joined(reference: &str, pattern: &str) -> Option<Box<str>> {
    let mut joined = String::new();
    let mut literal = 0;
    for character in reference.chars().chain(pattern.chars()) {
        let last = joined.bytes().next_back();
        match (character, last) {
            ('*' | '%', Some(b'*')) | ('%', Some(b'%')) => continue,
            ('*', Some(b'%')) => {
                joined.pop();
            }
            ('*' | '%', _) => {}
            _ => literal += character.len_utf8(),
        }
        if literal > NAME_BYTES_MAX {
            return None;
        }
        joined.push(character);
    }
    let is_inbox = joined
        .get(..5)
        .is_some_and(|head| head.eq_ignore_ascii_case("INBOX"))
        && matches!(joined.as_bytes().get(5), None | Some(b'/' | b'*' | b'%'));
    if is_inbox {
        joined.replace_range(..5, "INBOX");
    }
    Some(joined.into())
}

/// A pattern made ready to be held against names: a nondeterministic automaton whose states are the
/// bits of a few words, a step for each byte of a name.
pub(crate) struct Matcher {
    words: usize,
    states: usize,
    star: Vec<u64>,
    percent: Vec<u64>,
    /// For each byte the number of its positions in `literals`, 0 for none.
    class: [u16; 256],
    /// For each class `words` words: at which positions of the pattern its byte stands.
    literals: Vec<u64>,
    now: Vec<u64>,
    next: Vec<u64>,
}

impl Matcher {
    pub fn new(pattern: &str) -> Self {
        let states = pattern.len() + 1;
        let words = states.div_ceil(64);
        let mut matcher = Self {
            words,
            states,
            star: vec![0; words],
            percent: vec![0; words],
            class: [0; 256],
            literals: vec![0; words],
            now: vec![0; words],
            next: vec![0; words],
        };
        for (at, byte) in pattern.bytes().enumerate() {
            let (word, bit) = (at / 64, 1 << (at % 64));
            match byte {
                b'*' => matcher.star[word] |= bit,
                b'%' => matcher.percent[word] |= bit,
                _ => {
                    if matcher.class[usize::from(byte)] == 0 {
                        matcher.class[usize::from(byte)] = (matcher.literals.len() / words) as u16;
                        matcher.literals.resize(matcher.literals.len() + words, 0);
                    }
                    let class = usize::from(matcher.class[usize::from(byte)]);
                    matcher.literals[class * words + word] |= bit;
                }
            }
        }
        matcher
    }

    /// Words that it takes to match a name at most.
    pub fn steps(&self, name: &str) -> usize {
        self.words * name.len()
    }

    pub fn matches(&mut self, name: &str) -> bool {
        self.now.fill(0);
        self.now[0] = 1;
        self.skip_wildcards();
        for byte in name.bytes() {
            if !self.step(byte) {
                return false;
            }
        }
        let last = self.states - 1;
        self.now[last / 64] & (1 << (last % 64)) != 0
    }

    /// Takes a byte; false if nothing can match any more.
    fn step(&mut self, byte: u8) -> bool {
        let class = usize::from(self.class[usize::from(byte)]) * self.words;
        let within_level = if byte == DELIMITER as u8 { 0 } else { u64::MAX };
        let mut carry = 0;
        let mut any = 0;
        for word in 0..self.words {
            let now = self.now[word];
            let moved = now & self.literals[class + word];
            let stays = now & (self.star[word] | self.percent[word] & within_level);
            self.next[word] = moved << 1 | carry | stays;
            carry = moved >> 63;
            any |= self.next[word];
        }
        std::mem::swap(&mut self.now, &mut self.next);
        self.skip_wildcards();
        any != 0
    }

    /// A wildcard may stand for nothing; no two follow each other.
    fn skip_wildcards(&mut self) {
        let mut carry = 0;
        for word in 0..self.words {
            let skips = self.now[word] & (self.star[word] | self.percent[word]);
            self.now[word] |= skips << 1 | carry;
            carry = skips >> 63;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        joined("", pattern).is_some_and(|pattern| Matcher::new(&pattern).matches(name))
    }

    #[test]
    fn wildcards() {
        let check = |pattern: &str, name: &str, expected| {
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
        check("a%b%c", "axbxxbxc", true);
        check("*/%a", "x/y/ba", true);
        check("*/%a", "x/y/b/", false);
        check("", "", true);
        check("", "a", false);
        check("inbox/*", "INBOX/a", true);
        let long = "x".repeat(70);
        check(&format!("{long}*{long}%"), &format!("{long}/{long}"), true);
        check(&format!("{long}%{long}"), &format!("{long}/{long}"), false);
        check(&"*a".repeat(200), &"b".repeat(1000), false);
        check(&"*a".repeat(200), &"a".repeat(1000), true);
    }

    #[test]
    fn patterns_are_as_short_as_names() {
        assert_eq!(joined("", &"*%".repeat(30_000)).as_deref(), Some("*"));
        assert_eq!(joined("a/", "%%b").as_deref(), Some("a/%b"));
        assert_eq!(joined(&"x".repeat(1000), &"y".repeat(25)), None);
        assert_eq!(joined("", &"x*".repeat(1024)).map(|p| p.len()), Some(2048));
    }

    /// What a pattern means, as plainly as possible.
    fn plain(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, _) => name.is_empty(),
            (Some((b'*', rest)), _) => {
                plain(rest, name) || name.split_first().is_some_and(|(_, n)| plain(pattern, n))
            }
            (Some((b'%', rest)), Some((first, after))) => {
                plain(rest, name) || *first != b'/' && plain(pattern, after)
            }
            (Some((b'%', rest)), None) => plain(rest, &[]),
            (Some((byte, rest)), Some((first, after))) => byte == first && plain(rest, after),
            (Some(_), None) => false,
        }
    }

    #[test]
    fn all_short_patterns_match_what_they_mean() {
        let words = |letters: &[u8], len: u32| {
            let letters = letters.to_vec();
            (0..letters.len().pow(len)).map(move |mut n| {
                let mut word = String::new();
                for _ in 0..len {
                    word.push(char::from(letters[n % letters.len()]));
                    n /= letters.len();
                }
                word
            })
        };
        for pattern in (0..=4).flat_map(|len| words(b"a/*%", len)) {
            for name in (0..=4).flat_map(|len| words(b"ab/", len)) {
                let expected = plain(pattern.as_bytes(), name.as_bytes());
                assert_eq!(matches(&pattern, &name), expected, "{pattern} {name}");
            }
        }
    }
}
