//! A command line as a value (RFC 2033 §4, RFC 5321 §4.1.1).

use super::address::{self, PathError, Recipient};

/// Longest address of a submitter, in bytes.
const SUBMITTER_BYTES_MAX: usize = 512;

/// What the client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `LHLO domain`
    Lhlo(Box<str>),
    /// `MAIL FROM:<path> [parameters]`
    Mail(Mail),
    /// `RCPT TO:<path>`, its argument to be read by [`recipient`] once it is known whether the
    /// transaction has SMTPUTF8.
    Rcpt(Box<str>),
    /// `DATA`
    Data,
    /// `RSET`
    Rset,
    /// `STARTTLS`
    StartTls,
    /// `NOOP`
    Noop,
    /// `VRFY`
    Vrfy,
    /// `QUIT`
    Quit,
}

/// The parts of MAIL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The sender without angle brackets; empty for `<>`.
    pub sender: Box<str>,
    /// SIZE (RFC 1870).
    pub size: Option<u64>,
    /// BODY=8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub utf8: bool,
    /// AUTH (RFC 4954 §5): who submitted the message; none if it was `<>`.
    pub submitter: Option<Box<str>>,
}

/// Why a command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// No such command.
    Unknown,
    /// Known, but not offered.
    NotOffered,
    /// HELO or EHLO (RFC 2033 §4.1).
    NotLhlo,
    /// Not in order, and why.
    Syntax(&'static str),
    /// A parameter that is not in order or there twice.
    Parameter(&'static str),
    /// A parameter that is not known.
    UnknownParameter,
    /// An address that is not ASCII, without SMTPUTF8.
    NotAscii,
}

impl From<PathError> for CommandError {
    fn from(error: PathError) -> Self {
        match error {
            PathError::Syntax(reason) => Self::Syntax(reason),
            PathError::NotAscii => Self::NotAscii,
        }
    }
}

/// Reads a line without its end.
///
/// # Errors
/// Why it is refused.
pub fn parse(line: &[u8]) -> Result<Command, CommandError> {
    let line = std::str::from_utf8(line)
        .map_err(|_| CommandError::Syntax("the line is not UTF-8"))?
        .trim_end_matches([' ', '\t']);
    let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
    let argument = argument.trim_start_matches(' ');
    let alone = |command: Command| {
        if argument.is_empty() {
            Ok(command)
        } else {
            Err(CommandError::Syntax("this command takes no argument"))
        }
    };
    match verb.to_ascii_uppercase().as_str() {
        "LHLO" => lhlo(argument),
        "MAIL" => mail(after(argument, "FROM:", "MAIL FROM:<address> is expected")?),
        "RCPT" => Ok(Command::Rcpt(
            after(argument, "TO:", "RCPT TO:<address> is expected")?.into(),
        )),
        "DATA" => alone(Command::Data),
        "RSET" => alone(Command::Rset),
        "QUIT" => alone(Command::Quit),
        "NOOP" => Ok(Command::Noop),
        "VRFY" if argument.is_empty() => Err(CommandError::Syntax("VRFY takes an address")),
        "VRFY" => Ok(Command::Vrfy),
        "HELO" | "EHLO" => Err(CommandError::NotLhlo),
        "STARTTLS" => alone(Command::StartTls),
        "EXPN" | "HELP" | "BDAT" | "AUTH" => Err(CommandError::NotOffered),
        _ => Err(CommandError::Unknown),
    }
}

/// Reads the argument of RCPT.
///
/// # Errors
/// Why it is refused.
pub fn recipient(argument: &str, utf8: bool) -> Result<Recipient, CommandError> {
    let (path, rest) = address::split_path(argument)?;
    if path.is_empty() {
        return Err(CommandError::Syntax("the recipient's address is empty"));
    }
    let recipient = address::recipient(path, utf8)?;
    match parameters(rest)?.next() {
        Some(_) => Err(CommandError::UnknownParameter),
        None => Ok(recipient),
    }
}

fn lhlo(argument: &str) -> Result<Command, CommandError> {
    // The name ends up in the Received header: nothing may be in it that means something there.
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !"()<>;,\"\\".contains(c);
    if argument.is_empty() || argument.len() > 255 || !argument.chars().all(plain) {
        return Err(CommandError::Syntax("LHLO takes the client's host name"));
    }
    Ok(Command::Lhlo(argument.into()))
}

fn mail(argument: &str) -> Result<Command, CommandError> {
    let (sender, rest) = address::split_path(argument)?;
    let mut mail = Mail {
        sender: sender.into(),
        size: None,
        eight_bit: false,
        utf8: false,
        submitter: None,
    };
    let (mut body, mut auth) = (false, false);
    for (name, value) in parameters(rest)? {
        match (name.to_ascii_uppercase().as_str(), value) {
            ("SIZE", _) if mail.size.is_some() => {
                return Err(CommandError::Parameter("SIZE twice"));
            }
            ("SIZE", Some(value)) => mail.size = Some(size(value)?),
            ("BODY", _) if body => return Err(CommandError::Parameter("BODY twice")),
            ("BODY", Some(value)) => {
                body = true;
                mail.eight_bit = value.eq_ignore_ascii_case("8BITMIME");
                if !mail.eight_bit && !value.eq_ignore_ascii_case("7BIT") {
                    return Err(CommandError::Parameter("BODY is 7BIT or 8BITMIME"));
                }
            }
            ("AUTH", _) if auth => return Err(CommandError::Parameter("AUTH twice")),
            ("AUTH", Some(value)) => {
                auth = true;
                mail.submitter = submitter(value)?;
            }
            ("SMTPUTF8", None) => mail.utf8 = true,
            ("SMTPUTF8", Some(_)) => {
                return Err(CommandError::Parameter("SMTPUTF8 takes no value"));
            }
            ("SIZE" | "BODY" | "AUTH", None) => {
                return Err(CommandError::Parameter("a value is missing"));
            }
            _ => return Err(CommandError::UnknownParameter),
        }
    }
    address::check_sender(sender, mail.utf8)?;
    Ok(Command::Mail(mail))
}

/// ```text
/// auth-param = "AUTH=" xtext                      ; RFC 4954 §5: a mailbox, or "<>"
/// xtext      = *( xchar / hexchar )               ; RFC 3461 §4, hexchar = "+" 2(HEXDIG)
/// ```
fn submitter(value: &str) -> Result<Option<Box<str>>, CommandError> {
    const WRONG: CommandError = CommandError::Parameter("AUTH takes an address as xtext, or <>");
    if value == "<>" {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'+' {
            bytes.push(byte);
            continue;
        }
        let (hex, after) = rest.split_at_checked(2).ok_or(WRONG)?;
        let hex = std::str::from_utf8(hex).map_err(|_| WRONG)?;
        bytes.push(u8::from_str_radix(hex, 16).map_err(|_| WRONG)?);
        rest = after;
    }
    let text = String::from_utf8(bytes).map_err(|_| WRONG)?;
    let plain = text.len() <= SUBMITTER_BYTES_MAX && !text.chars().any(char::is_control);
    match plain && !text.is_empty() {
        true => Ok(Some(text.into())),
        false => Err(WRONG),
    }
}

fn size(value: &str) -> Result<u64, CommandError> {
    let digits = value.len() <= 20 && value.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| value.parse().unwrap_or(u64::MAX))
        .filter(|_| !value.is_empty())
        .ok_or(CommandError::Parameter(
            "SIZE takes a number of up to 20 digits",
        ))
}

/// `esmtp-param`s: names with or without values.
fn parameters(rest: &str) -> Result<impl Iterator<Item = (&str, Option<&str>)>, CommandError> {
    if !rest.is_empty() && !rest.starts_with(' ') {
        return Err(CommandError::Syntax("a blank must follow the address"));
    }
    Ok(rest
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        }))
}

/// What follows `keyword`, which is matched in any case.
fn after<'a>(
    argument: &'a str,
    keyword: &str,
    expected: &'static str,
) -> Result<&'a str, CommandError> {
    match argument.split_at_checked(keyword.len()) {
        Some((head, tail)) if head.eq_ignore_ascii_case(keyword) => Ok(tail),
        _ => Err(CommandError::Syntax(expected)),
    }
}
