//! Figures that are kept as counters: of messages with `\\Deleted`, and of metadata.

mod common;

use bytes::Bytes;
use common::{Bench, append, body, status};
use mail::metadata::{Entry, EntryName};
use mail::request::{CopyHow, FlagChange, StoreMode};
use mail::{
    Flags, MailboxId, MailboxName, ModSeq, Refusal, Reply, Request, SystemFlag, Uid, UserId,
};
use store::Options;

fn options() -> Options {
    Options {
        disk_free_bytes_min: 0,
        slice_messages: 4,
        metadata_bytes_max: 2000,
        ..Options::default()
    }
}

fn delete(mailbox: MailboxId, uids: impl Iterator<Item = u32>, mode: StoreMode) -> Request {
    let mut flags = Flags::default();
    flags.insert(SystemFlag::Deleted);
    Request::Store {
        mailbox,
        ranges: uids.map(Uid).collect(),
        change: FlagChange {
            mode,
            flags,
            unchanged_since: None,
        },
        since: ModSeq(1),
    }
}

#[test]
fn bytes_of_deleted_messages_are_those_of_the_messages() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bench = Bench::open(folder.path(), options());
    let user = bench.ensure_user("ann");
    for number in 1..=10 {
        bench.ask(append(user, body(number, 100 * number as usize)));
    }
    let inbox = MailboxId(1);
    let deleted = |bench: &Bench| {
        let figures = status(bench, user);
        (figures.deleted, figures.deleted_bytes)
    };
    assert_eq!(deleted(&bench), (0, 0));
    bench.ask(delete(inbox, 1..=10, StoreMode::Add));
    assert_eq!(deleted(&bench), (10, 5500));
    bench.ask(delete(inbox, 5..=10, StoreMode::Remove));
    assert_eq!(deleted(&bench), (4, 1000));
    bench.store.close();
    drop(bench);
    bench = Bench::open(folder.path(), options());
    assert_eq!(deleted(&bench), (4, 1000));
    // In one piece, and a copy of flags too.
    let name = MailboxName::new("box");
    bench.ask(Request::Create {
        user,
        name: name.clone(),
        special_use: None,
    });
    bench.ask(Request::Copy {
        mailbox: inbox,
        messages: (1..=10).map(Uid).collect(),
        user,
        to: name.clone(),
        how: CopyHow::Copy,
        since: ModSeq(1),
    });
    let Reply::Status(copied) = bench.ask(Request::Status {
        user,
        name,
        deleted_bytes: true,
    }) else {
        panic!("no figures");
    };
    assert_eq!((copied.deleted, copied.deleted_bytes), (4, 1000));
    bench.ask(Request::Expunge {
        mailbox: inbox,
        within: None,
        since: ModSeq(1),
    });
    assert_eq!(deleted(&bench), (0, 0));
}

fn set(user: UserId, mailbox: &str, bytes: usize) -> Request {
    Request::SetMetadata {
        user,
        mailbox: Some(MailboxName::new(mailbox)),
        entries: vec![Entry {
            name: EntryName::new(b"/shared/comment").expect("a name"),
            value: (bytes > 0).then(|| Bytes::from(vec![b'x'; bytes])),
        }],
        is_admin: false,
    }
}

#[test]
fn metadata_that_go_make_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(folder.path(), options());
    let user = bench.ensure_user("ann");
    let name = MailboxName::new("box");
    let create = || Request::Create {
        user,
        name: MailboxName::new("box"),
        special_use: None,
    };
    bench.ask(create());
    let is_done = |reply: Reply| matches!(reply, Reply::Done);
    assert!(is_done(bench.ask(set(user, "box", 1500))));
    let refused = bench.ask(set(user, "INBOX", 1500));
    assert!(
        matches!(refused, Reply::Refused(Refusal::MetadataTooMany)),
        "{refused:?}"
    );
    // A shorter value is charged for what it is.
    assert!(is_done(bench.ask(set(user, "box", 100))));
    assert!(is_done(bench.ask(set(user, "INBOX", 1500))));
    assert!(is_done(bench.ask(set(user, "INBOX", 0))));
    assert!(is_done(bench.ask(set(user, "box", 1500))));
    bench.ask(Request::Delete { user, name });
    bench.ask(create());
    // The rows of a mailbox that is gone go a slice at a time.
    let mut tries = (0..1000).map(|_| bench.ask(set(user, "box", 1500)));
    assert!(tries.any(is_done), "nothing is given back");
    bench.store.close();
    drop(bench);
    let summary = store::reconstruct::run(folder.path(), &options(), false).expect("opens");
    assert_eq!(summary.findings, []);
}
