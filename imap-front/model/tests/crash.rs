//! What a crash of the model loses, and what RENAME of INBOX does to those who watch it.

use bytes::Bytes;
use mail::{Body, Change, Flags, MailboxName, ModSeq, Reply, Request, SpoolId, Uid, UserId};
use model::Model;

fn append(model: &mut Model, user: UserId) -> Uid {
    let request = Request::Append {
        user,
        name: MailboxName::inbox(),
        flags: Flags::default(),
        date: None,
        body: Body::Inline(Bytes::from_static(b"Subject: x\r\n\r\ny\r\n")),
    };
    match model.handle(request) {
        (Reply::Appended(appended), events) => {
            assert_eq!(events.len(), 1);
            appended.uid
        }
        (reply, _) => panic!("{reply:?}"),
    }
}

fn open(model: &mut Model, user: UserId) -> mail::reply::Opened {
    let request = Request::Open {
        user,
        name: MailboxName::inbox(),
        read_only: true,
    };
    match model.handle(request).0 {
        Reply::Opened(opened) => opened,
        reply => panic!("{reply:?}"),
    }
}

#[test]
fn a_crash_loses_what_was_not_synced() {
    let mut model = Model::default();
    let user = model.add_user("ann", "secret");
    append(&mut model, user);
    model.sync();
    append(&mut model, user);
    assert!(model.is_dirty());
    let spool = Request::Spool {
        spool: None,
        chunk: Bytes::from_static(b"part"),
    };
    let Reply::Spooled(spool) = model.handle(spool).0 else {
        panic!("no upload")
    };
    model.crash();
    assert_eq!(*open(&mut model, user).uids, [Uid(1)]);
    let more = Request::Spool {
        spool: Some(spool),
        chunk: Bytes::from_static(b"more"),
    };
    assert!(matches!(model.handle(more).0, Reply::Refused(_)));
    assert_ne!(spool, SpoolId(0));
    assert_eq!(append(&mut model, user), Uid(2));
}

#[test]
fn renaming_inbox_empties_it_and_says_so() {
    let mut model = Model::default();
    let user = model.add_user("ann", "secret");
    append(&mut model, user);
    append(&mut model, user);
    let before = open(&mut model, user);
    let to = MailboxName::new("old/2024");
    let rename = Request::Rename {
        user,
        from: MailboxName::inbox(),
        to: to.clone(),
    };
    let (reply, events) = model.handle(rename);
    assert!(matches!(reply, Reply::Done));
    let inbox = events
        .iter()
        .find(|event| event.mailbox == before.mailbox)
        .expect("told");
    let gone = |uid| Change::Expunged {
        uid: Uid(uid),
        number: 1,
    };
    assert_eq!(inbox.changes, [gone(1), gone(2)]);
    assert_eq!(inbox.prev, before.highest_modseq);
    let after = open(&mut model, user);
    assert_eq!(
        (after.mailbox, after.uid_validity),
        (before.mailbox, before.uid_validity)
    );
    assert!(after.uids.is_empty());
    assert_eq!(after.uid_next, Uid(3));
    let Reply::Status(status) = model
        .handle(Request::Status {
            user,
            name: to,
            deleted_bytes: false,
        })
        .0
    else {
        panic!("not renamed")
    };
    assert_eq!(status.messages, 2);
    let view = Request::View {
        mailbox: before.mailbox,
        at: ModSeq(2),
    };
    let Reply::Viewed { uids, delta, .. } = model.handle(view).0 else {
        panic!("no view")
    };
    assert_eq!(*uids, [Uid(1)]);
    assert_eq!(delta[0].changes, [gone(1)]);
}
