//! Mailbox names and sequence sets: reading and writing agree.

use mail::SequenceSet;
use mail::set::SetNumber;
use proto::imap::lexer::Lexer;
use proto::imap::{mutf7 as codec, parse};

/// A name that is accepted is written as it was read, and every text can be a name.
pub fn mutf7(data: &[u8]) {
    if let Ok(name) = codec::decode(data) {
        let written = codec::encode(&name);
        if data.is_ascii() {
            assert_eq!(written.as_bytes(), data, "not canonical: {name:?}");
        }
        assert_eq!(codec::decode(written.as_bytes()).as_ref(), Ok(&name));
    }
    if let Ok(name) = std::str::from_utf8(data) {
        let written = codec::encode(name);
        assert!(written.is_ascii());
        assert_eq!(codec::decode(written.as_bytes()).as_deref(), Ok(name));
    }
}

/// A set that is accepted can be written and read back, and its resolved ranges are ascending,
/// apart, and hold what the set holds.
pub fn sequence_set(data: &[u8]) {
    let Ok(set) = parse::sequence_set(&mut Lexer::new(data)) else {
        return;
    };
    let text = written(&set);
    let again = parse::sequence_set(&mut Lexer::new(text.as_bytes()));
    assert_eq!(again.as_ref(), Ok(&set), "{text}");
    for largest in [1, 9, 100] {
        let ranges = set.resolve(largest);
        assert!(ranges.iter().all(|(low, high)| low <= high));
        assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0 - 1));
        for number in 1..=110 {
            let resolved = ranges
                .iter()
                .any(|&(low, high)| (low..=high).contains(&number));
            assert_eq!(resolved, holds(&set, number, largest), "{number} in {text}");
        }
    }
}

fn holds(set: &SequenceSet, number: u32, largest: u32) -> bool {
    let value = |end| match end {
        SetNumber::Value(value) => value,
        SetNumber::Largest => largest,
    };
    set.0.iter().any(|&(one, other)| {
        let (one, other) = (value(one), value(other));
        (one <= number && number <= other) || (other <= number && number <= one)
    })
}

fn written(set: &SequenceSet) -> String {
    if set.is_saved() {
        return "$".to_owned();
    }
    let end = |end: SetNumber| match end {
        SetNumber::Value(value) => value.to_string(),
        SetNumber::Largest => "*".to_owned(),
    };
    let ranges: Vec<String> = set
        .0
        .iter()
        .map(|&(one, other)| format!("{}:{}", end(one), end(other)))
        .collect();
    ranges.join(",")
}
