//! Commands about signed URLs (RFC 4467 §9).

use super::mailbox;
use crate::imap::ast::Command;
use crate::imap::lexer::{Lexer, Parsed};

/// URLs that one command may have.
const URLS_MAX: usize = 64;
/// Mechanisms that one RESETKEY may name.
const MECHANISMS_MAX: usize = 8;
const TOO_MANY: &str = "at most 64 URLs";

/// ```text
/// genurlauth = "GENURLAUTH" 1*(SP url-rump SP mechanism)
/// urlfetch   = "URLFETCH" 1*(SP url-full)
/// resetkey   = "RESETKEY" [SP mailbox *(SP mechanism)]
/// url-full   = astring
/// url-rump   = astring
/// ```
pub(super) fn command(lexer: &mut Lexer<'_>, word: &str) -> Parsed<Option<Command>> {
    Ok(Some(match word {
        "GENURLAUTH" => Command::GenUrlAuth(several(lexer, |lexer| {
            let url = lexer.astring()?.into_owned();
            lexer.space()?;
            Ok((url, mechanism(lexer)?))
        })?),
        "URLFETCH" => Command::UrlFetch(several(lexer, |lexer| Ok(lexer.astring()?.into_owned()))?),
        "RESETKEY" => reset_key(lexer)?,
        _ => return Ok(None),
    }))
}

fn several<T>(
    lexer: &mut Lexer<'_>,
    mut one: impl FnMut(&mut Lexer<'_>) -> Parsed<T>,
) -> Parsed<Vec<T>> {
    let mut all = Vec::new();
    while all.is_empty() || lexer.peek().is_some() {
        if all.len() == URLS_MAX {
            return lexer.fail(TOO_MANY);
        }
        lexer.space()?;
        all.push(one(lexer)?);
    }
    Ok(all)
}

fn reset_key(lexer: &mut Lexer<'_>) -> Parsed<Command> {
    let mut mechanisms = Vec::new();
    if lexer.peek().is_none() {
        let mailbox = None;
        return Ok(Command::ResetKey {
            mailbox,
            mechanisms,
        });
    }
    lexer.space()?;
    let mailbox = Some(mailbox::name(lexer)?);
    while lexer.peek().is_some() {
        if mechanisms.len() == MECHANISMS_MAX {
            return lexer.fail("at most 8 mechanisms");
        }
        lexer.space()?;
        mechanisms.push(mechanism(lexer)?);
    }
    Ok(Command::ResetKey {
        mailbox,
        mechanisms,
    })
}

/// ```text
/// mechanism = "INTERNAL" / 1*(ALPHA / DIGIT / "-" / ".")      ; in upper case here
/// ```
fn mechanism(lexer: &mut Lexer<'_>) -> Parsed<Box<str>> {
    let is_char = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let word = lexer.take_while(is_char, "a mechanism such as INTERNAL")?;
    Ok(String::from_utf8_lossy(word).to_ascii_uppercase().into())
}
