//! Keywords: a mailbox's list of them is bounded, and places are given up.

mod common;

use std::sync::Arc;

use common::{Bench, append};
use mail::request::{CopyHow, FlagChange, StoreMode, Want};
use mail::{
    Change, Flags, MailboxId, MailboxName, Message, ModSeq, Refusal, Reply, Request, SystemFlag,
    Uid, UserId,
};
use store::Options;

const KEYWORDS_MAX: usize = 4;

struct Site {
    _folder: tempfile::TempDir,
    bench: Bench,
    user: UserId,
    inbox: MailboxId,
}

fn site(messages: u32) -> Site {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        disk_free_bytes_min: 0,
        keywords_max: KEYWORDS_MAX,
        index_messages_min: 2,
        ..Options::default()
    };
    let bench = Bench::open(folder.path(), options);
    let user = bench.ensure_user("ann");
    let pending: Vec<_> = (0..messages)
        .map(|_| bench.submit(append(user, "Subject: x\r\n\r\n")))
        .collect();
    pending.into_iter().for_each(|it| drop(it.wait()));
    let mut site = Site {
        _folder: folder,
        bench,
        user,
        inbox: MailboxId(0),
    };
    site.inbox = site.open("INBOX").mailbox;
    site
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Flags {
    Flags::new(0, words.into_iter().map(Arc::from))
}

impl Site {
    fn open(&self, name: &str) -> mail::reply::Opened {
        let request = Request::Open {
            user: self.user,
            name: MailboxName::new(name),
            read_only: true,
        };
        match self.bench.ask(request) {
            Reply::Opened(opened) => opened,
            reply => panic!("{reply:?}"),
        }
    }

    fn store(&self, uids: &[u32], mode: StoreMode, flags: Flags) -> Reply {
        self.bench.ask(Request::Store {
            mailbox: self.inbox,
            ranges: uids.iter().copied().map(Uid).collect(),
            change: FlagChange {
                mode,
                flags,
                unchanged_since: None,
            },
            since: self.open("INBOX").highest_modseq,
        })
    }

    fn fetch(&self, uid: u32) -> Message {
        let request = Request::Fetch {
            mailbox: self.inbox,
            uids: vec![Uid(uid)],
            want: Want::default(),
            budget_bytes: 1,
        };
        match self.bench.ask(request) {
            Reply::Fetched { mut messages, .. } => messages.remove(0),
            reply => panic!("{reply:?}"),
        }
    }
}

fn is_full(reply: &Reply) -> bool {
    matches!(reply, Reply::Refused(Refusal::Limit(_)))
}

#[test]
fn what_no_message_has_gives_up_its_place() {
    let site = site(3);
    for n in 0..3 * KEYWORDS_MAX {
        let word = format!("once{n}");
        let added = site.store(&[1], StoreMode::Add, words([&*word]));
        assert!(matches!(added, Reply::Stored { .. }), "{word}: {added:?}");
        site.store(&[1], StoreMode::Remove, words([&*word]));
    }
    let all = ["a", "b", "c", "d"];
    assert!(!is_full(&site.store(
        &[1, 2],
        StoreMode::Replace,
        words(all)
    )));
    assert!(is_full(&site.store(&[3], StoreMode::Add, words(["e"]))));
    // One message of two is not enough.
    site.store(&[1], StoreMode::Remove, words(["b"]));
    assert!(is_full(&site.store(&[3], StoreMode::Add, words(["e"]))));
    site.store(&[2], StoreMode::Remove, words(["b"]));
    // Two new ones find one place.
    assert!(is_full(&site.store(
        &[3],
        StoreMode::Add,
        words(["e", "f"])
    )));
    site.bench.announced();
    assert!(!is_full(&site.store(&[3], StoreMode::Add, words(["e"]))));
    assert_eq!(*site.fetch(1).flags, words(["a", "c", "d"]));
    assert_eq!(*site.fetch(3).flags, words(["e"]));
    // Who was there before is told, whether by the event or later.
    let told = |event: &mail::Event| match &event.changes[0] {
        Change::Keywords(all) => all.iter().map(|word| word.to_string()).collect(),
        _ => Vec::new(),
    };
    let events = site.bench.announced();
    assert_eq!(told(&events[0]), ["a", "e", "c", "d"]);
    let since = ModSeq(events[0].prev.0 - 1);
    let (mailbox, inbox) = (site.inbox, site.inbox);
    match site.bench.ask(Request::Sync { mailbox, since }) {
        Reply::Synced(delta) => assert_eq!(told(&delta[0]), ["a", "e", "c", "d"]),
        reply => panic!("{reply:?}"),
    }
    let at = events[0].seq;
    match site.bench.ask(Request::View { mailbox: inbox, at }) {
        Reply::Viewed { keywords, .. } => assert_eq!(keywords.len(), KEYWORDS_MAX),
        reply => panic!("{reply:?}"),
    }
}

/// What was expunged has its own keywords, whatever became of their places.
#[test]
fn an_expunged_message_does_not_take_on_anothers_keyword() {
    let site = site(2);
    let mut flags = words(["w", "x", "y", "z"]);
    flags.insert(SystemFlag::Deleted);
    site.store(&[1], StoreMode::Replace, flags.clone());
    site.bench.ask(Request::Expunge {
        mailbox: site.inbox,
        within: None,
        since: ModSeq(1),
    });
    let added = site.store(&[2], StoreMode::Add, words(["new", "newer"]));
    assert!(matches!(added, Reply::Stored { .. }), "{added:?}");
    assert_eq!(*site.fetch(1).flags, flags);
    assert_eq!(*site.fetch(2).flags, words(["new", "newer"]));
}

/// Where places are free is known from the index; that of a large mailbox is built first, in
/// slices, while the request waits.
#[test]
fn a_large_mailbox_without_an_index_is_looked_through_first() {
    let site = site(5000);
    site.store(&[1], StoreMode::Add, words(["a", "b", "c", "d"]));
    site.store(&[1], StoreMode::Remove, words(["c"]));
    let Site {
        _folder: folder,
        bench,
        user,
        ..
    } = site;
    bench.store.close();
    drop(bench);
    let options = Options {
        disk_free_bytes_min: 0,
        keywords_max: KEYWORDS_MAX,
        ..Options::default()
    };
    let bench = Bench::open(folder.path(), options);
    let add = |word| Request::Append {
        user,
        name: MailboxName::inbox(),
        flags: words([word]),
        date: None,
        body: mail::Body::Inline("Subject: y\r\n\r\n".into()),
    };
    let reply = bench.ask(add("new"));
    assert!(matches!(reply, Reply::Appended(_)), "{reply:?}");
    assert!(is_full(&bench.ask(add("one too many"))));
    // A COPY into it asks as well.
    bench.ask(Request::Create {
        user,
        name: MailboxName::new("Other"),
        special_use: None,
    });
    let other = Request::Append {
        user,
        name: MailboxName::new("Other"),
        flags: words(["another"]),
        date: None,
        body: mail::Body::Inline("Subject: z\r\n\r\n".into()),
    };
    let Reply::Appended(appended) = bench.ask(other) else {
        panic!("appended");
    };
    let copied = bench.ask(Request::Copy {
        mailbox: appended.mailbox,
        messages: [appended.uid].into_iter().collect(),
        user,
        to: MailboxName::inbox(),
        how: CopyHow::Copy,
        since: appended.modseq,
    });
    assert!(is_full(&copied), "{copied:?}");
}
