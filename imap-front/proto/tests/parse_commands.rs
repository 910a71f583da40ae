//! Commands of the RFCs' examples, as values; and what a BAD says of broken ones.

use mail::SpecialUse;
use mail::request::StoreMode;
use mail::search::{DateField, Day, Key};
use mail::set::SetNumber::{Largest, Value};
use mail::{Flags, InternalDate, MailboxName, ModSeq, SequenceSet, SystemFlag, UidValidity};
use proto::imap::ast::{
    AppendPart, Command, FetchItem, List, ListReturn, ListSelect, Resync, SearchReturn, Section,
    SectionText, StatusItem,
};
use proto::imap::lexer::{Fault, Literal};
use proto::imap::parse::parse_command;

fn check(input: &str, expected: Command) {
    match parse_command(input.as_bytes()) {
        Ok(tagged) => {
            assert_eq!(tagged.command, expected, "{input}");
            assert!(input.starts_with(&*tagged.tag), "{input}");
        }
        Err(error) => panic!("{input}: {error}"),
    }
}

fn refused(input: &str, expected: &str) {
    let error = parse_command(input.as_bytes()).expect_err(input);
    assert_eq!(error.to_string(), format!("expected {expected}"), "{input}");
}

fn name(text: &str) -> MailboxName {
    MailboxName::new(text)
}

fn flags(system: &[SystemFlag], keywords: &[&str]) -> Flags {
    let bits = system.iter().fold(0, |bits, &flag| bits | flag as u8);
    Flags::new(bits, keywords.iter().map(|&keyword| keyword.into()))
}

#[test]
fn without_arguments() {
    check("abcd CAPABILITY", Command::Capability);
    check("a002 NOOP", Command::Noop);
    check("A023 logout", Command::Logout);
    check("a001 STARTTLS", Command::StartTls);
    check("a COMPRESS DEFLATE", Command::Compress("DEFLATE".into()));
    check("a compress Lzma", Command::Compress("LZMA".into()));
    check("FXXZ Check", Command::Check);
    check("A341 CLOSE", Command::Close);
    check("A202 EXPUNGE", Command::Expunge(None));
    check("A002 IDLE", Command::Idle);
    check("a unselect", Command::Unselect);
    check("A001 NAMESPACE", Command::Namespace);
    refused("a NOOP ", "the end of the command at column 7");
}

#[test]
fn identification_and_login() {
    let login = |user: &str, password: &str| Command::Login {
        user: user.into(),
        password: password.into(),
    };
    check("a001 LOGIN SMITH SESAME", login("SMITH", "SESAME"));
    check(
        "A001 LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man",
        login("FRED FOOBAR", "fat man"),
    );
    check("a LOGIN \"\" \"a\\\"b\\\\\"", login("", "a\"b\\"));
    check(
        "a LOGIN é x".replace('é', "\"é\"").as_str(),
        login("é", "x"),
    );
    refused("a LOGIN SMITH", "a space at column 14");
    refused(
        "a LOGIN SMITH {9}\r\nshort",
        "as many bytes as the literal announced at column 18",
    );
    refused("a LOGIN \"x", "a closing quote at column 11");
    let authenticate = |mechanism: &str, initial: Option<&str>| Command::Authenticate {
        mechanism: mechanism.into(),
        initial: initial.map(|text| text.as_bytes().to_vec()),
    };
    check("a001 AUTHENTICATE plain", authenticate("PLAIN", None));
    check(
        "a AUTHENTICATE PLAIN dGVzdA==",
        authenticate("PLAIN", Some("test")),
    );
    check(
        "a AUTHENTICATE EXTERNAL =",
        authenticate("EXTERNAL", Some("")),
    );
    refused("a AUTHENTICATE PLAIN dGVz=A", "base64 at column 22");
    // RFC 2971 §3.1
    let id = vec![
        (b"name".to_vec(), Some(b"sodr".to_vec())),
        (b"version".to_vec(), None),
    ];
    check(
        "a023 ID (\"name\" \"sodr\" \"version\" NIL)",
        Command::Id(Some(id)),
    );
    check("a042 ID NIL", Command::Id(None));
    check("a ID ()", Command::Id(Some(vec![])));
    check(
        "t1 ENABLE condstore X-GOOD",
        Command::Enable(vec!["CONDSTORE".into(), "X-GOOD".into()]),
    );
}

