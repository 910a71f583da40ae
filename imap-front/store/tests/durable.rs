//! The store on disk: what was answered is there after reopening, numbered as before.

use std::path::Path;
use std::sync::mpsc;

use bytes::Bytes;
use mail::request::{FlagChange, StoreMode, Target, Want};
use mail::{
    Body, Change, Event, Flags, MailboxId, MailboxName, ModSeq, Refusal, Reply, Request,
    SystemFlag, Uid, UserId,
};
use store::{Options, Quota, Recovery, Store};

struct Host {
    store: Store,
    events: mpsc::Receiver<std::sync::Arc<Event>>,
    recovery: Recovery,
}

fn open(folder: &Path, options: Options) -> Host {
    let (sender, events) = mpsc::channel();
    let announcer = Box::new(move |batch: Vec<mail::News>| {
        let events = batch.iter().filter_map(mail::News::event);
        events.for_each(|event| sender.send(event.clone()).expect("the test listens"));
    });
    let (store, recovery) = Store::open(folder, options, announcer).expect("opens");
    Host {
        store,
        events,
        recovery,
    }
}

impl Host {
    fn ask(&self, request: Request) -> Reply {
        if !request.is_write()
            && let Some(reply) = self.store.read(&request)
        {
            return reply;
        }
        let (sender, answer) = mpsc::channel();
        let completion = Box::new(move |reply| sender.send(reply).expect("the test waits"));
        assert!(
            self.store.write(request, completion).is_ok(),
            "the queue is not full"
        );
        answer.recv().expect("answered")
    }

    fn deliver(&self, user: &str, text: &str) -> Result<mail::reply::Appended, Refusal> {
        let target = Target {
            user: user.into(),
            folder: MailboxName::inbox(),
        };
        let body = Body::Inline(Bytes::copy_from_slice(text.as_bytes()));
        match self.ask(Request::Deliver {
            targets: vec![target],
            body,
            submitter: None,
        }) {
            Reply::Delivered(mut results) => results.remove(0),
            other => panic!("not delivered: {other:?}"),
        }
    }

    fn inbox(&self, user: &str) -> (UserId, mail::reply::Opened) {
        let user = self.store.user(user).expect("readable").expect("known");
        let name = MailboxName::inbox();
        match self.ask(Request::Open {
            user,
            name,
            read_only: false,
        }) {
            Reply::Opened(opened) => (user, opened),
            other => panic!("not opened: {other:?}"),
        }
    }

    fn delete(&self, mailbox: MailboxId, uids: &[u32], since: ModSeq) -> ModSeq {
        let mut flags = Flags::default();
        flags.insert(SystemFlag::Deleted);
        let ranges = uids.iter().map(|&uid| Uid(uid)).collect();
        let mode = StoreMode::Add;
        let request = Request::Store {
            mailbox,
            ranges,
            change: FlagChange {
                mode,
                flags,
                unchanged_since: None,
            },
            since,
        };
        let Reply::Stored { delta, .. } = self.ask(request) else {
            panic!("not stored")
        };
        delta.last().expect("changed").seq
    }
}

#[test]
fn what_was_answered_survives() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = open(folder.path(), Options::default());
    for number in 1..=3 {
        let appended = host.deliver("ann", &format!("Subject: {number}\r\n\r\nx\r\n"));
        assert_eq!(appended.expect("delivered").uid, Uid(number));
        let event = host.events.recv().expect("announced");
        assert_eq!(
            (event.prev.0, event.seq.0),
            (u64::from(number), u64::from(number) + 1)
        );
    }
    let (_, before) = host.inbox("ann");
    assert_eq!(before.recent_from, Uid(1));
    let seq = host.delete(before.mailbox, &[2], before.highest_modseq);
    let Reply::Synced(delta) = host.ask(Request::Expunge {
        mailbox: before.mailbox,
        within: None,
        since: seq,
    }) else {
        panic!("not expunged")
    };
    assert_eq!(
        delta[0].changes,
        [Change::Expunged {
            uid: Uid(2),
            number: 2
        }]
    );
    host.store.close();
    drop(host);

    let host = open(folder.path(), Options::default());
    assert_eq!(host.recovery.loss, None);
    let (_, after) = host.inbox("ann");
    assert_eq!(after.uid_validity, before.uid_validity);
    assert_eq!(*after.uids, [Uid(1), Uid(3)]);
    assert_eq!(after.recent_from, Uid(4));
    assert_eq!(host.deliver("ann", "x").expect("delivered").uid, Uid(4));
    let Reply::Viewed { uids, delta, .. } = host.ask(Request::View {
        mailbox: before.mailbox,
        at: before.highest_modseq,
    }) else {
        panic!("not viewed")
    };
    assert_eq!(*uids, [Uid(1), Uid(2), Uid(3)]);
    assert_eq!(delta.len(), 1);
    let expected_first = Change::Expunged {
        uid: Uid(2),
        number: 2,
    };
    assert_eq!(delta[0].changes[0], expected_first);
    assert!(matches!(
        delta[0].changes[1],
        Change::New {
            uid: Uid(4),
            exists: 3,
            ..
        }
    ));
}

