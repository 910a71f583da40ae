//! Content transfer encodings, decoded piece by piece (RFC 2045 §6).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Content, Part};

/// Bytes of a part that are decoded in one go.
pub const PIECE_BYTES: u64 = 128 << 10;
/// How far it is looked ahead for the end of a line of quoted-printable, of which 76 bytes are
/// allowed.
const LOOK_AHEAD_BYTES: usize = 1024;

/// Takes what there is: what follows the last whole octet is nothing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Base64,
    QuotedPrintable,
}

/// How far the decoding of a part has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoder {
    encoding: Encoding,
    /// Ends of lines are CRLF, whatever they were (RFC 3516 §6).
    is_text: bool,
    after_cr: bool,
    /// Letters of base64 that make no whole octets yet.
    letters: [u8; 3],
    letter_count: u8,
    /// Base64 has ended, with padding: what follows is not part of it.
    ended: bool,
}

impl Decoder {
    /// For bytes as they are.
    pub fn identity() -> Self {
        Self {
            encoding: Encoding::Identity,
            is_text: false,
            after_cr: false,
            letters: [0; 3],
            letter_count: 0,
            ended: false,
        }
    }

    /// For the content of a part; none if its encoding is not known. Multiparts and messages are
    /// not encoded (RFC 2045 §6.4).
    pub fn of(part: &Part) -> Option<Self> {
        if part.content != Content::Leaf {
            return Some(Self::identity());
        }
        let is = |name: &str| part.encoding.eq_ignore_ascii_case(name.as_bytes());
        let encoding = match () {
            () if is("7bit") || is("8bit") || is("binary") => Encoding::Identity,
            () if is("base64") => Encoding::Base64,
            () if is("quoted-printable") => Encoding::QuotedPrintable,
            () => return None,
        };
        Some(Self {
            encoding,
            is_text: part.media_type.eq_ignore_ascii_case(b"text"),
            ..Self::identity()
        })
    }

    /// Decodes what comes next of a part; `is_last` if nothing follows. Gives how many bytes it has
    /// taken: what is left comes again, with what follows it.
    pub fn decode(&mut self, source: &[u8], is_last: bool, out: &mut Vec<u8>) -> usize {
        match self.encoding {
            Encoding::Identity => {
                self.push(source, out);
                source.len()
            }
            Encoding::Base64 => {
                self.base64(source, is_last, out);
                source.len()
            }
            Encoding::QuotedPrintable => self.quoted_printable(source, is_last, out),
        }
    }

    fn base64(&mut self, source: &[u8], is_last: bool, out: &mut Vec<u8>) {
        let mut letters = Vec::with_capacity(source.len() + 3);
        letters.extend_from_slice(&self.letters[..usize::from(self.letter_count)]);
        for &byte in source {
            match byte {
                // RFC 2045 §6.8: all else is passed over.
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if !self.ended => {
                    letters.push(byte);
                }
                b'=' => self.ended = true,
                _ => {}
            }
        }
        let is_last = is_last || self.ended;
        let rest = letters.len() % 4;
        let whole = letters.len() - if is_last && rest != 1 { 0 } else { rest };
        self.letter_count = 0;
        if !is_last {
            self.letters[..rest].copy_from_slice(&letters[whole..]);
            self.letter_count = rest as u8;
        }
        let decoded = BASE64.decode(&letters[..whole]).unwrap_or_default();
        self.push(&decoded, out);
    }

    fn quoted_printable(&mut self, source: &[u8], is_last: bool, out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        while at < source.len() {
            let rest = &source[at..];
            let is_undecided = |ahead: &[u8]| {
                !is_last && (ahead.is_empty() || ahead == b"\r") && rest.len() < LOOK_AHEAD_BYTES
            };
            let blanks = |bytes: &[u8]| bytes.iter().take_while(|b| b" \t".contains(b)).count();
            at += match rest[0] {
                b'=' => match rest.get(1..3).and_then(octet) {
                    Some(octet) => {
                        self.push(&[octet], out);
                        3
                    }
                    None if !is_last && rest.len() < 3 => break,
                    None => {
                        let end = 1 + blanks(&rest[1..]);
                        let ahead = &rest[end..];
                        if is_undecided(ahead) {
                            break;
                        }
                        match line_end(ahead) {
                            Some(len) => end + len,
                            None if ahead.is_empty() && is_last => end,
                            // RFC 2045 §6.7: what is not allowed is best taken as it is.
                            None => {
                                self.push(b"=", out);
                                1
                            }
                        }
                    }
                },
                b' ' | b'\t' => {
                    let end = blanks(rest);
                    let ahead = &rest[end..];
                    if is_undecided(ahead) {
                        break;
                    }
                    if line_end(ahead).is_none() && !(ahead.is_empty() && is_last) {
                        self.push(&rest[..end], out);
                    }
                    end
                }
                _ => {
                    let plain = |b: &&u8| !b"= \t".contains(b);
                    let end = rest.iter().take_while(plain).count();
                    self.push(&rest[..end], out);
                    end
                }
            };
        }
        at
    }

