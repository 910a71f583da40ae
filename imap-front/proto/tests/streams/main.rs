//! Answers of any size leave in pieces: no more than a piece is said before the host reports that
//! what was said before has left.

mod host;
mod ranges;

use std::sync::Arc;

use bytes::Bytes;
use host::{Host, event, large};
use mail::list::{Entry, Piece};
use mail::metadata::{EntryName, MetadataFound};
use mail::{
    Change, EmailId, Event, Flags, InternalDate, MailboxId, MailboxName, Message, ModSeq, Reply,
    Request, SystemFlag, Uid, UidSet, UserId,
};
use proto::imap::{Session, SessionConfig};

#[test]
fn search_in_a_large_mailbox() {
    let mut host = large(1_000_000, |request| match request {
        Request::Search { .. } => Some(Reply::Found {
            hits: (1..=1_000_000).map(|n| Uid(2 * n)).collect(),
            modseqs: None,
            unreadable: 0,
            delta: vec![],
        }),
        _ => None,
    });
    let said = host.ask("a SEARCH ALL");
    host.assert_in_pieces();
    assert!(
        said.starts_with("* SEARCH 1 2 3 ")
            && said.ends_with(" 1000000\r\na OK SEARCH completed\r\n")
    );
    assert_eq!(
        said.split(' ')
            .filter(|word| word.parse::<u32>().is_ok())
            .count(),
        999_999
    );
    let said = host.ask("b SEARCH RETURN (ALL COUNT) ALL");
    // UIDs with gaps: numbers are looked at one by one, and said bit by bit.
    let set = said.lines().next().expect("a line");
    let set = set.strip_prefix("* ESEARCH (TAG \"b\") ALL ");
    let set = set.and_then(|set| set.strip_suffix(" COUNT 1000000"));
    let mut next = 1;
    for range in set.expect("such an answer").split(',') {
        let (low, high) = range.split_once(':').expect("a range");
        assert_eq!(low, next.to_string());
        next = high.parse::<u32>().expect("a number") + 1;
    }
    assert_eq!(next, 1_000_001);
    let said = host.ask("c UID SEARCH RETURN (ALL) ALL");
    host.assert_in_pieces();
    assert!(said.contains(" UID ALL 2,4,6,") && said.contains(",2000000\r\nc OK"));
}

/// RFC 4731 §3.1: ALL is not said if nothing is found, and never without a set.
#[test]
fn what_was_found_has_no_number_any_more() {
    let mut host = large(3, |request| match request {
        Request::Search { .. } => Some(Reply::Found {
            hits: [Uid(3)].into_iter().collect(),
            modseqs: None,
            unreadable: 0,
            delta: vec![],
        }),
        _ => None,
    });
    let said = host.ask("a SEARCH RETURN (ALL) ALL");
    assert_eq!(said, "* ESEARCH (TAG \"a\")\r\na OK SEARCH completed\r\n");
}

#[test]
fn expunges_of_a_tenth() {
    let mut news = vec![event(
        1,
        (1..=100_000)
            .map(|n| Change::Expunged {
                uid: Uid(20 * n),
                number: 9 * n + 1,
            })
            .collect(),
    )];
    let mut host = large(1_000_000, move |request| match request {
        Request::Sync { .. } => news.pop(),
        _ => None,
    });
    // A client that stops reading is owed the rest of the lines, and a command waits for them.
    let begun = host.begin("a NOOP", 0);
    assert!(!begun.contains("a OK") && begun.ends_with(" EXPUNGE\r\n"));
    host.session.handle_input(b"b NOOP\r\n");
    host.session.handle_drained();
    host.work(usize::MAX);
    let said = String::from_utf8_lossy(&host.said).into_owned();
    host.assert_in_pieces();
    let expected: String = (1..=100_000u32)
        .map(|n| format!("* {} EXPUNGE\r\n", 9 * n + 1))
        .collect();
    assert_eq!(
        said,
        format!("{expected}a OK NOOP completed\r\nb OK NOOP completed\r\n")
    );
}

#[test]
fn flags_of_many() {
    let flags = Arc::new(Flags::default());
    let mut news = vec![event(
        1,
        (1..=100_000)
            .map(|n| Change::Flags {
                uid: Uid(2 * n),
                number: n,
                flags: flags.clone(),
                modseq: ModSeq(2),
            })
            .collect(),
    )];
    let mut host = large(100_000, move |request| match request {
        Request::Sync { .. } => news.pop(),
        _ => None,
    });
    let said = host.ask("a NOOP");
    host.assert_in_pieces();
    assert_eq!(said.lines().count(), 100_001);
    assert!(said.contains("* 100000 FETCH (FLAGS ())\r\na OK"));
}

