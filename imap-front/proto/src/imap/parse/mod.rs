//! Commands from bytes (RFC 3501 §9 `command`).
//!
//! The input is one command without its final CRLF; literals stand inline, except those of APPEND,
//! of which each ends the input with its announcement.

mod acl;
mod append;
mod entries;
mod esearch;
mod fetch;
mod language;
mod mailbox;
mod metadata;
mod notify;
mod objects;
mod obsolete;
mod old_items;
mod quota;
mod resync;
mod search;
mod set;
mod sort;
#[cfg(test)]
mod tests;
mod urlauth;

use super::ast::{Command, Tagged};
use super::lexer::{Lexer, ParseError, Parsed, is_astring_char};
use super::name_form::NameForm;
use base64::Engine as _;

pub use append::next_parts;
pub use fetch::section_spec;
pub use set::sequence_set;

/// Parses one command.
///
/// # Errors
/// What was expected and where; with the tag if there is one.
pub fn parse_command(input: &[u8]) -> Result<Tagged, ParseError> {
    parse_command_in(input, NameForm::Utf7)
}

/// Parses one command of a client that writes names so.
///
/// # Errors
/// As of [`parse_command`].
pub fn parse_command_in(input: &[u8], form: NameForm) -> Result<Tagged, ParseError> {
    let mut lexer = Lexer::new(input).with_form(form);
    let is_tag_char = |b| is_astring_char(b) && b != b'+';
    let tag = lexer.take_while(is_tag_char, "a tag")?;
    let tag: Box<str> = String::from_utf8_lossy(tag).into();
    let parsed = lexer
        .space()
        .and_then(|()| command(&mut lexer))
        .and_then(|command| {
            lexer.end()?;
            Ok(command)
        });
    match parsed {
        Ok(command) => Ok(Tagged { tag, command }),
        Err(error) => Err(ParseError {
            tag: Some(tag),
            ..error
        }),
    }
}

/// ```text
/// uid = "UID" SP (copy / move / fetch / replace / search / sort / store / thread / uid-expunge)
///                             ; RFC 3501 §9, RFC 6851 §4.4, RFC 5256 §5, RFC 8508 §4
/// uid-expunge = "EXPUNGE" SP sequence-set         ; RFC 4315 §4
/// ```
fn command(lexer: &mut Lexer<'_>) -> Parsed<Command> {
    let start = lexer.clone();
    let word = lexer.word("a command")?;
    if word == "UID" {
        lexer.space()?;
        let start = lexer.clone();
        const EXPECTED: &str = "COPY, EXPUNGE, FETCH, MOVE, REPLACE, SEARCH, SORT, STORE or THREAD";
        let word = lexer.word(EXPECTED)?;
        return match word.as_str() {
            "EXPUNGE" => {
                lexer.space()?;
                Ok(Command::Expunge(Some(sequence_set(lexer)?)))
            }
            _ => match message_command(lexer, &word, true)? {
                Some(command) => Ok(command),
                None => start.fail(EXPECTED),
            },
        };
    }
    if let Some(command) = message_command(lexer, &word, false)? {
        return Ok(command);
    }
    if let Some(command) = mailbox::command(lexer, &word)? {
        return Ok(command);
    }
    if let Some(command) = acl::command(lexer, &word)? {
        return Ok(command);
    }
    if let Some(command) = quota::command(lexer, &word)? {
        return Ok(command);
    }
    if let Some(command) = metadata::command(lexer, &word)? {
        return Ok(command);
    }
    if let Some(command) = urlauth::command(lexer, &word)? {
        return Ok(command);
    }
    if let Some(command) = obsolete::command(lexer, &word)? {
        return Ok(command);
    }
    match session_command(lexer, &word)? {
        Some(command) => Ok(command),
        None => start.fail("a command that this server knows"),
    }
}

/// ```text
/// copy = "COPY" SP sequence-set SP mailbox        ; RFC 3501 §9; move the same, RFC 6851 §4
/// ```
fn message_command(lexer: &mut Lexer<'_>, word: &str, uid: bool) -> Parsed<Option<Command>> {
    Ok(Some(match word {
        "FETCH" => fetch::fetch(lexer, uid)?,
        "STORE" => fetch::store(lexer, uid)?,
        "REPLACE" => append::replace(lexer, uid)?,
        "SEARCH" => search::search(lexer, uid)?,
        "SORT" => sort::sort(lexer, uid)?,
        "THREAD" => sort::thread(lexer, uid)?,
        "COPY" | "MOVE" => {
            lexer.space()?;
            let set = sequence_set(lexer)?;
            lexer.space()?;
            let mailbox = mailbox::name(lexer)?;
            Command::Copy {
                uid,
                set,
                mailbox,
                remove: word == "MOVE",
            }
        }
        _ => return Ok(None),
    }))
}

