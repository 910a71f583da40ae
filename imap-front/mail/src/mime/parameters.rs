//! Structured fields: `type/subtype; name=value` (RFC 2045 §5.1, RFC 2183).

use super::Parameter;

/// Parameters kept of one field.
const PARAMETERS_MAX: usize = 64;

/// A field's leading value (up to `;`) and its parameters. Comments are dropped.
pub(super) fn parse(value: &[u8]) -> (Vec<u8>, Vec<Parameter>) {
    let mut cursor = Cursor { rest: value };
    let main = cursor.until(b";").trim_ascii().to_vec();
    let mut parameters = Vec::new();
    while cursor.skip(b';') && parameters.len() < PARAMETERS_MAX {
        let name = cursor.until(b"=;").trim_ascii().to_vec();
        if !cursor.skip(b'=') {
            continue;
        }
        let value = cursor.value();
        cursor.until(b";");
        if !name.is_empty() {
            parameters.push((name, value));
        }
    }
    (main, parameters)
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn skip(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        self.rest = &self.rest[usize::from(found)..];
        found
    }

    /// Bytes before the first of `stops` that stands outside quotes and comments.
    fn until(&mut self, stops: &[u8]) -> Vec<u8> {
        let mut taken = Vec::new();
        let (mut quoted, mut depth) = (false, 0u32);
        while let Some((&byte, rest)) = self.rest.split_first() {
            if !quoted && depth == 0 && stops.contains(&byte) {
                break;
            }
            self.rest = rest;
            match byte {
                b'\\' if quoted || depth > 0 => self.rest = self.rest.get(1..).unwrap_or(&[]),
                b'"' if depth == 0 => quoted = !quoted,
                b'(' if !quoted => depth += 1,
                b')' if !quoted && depth > 0 => {
                    depth -= 1;
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                taken.push(byte);
            }
        }
        taken
    }

    /// A token or a quoted string.
    fn value(&mut self) -> Vec<u8> {
        self.rest = self.rest.trim_ascii_start();
        if !self.skip(b'"') {
            return self.until(b";").trim_ascii().to_vec();
        }
        let mut text = Vec::new();
        while let Some((&byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            match byte {
                b'"' => break,
                b'\\' => {
                    if let Some((&escaped, rest)) = self.rest.split_first() {
                        text.push(escaped);
                        self.rest = rest;
                    }
                }
                _ => text.push(byte),
            }
        }
        text
    }
}
