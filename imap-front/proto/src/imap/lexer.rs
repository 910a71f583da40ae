//! The lexer: a cursor over one command's bytes that says what it expected and where.

use std::borrow::Cow;

use super::name_form::NameForm;

/// Why a command could not be parsed, for a BAD answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at column {}", at + 1)]
pub struct ParseError {
    /// The command's tag, if it could be read.
    pub tag: Option<Box<str>>,
    /// Where in the command, in bytes.
    pub at: usize,
    /// What was expected there.
    pub expected: &'static str,
    /// How it is answered.
    pub fault: Fault,
}

/// What is wrong with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its syntax: BAD.
    Syntax,
    /// It is well-formed, but its CHARSET is not offered (RFC 3501 §6.4.4): NO.
    Charset,
    /// It is well-formed, but a string in the place of a mailbox name names none, as it is not in
    /// modified UTF-7 (RFC 3501 §5.1.3): NO.
    Name,
}

/// The outcome of a parser.
pub type Parsed<T> = Result<T, ParseError>;

/// A literal announced at the end of a line (RFC 3501 §4.3, RFC 7888).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    /// Its bytes.
    pub size: u64,
    /// `{n+}`: the client does not wait for a continuation request.
    pub non_sync: bool,
    /// `~{n}`: NUL may stand in it (RFC 3516 §4.4).
    pub is_binary: bool,
    /// `UTF8 (~{n}`: a parenthesis follows it (RFC 6855 §4).
    pub is_enclosed: bool,
}

/// The literal that a line (without its CRLF) announces at its end, if any.
///
/// ```text
/// literal  = "{" number ["+"] "}" CRLF *CHAR8     ; RFC 3501 §9, RFC 7888 §8
/// literal8 = "~{" number ["+"] "}" CRLF *OCTET    ; RFC 4466 §6
/// ```
pub fn literal_at_end(line: &[u8]) -> Option<Literal> {
    if line.last() != Some(&b'}') {
        return None;
    }
    let open = line.iter().rposition(|&b| b == b'{')?;
    let mut announcement = Announcement::default();
    announcement.read(&line[open..]);
    let is_binary = line[..open].ends_with(b"~");
    let literal = announcement.literal();
    literal.map(|literal| Literal {
        is_binary,
        ..literal
    })
}

/// Finds the literal that a line announces at its end while the line itself is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Announcement {
    /// Nothing is being announced.
    #[default]
    None,
    /// `{`
    Open,
    /// `{n`
    Size(u64),
    /// `{n+`
    NonSync(u64),
    /// `{n}` or `{n+}`, then perhaps CR, then perhaps LF.
    Whole(Literal),
}

impl Announcement {
    /// Reads on.
    pub fn read(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            *self = match (*self, byte) {
                (_, b'{') => Self::Open,
                (Self::Open, b'0'..=b'9') => Self::Size(u64::from(byte - b'0')),
                (Self::Size(size), b'0'..=b'9') => {
                    let digit = u64::from(byte - b'0');
                    Self::Size(size.saturating_mul(10).saturating_add(digit))
                }
                (Self::Size(size), b'+') => Self::NonSync(size),
                (Self::Size(size), b'}') => Self::whole(size, false),
                (Self::NonSync(size), b'}') => Self::whole(size, true),
                (Self::Whole(literal), b'\r' | b'\n') => Self::Whole(literal),
                _ => Self::None,
            };
        }
    }

    fn whole(size: u64, non_sync: bool) -> Self {
        Self::Whole(Literal {
            size,
            non_sync,
            is_binary: false,
            is_enclosed: false,
        })
    }

    /// What was announced.
    pub fn literal(self) -> Option<Literal> {
        match self {
            Self::Whole(literal) => Some(literal),
            _ => None,
        }
    }
}

/// A cursor over a command.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    input: &'a [u8],
    at: usize,
    form: NameForm,
}

/// RFC 3501 §9 `ATOM-CHAR`.
pub fn is_atom_char(b: u8) -> bool {
    b > 0x20 && b < 0x7f && !b"(){%*\"\\]".contains(&b)
}

/// RFC 3501 §9 `ASTRING-CHAR`.
pub fn is_astring_char(b: u8) -> bool {
    is_atom_char(b) || b == b']'
}

impl<'a> Lexer<'a> {
    /// A cursor at the start of a command.
    pub fn new(input: &'a [u8]) -> Self {
        let form = NameForm::Utf7;
        Self { input, at: 0, form }
    }

    /// The same, of a client that writes names so.
    pub fn with_form(self, form: NameForm) -> Self {
        Self { form, ..self }
    }

    /// How names are written, and whether quoted strings are in UTF-8.
    pub fn form(&self) -> NameForm {
        self.form
    }

