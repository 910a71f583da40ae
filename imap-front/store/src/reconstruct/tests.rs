//! One thing wrong at a time: it is found, mended, and then nothing is wrong.

use std::path::Path;
use std::sync::mpsc;

use bytes::Bytes;
use mail::request::{CopyHow, FlagChange, StoreMode};
use mail::{
    AccessKey, Body, Flags, MailboxId, MailboxName, Reply, Request, SystemFlag, Uid, UserId,
};

use super::{Summary, run};
use crate::disk::Durability;
use crate::kv::{Changes, Kv, Space};
use crate::logic::{self, keys};
use crate::rows::{AccessKeyRow, Account, AclRow, Mailbox, MessageRow, MetadataRow, Name};
use crate::{Options, Store, opening};

const INBOX: MailboxId = MailboxId(1);
const BOX: MailboxId = MailboxId(2);

/// Commits rows as they are.
fn write(folder: &Path, rows: Changes) {
    let open = opening::open(folder, &Options::default()).expect("opens");
    let commit = open.recovery.commits + 1;
    open.disk
        .commit(&rows, commit, Durability::Now)
        .expect("commits");
    let mut marker = open.marker;
    marker.note(commit);
}

/// Three messages in INBOX, one of them read, and a copy of one in `box`.
fn filled(folder: &Path) {
    let opened = Store::open(folder, Options::default(), Box::new(|_| {}));
    let (store, _) = opened.expect("opens");
    let (sender, replies) = mpsc::channel();
    let completion = || {
        let sender = sender.clone();
        Box::new(move |reply| sender.send(reply).expect("the test waits"))
    };
    assert!(store.ensure_user("ann", completion()).is_ok());
    let Ok(Reply::Authenticated(user)) = replies.recv() else {
        panic!("no user");
    };
    let since = mail::ModSeq(1);
    let append = |number: usize| Request::Append {
        user,
        name: MailboxName::inbox(),
        flags: Flags::default(),
        date: None,
        body: Body::Inline(Bytes::from(vec![b'a'; 70_000 * number + 10])),
    };
    let mut flags = Flags::default();
    flags.insert(SystemFlag::Seen);
    let requests = [
        append(0),
        append(1),
        append(0),
        Request::Create {
            user,
            name: MailboxName::new("box"),
            special_use: None,
        },
        Request::Copy {
            mailbox: INBOX,
            messages: [Uid(2)].into_iter().collect(),
            user,
            to: MailboxName::new("box"),
            how: CopyHow::Copy,
            since,
        },
        Request::Store {
            mailbox: INBOX,
            ranges: [Uid(1)].into_iter().collect(),
            change: FlagChange {
                mode: StoreMode::Add,
                flags,
                unchanged_since: None,
            },
            since,
        },
    ];
    for request in requests {
        assert!(store.write(request, completion()).is_ok());
        let reply = replies.recv().expect("the writer answers");
        assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
    }
    store.close();
}

fn check(folder: &Path) -> Summary {
    run(folder, &Options::default(), false).expect("opens")
}

/// The findings of a check, after which a repair leaves nothing to find.
fn found_and_mended(rows: Changes) -> (Summary, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    filled(folder.path());
    assert_eq!(check(folder.path()).findings, []);
    write(folder.path(), rows);
    let found = check(folder.path());
    let repaired = run(folder.path(), &Options::default(), true).expect("opens");
    assert_eq!(repaired.findings, found.findings);
    assert!(repaired.repaired > 0);
    assert_eq!(check(folder.path()).findings, [], "{:?}", found.findings);
    (found, folder)
}

fn one(space: Space, key: Vec<u8>, row: Option<Bytes>) -> Changes {
    Changes::from([((space, key), row)])
}

fn said(summary: &Summary) -> String {
    let lines = summary.findings.iter().map(ToString::to_string);
    lines.collect::<Vec<_>>().join("\n")
}