    /// Gives octets.
    fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        if !self.is_text {
            return out.extend_from_slice(octets);
        }
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', octets) {
            let after_cr = match end {
                0 => self.after_cr,
                _ => octets[end - 1] == b'\r',
            };
            if !after_cr {
                out.extend_from_slice(&octets[from..end]);
                out.push(b'\r');
                from = end;
            }
        }
        out.extend_from_slice(&octets[from..]);
        if let Some(last) = octets.last() {
            self.after_cr = *last == b'\r';
        }
    }
}

fn octet(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(digits[0])? * 16 + digit(digits[1])?) as u8)
}

/// How long the line end is with which bytes begin.
fn line_end(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\r', b'\n', ..] => Some(2),
        [b'\n', ..] => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(media_type: &str, encoding: &str) -> Part {
        Part {
            media_type: media_type.into(),
            encoding: encoding.into(),
            ..Part::default()
        }
    }

    /// Decodes in pieces of some size, and checks that this changes nothing.
    fn decoded(part: &Part, source: &[u8]) -> Vec<u8> {
        let whole = in_pieces(part, source, source.len().max(1));
        for size in 1..9 {
            assert_eq!(in_pieces(part, source, size), whole, "pieces of {size}");
        }
        whole
    }

    fn in_pieces(part: &Part, source: &[u8], size: usize) -> Vec<u8> {
        let mut decoder = Decoder::of(part).expect("a known encoding");
        let (mut out, mut at, mut end) = (Vec::new(), 0, 0);
        while end < source.len() {
            end = (end + size).min(source.len());
            at += decoder.decode(&source[at..end], end == source.len(), &mut out);
        }
        assert_eq!(at, source.len());
        out
    }

    #[test]
    fn base64_is_decoded_whatever_stands_between() {
        let image = part("image", "BASE64");
        assert_eq!(decoded(&image, b"AAEC\r\nAwQ=\r\n"), [0, 1, 2, 3, 4]);
        assert_eq!(decoded(&image, b"A A!E\r\n C A"), [0, 1, 2]);
        assert_eq!(decoded(&image, b"AAECAw"), [0, 1, 2, 3]);
        assert_eq!(decoded(&image, b"AAEC=AAEC"), [0, 1, 2], "it has ended");
        assert_eq!(decoded(&image, b""), b"");
    }

    #[test]
    fn quoted_printable_is_decoded_line_by_line() {
        let file = part("application", "quoted-printable");
        let cases: [(&str, &[u8]); 9] = [
            ("a=3Db=e9", b"a=b\xe9"),
            ("soft =\r\nbreak=  \r\n!", b"soft break!"),
            ("blanks  \t\r\nat the end \n", b"blanks\r\nat the end\n"),
            ("a \t b", b"a \t b"),
            ("=XY =", b"=XY "),
            ("=00=0", b"\0=0"),
            ("the end=", b"the end"),
            ("=\nx", b"x"),
            ("x  ", b"x"),
        ];
        for (source, expected) in cases {
            let found = decoded(&file, source.as_bytes());
            assert_eq!(found, expected, "{source:?}");
        }
        let long = [b"x".repeat(5), b" ".repeat(5000), b"y".to_vec()].concat();
        assert_eq!(in_pieces(&file, &long, 2000), long);
    }

    #[test]
    fn lines_of_texts_end_in_crlf() {
        let lines = b"one\ntwo\r\nthree\rfour\n\n";
        let expected = b"one\r\ntwo\r\nthree\rfour\r\n\r\n";
        assert_eq!(decoded(&part("text", "8bit"), lines), expected);
        assert_eq!(decoded(&part("image", "8bit"), lines), lines);
        let encoded = base64::engine::general_purpose::STANDARD.encode(lines);
        assert_eq!(
            decoded(&part("TEXT", "base64"), encoded.as_bytes()),
            expected
        );
    }

    #[test]
    fn an_encoding_may_be_unknown() {
        assert_eq!(Decoder::of(&part("text", "x-uuencode")), None);
        let mut multipart = part("multipart", "x-strange");
        multipart.content = Content::Multipart(vec![Part::default()]);
        assert_eq!(Decoder::of(&multipart), Some(Decoder::identity()));
    }
}