    /// Where the cursor stands.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next byte, which stays.
    pub fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        &self.input[self.at..]
    }

    /// An error at the cursor.
    pub fn fail<T>(&self, expected: &'static str) -> Parsed<T> {
        self.fail_as(Fault::Syntax, expected)
    }

    /// An error at the cursor other than of syntax.
    pub fn fail_as<T>(&self, fault: Fault, expected: &'static str) -> Parsed<T> {
        Err(ParseError {
            tag: None,
            at: self.at,
            expected,
            fault,
        })
    }

    /// Takes a byte if it is the next.
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes a byte that must come.
    pub fn need(&mut self, byte: u8, expected: &'static str) -> Parsed<()> {
        if self.take(byte) {
            Ok(())
        } else {
            self.fail(expected)
        }
    }

    /// A single space.
    pub fn space(&mut self) -> Parsed<()> {
        self.need(b' ', "a space")
    }

    /// The end of the command.
    pub fn end(&mut self) -> Parsed<()> {
        if self.at == self.input.len() {
            Ok(())
        } else {
            self.fail("the end of the command")
        }
    }

    /// Takes `word` if it comes next, without regard to case, and not as the start of a longer one.
    pub fn keyword(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let found = rest.len() >= word.len()
            && rest[..word.len()].eq_ignore_ascii_case(word.as_bytes())
            && rest.get(word.len()).is_none_or(|&b| !is_word_char(b));
        if found {
            self.at += word.len();
        }
        found
    }

    /// Bytes while `accept` holds; at least one.
    pub fn take_while(
        &mut self,
        accept: impl Fn(u8) -> bool,
        expected: &'static str,
    ) -> Parsed<&'a [u8]> {
        let len = self.rest().iter().take_while(|&&b| accept(b)).count();
        if len == 0 {
            return self.fail(expected);
        }
        let bytes = &self.rest()[..len];
        self.at += len;
        Ok(bytes)
    }

    /// An atom (RFC 3501 §9).
    pub fn atom(&mut self, expected: &'static str) -> Parsed<&'a str> {
        Ok(ascii(self.take_while(is_atom_char, expected)?))
    }

    /// A word of a command or an item, in capitals: letters, digits, `.`, `-`, `+`.
    pub fn word(&mut self, expected: &'static str) -> Parsed<String> {
        Ok(ascii(self.take_while(is_word_char, expected)?).to_ascii_uppercase())
    }

    /// A number below 2^32.
    pub fn number(&mut self) -> Parsed<u32> {
        let at = self.at;
        let number = self.number64()?;
        u32::try_from(number).or_else(|_| {
            self.at = at;
            self.fail("a number below 4294967296")
        })
    }

    /// A number below 2^63 (RFC 7162 §7 `mod-sequence-value` and sizes).
    pub fn number64(&mut self) -> Parsed<u64> {
        let at = self.at;
        let digits = self.take_while(|b| b.is_ascii_digit(), "a number")?;
        match ascii(digits).parse::<u64>() {
            Ok(number) if number <= i64::MAX as u64 => Ok(number),
            _ => {
                self.at = at;
                self.fail("a number below 9223372036854775808")
            }
        }
    }

    /// A quoted string or a literal (RFC 3501 §9 `string`).
    pub fn string(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => self.fail("a string"),
        }
    }

    /// `astring`: an atom (with `]`), or a string.
    pub fn astring(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => self
                .take_while(is_astring_char, "an atom or a string")
                .map(Cow::Borrowed),
        }
    }

    /// `nstring`: a string or NIL.
    pub fn nstring(&mut self) -> Parsed<Option<Cow<'a, [u8]>>> {
        if self.keyword("NIL") {
            Ok(None)
        } else {
            self.string().map(Some)
        }
    }

    /// A client that has enabled UTF-8 may send nothing else in quotes (RFC 9755 §3).
    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        let start = self.clone();
        let text = self.quoted_bytes()?;
        match self.form.is_utf8() && std::str::from_utf8(&text).is_err() {
            true => start.fail("a quoted string in UTF-8"),
            false => Ok(text),
        }
    }

    fn quoted_bytes(&mut self) -> Parsed<Cow<'a, [u8]>> {
        self.need(b'"', "a quoted string")?;
        let start = self.at;
        let mut unescaped: Option<Vec<u8>> = None;
        loop {
            match self.peek() {
                None | Some(b'\r' | b'\n' | 0) => return self.fail("a closing quote"),
                Some(b'"') => {
                    let plain = &self.input[start..self.at];
                    self.at += 1;
                    return Ok(unescaped.map_or(Cow::Borrowed(plain), Cow::Owned));
                }
                Some(b'\\') => {
                    let so_far = &self.input[start..self.at];
                    let text = unescaped.get_or_insert_with(|| so_far.to_vec());
                    match self.input.get(self.at + 1) {
                        Some(&escaped @ (b'"' | b'\\')) => text.push(escaped),
                        _ => return self.fail("\\\" or \\\\ in a quoted string"),
                    }
                    self.at += 2;
                }
                Some(byte) => {
                    if let Some(text) = &mut unescaped {
                        text.push(byte);
                    }
                    self.at += 1;
                }
            }
        }
    }

    fn literal(&mut self) -> Parsed<&'a [u8]> {
        let start = self.clone();
        let bytes = self.octets()?;
        if bytes.contains(&0) {
            return start.fail("a literal without NUL");
        }
        Ok(bytes)
    }

    /// `~{n}` or `~{n+}` and n octets of any kind (RFC 3516 §7 `literal8`).
    pub fn literal8(&mut self) -> Parsed<&'a [u8]> {
        self.need(b'~', "a literal8")?;
        self.octets()
    }

    fn octets(&mut self) -> Parsed<&'a [u8]> {
        let literal = self.literal_header()?;
        if !self.rest().starts_with(b"\r\n") {
            return self.fail("a line end after the literal's size");
        }
        let rest = &self.rest()[2..];
        let size = usize::try_from(literal.size).unwrap_or(usize::MAX);
        let Some(bytes) = rest.get(..size) else {
            return self.fail("as many bytes as the literal announced");
        };
        self.at += 2 + size;
        Ok(bytes)
    }

    /// As [`Lexer::literal_header`], or `~{n}` or `~{n+}`.
    pub fn literal8_header(&mut self) -> Parsed<Literal> {
        let is_binary = self.take(b'~');
        let literal = self.literal_header()?;
        Ok(Literal {
            is_binary,
            ..literal
        })
    }

    /// `{n}` or `{n+}`, without the line end.
    pub fn literal_header(&mut self) -> Parsed<Literal> {
        self.need(b'{', "a literal")?;
        let size = self.number64()?;
        let non_sync = self.take(b'+');
        self.need(b'}', "} after the literal's size")?;
        Ok(Literal {
            size,
            non_sync,
            is_binary: false,
            is_enclosed: false,
        })
    }

    /// Items between parentheses, separated by one space. An empty list only if `may_be_empty`.
    pub fn list<T>(
        &mut self,
        may_be_empty: bool,
        mut item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        self.need(b'(', "(")?;
        let mut items = Vec::new();
        if may_be_empty && self.take(b')') {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.take(b')') {
                return Ok(items);
            }
            self.need(b' ', "a space or )")?;
        }
    }
}