/// ```text
/// login  = "LOGIN" SP userid SP password          ; both astring; RFC 3501 §9
/// enable = "ENABLE" 1*(SP capability)             ; RFC 5161 §4
/// compress = "COMPRESS" SP algorithm              ; RFC 4978 §5
/// ```
fn session_command(lexer: &mut Lexer<'_>, word: &str) -> Parsed<Option<Command>> {
    Ok(Some(match word {
        "CAPABILITY" => Command::Capability,
        "NOOP" => Command::Noop,
        "LOGOUT" => Command::Logout,
        "STARTTLS" => Command::StartTls,
        "UNAUTHENTICATE" | "X-UNAUTHENTICATE" => Command::Unauthenticate,
        "UNSELECT" => Command::Unselect,
        "CLOSE" => Command::Close,
        "NAMESPACE" => Command::Namespace,
        "IDLE" => Command::Idle,
        "NOTIFY" => notify::notify(lexer)?,
        "CHECK" => Command::Check,
        "ESEARCH" => esearch::esearch(lexer)?,
        "CANCELUPDATE" => search::cancel_update(lexer)?,
        "EXPUNGE" => Command::Expunge(None),
        "ID" => id(lexer)?,
        "COMPRESS" => {
            lexer.space()?;
            let mechanism = lexer.atom("a compression mechanism")?;
            Command::Compress(mechanism.to_ascii_uppercase().into())
        }
        "LANGUAGE" => language::language(lexer)?,
        "AUTHENTICATE" => authenticate(lexer)?,
        "LOGIN" => {
            lexer.space()?;
            let user = lexer.astring()?.into_owned();
            lexer.space()?;
            Command::Login {
                user,
                password: lexer.astring()?.into_owned(),
            }
        }
        "ENABLE" => {
            let mut names = Vec::new();
            while names.is_empty() || lexer.peek().is_some() {
                lexer.space()?;
                names.push(lexer.atom("a capability")?.to_ascii_uppercase().into());
            }
            Command::Enable(names)
        }
        "APPEND" => append::append(lexer)?,
        _ => return Ok(None),
    }))
}

/// ```text
/// id             = "ID" SP id-params-list         ; RFC 2971 §4
/// id-params-list = "(" *(string SP nstring) ")" / nil
/// ```
///
/// RFC 2971 §3.1: at most 30 pairs, fields of at most 30 bytes, values of at most 1024.
fn id(lexer: &mut Lexer<'_>) -> Parsed<Command> {
    lexer.space()?;
    if lexer.keyword("NIL") {
        return Ok(Command::Id(None));
    }
    let pairs = lexer.list(true, |lexer| {
        let field = lexer.string()?.into_owned();
        lexer.space()?;
        let value = lexer.nstring()?.map(std::borrow::Cow::into_owned);
        if field.len() > 30 || value.as_ref().is_some_and(|value| value.len() > 1024) {
            return lexer.fail("a shorter ID field");
        }
        Ok((field, value))
    })?;
    if pairs.len() > 30 {
        return lexer.fail("at most 30 ID fields");
    }
    Ok(Command::Id(Some(pairs)))
}

/// ```text
/// authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")]
///                                                 ; RFC 4959 §4
/// ```
fn authenticate(lexer: &mut Lexer<'_>) -> Parsed<Command> {
    lexer.space()?;
    let mechanism = lexer.atom("a SASL mechanism")?.to_ascii_uppercase().into();
    let initial = if lexer.take(b' ') {
        if lexer.rest() == b"=" {
            lexer.need(b'=', "=")?;
            Some(Vec::new())
        } else {
            let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
            let start = lexer.clone();
            let text = lexer.take_while(is_base64, "base64")?;
            match base64::engine::general_purpose::STANDARD.decode(text) {
                Ok(bytes) => Some(bytes),
                Err(_) => return start.fail("base64"),
            }
        }
    } else {
        None
    };
    Ok(Command::Authenticate { mechanism, initial })
}
