//! Access control lists (RFC 4314 §7).

use mail::{Rights, RightsMode};

use super::mailbox;
use crate::imap::ast::Command;
use crate::imap::lexer::{Lexer, Parsed};

/// Longest identifier that is taken, in bytes.
const IDENTIFIER_BYTES_MAX: usize = 255;

/// ```text
/// setacl     = "SETACL" SP mailbox SP identifier SP mod-rights
/// deleteacl  = "DELETEACL" SP mailbox SP identifier
/// getacl     = "GETACL" SP mailbox
/// listrights = "LISTRIGHTS" SP mailbox SP identifier
/// myrights   = "MYRIGHTS" SP mailbox
/// ```
pub(super) fn command(lexer: &mut Lexer<'_>, word: &str) -> Parsed<Option<Command>> {
    if !["SETACL", "DELETEACL", "GETACL", "LISTRIGHTS", "MYRIGHTS"].contains(&word) {
        return Ok(None);
    }
    lexer.space()?;
    let mailbox = mailbox::name(lexer)?;
    Ok(Some(match word {
        "GETACL" => Command::GetAcl(mailbox),
        "MYRIGHTS" => Command::MyRights(mailbox),
        _ => {
            lexer.space()?;
            let (written, identifier) = identifier(lexer)?;
            match word {
                "LISTRIGHTS" => Command::ListRights {
                    mailbox,
                    written,
                    identifier,
                },
                "DELETEACL" => Command::SetAcl {
                    mailbox,
                    identifier,
                    mode: RightsMode::Replace,
                    rights: Rights::NONE,
                    delete: true,
                },
                _ => {
                    lexer.space()?;
                    let (mode, rights) = mod_rights(lexer)?;
                    Command::SetAcl {
                        mailbox,
                        identifier,
                        mode,
                        rights,
                        delete: false,
                    }
                }
            }
        }
    }))
}

/// As it was written, and prepared by SASLprep (RFC 4314 §3). What stands behind the dash of a
/// negative identifier is prepared alone: nothing that is prepared can become such a dash.
///
/// ```text
/// identifier = astring
/// ```
fn identifier(lexer: &mut Lexer<'_>) -> Parsed<(Vec<u8>, Box<str>)> {
    const EXPECTED: &str = "an identifier that SASLprep allows";
    let start = lexer.clone();
    let written = lexer.astring()?.into_owned();
    if written.len() > IDENTIFIER_BYTES_MAX {
        return start.fail("an identifier of at most 255 bytes");
    }
    let Ok(text) = std::str::from_utf8(&written) else {
        return start.fail("a string in UTF-8");
    };
    let (name, negative) = mail::acl::split_identifier(text);
    let Ok(name) = stringprep::saslprep(name) else {
        return start.fail(EXPECTED);
    };
    if name.is_empty() || (!negative && name.starts_with('-')) {
        return start.fail(EXPECTED);
    }
    let dash = if negative { "-" } else { "" };
    let prepared = format!("{dash}{name}").into();
    Ok((written, prepared))
}

/// ```text
/// mod-rights = astring        ; +rights to add, -rights to remove, rights to replace
/// rights     = astring        ; lowercase letters; digits name none of this server's
/// ```
fn mod_rights(lexer: &mut Lexer<'_>) -> Parsed<(RightsMode, Rights)> {
    let start = lexer.clone();
    let text = lexer.astring()?;
    let (mode, letters) = match text.split_first() {
        Some((b'+', rest)) => (RightsMode::Add, rest),
        Some((b'-', rest)) => (RightsMode::Remove, rest),
        _ => (RightsMode::Replace, &text[..]),
    };
    match Rights::parse(letters) {
        Ok(rights) => Ok((mode, rights)),
        Err(letter) if letter.is_ascii_uppercase() => start.fail("rights in lowercase letters"),
        Err(_) => start.fail("rights of lrswipkxtea, c and d"),
    }
}

#[cfg(test)]
mod tests {
    use crate::imap::ast::Command;
    use crate::imap::parse::parse_command;

    fn identifier(text: &str) -> Result<Box<str>, &'static str> {
        let command = format!("a DELETEACL x {{{}+}}\r\n{text}", text.len());
        match parse_command(command.as_bytes()) {
            Ok(tagged) => match tagged.command {
                Command::SetAcl { identifier, .. } => Ok(identifier),
                other => panic!("{other:?}"),
            },
            Err(error) => Err(error.expected),
        }
    }

    #[test]
    fn identifiers_are_prepared() {
        let ok = |text: &str| Ok(text.into());
        assert_eq!(identifier("fred"), ok("fred"));
        assert_eq!(identifier("-fred"), ok("-fred"));
        assert_eq!(
            identifier("\u{FF41}nyone"),
            ok("anyone"),
            "by another spelling"
        );
        assert_eq!(identifier("-\u{FF41}nyone"), ok("-anyone"));
        for bad in ["", "-", "\u{AD}", "-\u{AD}", "\u{7}", "\u{FF0D}fred"] {
            assert!(identifier(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rights_that_are_none_are_named() {
        let fault = |rights: &str| {
            let command = format!("a SETACL INBOX John {rights}");
            parse_command(command.as_bytes())
                .expect_err("no rights")
                .expected
        };
        assert_eq!(fault("lrQswicda"), "rights in lowercase letters");
        assert_eq!(fault("lrqswicda"), "rights of lrswipkxtea, c and d");
        assert_eq!(fault("+9"), "rights of lrswipkxtea, c and d");
        assert!(parse_command(b"a SETACL INBOX John \"\"").is_ok());
        assert!(parse_command(b"a SETACL INBOX John +").is_ok());
    }
}