fn is_word_char(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b".-+".contains(&b)
}

/// Bytes that were checked to be ASCII.
fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("only ASCII was accepted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_at_the_end_of_a_line() {
        let literal = |size, non_sync| {
            Some(Literal {
                size,
                non_sync,
                is_binary: false,
                is_enclosed: false,
            })
        };
        let is_binary = |line: &[u8]| literal_at_end(line).map(|literal| literal.is_binary);
        assert_eq!(is_binary(b"a APPEND x ~{5+}"), Some(true));
        assert_eq!(is_binary(b"a APPEND x ~ {5}"), Some(false));
        assert_eq!(literal_at_end(b"a LOGIN {5}"), literal(5, false));
        assert_eq!(literal_at_end(b"a LOGIN {5+}"), literal(5, true));
        assert_eq!(
            literal_at_end(b"{{00000000000000000000005+}"),
            literal(5, true)
        );
        assert_eq!(
            literal_at_end(b"{99999999999999999999+}"),
            literal(u64::MAX, true)
        );
        for line in [
            &b"{}"[..],
            b"{+}",
            b"{5-}",
            b"5}",
            b"{5} ",
            b"{5+}+",
            b"{5++}",
        ] {
            assert_eq!(
                literal_at_end(line),
                None,
                "{}",
                String::from_utf8_lossy(line)
            );
        }
    }

    #[test]
    fn strings_in_all_forms() {
        let check = |input: &str, expected: &str| {
            let value = Lexer::new(input.as_bytes())
                .astring()
                .expect("a string")
                .into_owned();
            assert_eq!(String::from_utf8(value).expect("text"), expected);
        };
        check("atom] rest", "atom]");
        check("\"a \\\"b\\\\\"", "a \"b\\");
        check("{3}\r\nabc", "abc");
        check("{3+}\r\nabc", "abc");
    }

    #[test]
    fn errors_say_where() {
        let mut lexer = Lexer::new(b"ab cd");
        lexer.atom("an atom").expect("ab");
        let error = lexer.number().expect_err("no number");
        assert_eq!(error.to_string(), "expected a number at column 3");
    }
}
