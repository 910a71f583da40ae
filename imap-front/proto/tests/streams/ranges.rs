//! STORE and COPY of many messages: what is asked for is small, and so are the turns.

use std::sync::{Arc, Mutex};

use mail::request::StoreMode;
use mail::{Change, Refusal, Reply, Request, Uid, UidSet, UidValidity};

use super::host::{event, large};

#[test]
fn copies_of_many() {
    let mut host = large(1_000_000, |request| match request {
        Request::Copy { messages, .. } => {
            assert_eq!(messages.count, 1_000_000);
            Some(Reply::Copied {
                uid_validity: UidValidity(7),
                from: (1..=1_000_000).map(|n| Uid(2 * n)).collect(),
                to: (1..=1_000_000).map(Uid).collect(),
                delta: vec![],
            })
        }
        _ => None,
    });
    let said = host.ask("a COPY 1:* Elsewhere");
    host.assert_in_pieces();
    assert!(
        said.starts_with("a OK [COPYUID 7 2,4,6,")
            && said.ends_with(":1000000] COPY completed\r\n")
    );
}

/// A request: its name, bytes, ranges, and how many messages it is about.
type Asked = (&'static str, usize, Vec<(u32, u32)>, u32);

/// What a session asks about many messages names ranges, not messages.
#[test]
fn requests_about_many_are_small() {
    let asked = Arc::new(Mutex::new(vec![]));
    let seen = asked.clone();
    let gone = (1..=100_000).map(|n| Change::Expunged {
        uid: Uid(4 * n),
        number: n + 1,
    });
    let Reply::Synced(delta) = event(1, gone.collect()) else {
        unreachable!("an event")
    };
    let mut silent = Some(Reply::Stored {
        modified: UidSet::default(),
        own: vec![],
        crossed: UidSet::default(),
        delta,
    });
    let mut host = large(1_000_000, move |request| {
        let bytes = request.bytes();
        let (name, ranges, count) = match request {
            Request::Store { change, .. } if change.mode == StoreMode::Add => {
                return silent.take();
            }
            Request::Store { ranges, .. } => ("STORE", ranges, 0),
            Request::Copy { messages, .. } => ("COPY", &messages.ranges, messages.count),
            _ => return None,
        };
        let ranges = ranges.iter().map(|(low, high)| (low.0, high.0)).collect();
        seen.lock().unwrap().push((name, bytes, ranges, count));
        Some(Reply::Refused(Refusal::NoMailbox))
    });
    let mut ask = |line: &str| -> Vec<Asked> {
        host.ask(line);
        std::mem::take(&mut *asked.lock().unwrap())
    };
    for (line, name, low, count) in [
        ("a STORE 1:* FLAGS ()", "STORE", 2, 0),
        ("a UID STORE 1:* FLAGS ()", "STORE", 1, 0),
        ("a COPY 1:* Else", "COPY", 2, 1_000_000),
        ("a MOVE 1:* Else", "COPY", 2, 1_000_000),
        ("a UID COPY 1:* Else", "COPY", 1, 1_000_000),
    ] {
        let requests = ask(line);
        let (asked, bytes, ranges, messages) = &requests[0];
        assert_eq!((*asked, *messages), (name, count), "{line}");
        assert_eq!(*ranges, [(low, 2_000_000)], "{line}");
        assert!(*bytes < 500, "{line}: {bytes} bytes");
    }
    // Of those that are gone a bit each goes along, as long as the client was not told.
    assert!(ask("a STORE 1 +FLAGS.SILENT (\\Seen)").is_empty());
    let requests = ask("a COPY 1:5,9:* Else");
    assert_eq!(requests[0].2, [(2, 10), (18, 2_000_000)]);
    assert_eq!(requests[0].3, 999_997);
    assert!(requests[0].1 < 60_000, "{} bytes", requests[0].1);
    // By UID they are told, and counted no more.
    assert!(ask("a NOOP").is_empty());
    let requests = ask("a COPY 1:* Else");
    assert_eq!(requests[0].3, 900_000);
    assert!(requests[0].1 < 500, "{} bytes", requests[0].1);
}

/// Messages that a conditional STORE left alone are passed over some at a time: others have their
/// turn between.
#[test]
fn messages_left_alone_are_passed_over_in_turns() {
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let mut host = large(1_000_000, move |request| match request {
        Request::Store { .. } => Some(Reply::Stored {
            modified: (1..=1_000_000).map(|n| Uid(2 * n)).collect(),
            own: vec![],
            crossed: UidSet::default(),
            delta: vec![],
        }),
        Request::Fetch { uids, .. } => {
            assert!(uids.is_empty());
            *count.lock().unwrap() += 1;
            Some(Reply::Fetched {
                messages: vec![],
                done: 0,
                unreadable: 0,
            })
        }
        _ => None,
    });
    let said = host.ask("a STORE 1:* (UNCHANGEDSINCE 1) +FLAGS (\\Seen)");
    assert!(
        said.contains("\r\na OK [MODIFIED 1:")
            && said.ends_with(":1000000] Some were changed by others\r\n"),
        "{said}"
    );
    let turns = *asked.lock().unwrap();
    assert!(turns >= 1_000_000 / (16 * 256), "{turns} turns");
}

/// A COPYUID has at least one UID (RFC 4315 §4 `uid-set`): without any there is none.
#[test]
fn a_copy_of_nothing_has_no_uids() {
    let mut host = large(3, |request| match request {
        Request::Copy { .. } => Some(Reply::Copied {
            uid_validity: UidValidity(7),
            from: UidSet::default(),
            to: UidSet::default(),
            delta: vec![],
        }),
        _ => None,
    });
    assert_eq!(host.ask("a UID COPY 2 Else"), "a OK COPY completed\r\n");
    assert_eq!(host.ask("b UID MOVE 2 Else"), "b OK MOVE completed\r\n");
}
