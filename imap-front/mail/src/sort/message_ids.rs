//! Message IDs in header fields (RFC 5322 §3.6.4), as hashes.

use xxhash_rust::xxh3::xxh3_64;

/// References of one message that are kept: the first and the last of them.
pub(super) const REFERENCES_MAX: usize = 64;

/// The message IDs in a field's value that are valid, as RFC 5256 §3 compares them: without quotes
/// that need not be, and without comments and blanks.
pub(super) fn of_value(value: &[u8]) -> Vec<u64> {
    let mut ids = Vec::new();
    let mut id: Option<Vec<u8>> = None;
    let (mut is_quoted, mut has_at, mut comments) = (false, false, 0_usize);
    let mut bytes = value.iter();
    while let Some(&byte) = bytes.next() {
        match (byte, &mut id) {
            (b'\\', id) if is_quoted || comments > 0 => {
                if let (Some(next), Some(id)) = (bytes.next(), id) {
                    id.push(*next);
                }
            }
            (b'(', _) if !is_quoted => comments += 1,
            (b')', _) if comments > 0 => comments -= 1,
            _ if comments > 0 => {}
            (b'"', Some(_)) => is_quoted = !is_quoted,
            (byte, Some(id)) if is_quoted => id.push(byte),
            (b'<', id) => (*id, has_at) = (Some(Vec::new()), false),
            (b'>', Some(_)) => {
                let id = id.take().filter(|id| has_at && id.len() > 2);
                ids.extend(id.map(|id| xxh3_64(&id)));
            }
            (b' ' | b'\t' | b'\r' | b'\n', _) => {}
            (byte, Some(id)) => {
                has_at |= byte == b'@';
                id.push(byte);
            }
            _ => {}
        }
    }
    ids
}

/// The references of a message: those of its References field, or else the first of In-Reply-To.
pub(super) fn references(references: Option<&[u8]>, in_reply_to: Option<&[u8]>) -> Vec<u64> {
    let mut ids = references.map(of_value).unwrap_or_default();
    if ids.is_empty() {
        ids = in_reply_to.map(of_value).unwrap_or_default();
        ids.truncate(1);
    }
    if ids.len() > REFERENCES_MAX {
        ids.drain(1..=ids.len() - REFERENCES_MAX);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_compared_as_what_they_mean() {
        let id = |text: &str| of_value(text.as_bytes());
        // RFC 5256 §3, in the rules for REFERENCES.
        assert_eq!(
            id("<\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>"),
            id("<01KF8JCEOCBS0045PS@xxx.yyy.com>")
        );
        assert_eq!(id("<a@b> (not <c@d>)\r\n <\"a\\\"\" @ b>").len(), 2);
        assert_eq!(id("<a@b>"), id(" junk <x <a@b> y@z>"));
        for text in [
            "",
            "a@b",
            "<a>",
            "<@>",
            "<a@b",
            "<\"a@b>",
            "<\"a@b\">",
            "()",
        ] {
            assert_eq!(id(text), [], "{text}");
        }
        assert_ne!(id("<a@b>"), id("<A@b>"));
    }

    #[test]
    fn references_come_before_in_reply_to() {
        let of = |text: &str| of_value(text.as_bytes());
        let all = |refs: Option<&str>, reply: Option<&str>| {
            references(refs.map(str::as_bytes), reply.map(str::as_bytes))
        };
        assert_eq!(all(Some("<a@b> <c@d>"), Some("<e@f>")), of("<a@b> <c@d>"));
        assert_eq!(all(Some("none"), Some("<e@f> <g@h>")), of("<e@f>"));
        assert_eq!(all(None, None), []);
        let many: String = (0..200).map(|n| format!("<{n}@x> ")).collect();
        let kept = all(Some(&many), None);
        assert_eq!(kept.len(), REFERENCES_MAX);
        assert_eq!(kept[0], of("<0@x>")[0]);
        assert_eq!(kept[1..], of(&many)[200 - (REFERENCES_MAX - 1)..]);
    }
}