#[test]
fn mailboxes() {
    let create = |text: &str, special_use: &[SpecialUse]| Command::Create {
        mailbox: name(text),
        special_use: special_use.to_vec(),
    };
    check("A003 CREATE owatagusiam/", create("owatagusiam", &[]));
    check(
        "t CREATE MySpecial (USE (\\Drafts \\Sent))",
        create("MySpecial", &[SpecialUse::Drafts, SpecialUse::Sent]),
    );
    refused(
        "t CREATE x (USE (\\Inbox))",
        "a special-use attribute such as \\Sent at column 18",
    );
    check(
        "A683 DELETE blurdybloop",
        Command::Delete(name("blurdybloop")),
    );
    let rename = Command::Rename {
        from: name("INBOX"),
        to: name("old-mail"),
    };
    check("Z432 RENAME inbox old-mail", rename);
    check(
        "A002 SUBSCRIBE #news.comp.mail.mime",
        Command::Subscribe(name("#news.comp.mail.mime")),
    );
    check(
        "A002 UNSUBSCRIBE &ZeVnLIqe-",
        Command::Unsubscribe(name("日本語")),
    );
    refused(
        "a DELETE &ZeVnLIqe",
        "- after & in a mailbox name at column 10",
    );
    let select = |mailbox: &str, read_only, condstore| Command::Select {
        mailbox: name(mailbox),
        read_only,
        condstore,
        resync: None,
    };
    check("A142 SELECT INBOX", select("INBOX", false, false));
    check(
        "A932 EXAMINE \"a b\" (CONDSTORE)",
        select("a b", true, true),
    );
    refused(
        "a SELECT x (RESYNC (1 2))",
        "CONDSTORE or QRESYNC at column 13",
    );
    let items = vec![
        StatusItem::UidNext,
        StatusItem::Messages,
        StatusItem::HighestModSeq,
    ];
    let status = Command::Status {
        mailbox: name("blurdybloop"),
        items,
    };
    check(
        "A042 STATUS blurdybloop (UIDNEXT MESSAGES HIGHESTMODSEQ)",
        status,
    );
    refused(
        "a STATUS x ()",
        "a status item such as MESSAGES at column 13",
    );
}

#[test]
fn listings() {
    let list = |reference: &str, pattern: &str| List {
        reference: reference.into(),
        patterns: vec![pattern.into()],
        ..List::default()
    };
    check("A101 LIST \"\" \"\"", Command::List(list("", "")));
    check("A202 LIST ~/Mail/ %*", Command::List(list("~/Mail/", "%*")));
    let lsub = Command::Lsub(List {
        reference: "#news.".into(),
        patterns: vec!["comp.mail.*".into()],
        ..List::default()
    });
    check("A002 LSUB \"#news.\" \"comp.mail.*\"", lsub);
    // RFC 5258 §5, RFC 5819 §3, RFC 6154 §5.
    let select = ListSelect {
        subscribed: true,
        recursive_match: true,
        ..ListSelect::default()
    };
    let returns = ListReturn {
        children: true,
        special_use: true,
        status: Some(vec![StatusItem::Messages, StatusItem::Unseen]),
        ..ListReturn::default()
    };
    let extended = List {
        select,
        patterns: vec!["INBOX".into(), "Drafts/%".into()],
        extended: true,
        returns,
        ..List::default()
    };
    check(
        "A03 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (INBOX Drafts/%) \
         RETURN (CHILDREN SPECIAL-USE STATUS (MESSAGES UNSEEN))",
        Command::List(extended),
    );
    let empty = List {
        extended: true,
        ..list("", "*")
    };
    check("a LIST () \"\" * RETURN ()", Command::List(empty));
    refused(
        "a LIST (RECURSIVEMATCH) \"\" *",
        "a selection option beside RECURSIVEMATCH at column 24",
    );
}

#[test]
fn a_mailbox_is_remembered() {
    let run = |low, high| (Value(low), Value(high));
    let remembered = Resync {
        uid_validity: UidValidity(67_890_007),
        modseq: ModSeq(20_050_715_194_045_000),
        known: Some(SequenceSet(vec![run(41, 41), run(43, 211), run(214, 541)])),
        matches: Some((
            SequenceSet(vec![run(1, 1), run(3, 4)]),
            SequenceSet(vec![run(41, 41), run(43, 44)]),
        )),
    };
    check(
        "A02 SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541 \
         (1,3:4 41,43:44)))",
        Command::Select {
            mailbox: name("INBOX"),
            read_only: false,
            condstore: false,
            resync: Some(Box::new(remembered)),
        },
    );
}