#[test]
fn large_bodies_come_in_pieces() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = open(folder.path(), Options::default());
    host.deliver("ann", "x").expect("delivered");
    let user = host.store.user("ann").expect("readable").expect("known");
    let text: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    let mut spool = None;
    for chunk in text.chunks(70_000) {
        let chunk = Bytes::copy_from_slice(chunk);
        match host.ask(Request::Spool { spool, chunk }) {
            Reply::Spooled(id) => spool = Some(id),
            other => panic!("not spooled: {other:?}"),
        }
    }
    let appended = match host.ask(Request::Append {
        user,
        name: MailboxName::inbox(),
        flags: Flags::default(),
        date: None,
        body: Body::Spooled(spool.expect("begun")),
    }) {
        Reply::Appended(appended) => appended,
        other => panic!("not appended: {other:?}"),
    };
    let (mailbox, uid) = (appended.mailbox, appended.uid);
    for range in [0..10, 65_530..65_550, 131_072..200_000, 299_990..400_000] {
        let Reply::Piece(piece) = host.ask(Request::Read {
            mailbox,
            uid,
            range: range.clone(),
        }) else {
            panic!("not read")
        };
        let end = (range.end as usize).min(text.len());
        assert_eq!(&piece[..], &text[range.start as usize..end], "{range:?}");
    }
    let want = Want {
        bytes: true,
        ..Want::default()
    };
    let uids = vec![Uid(1), uid];
    let Reply::Fetched { messages, done, .. } = host.ask(Request::Fetch {
        mailbox,
        uids,
        want,
        budget_bytes: 1000,
    }) else {
        panic!("not fetched")
    };
    assert_eq!(done, 2);
    assert_eq!(messages[0].bytes.as_deref(), Some(&b"x"[..]));
    assert_eq!(
        (messages[1].bytes.as_ref(), messages[1].size),
        (None, 300_000)
    );
}

#[test]
fn quota_and_size_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let quota = Quota {
        bytes: 10,
        messages: 0,
    };
    let options = Options {
        message_bytes_max: 8,
        quota: std::sync::Arc::new(move |_| quota),
        ..Options::default()
    };
    let host = open(folder.path(), options);
    assert_eq!(host.deliver("ann", "123456789"), Err(Refusal::TooBig(8)));
    host.deliver("ann", "12345678").expect("fits");
    assert_eq!(host.deliver("ann", "123"), Err(Refusal::OverQuota));
    let (_, opened) = host.inbox("ann");
    let since = host.delete(opened.mailbox, &[1], opened.highest_modseq);
    host.ask(Request::Expunge {
        mailbox: opened.mailbox,
        within: None,
        since,
    });
    host.deliver("ann", "123").expect("there is room again");
}

#[test]
fn a_full_disk_refuses_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = open(folder.path(), Options::default());
    host.deliver("ann", "x").expect("delivered");
    host.store.close();
    drop(host);
    // No disk has this much room.
    let options = Options {
        disk_free_bytes_min: u64::MAX,
        ..Options::default()
    };
    let host = open(folder.path(), options);
    assert_eq!(host.deliver("ann", "y"), Err(Refusal::DiskFull));
    assert_eq!(*host.inbox("ann").1.uids, [Uid(1)]);
}

#[test]
fn one_message_to_several_is_stored_once_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = open(folder.path(), Options::default());
    let target = |user: &str| Target {
        user: user.into(),
        folder: MailboxName::inbox(),
    };
    let targets = vec![target("ann"), target("bob"), target("ann")];
    let body = Body::Inline(Bytes::from_static(b"shared"));
    let Reply::Delivered(results) = host.ask(Request::Deliver {
        targets,
        body,
        submitter: None,
    }) else {
        panic!("not delivered")
    };
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
    assert_eq!(results[0], results[2], "a mailbox named twice gets it once");
    for user in ["ann", "bob"] {
        let (_, opened) = host.inbox(user);
        assert_eq!(*opened.uids, [Uid(1)]);
        let since = host.delete(opened.mailbox, &[1], opened.highest_modseq);
        host.ask(Request::Expunge {
            mailbox: opened.mailbox,
            within: None,
            since,
        });
        if user == "ann" {
            let (_, other) = host.inbox("bob");
            let request = Request::Read {
                mailbox: other.mailbox,
                uid: Uid(1),
                range: 0..10,
            };
            let Reply::Piece(piece) = host.ask(request) else {
                panic!("not read")
            };
            assert_eq!(&piece[..], b"shared");
        }
    }
}
