//! A message's structure is made once, however often it is fetched and wherever it was copied; its
//! header comes without the rest.

mod common;

use std::sync::Arc;

use common::{Bench, append, body};
use mail::mime::Structure;
use mail::request::{CopyHow, Want};
use mail::{MailboxId, MailboxName, Message, ModSeq, Reply, Request, Uid, UserId};
use store::Options;

const STRUCTURE: Want = Want {
    structure: true,
    bytes: false,
    header: false,
    submitter: false,
    thread: false,
    preview: false,
};

fn structures(bench: &Bench, mailbox: MailboxId, uids: &[u32], want: Want) -> Vec<Arc<Structure>> {
    let request = Request::Fetch {
        mailbox,
        uids: uids.iter().map(|&uid| Uid(uid)).collect(),
        want,
        budget_bytes: 8 << 20,
    };
    let Reply::Fetched { messages, .. } = bench.ask(request) else {
        panic!("the messages are there");
    };
    let structures = messages.into_iter().map(|message| message.structure);
    structures.map(|it| it.expect("it was wanted")).collect()
}

fn open(bench: &Bench, user: UserId, name: MailboxName) -> MailboxId {
    let request = Request::Open {
        user,
        name,
        read_only: true,
    };
    match bench.ask(request) {
        Reply::Opened(opened) => opened.mailbox,
        reply => panic!("{reply:?}"),
    }
}

#[test]
fn a_structure_is_made_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(folder.path(), Options::default());
    let user = bench.ensure_user("ann");
    let large = body(1, 3 << 20);
    bench.ask(append(user, large.clone()));
    bench.ask(append(user, body(2, 200)));
    let inbox = open(&bench, user, MailboxName::inbox());
    let first = structures(&bench, inbox, &[1, 2], STRUCTURE);
    assert_eq!(*first[0], Structure::parse(&large));
    for want in [
        STRUCTURE,
        Want {
            bytes: true,
            ..STRUCTURE
        },
    ] {
        let again = structures(&bench, inbox, &[1, 2], want);
        assert!(Arc::ptr_eq(&first[0], &again[0]) && Arc::ptr_eq(&first[1], &again[1]));
    }
    let other = MailboxName::new("other");
    bench.ask(Request::Create {
        user,
        name: other.clone(),
        special_use: None,
    });
    bench.ask(Request::Copy {
        mailbox: inbox,
        messages: [Uid(1)].into_iter().collect(),
        user,
        to: other.clone(),
        how: CopyHow::Copy,
        since: ModSeq(0),
    });
    let copy = structures(&bench, open(&bench, user, other), &[1], STRUCTURE);
    assert!(Arc::ptr_eq(&first[0], &copy[0]), "copies share a body");
}

const HEADER: Want = Want {
    structure: false,
    header: true,
    ..STRUCTURE
};

fn fetch(bench: &Bench, mailbox: MailboxId, want: Want) -> Message {
    let request = Request::Fetch {
        mailbox,
        uids: vec![Uid(1)],
        want,
        budget_bytes: 8 << 20,
    };
    match bench.ask(request) {
        Reply::Fetched { mut messages, .. } => messages.remove(0),
        reply => panic!("{reply:?}"),
    }
}

#[test]
fn a_header_comes_without_its_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(folder.path(), Options::default());
    let user = bench.ensure_user("ann");
    let header = b"Subject: one\r\nFrom: ann@example.com\r\n\r\n";
    bench.ask(append(user, [&header[..], &[b'x'; 3 << 20]].concat()));
    let inbox = open(&bench, user, MailboxName::inbox());
    for _ in 0..2 {
        let message = fetch(&bench, inbox, HEADER);
        assert_eq!(message.header.as_deref(), Some(&header[..]));
        assert!(message.bytes.is_none() && message.structure.is_none());
    }
    let both = Want {
        structure: true,
        ..HEADER
    };
    let message = fetch(&bench, inbox, both);
    assert_eq!(message.header.as_deref(), Some(&header[..]));
    assert!(message.structure.is_some());
}

#[test]
fn a_header_that_is_too_long_comes_within_its_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        inline_bytes_max: 1 << 20,
        ..Options::default()
    };
    let bench = Bench::open(folder.path(), options);
    let user = bench.ensure_user("ann");
    let line = [b"X: ", &[b'x'; 995][..], b"\r\n"].concat();
    let message = [&line.repeat(70)[..], b"\r\nbody\r\n"].concat();
    bench.ask(append(user, message.clone()));
    let inbox = open(&bench, user, MailboxName::inbox());
    for _ in 0..2 {
        let fetched = fetch(&bench, inbox, HEADER);
        assert_eq!(fetched.header, None);
        assert!(fetched.bytes.is_some_and(|bytes| bytes == message));
        let structure = fetched.structure.expect("instead of the header");
        assert_eq!(structure.header, 0..70_002);
    }
}
