//! Known answers, and inputs that must be refused at the right place.

use mail::request::StoreMode;
use mail::search::{Day, Key};
use mail::{Flags, MailboxName, ModSeq, SystemFlag};

use super::{next_parts, parse_command, parse_command_in};
use crate::imap::ast::{AppendPart, AppendPlace, Command, FetchItem, Section, SectionText};
use crate::imap::lexer::{Fault, Literal};
use crate::imap::name_form::NameForm;

fn command(input: &str) -> Command {
    parse_command(input.as_bytes())
        .unwrap_or_else(|error| panic!("{input}: {error}"))
        .command
}

fn refused(input: &str, text: &str) {
    let error = parse_command(input.as_bytes()).expect_err(input);
    assert_eq!(error.to_string(), text, "{input}");
}

#[test]
fn fetch_of_the_rfc() {
    // RFC 3501 §6.4.5
    let Command::Fetch { items, .. } =
        command("A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])")
    else {
        panic!("not a FETCH")
    };
    let fields = SectionText::HeaderFields(vec!["DATE".into(), "FROM".into()]);
    let section = Section {
        part: vec![],
        text: fields,
    };
    let expected = [
        FetchItem::Flags,
        FetchItem::Section {
            section,
            peek: false,
            partial: None,
        },
    ];
    assert_eq!(items, expected);
    let Command::Fetch { items, .. } = command("a FETCH 1 BODY.PEEK[4.2.MIME]<0.100>") else {
        panic!("not a FETCH")
    };
    let section = Section {
        part: vec![4, 2],
        text: SectionText::Mime,
    };
    assert_eq!(
        items,
        [FetchItem::Section {
            section,
            peek: true,
            partial: Some((0, 100))
        }]
    );
}

#[test]
fn changed_since_implies_modseq() {
    let Command::Fetch {
        uid,
        items,
        changed_since,
        ..
    } = command("s100 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)")
    else {
        panic!("not a FETCH")
    };
    assert!(uid);
    assert_eq!(items, [FetchItem::Flags, FetchItem::ModSeq]);
    assert_eq!(changed_since, Some(ModSeq(12345)));
}