#[test]
fn appends() {
    let append = |flags, date, size, non_sync| Command::Append {
        mailbox: name("saved-messages"),
        parts: vec![
            AppendPart::Message { flags, date },
            AppendPart::Literal(Literal {
                size,
                non_sync,
                is_binary: false,
                is_enclosed: false,
            }),
        ],
        replaces: None,
    };
    let seen = flags(&[SystemFlag::Seen], &[]);
    check(
        "A003 APPEND saved-messages (\\Seen) {310}",
        append(seen, None, 310, false),
    );
    let date = InternalDate {
        unix_s: 760_657_945,
        zone_min: -480,
    };
    check(
        "A003 APPEND saved-messages \" 7-Feb-1994 13:52:25 -0800\" {310+}",
        append(Flags::default(), Some(date), 310, true),
    );
    refused("a APPEND x", "a space at column 11");
    refused(
        "a APPEND x \"7-Feb-94 13:52:25 -0800\" {3}",
        "a date and time such as \"17-Jul-1996 02:44:25 -0700\" at column 12",
    );
    refused(
        "a APPEND x {3}\r\nabc",
        "the end of the command at column 15",
    );
}

fn section(part: &[u32], text: SectionText, peek: bool, partial: Option<(u32, u32)>) -> FetchItem {
    let part = part.to_vec();
    FetchItem::Section {
        section: Section { part, text },
        peek,
        partial,
    }
}

#[test]
fn fetches() {
    use SectionText::{Header, HeaderFieldsNot, Mime, Text, Whole};
    let fetch = |items: Vec<FetchItem>| Command::Fetch {
        uid: false,
        set: SequenceSet(vec![(Value(2), Value(4)), (Value(7), Largest)]),
        items,
        changed_since: None,
        vanished: false,
        partial: None,
    };
    let fast = [
        FetchItem::Flags,
        FetchItem::InternalDate,
        FetchItem::Rfc822Size,
    ];
    check("a FETCH 2:4,7:* FAST", fetch(fast.to_vec()));
    check(
        "a FETCH 2:4,7:* all",
        fetch([&fast[..], &[FetchItem::Envelope]].concat()),
    );
    check(
        "a FETCH 2:4,7:* FULL",
        fetch([&fast[..], &[FetchItem::Envelope, FetchItem::Body]].concat()),
    );
    let fields = HeaderFieldsNot(vec!["X-A".into(), "b".into()]);
    let items = [
        ("BODY[]", section(&[], Whole, false, None)),
        (
            "BODY.PEEK[1.2]<0.2048>",
            section(&[1, 2], Whole, true, Some((0, 2048))),
        ),
        ("BODY[HEADER]", section(&[], Header, false, None)),
        ("BODY[3.TEXT]", section(&[3], Text, false, None)),
        ("body.peek[4.2.mime]", section(&[4, 2], Mime, true, None)),
        (
            "BODY[2.HEADER.FIELDS.NOT (\"X-A\" b)]",
            section(&[2], fields, false, None),
        ),
        ("RFC822", FetchItem::Rfc822),
        ("RFC822.HEADER", FetchItem::Rfc822Header),
        ("RFC822.TEXT", FetchItem::Rfc822Text),
        ("BODYSTRUCTURE", FetchItem::BodyStructure),
        ("MODSEQ", FetchItem::ModSeq),
        ("UID", FetchItem::Uid),
    ];
    for (text, item) in items.clone() {
        check(
            &format!("a FETCH 2:4,7:* {text}"),
            fetch(vec![item.clone()]),
        );
        check(
            &format!("a FETCH 2:4,7:* ({text} FLAGS)"),
            fetch(vec![item, FetchItem::Flags]),
        );
    }
}

#[test]
fn fetches_of_changes() {
    let changed = Command::Fetch {
        uid: true,
        set: SequenceSet(vec![(Value(1), Largest)]),
        items: vec![FetchItem::Flags, FetchItem::ModSeq],
        changed_since: Some(ModSeq(12345)),
        vanished: false,
        partial: None,
    };
    check("s100 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)", changed);
}

