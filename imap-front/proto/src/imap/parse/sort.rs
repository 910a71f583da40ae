//! SORT and THREAD (RFC 5256 §5, RFC 5267 §5, RFC 5957 §6).

use mail::sort::{Criterion, SortField};
use mail::thread::Algorithm;

use super::search::{charset, program, returns};
use crate::imap::ast::Command;
use crate::imap::lexer::{Lexer, Parsed};

/// Criteria that one command may have: more than there are different ones.
const CRITERIA_MAX: usize = 16;

/// ```text
/// sort            = ["UID" SP] "SORT" [search-return-opts] SP sort-criteria SP search-criteria
///                                                 ; RFC 5256 §5, RFC 5267 §5
/// sort-criteria   = "(" sort-criterion *(SP sort-criterion) ")"
/// search-criteria = charset 1*(SP search-key)
/// ```
pub(super) fn sort(lexer: &mut Lexer<'_>, uid: bool) -> Parsed<Command> {
    lexer.space()?;
    let returns = returns(lexer)?;
    let start = lexer.clone();
    let criteria = lexer.list(false, criterion)?;
    if criteria.len() > CRITERIA_MAX {
        return start.fail("at most 16 sort criteria");
    }
    lexer.space()?;
    charset(lexer)?;
    lexer.space()?;
    Ok(Command::Sort {
        uid,
        returns,
        criteria,
        key: program(lexer)?,
    })
}

/// ```text
/// sort-criterion = ["REVERSE" SP] sort-key
/// sort-key       = "ARRIVAL" / "CC" / "DATE" / "FROM" / "SIZE" / "SUBJECT" / "TO"
/// sort-key       =/ "DISPLAYFROM" / "DISPLAYTO"   ; RFC 5957 §6
/// ```
fn criterion(lexer: &mut Lexer<'_>) -> Parsed<Criterion> {
    let reverse = lexer.keyword("REVERSE");
    if reverse {
        lexer.space()?;
    }
    let start = lexer.clone();
    let field = match lexer.word("a sort criterion")?.as_str() {
        "ARRIVAL" => SortField::Arrival,
        "CC" => SortField::Cc,
        "DATE" => SortField::Date,
        "DISPLAYFROM" => SortField::DisplayFrom,
        "DISPLAYTO" => SortField::DisplayTo,
        "FROM" => SortField::From,
        "SIZE" => SortField::Size,
        "SUBJECT" => SortField::Subject,
        "TO" => SortField::To,
        _ => return start.fail("a sort criterion"),
    };
    Ok(Criterion { field, reverse })
}

/// ```text
/// thread     = ["UID" SP] "THREAD" SP thread-alg SP search-criteria
/// thread-alg = "ORDEREDSUBJECT" / "REFERENCES" / thread-alg-ext
/// ```
pub(super) fn thread(lexer: &mut Lexer<'_>, uid: bool) -> Parsed<Command> {
    lexer.space()?;
    let start = lexer.clone();
    const EXPECTED: &str = "ORDEREDSUBJECT, REFERENCES or REFS";
    let algorithm = match lexer.word(EXPECTED)?.as_str() {
        "ORDEREDSUBJECT" => Algorithm::OrderedSubject,
        "REFERENCES" => Algorithm::References,
        "REFS" => Algorithm::Refs,
        _ => return start.fail(EXPECTED),
    };
    lexer.space()?;
    charset(lexer)?;
    lexer.space()?;
    Ok(Command::Thread {
        uid,
        algorithm,
        key: program(lexer)?,
    })
}

#[cfg(test)]
mod tests {
    use mail::SequenceSet;
    use mail::search::Key;

    use super::*;
    use crate::imap::ast::{PartialRange, SearchReturn};
    use crate::imap::parse::parse_command;

    fn parsed(command: &str) -> Command {
        let parsed = parse_command(command.as_bytes());
        parsed
            .unwrap_or_else(|error| panic!("{command}: {error}"))
            .command
    }

    fn refused(command: &str, expected: &str) {
        let error = parse_command(command.as_bytes()).expect_err(command);
        assert_eq!(
            error.to_string(),
            format!("expected {expected}"),
            "{command}"
        );
    }

    #[test]
    fn sorts() {
        let criterion = |field, reverse| Criterion { field, reverse };
        let sort = |returns, criteria, key| Command::Sort {
            uid: true,
            returns,
            criteria,
            key,
        };
        let criteria = vec![
            criterion(SortField::Subject, false),
            criterion(SortField::Date, true),
        ];
        let expected = sort(None, criteria, Key::Numbers(SequenceSet::SAVED));
        assert_eq!(
            parsed("a uid sort (Subject reverse Date) utf-8 $"),
            expected
        );
        let partial = PartialRange {
            from_end: true,
            places: (1, 9),
            turned: true,
        };
        let returns = vec![SearchReturn::Save, SearchReturn::Partial(partial)];
        let criteria = vec![criterion(SortField::DisplayTo, false)];
        let expected = sort(Some(returns), criteria, Key::All);
        let text = "a UID SORT RETURN (SAVE PARTIAL -9:-1) (DISPLAYTO) \"US-ASCII\" ALL";
        assert_eq!(parsed(text), expected);
    }

    #[test]
    fn threads() {
        let expected = Command::Thread {
            uid: false,
            algorithm: Algorithm::Refs,
            key: Key::And(vec![Key::All, Key::Younger(5)]),
        };
        assert_eq!(parsed("a THREAD refs {5}\r\nUTF-8 ALL YOUNGER 5"), expected);
    }

    #[test]
    fn what_is_no_sort() {
        refused("a SORT", "a space at column 7");
        refused("a SORT SUBJECT UTF-8 ALL", "( at column 8");
        refused("a SORT () UTF-8 ALL", "a sort criterion at column 9");
        refused("a SORT (REVERSE) UTF-8 ALL", "a space at column 16");
        refused("a SORT (SUBJECT) UTF-8", "a space at column 23");
        refused(
            "a THREAD UTF-8 ALL",
            "ORDEREDSUBJECT, REFERENCES or REFS at column 10",
        );
        refused(
            "a SEARCH RETURN (PARTIAL 0:1) ALL",
            "a place above 0 at column 26",
        );
        refused(
            "a SEARCH RETURN (PARTIAL 1:2 PARTIAL 1:2) ALL",
            "ALL or PARTIAL once, and not both at column 17",
        );
        refused(
            "a SEARCH RETURN (PARTIAL -1:2) ALL",
            "a place counted from the end, such as -1 at column 29",
        );
        let many = format!("a SORT ({}) UTF-8 ALL", ["SIZE"; 17].join(" "));
        refused(&many, "at most 16 sort criteria at column 8");
    }
}
