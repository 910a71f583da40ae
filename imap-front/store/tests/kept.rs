//! What was expunged can be read for a while, and is known for longer.
#![allow(clippy::disallowed_methods, reason = "tests wait and measure")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use common::{Bench, append, body, status};
use mail::request::{CopyHow, FlagChange, StoreMode, Want};
use mail::{
    Flags, InternalDate, MailboxId, MailboxName, ModSeq, Refusal, Reply, Request, SystemFlag, Uid,
    UserId,
};
use store::{Options, reconstruct};

const INBOX: MailboxId = MailboxId(1);

/// A clock that a test sets, and options by it.
fn options() -> (Arc<AtomicI64>, Options) {
    let clock = Arc::new(AtomicI64::new(1_700_000_000));
    let time = clock.clone();
    let now = move || InternalDate {
        unix_s: time.load(Ordering::Relaxed),
        zone_min: 0,
    };
    let options = Options {
        now: Arc::new(now),
        disk_free_bytes_min: 0,
        kept_s: 100,
        horizon_s: 10_000,
        ..Options::default()
    };
    (clock, options)
}

fn fetch(bench: &Bench, uid: u32) -> Vec<mail::Message> {
    let request = Request::Fetch {
        mailbox: INBOX,
        uids: vec![Uid(uid)],
        want: Want {
            structure: true,
            bytes: true,
            ..Want::default()
        },
        budget_bytes: 1 << 20,
    };
    match bench.ask(request) {
        Reply::Fetched { messages, .. } => messages,
        reply => panic!("{reply:?}"),
    }
}

fn expunge(bench: &Bench, uids: &[u32]) {
    let mut flags = Flags::default();
    flags.insert(SystemFlag::Deleted);
    bench.ask(Request::Store {
        mailbox: INBOX,
        ranges: uids.iter().copied().map(Uid).collect(),
        change: FlagChange {
            mode: StoreMode::Add,
            flags,
            unchanged_since: None,
        },
        since: ModSeq(1),
    });
    bench.ask(Request::Expunge {
        mailbox: INBOX,
        within: None,
        since: ModSeq(1),
    });
}

fn copy(user: UserId, uid: u32, how: CopyHow) -> Request {
    Request::Copy {
        mailbox: INBOX,
        messages: [Uid(uid)].into_iter().collect(),
        user,
        to: MailboxName::inbox(),
        how,
        since: ModSeq(1),
    }
}

/// Waits until a fetch finds nothing: what is due is worked off every ten seconds, and at a start.
fn wait_until_gone(bench: &Bench, uid: u32) {
    let began = Instant::now();
    while !fetch(bench, uid).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(30), "it stays");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn findings(folder: &Path, options: &Options) -> Vec<String> {
    let summary = reconstruct::run(folder, options, false).expect("opens");
    let findings = summary.findings.iter();
    findings.map(ToString::to_string).collect()
}

#[test]
fn an_expunged_message_is_read_until_its_time_is_over() {
    let (clock, options) = options();
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), options.clone());
    let user = bench.ensure_user("ann");
    for number in 0..3 {
        bench.ask(append(user, body(number, 150_000)));
    }
    expunge(&bench, &[1, 2]);
    let now = status(&bench, user);
    assert_eq!(now.messages, 1);
    assert!(now.size < 151_000, "STATUS does not count it");
    let read = fetch(&bench, 1);
    assert_eq!(read.len(), 1);
    assert!(read[0].flags.has(SystemFlag::Deleted) && read[0].structure.is_some());
    let whole = bench.ask(Request::Read {
        mailbox: INBOX,
        uid: Uid(1),
        range: 0..1 << 30,
    });
    assert!(matches!(whole, Reply::Piece(piece) if piece == body(0, 150_000)));

    // After a restart too, and nothing is wrong with it.
    bench.store.close();
    drop(bench);
    assert_eq!(findings(folder.path(), &options), [""; 0]);
    let bench = Bench::open(folder.path(), options.clone());
    assert_eq!(fetch(&bench, 2).len(), 1);
    bench.store.close();
    drop(bench);

    clock.fetch_add(101, Ordering::Relaxed);
    let bench = Bench::open(folder.path(), options.clone());
    wait_until_gone(&bench, 1);
    wait_until_gone(&bench, 2);
    bench.store.close();
    drop(bench);
    assert_eq!(
        findings(folder.path(), &options),
        [""; 0],
        "no body is left behind"
    );
}

#[test]
fn no_more_bytes_are_kept_than_may_be() {
    let (_, options) = options();
    let options = Options {
        kept_bytes_max: 250_000,
        ..options
    };
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), options.clone());
    let user = bench.ensure_user("ann");
    for number in 0..5 {
        bench.ask(append(user, body(number, 100_000)));
        expunge(&bench, &[number as u32 + 1]);
    }
    let kept: Vec<u32> = (1..=5)
        .filter(|uid| !fetch(&bench, *uid).is_empty())
        .collect();
    assert_eq!(kept, [4, 5], "the oldest go first");
    bench.store.close();
    drop(bench);
    assert_eq!(findings(folder.path(), &options), [""; 0]);
}