#[test]
fn a_listing_of_long_names() {
    let mut host = Host::new(|request| match request {
        Request::Authenticate(_) => Reply::Authenticated(UserId(1)),
        Request::List { after, .. } => {
            let from = after.map_or(0, |name| {
                name.as_str()[..5].parse::<u32>().expect("a number") + 1
            });
            let to = (from + 150).min(10_000);
            let name = |n| MailboxName::new(&format!("{n:05}{}", "ü".repeat(450)));
            let entry = |n| Entry {
                name: name(n),
                selectable: true,
                exists: true,
                subscribed: false,
                has_children: false,
                special_use: None,
                child_info: false,
            };
            Reply::Listed(Piece {
                entries: (from..to).map(entry).collect(),
                next: (to < 10_000).then(|| name(to - 1)),
            })
        }
        Request::Status { .. } => Reply::Status(Default::default()),
        _ => Reply::Done,
    });
    for command in [
        "a LIST \"\" *",
        "a LSUB \"\" *",
        "a LIST \"\" * RETURN (STATUS (MESSAGES))",
    ] {
        let said = host.ask(command);
        host.assert_in_pieces();
        let lines = if command.contains("STATUS") {
            20_001
        } else {
            10_001
        };
        assert_eq!(said.lines().count(), lines, "{command}");
    }
}

/// As much as a user may have.
#[test]
fn metadata_of_many_large_values() {
    let value = Bytes::from(vec![b'x'; 16_000]);
    let entries = (0..500u32).map(|n| mail::metadata::Entry {
        name: EntryName::new(format!("/private/{n:03}").as_bytes()).expect("a name"),
        value: Some(value.clone()),
    });
    let found = MetadataFound {
        entries: entries.collect(),
        longest: None,
    };
    let mut host = Host::new(move |request| match request {
        Request::Authenticate(_) => Reply::Authenticated(UserId(1)),
        Request::Metadata { .. } => Reply::Metadata(found.clone()),
        _ => Reply::Done,
    });
    for (command, lines) in [
        ("a GETMETADATA (DEPTH infinity) \"\" /private", 502),
        ("a GETANNOTATION \"\" * value", 1001),
    ] {
        let said = host.ask(command);
        host.assert_in_pieces();
        assert_eq!(said.lines().count(), lines, "{command}");
        assert!(said.len() > 500 * 16_000 && said.contains("/499"));
    }
}

/// Many items, each of them large.
#[test]
fn a_response_of_many_large_parts() {
    let body = Bytes::from(vec![b'x'; 60_000]);
    let message = move |uid: Uid| Message {
        uid,
        is_gone: false,
        modseq: ModSeq(1),
        flags: Arc::default(),
        saved: None,
        email: EmailId(1),
        thread: None,
        preview: None,
        date: InternalDate {
            unix_s: 0,
            zone_min: 0,
        },
        size: 60_000,
        structure: None,
        bytes: Some(body.clone()),
        header: None,
        submitter: None,
    };
    let mut host = large(10, move |request| match request {
        Request::Fetch { uids, .. } => Some(Reply::Fetched {
            messages: uids.iter().map(|uid| message(*uid)).collect(),
            done: uids.len(),
            unreadable: 0,
        }),
        _ => None,
    });
    let items = "BODY.PEEK[] ".repeat(100);
    let said = host.ask(&format!("a FETCH 1:2 ({})", items.trim_end()));
    host.assert_in_pieces();
    assert_eq!(said.len() / 60_000, 200);
    assert!(said.ends_with("xx)\r\na OK FETCH completed\r\n"));
    // The server stops while the client is within a literal: nothing may be said there.
    let begun = host.begin("b FETCH 1 BODY.PEEK[]", 0);
    assert!(begun.ends_with("xxx"), "a part of the literal");
    host.session.handle_shutdown("Server is stopping");
    host.work(usize::MAX);
    assert_eq!(host.said, begun.as_bytes());
    assert!(host.closed);
}

