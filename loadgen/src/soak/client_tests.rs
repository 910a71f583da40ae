use super::super::command::Store;
use super::super::view::{DELETED, SEEN};
use super::*;

/// A client that idles in a mailbox of two messages, having heard `pieces` at a time.
fn idling(piece: usize) -> Client {
    let mut client = Client::default();
    hear(&mut client, "* OK hi\r\n", piece);
    client.login("ann", "secret");
    hear(&mut client, "t1 OK in\r\n", piece);
    client.send(Command::Select);
    let selected = "* 2 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 7] valid\r\n\
        * OK [UIDNEXT 10] next\r\nt2 OK [READ-WRITE] done\r\n";
    hear(&mut client, selected, piece);
    client.send(Command::Sync { from: 1 });
    let header = "Message-ID: <5.loadgen@localhost>\r\n\r\n";
    let synced = format!(
        "* 1 FETCH (UID 4 FLAGS (\\Seen) BODY[HEADER.FIELDS (MESSAGE-ID)] {{{}}}\r\n{header})\r\n\
         * 2 FETCH (UID 9 FLAGS (\\Recent) BODY[HEADER.FIELDS (MESSAGE-ID)] {{0}}\r\n)\r\n\
         t3 OK done\r\n",
        header.len()
    );
    let events = hear(&mut client, &synced, piece);
    let now = Known {
        uid: 4,
        flags: Some(SEEN),
    };
    let before = Known::default();
    let id = Some(5);
    assert_eq!(events[0], SoakEvent::Fetched { before, now, id });
    client.send(Command::Idle);
    assert_eq!(
        hear(&mut client, "+ idling\r\n", piece),
        [SoakEvent::Idling]
    );
    client
}

fn hear(client: &mut Client, text: &str, piece: usize) -> Vec<SoakEvent> {
    let mut events = Vec::new();
    for bytes in text.as_bytes().chunks(piece) {
        client.handle_input(bytes, &mut events);
    }
    events
}

fn wrong(events: &[SoakEvent]) -> Vec<Kind> {
    let kind = |event: &SoakEvent| match event {
        SoakEvent::Wrong(wrong) => Some(wrong.kind),
        _ => None,
    };
    events.iter().filter_map(kind).collect()
}

#[test]
fn any_split_gives_the_same() {
    for piece in [1, 3, 1000] {
        let mut client = idling(piece);
        let events = hear(&mut client, "* 1 EXPUNGE\r\n* 2 EXISTS\r\n", piece);
        let gone = Known {
            uid: 4,
            flags: Some(SEEN),
        };
        assert_eq!(events, [SoakEvent::Expunged(gone), SoakEvent::Grown(1)]);
        assert_eq!(client.view().messages().len(), 2);
        assert!(client.is_idling() && client.is_selected());
    }
}

#[test]
fn planted_faults_are_found() {
    for (planted, kind) in [
        ("* 2 EXISTS\r\n", Kind::Count),
        ("* 1 EXISTS\r\n", Kind::Count),
        ("* 3 EXPUNGE\r\n", Kind::Count),
        ("* 1 FETCH (UID 5 FLAGS ())\r\n", Kind::Uid),
        ("* 3 FETCH (FLAGS ())\r\n", Kind::Count),
        ("* 1 FETCH (UID\r\n", Kind::Syntax),
        ("t4 OK unasked\r\n", Kind::Syntax),
        ("+ again\r\n", Kind::Syntax),
    ] {
        let mut client = idling(1000);
        assert_eq!(
            wrong(&hear(&mut client, planted, 1000)),
            [kind],
            "{planted}"
        );
    }
}

#[test]
fn an_expunge_in_the_wrong_place_is_found() {
    let store = |by_uid| {
        Command::Store(Store {
            number: 1,
            uid: 4,
            flag: DELETED,
            set: true,
            silent: false,
            by_uid,
        })
    };
    let search = Command::Search {
        by_uid: false,
        unseen: true,
    };
    let none: &[Kind] = &[];
    for (command, expected) in [
        (Command::Fetch { from: 1, to: 2 }, &[Kind::Expunge][..]),
        (store(false), &[Kind::Expunge]),
        (search, &[Kind::Expunge]),
        (store(true), none),
        (Command::Noop, none),
        (Command::List { named: false }, none),
    ] {
        let mut client = idling(1000);
        client.done();
        hear(&mut client, "t4 OK idled\r\n", 1000);
        // No command is under way.
        client.send(command);
        let events = hear(&mut client, "* 2 EXPUNGE\r\n", 1000);
        assert_eq!(wrong(&events), expected, "{command:?}");
        let events = hear(&mut client, "t5 OK done\r\n* 1 EXPUNGE\r\n", 1000);
        assert_eq!(wrong(&events), [Kind::Expunge], "after {command:?}");
    }
}

#[test]
fn searches_are_read() {
    let mut client = idling(1000);
    client.done();
    hear(&mut client, "t4 OK idled\r\n", 1000);
    client.send(Command::Search {
        by_uid: false,
        unseen: false,
    });
    let events = hear(&mut client, "* SEARCH 2 1\r\n", 1000);
    assert_eq!(events, [SoakEvent::Found(vec![4, 9], 2)]);
    let events = hear(&mut client, "* SEARCH 2 2\r\n", 1000);
    assert_eq!(wrong(&events), [Kind::Doubled]);
    let events = hear(&mut client, "* SEARCH 3\r\n", 1000);
    assert_eq!(wrong(&events), [Kind::Count]);
    let events = hear(&mut client, "t5 NO [EXPUNGEISSUED] gone\r\n", 1000);
    let gone = matches!(
        events[0],
        SoakEvent::Ended {
            answer: CommandResult::Gone,
            ..
        }
    );
    assert!(gone);
}