fn read<T>(folder: &Path, ask: impl FnOnce(&crate::disk::View<'_>) -> T) -> T {
    let open = opening::open(folder, &Options::default()).expect("opens");
    let view = open.disk.view().expect("open");
    ask(&view)
}

#[test]
fn what_was_made_of_no_message_is_removed() {
    let row = Bytes::from(mail::sort::keys::of_header(b""));
    for (space, what) in [
        (Space::SortKeys, "1 rows of sort keys belong to no message"),
        (Space::Structures, "1 structures belong to no message"),
    ] {
        let (found, _) = found_and_mended(one(space, keys::number(99), Some(row.clone())));
        let said = said(&found);
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn a_message_whose_body_is_missing_is_dropped_and_told() {
    // Body 2 has two pieces and is shared by two messages.
    let (found, folder) = found_and_mended(one(Space::Bodies, keys::piece(2, 1), None));
    let said = said(&found);
    assert!(said.contains("ann: INBOX: UID 2: lost: "), "{said}");
    assert!(said.contains("ann: box: UID 1: lost: "), "{said}");
    assert!(
        said.contains("1 pieces of bodies are used by no message"),
        "{said}"
    );
    assert_eq!(found.findings.iter().filter(|it| it.is_lost).count(), 2);
    let left = check(folder.path());
    assert_eq!((left.messages, left.bytes), (2, 20));
}

#[test]
fn a_short_piece_is_no_body() {
    let row = Some(Bytes::from_static(b"short"));
    let (found, _) = found_and_mended(one(Space::Bodies, keys::piece(1, 0), row));
    assert!(said(&found).contains("INBOX: UID 1: lost"));
}

#[test]
fn a_row_that_can_t_be_read_is_dropped_and_told() {
    let key = keys::message(INBOX, Uid(3));
    let row = Some(Bytes::from_static(b"\x07nonsense"));
    let (found, _) = found_and_mended(one(Space::Messages, key, row));
    assert!(
        said(&found).contains("INBOX: UID 3: lost"),
        "{}",
        said(&found)
    );
}

#[test]
fn a_mailbox_without_a_name_gets_one() {
    let (found, folder) = found_and_mended(one(Space::Names, keys::name(UserId(1), "box"), None));
    assert!(said(&found).contains("ann: Recovered/2: had no name"));
    let name = read(folder.path(), |view| logic::name_of(view, BOX));
    let name = name.expect("reads").expect("named").1;
    assert_eq!(name, MailboxName::new("Recovered/2"));
}

#[test]
fn a_mailbox_without_figures_is_made_of_its_messages() {
    let (found, folder) = found_and_mended(one(Space::Mailboxes, keys::number(1), None));
    assert!(said(&found).contains("its figures and keywords are lost"));
    assert_eq!(check(folder.path()).messages, 4);
}

#[test]
fn figures_are_counted_again() {
    let folder = tempfile::tempdir().expect("a folder");
    filled(folder.path());
    let key = keys::number(1);
    let row = read(folder.path(), |view| {
        crate::kv::Kv::get(view, Space::Mailboxes, &key)
    });
    let right = Mailbox::decode(&row.expect("reads").expect("there")).expect("valid");
    let wrong = Mailbox {
        messages: 7,
        uid_next: Uid(2),
        ..right
    };
    let account = Account {
        name: "ann".into(),
        bytes: 1,
        messages: 1,
        names: Some(9),
        ..Account::default()
    };
    let mut rows = one(Space::Mailboxes, key.clone(), Some(wrong.encode()));
    rows.extend(one(Space::Accounts, key, Some(account.encode())));
    rows.extend(one(
        Space::Meta,
        b"body".to_vec(),
        Some(keys::number(1).into()),
    ));
    let (found, _) = found_and_mended(rows);
    let said = said(&found);
    assert!(
        said.contains("ann: INBOX: messages: 7 instead of 3"),
        "{said}"
    );
    assert!(
        said.contains("ann: INBOX: next UID: 2 instead of 4"),
        "{said}"
    );
    assert!(
        said.contains("ann: 1 messages of 1 bytes count for the quota"),
        "{said}"
    );
    assert!(
        said.contains("ann: 9 mailbox names are counted, but there are 2"),
        "{said}"
    );
    assert!(
        said.contains("the counter body stands at 1, but 3 is in use"),
        "{said}"
    );
}

#[test]
fn indexes_and_counts_are_written_anew() {
    let mut rows = one(Space::References, keys::number(2), None);
    rows.extend(one(
        Space::Changes,
        keys::changed(INBOX, mail::ModSeq(3), Uid(3)),
        Some(Bytes::new()),
    ));
    rows.extend(one(
        Space::Expunged,
        keys::changed(INBOX, mail::ModSeq(3), Uid(3)),
        Some(keys::number(2).into()),
    ));
    let lonely = MessageRow {
        body: 1,
        size: 10,
        ..MessageRow::default()
    };
    let key = keys::message(MailboxId(77), Uid(1));
    rows.extend(one(Space::Messages, key, Some(lonely.encode())));
    rows.extend(one(Space::Users, b"ann".to_vec(), None));
    let (found, _) = found_and_mended(rows);
    let said = said(&found);
    for part in [
        "1 counts of how many messages share a body",
        "the index of changes lacks 0 and has 1 too many",
        "1 messages are noted as expunged and are there",
        "mailbox number 77: there is no such mailbox, but 1 of its messages",
        "ann: is not found by name",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_second_name_of_a_mailbox_is_taken_back() {
    let row = Name {
        exists: true,
        mailbox: Some(BOX),
        ..Name::default()
    };
    let key = keys::name(UserId(1), "other");
    let (found, _) = found_and_mended(one(Space::Names, key, Some(row.encode())));
    assert!(said(&found).contains("is named other too"));
}

/// SETACL has let `anyone` into `box`.
fn let_in(folder: &Path) {
    let opened = Store::open(folder, Options::default(), Box::new(|_| {}));
    let (store, _) = opened.expect("opens");
    let (sender, replies) = mpsc::channel();
    let completion = Box::new(move |reply| sender.send(reply).expect("the test waits"));
    let set = Request::SetAcl {
        user: UserId(1),
        name: MailboxName::new("box"),
        identifier: "anyone".into(),
        mode: mail::RightsMode::Replace,
        rights: mail::Rights::READ,
    };
    assert!(store.write(set, completion).is_ok());
    let reply = replies.recv().expect("the writer answers");
    assert!(matches!(reply, Reply::Done), "{reply:?}");
    store.close();
}

#[test]
fn access_control_lists_and_what_is_noted_of_them_agree() {
    let anyone = mail::Grantee::Anyone;
    let acl = |owner: u64, name: &str| AclRow {
        acl: mail::Acl {
            owner: UserId(owner),
            entries: vec![mail::AclEntry {
                grantee: anyone,
                negative: false,
                rights: mail::Rights::READ,
            }],
        },
        name: name.into(),
    };
    let list = |id, row: AclRow| one(Space::Acls, keys::acl(id), Some(row.encode()));
    let note = |key, row: Option<Vec<u8>>| one(Space::Acls, key, row.map(Bytes::from));
    for (rows, found) in [
        (list(BOX, acl(7, "box")), "another owner or name"),
        (list(BOX, acl(1, "other")), "another owner or name"),
        (
            one(Space::Acls, keys::acl(BOX), Some(vec![9].into())),
            "only its owner",
        ),
        (list(MailboxId(77), acl(1, "x")), "no such mailbox"),
        (list(INBOX, acl(1, "INBOX")), "not in force"),
        (
            note(keys::grant(anyone, UserId(1), BOX), None),
            "1 notes of who",
        ),
        (
            note(keys::grant(anyone, UserId(9), BOX), Some(vec![])),
            "1 notes of who",
        ),
        (
            note(keys::grant_count(anyone, UserId(1)), Some(keys::number(5))),
            "1 notes of who",
        ),
        (note(vec![9, 9], Some(vec![])), "a row of the acls"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        filled(folder.path());
        let_in(folder.path());
        assert_eq!(check(folder.path()).findings, []);
        write(folder.path(), rows);
        let said = |summary: Summary| {
            let said = summary.findings.iter().map(ToString::to_string);
            said.collect::<Vec<_>>().join("; ")
        };
        let before = said(check(folder.path()));
        assert!(before.contains(found), "{before}; not {found}");
        let repaired = run(folder.path(), &Options::default(), true).expect("opens");
        assert!(repaired.repaired > 0);
        assert_eq!(said(check(folder.path())), "", "{before}");
    }
}

#[test]
fn metadata_of_nothing_are_dropped_and_the_others_counted() {
    let row = MetadataRow {
        payer: UserId(1),
        name: "/shared/comment".into(),
        value: Bytes::from_static(b"x"),
    };
    let key = |mailbox| keys::entry(mailbox, UserId(0), "/shared/comment");
    let at = |mailbox| ((Space::Metadata, key(mailbox)), Some(row.encode()));
    let (found, folder) = found_and_mended(Changes::from([at(BOX), at(MailboxId(77))]));
    let said = said(&found);
    assert!(
        said.contains("1 entries of metadata belong to nothing"),
        "{said}"
    );
    assert!(
        said.contains("ann: metadata counts for 0 bytes, but there are 80"),
        "{said}"
    );
    let left = read(folder.path(), |view| view.get(Space::Metadata, &key(BOX)));
    assert_eq!(left.expect("reads"), Some(row.encode()));
}

#[test]
fn access_keys_of_nothing_are_dropped() {
    let key = AccessKeyRow {
        resets: 0,
        key: AccessKey::new([7; 32]),
    };
    let of = |mailbox, user| keys::access_key(mailbox, UserId(user));
    let row = |at: Vec<u8>, row: Bytes| ((Space::AccessKeys, at), Some(row));
    let (found, folder) = found_and_mended(Changes::from([
        row(of(BOX, 1), key.encode()),
        row(of(MailboxId(77), 1), key.encode()),
        row(of(BOX, 3), Bytes::from_static(b"x")),
        row(vec![1], key.encode()),
        // How often user 2 has given all up is not known.
        row(of(MailboxId(0), 2), Bytes::from_static(b"x")),
        row(of(BOX, 2), key.encode()),
        row(of(MailboxId(0), 1), keys::number(0).into()),
    ]));
    let said = said(&found);
    assert!(said.contains("5 access keys belong to nothing"), "{said}");
    let left = |at: Vec<u8>| read(folder.path(), |view| view.get(Space::AccessKeys, &at));
    assert_eq!(left(of(BOX, 1)).expect("reads"), Some(key.encode()));
    assert_eq!(left(of(BOX, 2)).expect("reads"), None);
}