#[test]
fn broken_fetches() {
    refused("a FETCH 1 (FAST)", "a FETCH item at column 12");
    refused(
        "a FETCH 1 BODY[MIME]",
        "HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT, MIME or a part number at column 16",
    );
    refused(
        "a FETCH 1 BODY[1.0.1]",
        "a part number above 0 at column 18",
    );
    refused("a FETCH 1 BODY[]<0.0>", "a count above 0 at column 20");
    refused("a FETCH 1:0 UID", "a sequence set at column 11");
    refused(
        "a FETCH 4294967296 UID",
        "a number below 4294967296 at column 9",
    );
    refused(
        "a FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)",
        "a number below 9223372036854775808 at column 31",
    );
}

#[test]
fn stores_copies_and_expunges() {
    let set = |low, high| SequenceSet(vec![(Value(low), Value(high))]);
    let store = Command::Store {
        uid: false,
        set: set(2, 4),
        mode: StoreMode::Add,
        silent: false,
        flags: flags(&[SystemFlag::Deleted], &[]),
        unchanged_since: None,
    };
    check("A003 STORE 2:4 +FLAGS (\\Deleted)", store);
    let store = Command::Store {
        uid: true,
        set: set(7, 7),
        mode: StoreMode::Replace,
        silent: true,
        flags: flags(&[SystemFlag::Seen], &["$MDNSent", "work"]),
        unchanged_since: Some(ModSeq(12_121_230_045)),
    };
    check(
        "a UID STORE 7 (UNCHANGEDSINCE 12121230045) FLAGS.SILENT \\Seen work $MDNSent",
        store,
    );
    refused(
        "a STORE 1 FLAGS \\Recent",
        "\\Answered, \\Flagged, \\Deleted, \\Seen or \\Draft at column 17",
    );
    refused(
        "a STORE 1 FLAG \\Seen",
        "FLAGS, +FLAGS or -FLAGS, with .SILENT or without at column 11",
    );
    let copy = |uid, remove| Command::Copy {
        uid,
        set: set(2, 4),
        mailbox: name("MEETING"),
        remove,
    };
    check("A003 COPY 2:4 MEETING", copy(false, false));
    check("a UID COPY 2:4 MEETING", copy(true, false));
    check("a MOVE 2:4 MEETING", copy(false, true));
    check("a UID MOVE 2:4 MEETING", copy(true, true));
    check(
        "A003 UID EXPUNGE 3000:3002",
        Command::Expunge(Some(set(3000, 3002))),
    );
    refused(
        "a UID NOOP",
        "COPY, EXPUNGE, FETCH, MOVE, REPLACE, SEARCH, SORT, STORE or THREAD at column 7",
    );
}

#[test]
fn searches() {
    let check_key = |text: &str, key: Key| {
        let search = Command::Search {
            uid: false,
            returns: None,
            key,
        };
        check(&format!("a SEARCH {text}"), search);
    };
    let not = |key| Key::Not(Box::new(key));
    let header = |field: &str, text: &str| Key::Header(field.into(), text.into());
    check_key("ALL", Key::All);
    check_key(
        "NEW",
        Key::And(vec![Key::Recent, not(Key::Flag(SystemFlag::Seen))]),
    );
    check_key("OLD", not(Key::Recent));
    check_key("UNDRAFT", not(Key::Flag(SystemFlag::Draft)));
    check_key("UNKEYWORD $Junk", not(Key::Keyword("$Junk".into())));
    check_key("CC {3}\r\na b", header("CC", "a b"));
    check_key("HEADER X-Y \"\"", header("X-Y", ""));
    check_key("CHARSET utf-8 BODY \"ü\"", Key::Body("ü".into()));
    check_key("TEXT x", Key::Text("x".into()));
    check_key("SMALLER 5000000000", Key::Smaller(5_000_000_000));
    check_key("ON 1-Jan-1970", Key::On(DateField::Internal, Day(0)));
    check_key(
        "SENTBEFORE \"31-Dec-1969\"",
        Key::Before(DateField::Sent, Day(-1)),
    );
    check_key(
        "SENTSINCE 29-feb-2000",
        Key::Since(DateField::Sent, Day(11_016)),
    );
    check_key(
        "5,*",
        Key::Numbers(SequenceSet(vec![(Value(5), Value(5)), (Largest, Largest)])),
    );
    check_key("UID 3:*", Key::Uids(SequenceSet(vec![(Value(3), Largest)])));
    check_key(
        "MODSEQ \"/flags/\\\\draft\" all 620162338",
        Key::ModSeq(ModSeq(620_162_338)),
    );
    check_key("(((SEEN)))", Key::Flag(SystemFlag::Seen));
    let either = Key::Or(
        Box::new(header("TO", "x")),
        Box::new(not(Key::And(vec![Key::All, Key::Recent]))),
    );
    check_key("OR TO x NOT (ALL RECENT)", either);
    // RFC 4731 §3.1
    let returns = |options: &[SearchReturn]| Command::Search {
        uid: true,
        returns: Some(options.to_vec()),
        key: Key::All,
    };
    check("a UID SEARCH RETURN () ALL", returns(&[]));
    check(
        "a UID SEARCH RETURN (MIN max Count) ALL",
        returns(&[SearchReturn::Min, SearchReturn::Max, SearchReturn::Count]),
    );
}