#[test]
fn a_copy_takes_what_is_kept_and_a_move_does_not() {
    let (_, options) = options();
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), options.clone());
    let user = bench.ensure_user("ann");
    bench.ask(append(user, body(1, 1000)));
    expunge(&bench, &[1]);
    let pairs = |how, uid| match bench.ask(copy(user, uid, how)) {
        Reply::Copied { from, to, .. } => Ok(from.into_iter().zip(to).collect::<Vec<_>>()),
        Reply::Refused(refusal) => Err(refusal),
        reply => panic!("{reply:?}"),
    };
    assert_eq!(pairs(CopyHow::Move, 1), Ok(vec![]));
    assert_eq!(pairs(CopyHow::Whole, 1), Ok(vec![(Uid(1), Uid(2))]));
    assert_eq!(pairs(CopyHow::Copy, 77), Ok(vec![]));
    assert_eq!(pairs(CopyHow::Whole, 77), Err(Refusal::NoMessage));
    // What was moved is read where it was, too.
    assert_eq!(pairs(CopyHow::Move, 2), Ok(vec![(Uid(2), Uid(3))]));
    assert_eq!(fetch(&bench, 2)[0].bytes, Some(body(1, 1000)));
    assert_eq!(fetch(&bench, 3)[0].bytes, Some(body(1, 1000)));
    bench.store.close();
    drop(bench);
    assert_eq!(findings(folder.path(), &options), [""; 0]);
}

#[test]
fn a_mailbox_that_is_deleted_keeps_nothing() {
    let (_, options) = options();
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), options.clone());
    let user = bench.ensure_user("ann");
    let name = MailboxName::new("box");
    let special_use = None;
    bench.ask(Request::Create {
        user,
        name: name.clone(),
        special_use,
    });
    bench.ask(append(user, body(1, 100_000)));
    bench.ask(Request::Copy {
        mailbox: INBOX,
        messages: [Uid(1)].into_iter().collect(),
        user,
        to: name.clone(),
        how: CopyHow::Move,
        since: ModSeq(1),
    });
    bench.ask(Request::Copy {
        mailbox: MailboxId(2),
        messages: [Uid(1)].into_iter().collect(),
        user,
        to: MailboxName::inbox(),
        how: CopyHow::Move,
        since: ModSeq(1),
    });
    bench.ask(Request::Delete { user, name });
    bench.store.close();
    drop(bench);
    // What was under way goes on.
    let bench = Bench::open(folder.path(), options.clone());
    let deadline = Instant::now() + Duration::from_secs(10);
    while bench.store.name_of(MailboxId(2)).unwrap().is_some() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    bench.store.close();
    drop(bench);
    assert_eq!(findings(folder.path(), &options), [""; 0]);
}

#[test]
fn what_was_expunged_before_the_horizon_is_not_told_wrongly() {
    let (clock, options) = options();
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path(), options.clone());
    let user = bench.ensure_user("ann");
    for number in 0..4 {
        bench.ask(append(user, body(number, 10)));
    }
    expunge(&bench, &[1, 2]);
    let before = ModSeq(5);
    let after = status(&bench, user).highest_modseq;
    bench.ask(append(user, body(9, 10)));
    let sync = |bench: &Bench, since| {
        bench.ask(Request::Sync {
            mailbox: INBOX,
            since,
        })
    };
    assert!(matches!(sync(&bench, before), Reply::Synced(delta) if delta.len() == 1));
    bench.store.close();
    drop(bench);

    clock.fetch_add(20_000, Ordering::Relaxed);
    let bench = Bench::open(folder.path(), options.clone());
    wait_until_gone(&bench, 1);
    let began = Instant::now();
    while matches!(sync(&bench, before), Reply::Synced(_)) {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "it is never forgotten"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(matches!(sync(&bench, before), Reply::Refused(_)));
    let at = before;
    let view = bench.ask(Request::View { mailbox: INBOX, at });
    assert!(matches!(view, Reply::Refused(_)));
    assert!(matches!(sync(&bench, after), Reply::Synced(delta) if delta.len() == 1));
    // Who comes back from before it is told all that it may know and that is not there.
    let missed = |known: (u32, u32), heard| {
        bench.ask(Request::Changes {
            mailbox: INBOX,
            since: before,
            upto: after,
            known: [(Uid(known.0), Uid(known.1))].into_iter().collect(),
            vanished: Some(Uid(heard)),
        })
    };
    for (known, heard, gone) in [
        ((1, u32::MAX), 0, vec![(1, 2)]),
        ((2, 3), 0, vec![(2, 2)]),
        ((1, 9), 1, vec![(2, 2)]),
        ((1, 9), 2, vec![]),
    ] {
        let Reply::Changes { vanished, .. } = missed(known, heard) else {
            panic!("no answer")
        };
        let vanished: Vec<(u32, u32)> = vanished.iter().map(|it| (it.0.0, it.1.0)).collect();
        assert_eq!(vanished, gone, "{known:?}, heard of all up to {heard}");
    }
    // A write tells who stands before the horizon to ask, and that is refused.
    let mut reply = bench.ask(Request::Expunge {
        mailbox: INBOX,
        within: None,
        since: before,
    });
    assert!(reply.take_more());
    bench.store.close();
    drop(bench);
    assert_eq!(findings(folder.path(), &options), [""; 0]);
}
