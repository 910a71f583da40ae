//! ESEARCH (RFC 7377).

use super::{notify, search};
use crate::imap::ast::{Command, Esearch, SearchSource};
use crate::imap::lexer::{Lexer, Parsed};

/// ```text
/// esearch             = "ESEARCH" [SP esearch-source-opts] [SP search-return-opts] SP
///                       search-program            ; RFC 7377 §4
/// esearch-source-opts = "IN" SP "(" source-mbox [SP "(" scope-options ")"] ")"
/// source-mbox         = filter-mailboxes *(SP filter-mailboxes)
/// ```
///
/// No scope options are defined.
pub(super) fn esearch(lexer: &mut Lexer<'_>) -> Parsed<Command> {
    lexer.space()?;
    let mut sources = Vec::new();
    if lexer.keyword("IN") {
        lexer.space()?;
        sources = lexer.list(false, source)?;
        lexer.space()?;
    }
    let returns = search::returns(lexer)?.unwrap_or_default();
    Ok(Command::Esearch(Box::new(Esearch {
        sources,
        returns,
        key: search::in_charset(lexer)?,
    })))
}

/// ```text
/// filter-mailboxes = "selected" / "inboxes" / "personal" / "subscribed" /
///                    (("subtree" / "subtree-one" / "mailboxes") SP one-or-more-mailbox)
///                                                 ; RFC 5465 §8, RFC 7377 §4
/// ```
fn source(lexer: &mut Lexer<'_>) -> Parsed<SearchSource> {
    const EXPECTED: &str = "SELECTED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE, SUBTREE-ONE or \
                            MAILBOXES";
    let start = lexer.clone();
    Ok(match lexer.word(EXPECTED)?.as_str() {
        "SELECTED" => SearchSource::Selected,
        "INBOXES" | "PERSONAL" => SearchSource::Personal,
        "SUBSCRIBED" => SearchSource::Subscribed,
        "SUBTREE" => SearchSource::Subtree(notify::names(lexer)?),
        "SUBTREE-ONE" => SearchSource::SubtreeOne(notify::names(lexer)?),
        "MAILBOXES" => SearchSource::Mailboxes(notify::names(lexer)?),
        _ => return start.fail(EXPECTED),
    })
}

#[cfg(test)]
mod tests {
    use mail::search::Key;
    use mail::{MailboxName, SystemFlag};

    use super::*;
    use crate::imap::ast::SearchReturn;
    use crate::imap::parse::parse_command;

    fn read(text: &str) -> Result<Esearch, String> {
        match parse_command(text.as_bytes()).map(|tagged| tagged.command) {
            Ok(Command::Esearch(esearch)) => Ok(*esearch),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn sources_of_all_kinds() {
        let names = |names: &[&str]| names.iter().map(|it| MailboxName::new(it)).collect();
        let unseen = Key::Not(Box::new(Key::Flag(SystemFlag::Seen)));
        let expected = Esearch {
            sources: vec![
                SearchSource::Mailboxes(names(&["folder1"])),
                SearchSource::Subtree(names(&["folder2"])),
            ],
            returns: vec![],
            key: unseen,
        };
        let text = "tag1 ESEARCH IN (mailboxes \"folder1\" subtree \"folder2\") unseen";
        assert_eq!(read(text), Ok(expected));
        let text = "a ESEARCH IN (selected inboxes personal subscribed subtree-one (a \"b c\")) \
                    RETURN (MIN COUNT) CHARSET UTF-8 ALL";
        let expected = Esearch {
            sources: vec![
                SearchSource::Selected,
                SearchSource::Personal,
                SearchSource::Personal,
                SearchSource::Subscribed,
                SearchSource::SubtreeOne(names(&["a", "b c"])),
            ],
            returns: vec![SearchReturn::Min, SearchReturn::Count],
            key: Key::All,
        };
        assert_eq!(read(text), Ok(expected));
        let alone = Esearch {
            sources: vec![],
            returns: vec![],
            key: Key::All,
        };
        assert_eq!(read("a ESEARCH ALL"), Ok(alone));
    }

    #[test]
    fn what_is_none() {
        for text in [
            "a ESEARCH",
            "a ESEARCH IN",
            "a ESEARCH IN () ALL",
            "a ESEARCH IN (selected)",
            "a ESEARCH IN (selected-delayed) ALL",
            "a ESEARCH IN (everything) ALL",
            "a ESEARCH IN (mailboxes) ALL",
            "a ESEARCH IN (mailboxes ()) ALL",
            "a ESEARCH IN selected ALL",
            "a ESEARCH IN (personal (x 1)) ALL",
            "a ESEARCH RETURN (ALL) IN (selected) ALL",
            "a UID ESEARCH ALL",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