#[test]
fn broken_searches() {
    refused("a SEARCH", "a space at column 9");
    refused("a SEARCH FROG", "a search key at column 10");
    refused("a SEARCH ()", "a search key at column 11");
    refused("a SEARCH OR ALL", "a space at column 16");
    refused(
        "a SEARCH ON 1-Foo-1994",
        "a date such as 1-Feb-1994 at column 13",
    );
    refused(
        "a SEARCH ON 1-Feb-94",
        "a date such as 1-Feb-1994 at column 13",
    );
    for depth in ["(", "NOT ", "OR ALL "] {
        let text = format!("a SEARCH {}ALL", depth.repeat(50_000));
        assert!(parse_command(text.as_bytes()).is_err(), "{depth}");
    }
    let many = format!("a SEARCH {}", ["ALL"; 1025].join(" "));
    assert!(parse_command(many.as_bytes()).is_err());
    for charset in ["ISO-8859-1", "\"KOI8-R\"", "{5}\r\nutf-7"] {
        let text = format!("a SEARCH CHARSET {charset} ALL");
        let error = parse_command(text.as_bytes()).expect_err(charset);
        assert!(
            error.fault == Fault::Charset && error.tag.as_deref() == Some("a"),
            "{charset}"
        );
    }
}

#[test]
fn what_a_command_may_cost_is_bounded() {
    let bounded = |text: String, least: usize| {
        assert!(text.len() > least);
        assert!(parse_command(text.as_bytes()).is_err(), "{}", &text[..40]);
    };
    bounded(format!("a FETCH {} UID", ["1"; 9000].join(",")), 9000);
    bounded(format!("a FETCH 1 ({})", ["BODY[]"; 129].join(" ")), 129);
    bounded(format!("a FETCH 1 BODY[{}]", ["1"; 65].join(".")), 65);
    bounded(format!("a LIST \"\" ({})", ["x"; 65].join(" ")), 65);
    let keywords: Vec<String> = (0..257).map(|number| format!("k{number}")).collect();
    bounded(format!("a STORE 1 FLAGS ({})", keywords.join(" ")), 257);
    let entries = |count| vec!["/shared/x"; count].join(" ");
    bounded(format!("a GETMETADATA \"\" ({})", entries(65)), 65);
    assert!(parse_command(format!("a GETMETADATA \"\" ({})", entries(64)).as_bytes()).is_ok());
    let values = ["/shared/x NIL"; 65].join(" ");
    bounded(format!("a SETMETADATA \"\" ({values})"), 65);
    let annotations = ["/x (value.priv NIL)"; 65].join(" ");
    bounded(format!("a SETANNOTATION \"\" ({annotations})"), 65);
    bounded(
        format!("a GETANNOTATION \"\" ({}) value", ["*"; 9].join(" ")),
        9,
    );
    bounded(format!("a XSERVERINFO {}", ["KEY"; 17].join(" ")), 17);
    bounded(format!("a LANGUAGE {}", ["de"; 33].join(" ")), 33);
    let escapes = format!("a LOGIN x \"{}\"", "\\\\".repeat(500_000));
    assert!(parse_command(escapes.as_bytes()).is_ok());
}