#[test]
fn search_of_the_rfc() {
    // RFC 3501 §6.4.4
    let Command::Search { uid, key, .. } =
        command("A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"")
    else {
        panic!("not a SEARCH")
    };
    assert!(!uid);
    let Key::And(keys) = key else {
        panic!("not an AND")
    };
    assert_eq!(keys[0], Key::Flag(SystemFlag::Flagged));
    assert_eq!(
        keys[1],
        Key::Since(mail::search::DateField::Internal, Day(8797))
    );
    assert_eq!(
        keys[2],
        Key::Not(Box::new(Key::Header("FROM".into(), "Smith".into())))
    );
}

#[test]
fn store_with_unchangedsince() {
    let Command::Store {
        mode,
        silent,
        flags,
        unchanged_since,
        ..
    } = command("d105 STORE 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Deleted work)")
    else {
        panic!("not a STORE")
    };
    assert_eq!((mode, silent), (StoreMode::Add, true));
    assert!(flags.has(SystemFlag::Deleted) && flags.has_keyword("WORK"));
    assert_eq!(unchanged_since, Some(ModSeq(320_162_338)));
}

#[test]
fn mailboxes() {
    let inbox = Command::Select {
        mailbox: MailboxName::inbox(),
        read_only: false,
        condstore: true,
        resync: None,
    };
    assert_eq!(command("a select inbox (condstore)"), inbox);
    let Command::List(list) = command(
        "A02 LIST (SUBSCRIBED) \"\" (\"INBOX\" \"Drafts/%\") RETURN (CHILDREN STATUS (MESSAGES))",
    ) else {
        panic!("not a LIST")
    };
    assert!(list.extended && list.select.subscribed && list.returns.children);
    assert_eq!(list.patterns, ["INBOX".into(), "Drafts/%".into()]);
    assert_eq!(list.returns.status.map(|items| items.len()), Some(1));
}

#[test]
fn append_ends_at_its_literal() {
    let line = "A003 APPEND saved-messages (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {310+}";
    let Command::Append { parts, .. } = command(line) else {
        panic!("not an APPEND")
    };
    let [
        AppendPart::Message { flags, date },
        AppendPart::Literal(literal),
    ] = &parts[..]
    else {
        panic!("{parts:?}")
    };
    assert_eq!((literal.size, literal.non_sync), (310, true));
    assert!(flags.has(SystemFlag::Seen) && date.is_some());
}

#[test]
fn refusals_say_what_and_where() {
    refused("", "expected a tag at column 1");
    refused("a", "expected a space at column 2");
    refused(
        "a FROB",
        "expected a command that this server knows at column 3",
    );
    refused("a NOOP x", "expected the end of the command at column 7");
    refused("a FETCH x FLAGS", "expected a sequence set at column 9");
    refused("a FETCH 0 FLAGS", "expected a sequence set at column 9");
    refused("a FETCH 1 FROG", "expected a FETCH item at column 11");
    refused("a SELECT", "expected a space at column 9");
    refused(
        "a STORE 1 FLAGS (\\Recent)",
        "expected \\Answered, \\Flagged, \\Deleted, \\Seen or \\Draft at column 18",
    );
    let error = parse_command(b"a SEARCH CHARSET KOI8-R ALL").expect_err("not offered");
    assert_eq!(error.fault, Fault::Charset);
    let deep = format!("a SEARCH {}ALL{}", "(".repeat(100), ")".repeat(100));
    assert!(parse_command(deep.as_bytes()).is_err());
}

#[test]
fn names_and_quoted_strings_in_utf8() {
    let form = NameForm::Utf8Alone;
    let read = |text: &[u8]| parse_command_in(text, form).map(|tagged| tagged.command);
    let expected = |text: &[u8]| read(text).expect_err("refused").expected;
    let name = |text: &[u8]| match read(text) {
        Ok(Command::Delete(name)) => name.as_str().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(name("a DELETE \"Entwürfe\"".as_bytes()), "Entwürfe");
    assert_eq!(name("a DELETE {9+}\r\nEntwürfe".as_bytes()), "Entwürfe");
    assert_eq!(name(b"a DELETE &AOQ-"), "&AOQ-");
    assert_eq!(
        expected(b"a DELETE {1+}\r\n\xe4"),
        "a mailbox name in UTF-8"
    );
    // BAD, as it can't be read at all (RFC 9755 §3).
    let bad = read(b"a SEARCH SUBJECT \"\xe4\"").expect_err("refused");
    assert_eq!(
        (bad.expected, bad.fault),
        ("a quoted string in UTF-8", Fault::Syntax)
    );
    assert!(read("a SEARCH SUBJECT \"ä\"".as_bytes()).is_ok());
    let charset = expected(b"a SEARCH CHARSET UTF-8 SUBJECT x");
    assert_eq!(charset, "no CHARSET, as UTF8=ACCEPT is enabled");
    let charset = expected(b"a SORT (DATE) US-ASCII ALL");
    assert_eq!(charset, "UTF-8, as UTF8=ACCEPT is enabled");
    assert!(read(b"a THREAD REFS UTF-8 ALL").is_ok());
    // RFC 9051 §6.4.4
    for text in [
        "a SEARCH CHARSET UTF-8 SUBJECT \"ä\"",
        "a SORT (DATE) US-ASCII ALL",
    ] {
        let read = parse_command_in(text.as_bytes(), NameForm::Utf8);
        assert!(read.is_ok(), "{text}");
    }
}

#[test]
fn utf8_data_of_append() {
    let literal = |text: &str| match parse_command(text.as_bytes()) {
        Ok(tagged) => match tagged.command {
            Command::Append { parts, .. } => match parts.last() {
                Some(AppendPart::Literal(literal)) => Some(*literal),
                _ => None,
            },
            _ => None,
        },
        Err(_) => None,
    };
    let read = literal("a APPEND INBOX (\\Seen) utf8 (~{7+}").expect("RFC 6855");
    assert_eq!(
        (read.size, read.is_binary, read.is_enclosed),
        (7, true, true)
    );
    for bad in ["UTF8 ({7}", "UTF8 ~{7}", "UTF8(~{7}", "UTF8 (~{7})"] {
        assert_eq!(literal(&format!("a APPEND INBOX {bad}")), None, "{bad}");
    }
}

#[test]
fn messages_that_are_put_together() {
    let parts = |text: &str| match parse_command(text.as_bytes()) {
        Ok(tagged) => match tagged.command {
            Command::Append { parts, .. } => parts,
            other => panic!("{other:?}"),
        },
        Err(error) => panic!("{text}: {error}"),
    };
    let message = || AppendPart::Message {
        flags: Flags::default(),
        date: None,
    };
    let url = |url: &str| AppendPart::Url(url.as_bytes().into());
    let literal = |size, is_binary| Literal {
        size,
        non_sync: false,
        is_binary,
        is_enclosed: false,
    };
    use AppendPart::{Catenate, End, Literal as Octets, UrlLiteral};
    assert_eq!(
        parts("a APPEND x CATENATE (URL \"/a;b\" url c) catenate (TEXT ~{5}"),
        [
            message(),
            Catenate,
            url("/a;b"),
            url("c"),
            End,
            message(),
            Catenate,
            Octets(literal(5, true)),
        ]
    );
    assert_eq!(
        parts("a UID REPLACE 5 x CATENATE (URL a URL {7}"),
        [message(), Catenate, url("a"), UrlLiteral(literal(7, false))]
    );
    let next = |line: &str, place| next_parts(line.as_bytes(), place, NameForm::Utf7);
    let place = AppendPlace::Part;
    assert_eq!(next(")", place), Ok(vec![End]));
    let expected = vec![url("a"), End, message(), Octets(literal(1, false))];
    assert_eq!(next(" URL a) {1}", place), Ok(expected));
    assert_eq!(next("", AppendPlace::Message), Ok(vec![]));
    for line in [
        "",
        " ",
        " )",
        "URL a)",
        " URL a",
        " URL a )",
        " URL",
        ") ",
        " TEXT abc",
    ] {
        assert!(next(line, place).is_err(), "{line:?}");
    }
    for text in [
        "CATENATE",
        "CATENATE ()",
        "CATENATE (URL a) ",
        "CATENATE (URL)",
        "CATENATE ( URL a)",
        "CATENATE (TEXT UTF8 (~{5}",
        "CATENATE URL a",
    ] {
        let text = format!("a APPEND x {text}");
        assert!(parse_command(text.as_bytes()).is_err(), "{text}");
    }
}