/// Another session expunges between the look at the mailbox and the answer.
#[test]
fn messages_that_vanish_meanwhile() {
    let message = |uid: &Uid| Message {
        uid: *uid,
        is_gone: false,
        modseq: ModSeq(1),
        flags: Arc::default(),
        saved: None,
        email: EmailId(1),
        thread: None,
        preview: None,
        date: InternalDate {
            unix_s: 0,
            zone_min: 0,
        },
        size: 1,
        structure: None,
        bytes: None,
        header: None,
        submitter: None,
    };
    let mut host = large(3, move |request| match request {
        Request::Fetch { uids, .. } => Some(Reply::Fetched {
            messages: uids.iter().filter(|uid| uid.0 != 4).map(message).collect(),
            done: uids.len(),
            unreadable: 0,
        }),
        Request::Store { .. } => Some(Reply::Stored {
            modified: UidSet::default(),
            own: vec![],
            crossed: UidSet::default(),
            delta: vec![],
        }),
        _ => None,
    });
    // UIDs that don't exist are ignored (RFC 3501 §6.4.8).
    let said = host.ask("a UID FETCH 1:6 FLAGS");
    assert_eq!(
        said,
        "* 1 FETCH (UID 2 FLAGS ())\r\n* 3 FETCH (UID 6 FLAGS ())\r\na OK FETCH completed\r\n"
    );
    let said = host.ask("b UID STORE 1:6 +FLAGS (\\Seen)");
    assert!(said.ends_with("b OK STORE completed\r\n"), "{said}");
    // A number is that of a message, and of this one nothing is left.
    let said = host.ask("c FETCH 1:3 FLAGS");
    assert!(
        said.ends_with("c NO [EXPUNGEISSUED] Some messages are gone\r\n"),
        "{said}"
    );
}

/// A silent STORE keeps back what it made of flags itself, and nothing else (RFC 3501 §6.4.6).
#[test]
fn a_silent_store_tells_what_others_changed() {
    let made = |uid, modseq| Change::Flags {
        uid: Uid(uid),
        number: uid / 2,
        flags: Arc::new(Flags::new(SystemFlag::Seen as u8, [])),
        modseq: ModSeq(modseq),
    };
    let own = vec![(ModSeq(2), ModSeq(2))];
    let nobody = UidSet::default();
    let others = UidSet::from_iter([Uid(2)]);
    let tells = "* 1 FETCH (FLAGS (\\Seen))\r\na OK STORE completed\r\n";
    let silent = "a OK STORE completed\r\n";
    for (case, own, crossed, said) in [
        ("its own", own.clone(), nobody.clone(), silent),
        ("it changed nothing", vec![], nobody, tells),
        ("another came before", own, others, tells),
    ] {
        let delta = vec![Arc::new(Event {
            mailbox: MailboxId(1),
            prev: ModSeq(1),
            seq: ModSeq(2),
            changes: vec![made(2, 2)],
            deleted: false,
        })];
        let stored = Reply::Stored {
            modified: UidSet::default(),
            own,
            crossed,
            delta,
        };
        let mut host = large(3, move |request| match request {
            Request::Store { .. } => Some(stored.clone()),
            _ => None,
        });
        assert_eq!(host.ask("a STORE 1 +FLAGS.SILENT (\\Seen)"), said, "{case}");
    }
}

/// A keyword that the mailbox had not is told of before its first use (RFC 3501 §7.2.6).
#[test]
fn new_keywords_are_introduced() {
    let flags = |keyword: &str| Arc::new(Flags::new(0, [Arc::from(keyword)]));
    let change = move |keyword: &str| Change::Flags {
        uid: Uid(2),
        number: 1,
        flags: flags(keyword),
        modseq: ModSeq(2),
    };
    let mut news = vec![
        event(2, vec![change("theirs")]),
        event(1, vec![change("Theirs")]),
    ];
    let mut host = large(3, move |request| match request {
        Request::Sync { .. } => news.pop(),
        Request::Fetch { uids, .. } => Some(Reply::Fetched {
            messages: vec![Message {
                uid: uids[0],
                is_gone: false,
                modseq: ModSeq(2),
                flags: flags("Mine"),
                saved: None,
                email: EmailId(1),
                thread: None,
                preview: None,
                date: InternalDate {
                    unix_s: 0,
                    zone_min: 0,
                },
                size: 1,
                structure: None,
                bytes: None,
                header: None,
                submitter: None,
            }],
            done: uids.len(),
            unreadable: 0,
        }),
        _ => None,
    });
    const SYSTEM: &str = "\\Answered \\Flagged \\Deleted \\Seen \\Draft";
    let introduced = |keywords: &str| {
        format!(
            "* FLAGS ({SYSTEM} {keywords})\r\n\
             * OK [PERMANENTFLAGS ({SYSTEM} {keywords} \\*)] Flags that are kept\r\n"
        )
    };
    let said = host.ask("a NOOP");
    let line = "* 1 FETCH (FLAGS (Theirs))\r\na OK NOOP completed\r\n";
    assert_eq!(said, introduced("Theirs") + line);
    let said = host.ask("b NOOP");
    assert_eq!(
        said,
        "* 1 FETCH (FLAGS (theirs))\r\nb OK NOOP completed\r\n"
    );
    let said = host.ask("c FETCH 1 FLAGS");
    let line = "* 1 FETCH (FLAGS (Mine))\r\nc OK FETCH completed\r\n";
    assert_eq!(said, introduced("Mine Theirs") + line);
}

