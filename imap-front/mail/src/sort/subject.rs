//! The base subject (RFC 5256 §2.1): what is left of a subject without what replies, forwards and
//! mailing lists put around it.

use crate::search::decoded_words;

/// The base subject of a Subject field's unfolded value, as text; and whether the message is a
/// reply or forward, as its subject had `Re:`, `Fwd:`, `(fwd)` or `[fwd: …]`.
pub(super) fn base(value: &[u8]) -> (String, bool) {
    let text = match decoded_words(value) {
        Some(decoded) => decoded,
        None => String::from_utf8_lossy(value).into_owned(),
    };
    let text = single_spaced(&text);
    let (mut rest, mut is_answer) = (text.as_str(), false);
    loop {
        rest = rest.trim_end_matches(' ');
        while let Some(before) = strip_end(rest, "(fwd)") {
            rest = before.trim_end_matches(' ');
            is_answer = true;
        }
        while let Some((after, has_leader)) = strip_front(rest) {
            rest = after;
            is_answer |= has_leader;
        }
        match strip(rest, "[fwd:").and_then(|it| it.strip_suffix(']')) {
            Some(within) => {
                rest = within;
                is_answer = true;
            }
            None => return (rest.to_owned(), is_answer),
        }
    }
}

/// Tabs and line ends are blanks, and several blanks are one.
fn single_spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if matches!(c, '\t' | '\r' | '\n') {
            ' '
        } else {
            c
        };
        if c != ' ' || !spaced.ends_with(' ') {
            spaced.push(c);
        }
    }
    spaced
}

/// The rest after blanks, after all blobs and the `Re:` or `Fwd:` behind them (`subj-leader`), or
/// after blobs behind which something is left; and whether there was a `Re:` or `Fwd:`.
fn strip_front(text: &str) -> Option<(&str, bool)> {
    if let Some(rest) = text.strip_prefix(' ') {
        return Some((rest.trim_start_matches(' '), false));
    }
    let (mut rest, mut last) = (text, text);
    while let Some(after) = strip_blob(rest) {
        (last, rest) = (rest, after);
    }
    if let Some(after) = strip_answer(rest) {
        return Some((after, true));
    }
    // The last blob is the base subject if nothing is behind it.
    let rest = if rest.is_empty() { last } else { rest };
    (rest.len() < text.len()).then_some((rest, false))
}

/// `subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"`
fn strip_answer(text: &str) -> Option<&str> {
    let rest = strip(text, "re")
        .or_else(|| strip(text, "fwd"))
        .or_else(|| strip(text, "fw"))?;
    let rest = rest.trim_start_matches(' ');
    strip_blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// `subj-blob = "[" *BLOBCHAR "]" *WSP`, without brackets in it.
fn strip_blob(text: &str) -> Option<&str> {
    let within = text.strip_prefix('[')?;
    let end = within.find(['[', ']'])?;
    let after = within[end..].strip_prefix(']')?;
    Some(after.trim_start_matches(' '))
}

fn strip<'a>(text: &'a str, front: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(front.len())?;
    head.eq_ignore_ascii_case(front).then_some(rest)
}

fn strip_end<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    let (rest, tail) = text.split_at_checked(text.len().checked_sub(end.len())?)?;
    tail.eq_ignore_ascii_case(end).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(subject: &str, expected: &str, is_answer: bool) {
        let found = base(subject.as_bytes());
        assert_eq!(found, (expected.to_owned(), is_answer), "{subject:?}");
    }

    #[test]
    fn what_others_got_wrong() {
        check("fw [x]: cherry", "cherry", true);
        check("[Fwd: apple]", "apple", true);
        check("re [2]: banana", "banana", true);
    }

    #[test]
    fn each_part_of_the_grammar() {
        check("", "", false);
        check("  plain \t text  ", "plain text", false);
        check("RE: Re:re :fwd: FW: a", "a", true);
        check("a (fwd) (FWD)  ", "a", true);
        check("[list] a", "a", false);
        check("[list] [other] Re: [list] a", "a", true);
        check("[list]", "[list]", false);
        check("[list] [other]", "[other]", false);
        check("[list] (fwd)", "[list]", true);
        check("Re: [fwd: [list] Re: a (fwd)] ", "a", true);
        check("[fwd: a] b", "b", false);
        check("[fwd: [fwd: a]]", "a", true);
        check("[fwd:]", "", true);
        check("re", "re", false);
        check("re:", "", true);
        check("result: a", "result: a", false);
        check("[a[b] c", "[a[b] c", false);
        check("re [a] [b]: c", "re [a] [b]: c", false);
        check("Antw: a", "Antw: a", false);
        check("fwdü: a", "fwdü: a", false);
    }

    #[test]
    fn encoded_words_are_decoded_first() {
        check("=?utf-8?q?Re=3A_Gr=C3=BC=C3=9Fe?=", "Grüße", true);
        check(
            "Re: =?iso-8859-1?q?caf=E9?= =?us-ascii?q?_x?=",
            "café x",
            true,
        );
    }

    #[test]
    fn the_work_is_no_more_than_the_text_is_long() {
        for text in ["[a]", "[fwd:", "re:", "(fwd)", "[", "] ", " ", "fw [a]"] {
            base(text.repeat(100_000).as_bytes());
            let nested = format!("{}{}", "[fwd:".repeat(50_000), "]".repeat(50_000));
            assert_eq!(base(nested.as_bytes()), (String::new(), true));
        }
    }
}
