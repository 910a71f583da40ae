//! Mailbox names on the wire: modified UTF-7 (RFC 3501 §5.1.3).

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Decodes a mailbox name. One with eight-bit bytes can't be modified UTF-7: it is taken as it
/// stands if it is UTF-8, which some clients send.
///
/// # Errors
/// What is wrong with it: malformed or non-canonical encodings name no mailbox.
pub fn decode(bytes: &[u8]) -> Result<String, &'static str> {
    const EXPECTED: &str = "a mailbox name in modified UTF-7";
    let text = std::str::from_utf8(bytes).map_err(|_| EXPECTED)?;
    if !text.is_ascii() {
        return Ok(text.to_owned());
    }
    if text.bytes().any(|b| b.is_ascii_control()) {
        return Err(EXPECTED);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        let shifted = &rest[at + 1..];
        let end = shifted.find('-').ok_or("- after & in a mailbox name")?;
        if end == 0 {
            decoded.push('&');
        } else {
            decode_shifted(&shifted[..end], &mut decoded)?;
        }
        rest = &shifted[end + 1..];
        if end > 0 && rest.starts_with('&') && !rest.starts_with("&-") {
            return Err("one run of modified base64 where two meet in a mailbox name");
        }
    }
    decoded.push_str(rest);
    Ok(decoded)
}

fn decode_shifted(base64: &str, decoded: &mut String) -> Result<(), &'static str> {
    const EXPECTED: &str = "modified base64 of UTF-16 in a mailbox name";
    let bytes = BASE64.decode(base64).map_err(|_| EXPECTED)?;
    if bytes.len() % 2 != 0 {
        return Err(EXPECTED);
    }
    let units = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    for character in char::decode_utf16(units) {
        let character = character.map_err(|_| EXPECTED)?;
        if (' '..='~').contains(&character) {
            return Err("printable ASCII outside modified base64 in a mailbox name");
        }
        decoded.push(character);
    }
    Ok(())
}

/// Encodes a mailbox name.
pub fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    let mut shifted: Vec<u8> = Vec::new();
    for character in name.chars() {
        if (' '..='~').contains(&character) {
            flush(&mut shifted, &mut encoded);
            encoded.push(character);
            if character == '&' {
                encoded.push('-');
            }
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                shifted.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
    flush(&mut shifted, &mut encoded);
    encoded
}

fn flush(shifted: &mut Vec<u8>, encoded: &mut String) {
    if !shifted.is_empty() {
        encoded.push('&');
        encoded.push_str(&BASE64.encode(&*shifted));
        encoded.push('-');
        shifted.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names() {
        // RFC 3501 §5.1.3
        let name = "~peter/mail/&U,BTFw-/&ZeVnLIqe-";
        assert_eq!(
            decode(name.as_bytes()).expect("valid"),
            "~peter/mail/台北/日本語"
        );
        assert_eq!(encode("~peter/mail/台北/日本語"), name);
        assert_eq!(encode("a&b"), "a&-b");
        assert_eq!(decode(b"a&-b").expect("valid"), "a&b");
        assert_eq!(decode("Entwürfe".as_bytes()).expect("UTF-8"), "Entwürfe");
        assert_eq!(decode("ü & &AOQ-".as_bytes()).expect("UTF-8"), "ü & &AOQ-");
    }

    #[test]
    fn malformed_names() {
        for name in [
            "&Jjo",
            "&Jjo!-",
            "&AGE-",
            "&U,BTFw-&ZeVnLIqe-",
            "&2D0-",
            "&AA-",
            "a\tb",
        ] {
            assert!(decode(name.as_bytes()).is_err(), "{name}");
        }
    }
}