/// NUL stands in no literal (RFC 3501 §9 CHAR8), however the message comes.
#[test]
fn nul_is_a_blank_in_every_literal() {
    let text = b"A: b\0c\r\n\r\nx\0y\r\n".repeat(8);
    let size = text.len() as u64;
    for inline in [true, false] {
        let text = Bytes::from(text.clone());
        let mut host = large(1, move |request| match request {
            Request::Fetch { uids, .. } => Some(Reply::Fetched {
                messages: vec![Message {
                    uid: uids[0],
                    is_gone: false,
                    modseq: ModSeq(1),
                    flags: Arc::default(),
                    saved: None,
                    email: EmailId(1),
                    thread: None,
                    preview: None,
                    date: InternalDate {
                        unix_s: 0,
                        zone_min: 0,
                    },
                    size,
                    structure: Some(Arc::new(mail::mime::Structure::parse(&text))),
                    bytes: inline.then(|| text.clone()),
                    header: None,
                    submitter: None,
                }],
                done: 1,
                unreadable: 0,
            }),
            Request::Read { range, .. } => {
                let range = range.start as usize..(range.end as usize).min(text.len());
                Some(Reply::Piece(text.slice(range)))
            }
            _ => None,
        });
        let items =
            "BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[HEADER.FIELDS (A)] BODY.PEEK[TEXT]<0.3>";
        let said = host.ask(&format!("a FETCH 1 (RFC822.SIZE {items})"));
        assert!(!said.contains('\0'), "{said}");
        assert!(
            said.contains(&format!(
                "RFC822.SIZE {size} BODY[] {{{size}}}\r\nA: b c\r\n"
            )),
            "{said}"
        );
        assert!(
            said.contains("BODY[HEADER.FIELDS (A)] {10}\r\nA: b c\r\n\r\n"),
            "{said}"
        );
        assert!(said.contains("BODY[TEXT]<0> {3}\r\nx y)"), "{said}");
    }
}

/// Commands that say much and are piped in are worked on as their answers leave.
#[test]
fn piped_commands_wait_for_their_answers_to_leave() {
    let mut host = Host::new(|_| Reply::Authenticated(UserId(1)));
    let said = host.ask("a CAPABILITY\r\n".repeat(8_000).trim_end());
    host.assert_in_pieces();
    assert_eq!(said.matches("a OK").count(), 8_000);
}

/// Before login a client can't make the server keep more than a little.
#[test]
fn before_login_little_is_kept() {
    let session = || Session::new(Arc::new(SessionConfig::default()), true);
    // A literal that is too large is dropped as it comes.
    let mut dropping = session();
    dropping.handle_input(b"a LOGIN {65000+}\r\n");
    for _ in 0..100 {
        assert!(dropping.wants_input());
        dropping.handle_input(&[b'x'; 500]);
    }
    // One that is not is not asked for when there is more to come than it may have.
    for size in [8_000, 9_000] {
        let mut waiting = session();
        waiting.handle_input(format!("a LOGIN {{{size}}}\r\n").as_bytes());
        let said: Vec<_> = std::iter::from_fn(|| waiting.poll_action()).collect();
        let said = format!("{said:?}");
        assert_eq!(said.contains("+ Ready"), size == 8_000, "{said}");
    }
    // Commands that nobody hears the answers of are not worked on, and not taken.
    let mut deaf = session();
    let mut taken = 0;
    while deaf.wants_input() && taken < 1_000_000 {
        deaf.handle_input(b"a CAPABILITY\r\n");
        taken += 14;
    }
    assert!(taken < 16_000, "{taken}");
}
