//! Header fields (RFC 5322 §2.2).

/// Bytes of the longest header that is kept or passed on as a whole.
pub const WHOLE_MAX: usize = 64 << 10;

/// One field of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its value, folded as it is, without the line end.
    pub value: &'a [u8],
    /// All of it, the line end included.
    pub raw: &'a [u8],
}

/// How long the header at the front of a message or part is, its blank line included.
pub fn length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        let line = line_at(bytes, at);
        at += line.len();
        if matches!(line, b"\r\n" | b"\n") {
            break;
        }
    }
    at
}

/// The header of a message of `size` bytes that begins with `begin`, of which [`WHOLE_MAX`] bytes
/// are looked at; none if it does not end within these.
pub fn whole(begin: &[u8], size: u64) -> Option<&[u8]> {
    let begin = &begin[..begin.len().min(WHOLE_MAX)];
    let length = length(begin);
    (length < begin.len() || begin.len() as u64 == size).then(|| &begin[..length])
}

/// The fields of a header. Lines that are neither fields nor their continuations are left out.
pub fn fields(header: &[u8]) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    let mut at = 0;
    while at < header.len() {
        let start = at;
        let first = line_at(header, at);
        at += first.len();
        if matches!(first, b"\r\n" | b"\n") {
            break;
        }
        while at < header.len() && matches!(header[at], b' ' | b'\t') {
            at += line_at(header, at).len();
        }
        let raw = &header[start..at];
        if let Some(colon) = first.iter().position(|&b| b == b':') {
            let name = raw[..colon].trim_ascii_end();
            fields.push(Field {
                name,
                value: trim_end(&raw[colon + 1..]),
                raw,
            });
        }
    }
    fields
}

/// The value of the first field of that name, unfolded and trimmed.
pub fn value(fields: &[Field<'_>], name: &str) -> Option<Vec<u8>> {
    values(fields, name).next()
}

/// The values of all fields of that name, unfolded and trimmed.
pub fn values<'a>(fields: &'a [Field<'_>], name: &'a str) -> impl Iterator<Item = Vec<u8>> + 'a {
    fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes()))
        .map(|field| unfold(field.value))
}

/// The header with only the named fields (`keep`) or without them, its blank line included
/// (RFC 3501 §6.4.5 HEADER.FIELDS).
pub fn filter(header: &[u8], names: &[impl AsRef<str>], keep: bool) -> Vec<u8> {
    let named = |field: &Field<'_>| {
        names
            .iter()
            .any(|name| field.name.eq_ignore_ascii_case(name.as_ref().as_bytes()))
    };
    let mut filtered: Vec<u8> = fields(header)
        .iter()
        .filter(|field| named(field) == keep)
        .flat_map(|field| field.raw.iter().copied())
        .collect();
    if filtered.last().is_some_and(|&b| b != b'\n') {
        // The message ends within its header.
        filtered.extend_from_slice(b"\r\n");
    }
    filtered.extend_from_slice(b"\r\n");
    filtered
}

/// A value with its line ends taken out (RFC 5322 §2.2.3) and blanks around it trimmed.
pub fn unfold(value: &[u8]) -> Vec<u8> {
    let unfolded: Vec<u8> = value
        .iter()
        .copied()
        .filter(|&b| b != b'\r' && b != b'\n' && b != 0)
        .collect();
    unfolded.trim_ascii().to_vec()
}

fn line_at(bytes: &[u8], at: usize) -> &[u8] {
    let rest = &bytes[at..];
    match memchr::memchr(b'\n', rest) {
        Some(end) => &rest[..=end],
        None => rest,
    }
}

fn trim_end(value: &[u8]) -> &[u8] {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    value.strip_suffix(b"\r").unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_whole_if_its_end_is_seen() {
        assert_eq!(whole(b"A: b\r\n\r\nbody", 12), Some(&b"A: b\r\n\r\n"[..]));
        assert_eq!(whole(b"A: b\r\n\r\nb", 12), Some(&b"A: b\r\n\r\n"[..]));
        // The message ends within its header, or with it.
        assert_eq!(whole(b"A: b\r\nC", 7), Some(&b"A: b\r\nC"[..]));
        assert_eq!(whole(b"", 0), Some(&b""[..]));
        // What follows is not seen.
        assert_eq!(whole(b"A: b\r\nC", 8), None);
        assert_eq!(whole(b"A: b\r\n\r\n", 9), None);
        let long = vec![b'a'; WHOLE_MAX + 1];
        assert_eq!(whole(&long, long.len() as u64), None);
        assert!(whole(&long[1..], WHOLE_MAX as u64).is_some());
    }
}
