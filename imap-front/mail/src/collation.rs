//! The collation `i;unicode-casemap` (RFC 5051), by which SEARCH, SORT and THREAD compare texts
//! (RFC 5255 §4.2): which are equal or contain which, and which comes first.
//!
//! Each character becomes its simple titlecase mapping, and that its decomposition, compatible ones
//! included, to the end; the bytes of the result in UTF-8 are compared. So case, width and the way
//! in which an accent is written make no difference, and accents themselves do. Combining marks
//! stay in the order in which they stand.

use unicode_normalization::char::decompose_compatible;

/// The text as its bytes are compared, without NUL.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        // Most text is ASCII, and is taken a run at a time.
        let ascii = rest.bytes().position(|b| !b.is_ascii());
        let (run, others) = rest.split_at(ascii.unwrap_or(rest.len()));
        let start = folded.len();
        folded.push_str(run);
        folded[start..].make_ascii_uppercase();
        let end = others.find(|c: char| c.is_ascii());
        let (others, left) = others.split_at(end.unwrap_or(others.len()));
        for c in others.chars() {
            decompose_compatible(titlecase(c), |c| folded.push(c));
        }
        rest = left;
    }
    if folded.contains('\0') {
        folded.retain(|c| c != '\0');
    }
    folded
}

/// The simple titlecase mapping (UnicodeData.txt): that to upper case, except where letters have a
/// form of their own, and where the full mapping that the library knows is longer than a character.
fn titlecase(c: char) -> char {
    let up = |offset: u32| char::from_u32(c as u32 + offset).unwrap_or(c);
    match c {
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        // Georgian has capitals, but begins no word with them.
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => c,
        // Greek letters with an iota below.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => up(8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => up(9),
        c => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_width_and_composition_make_no_difference() {
        for (one, other) in [
            ("Grüße", "GRU\u{308}ßE"),
            ("ＡＢＣ", "abc"),
            ("ΑΘΗΝΑΣ", "αθηνας"),
            ("ǆ", "ǅ"),
            ("\u{1f80}", "\u{1f88}"),
            ("ı", "I"),
            ("a\0b", "AB"),
        ] {
            assert_eq!(fold(one), fold(other), "{one}");
        }
        for (one, other) in [("ß", "ss"), ("a", "ä"), ("\u{10d0}", "\u{1c90}")] {
            assert_ne!(fold(one), fold(other), "{one}");
        }
    }

    #[test]
    fn bytes_are_compared() {
        assert_eq!(fold("Ångström z"), "A\u{30a}NGSTRO\u{308}M Z");
        assert!(fold("b") > fold("A") && fold("e") < fold("é") && fold("é") < fold("f"));
    }
}
