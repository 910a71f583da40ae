//! Operations on many messages go on in slices, with others between them.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::{Bench, Pending, append, body, fetch_all, follow, status};
use mail::list::Query;
use mail::request::{CopyHow, FlagChange, StoreMode};
use mail::{
    Change, Event, Flags, MailboxId, MailboxName, Message, ModSeq, Reply, Request, SystemFlag, Uid,
    UserId,
};
use store::{Cold, Options};

/// Messages in a slice here.
const SLICE: usize = 4;
const MESSAGES: u32 = 50;

fn options() -> Options {
    Options {
        slice_messages: SLICE,
        disk_free_bytes_min: 0,
        index_messages_min: 2,
        read_at_once_messages_max: MESSAGES - 1,
        ..Options::default()
    }
}

fn named(name: &str) -> MailboxName {
    MailboxName::new(name)
}

/// A store with a user whose INBOX has messages, and an observer of its events.
struct World {
    folder: tempfile::TempDir,
    bench: Option<Bench>,
    user: UserId,
    views: BTreeMap<MailboxId, (ModSeq, Vec<Uid>)>,
    /// The most changes that one event told.
    largest: usize,
}

impl World {
    fn new() -> Self {
        Self::with(options())
    }

    fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bench = Bench::open(folder.path(), options);
        let user = bench.ensure_user("ann");
        let mut world = Self {
            folder,
            bench: Some(bench),
            user,
            views: BTreeMap::new(),
            largest: 0,
        };
        for number in 0..MESSAGES {
            world.deliver(u64::from(number)).wait();
        }
        world.observe();
        world
    }

    fn bench(&self) -> &Bench {
        self.bench.as_ref().expect("open")
    }

    fn deliver(&self, number: u64) -> Pending {
        let (user, bytes) = (self.user, body(number, 100));
        self.bench().submit(append(user, bytes))
    }

    fn create(&self, name: &str) {
        let create = Request::Create {
            user: self.user,
            name: named(name),
            special_use: None,
        };
        assert!(matches!(self.bench().ask(create), Reply::Created(_)));
    }

    fn open(&self, name: &str) -> mail::reply::Opened {
        let open = Request::Open {
            user: self.user,
            name: named(name),
            read_only: true,
        };
        match self.bench().ask(open) {
            Reply::Opened(opened) => opened,
            reply => panic!("{reply:?}"),
        }
    }

    fn fetch(&self, name: &str) -> Vec<Message> {
        let opened = self.open(name);
        match self.bench().ask(fetch_all(&opened)) {
            Reply::Fetched { messages, .. } => messages,
            reply => panic!("{reply:?}"),
        }
    }

    /// Follows the events: each is the next of its mailbox, and its numbers are right.
    fn observe(&mut self) {
        for event in self.bench().announced() {
            let (modseq, view) = self
                .views
                .entry(event.mailbox)
                .or_insert((ModSeq(1), vec![]));
            assert_eq!(event.prev, *modseq, "{event:?}");
            assert_eq!(event.seq.0, event.prev.0 + 1);
            self.largest = self.largest.max(event.changes.len());
            *modseq = event.seq;
            follow(view, &event);
        }
    }

    /// What the observer knows is what is there.
    fn check(&mut self, name: &str) {
        self.observe();
        let opened = self.open(name);
        let (modseq, view) = self.views.get(&opened.mailbox).cloned().unwrap_or_default();
        assert_eq!(*opened.uids, view[..]);
        assert_eq!(opened.highest_modseq.0.max(1), modseq.0.max(1));
    }

    fn reopen(&mut self) {
        self.bench().store.close();
        self.bench = None;
        self.bench = Some(Bench::open(self.folder.path(), options()));
        assert!(self.bench().recovery.loss.is_none());
    }
}

fn all() -> Vec<Uid> {
    (1..=MESSAGES).map(Uid).collect()
}

fn store_all(mailbox: MailboxId, uids: Vec<Uid>, flag: SystemFlag, since: ModSeq) -> Request {
    let mut flags = Flags::default();
    flags.insert(flag);
    Request::Store {
        mailbox,
        ranges: uids.into_iter().collect(),
        change: FlagChange {
            mode: StoreMode::Add,
            flags,
            unchanged_since: None,
        },
        since,
    }
}

#[test]
fn flags_change_in_slices_and_deliveries_go_on() {
    let mut world = World::new();
    let inbox = world.open("INBOX");
    let store = store_all(inbox.mailbox, all(), SystemFlag::Seen, inbox.highest_modseq);
    let stored = world.bench().submit(store);
    let delivered: Vec<Pending> = (100..140).map(|number| world.deliver(number)).collect();
    let mut reply = stored.wait();
    assert!(reply.take_more(), "the rest is to be asked for: {reply:?}");
    for pending in delivered {
        assert!(matches!(pending.wait(), Reply::Appended(_)));
    }
    world.check("INBOX");
    assert!(world.largest <= SLICE, "{}", world.largest);
    let now = status(world.bench(), world.user);
    assert_eq!((now.messages, now.unseen), (MESSAGES + 40, 40));
    let sync = Request::Sync {
        mailbox: inbox.mailbox,
        since: inbox.highest_modseq,
    };
    let Reply::Synced(delta) = world.bench().ask(sync) else {
        panic!("a delta")
    };
    let mut view = inbox.uids.to_vec();
    delta.iter().for_each(|event| follow(&mut view, event));
    assert_eq!(view[..], *world.open("INBOX").uids);
    let flags = delta[0].changes.iter();
    let flags = flags.filter(|change| matches!(change, Change::Flags { .. }));
    assert_eq!(flags.count() as u32, MESSAGES);
}

#[test]
fn what_somebody_waits_for_is_finished_when_the_store_is_closed() {
    let mut world = World::new();
    let (mailbox, since) = {
        let opened = world.open("INBOX");
        (opened.mailbox, opened.highest_modseq)
    };
    let store = store_all(mailbox, all(), SystemFlag::Flagged, since);
    let stored = world.bench().submit(store);
    world.bench().store.close();
    assert!(matches!(stored.wait(), Reply::Stored { .. }));
    world.reopen();
    let messages = world.fetch("INBOX");
    assert_eq!(messages.len(), MESSAGES as usize);
    let is_flagged = |message: &Message| message.flags.has(SystemFlag::Flagged);
    assert!(messages.iter().all(is_flagged));
}

#[test]
fn messages_are_expunged_in_slices() {
    let mut world = World::new();
    let inbox = world.open("INBOX");
    let odd: Vec<Uid> = all().into_iter().filter(|uid| uid.0 % 2 == 1).collect();
    let (mailbox, since) = (inbox.mailbox, inbox.highest_modseq);
    let deleted = world
        .bench()
        .submit(store_all(mailbox, odd, SystemFlag::Deleted, since));
    assert!(matches!(deleted.wait(), Reply::Stored { .. }));
    let within = Some(
        [(Uid(1), Uid(10)), (Uid(21), Uid(45))]
            .into_iter()
            .collect(),
    );
    let expunge = |within| Request::Expunge {
        mailbox,
        within,
        since,
    };
    let expunged = world.bench().submit(expunge(within));
    let delivered = world.deliver(77);
    assert!(matches!(expunged.wait(), Reply::Synced(_)));
    delivered.wait();
    world.check("INBOX");
    let left = world.open("INBOX").uids;
    assert!(
        left.iter()
            .filter(|uid| uid.0 % 2 == 1)
            .all(|uid| { (11..=20).contains(&uid.0) || (46..=MESSAGES + 1).contains(&uid.0) })
    );
    world.bench().submit(expunge(None)).wait();
    world.check("INBOX");
    assert_eq!(status(world.bench(), world.user).messages, MESSAGES / 2 + 1);
    assert!(world.largest <= SLICE);
    world.reopen();
    assert_eq!(status(world.bench(), world.user).messages, MESSAGES / 2 + 1);
}

fn copy(world: &World, to: &str, how: CopyHow) -> Request {
    let inbox = world.open("INBOX");
    Request::Copy {
        mailbox: inbox.mailbox,
        messages: all().into_iter().collect(),
        user: world.user,
        to: named(to),
        how,
        since: inbox.highest_modseq,
    }
}

#[test]
fn a_large_copy_is_seen_at_once_and_as_a_whole() {
    let mut world = World::new();
    world.create("a");
    let copied = world.bench().submit(copy(&world, "a", CopyHow::Copy));
    let mut pending = Vec::new();
    for number in 0..30 {
        let append = Request::Append {
            user: world.user,
            name: named("a"),
            flags: Flags::default(),
            date: None,
            body: mail::Body::Inline(body(number, 50)),
        };
        pending.push(world.bench().submit(append));
        // All of the copied messages are there, or none.
        let messages = world.open("a").uids.len() as u32;
        assert!(messages <= 30 || messages > MESSAGES, "{messages}");
    }
    for pending in pending {
        assert!(matches!(pending.wait(), Reply::Appended(_)));
    }
    let Reply::Copied { from, to, .. } = copied.wait() else {
        panic!("copied")
    };
    assert_eq!(
        (from.len(), to.len()),
        (MESSAGES as usize, MESSAGES as usize)
    );
    world.check("a");
    let messages = world.fetch("a");
    assert_eq!(messages.len() as u32, MESSAGES + 30);
    let sources = world.fetch("INBOX");
    for (from, to) in from.into_iter().zip(to) {
        let source = sources.iter().find(|message| message.uid == from);
        let target = messages.iter().find(|message| message.uid == to);
        let bytes = |message: Option<&Message>| message.and_then(|message| message.bytes.clone());
        assert!(bytes(source).is_some());
        assert_eq!(bytes(source), bytes(target));
    }
    let modseqs: Vec<ModSeq> = messages.iter().map(|message| message.modseq).collect();
    world.reopen();
    let again = world.fetch("a");
    let now: Vec<ModSeq> = again.iter().map(|message| message.modseq).collect();
    assert_eq!(now, modseqs, "their mod-sequences stay");
    let id = world.open("a").mailbox;
    let uids: Vec<Uid> = again.iter().map(|message| message.uid).collect();
    let store = store_all(id, uids, SystemFlag::Flagged, ModSeq(1));
    assert!(matches!(world.bench().ask(store), Reply::Stored { .. }));
    assert!(
        world
            .fetch("a")
            .iter()
            .all(|message| message.flags.has(SystemFlag::Flagged))
    );
}

/// A COPY leaves room below it for what comes meanwhile; more than that waits.
#[test]
fn what_comes_while_a_mailbox_is_copied_to_is_never_refused() {
    let mut world = World::new();
    world.create("a");
    let copied = world.bench().submit(copy(&world, "a", CopyHow::Copy));
    let deposit = |number: u64| {
        let append = Request::Append {
            user: world.user,
            name: named("a"),
            flags: Flags::default(),
            date: None,
            body: mail::Body::Inline(body(number, 50)),
        };
        world.bench().submit(append)
    };
    let pending: Vec<Pending> = (0..2000).map(deposit).collect();
    for pending in pending {
        let reply = pending.wait();
        assert!(matches!(reply, Reply::Appended(_)), "{reply:?}");
    }
    assert!(matches!(copied.wait(), Reply::Copied { .. }));
    world.check("a");
    assert_eq!(world.open("a").uids.len() as u32, MESSAGES + 2000);
}

#[test]
fn a_copy_that_was_cut_off_leaves_nothing() {
    for turns in 0..6 {
        let mut world = World::with(Options {
            closing_max: Duration::ZERO,
            ..options()
        });
        world.create("a");
        let copied = world.bench().submit(copy(&world, "a", CopyHow::Copy));
        // Each answer is a commit, and with it a slice.
        for number in 0..turns {
            world.deliver(number).wait();
        }
        world.reopen();
        let is_done = matches!(copied.wait(), Reply::Copied { .. });
        let expected = if is_done { MESSAGES as usize } else { 0 };
        assert_eq!(world.open("a").uids.len(), expected);
        // What was staged goes away, and another COPY has its place.
        let copied = loop {
            match world.bench().ask(copy(&world, "a", CopyHow::Copy)) {
                Reply::Refused(mail::Refusal::Unavailable(_)) => std::thread::yield_now(),
                reply => break reply,
            }
        };
        assert!(matches!(copied, Reply::Copied { .. }), "{copied:?}");
        assert_eq!(world.fetch("a").len(), expected + MESSAGES as usize);
    }
}

#[test]
fn messages_are_moved_in_slices_and_inbox_is_renamed() {
    let mut world = World::new();
    world.create("a");
    let moved = world.bench().submit(copy(&world, "a", CopyHow::Move));
    let delivered = world.deliver(500);
    let Reply::Copied { from, to, .. } = moved.wait() else {
        panic!("moved")
    };
    delivered.wait();
    assert_eq!(
        (from.len(), to.len()),
        (MESSAGES as usize, MESSAGES as usize)
    );
    world.check("a");
    world.check("INBOX");
    assert_eq!(world.fetch("a").len() as u32, MESSAGES);
    assert_eq!(world.open("INBOX").uids.len(), 1);
    let back = Request::Copy {
        mailbox: world.open("a").mailbox,
        messages: all().into_iter().collect(),
        user: world.user,
        to: MailboxName::inbox(),
        how: CopyHow::Move,
        since: ModSeq(1),
    };
    assert!(matches!(world.bench().ask(back), Reply::Copied { .. }));
    let rename = Request::Rename {
        user: world.user,
        from: MailboxName::inbox(),
        to: named("old"),
    };
    assert!(matches!(world.bench().ask(rename), Reply::Done));
    world.check("INBOX");
    world.check("old");
    assert_eq!(world.open("INBOX").uids.len(), 0);
    assert_eq!(world.fetch("old").len() as u32, MESSAGES + 1);
}

#[test]
fn a_deleted_mailbox_is_gone_at_once_and_its_rows_later() {
    let mut world = World::new();
    world.create("a");
    assert!(matches!(
        world.bench().ask(copy(&world, "a", CopyHow::Copy)),
        Reply::Copied { .. }
    ));
    let gone = world.open("a").mailbox;
    let delete = Request::Delete {
        user: world.user,
        name: named("a"),
    };
    assert!(matches!(world.bench().ask(delete), Reply::Done));
    world.create("a");
    assert_eq!(world.open("a").uids.len(), 0);
    let sync = Request::Sync {
        mailbox: gone,
        since: ModSeq(1),
    };
    let Reply::Synced(delta) = world.bench().ask(sync) else {
        panic!("a delta")
    };
    assert!(delta.iter().any(|event: &Arc<Event>| event.deleted));
    world.reopen();
    assert_eq!(world.fetch("INBOX").len() as u32, MESSAGES);
}

/// The mailboxes that there are, all but INBOX.
fn names(world: &World) -> Vec<String> {
    let list = Request::List {
        user: world.user,
        query: Arc::new(Query {
            patterns: vec!["*".into()],
            ..Query::default()
        }),
        after: None,
    };
    let Reply::Listed(piece) = world.bench().ask(list) else {
        panic!("not listed")
    };
    assert!(piece.next.is_none(), "all in one piece");
    let all = piece.entries.iter().filter(|entry| entry.selectable);
    let names = all.map(|entry| entry.name.as_str().to_owned());
    names.filter(|name| name != "INBOX").collect()
}

fn rename(world: &World, from: &str, to: &str) -> Request {
    Request::Rename {
        user: world.user,
        from: named(from),
        to: named(to),
    }
}

fn numbered(parent: &str) -> Vec<String> {
    let below = (10..40).map(|number| format!("{parent}/{number}"));
    std::iter::once(parent.to_owned()).chain(below).collect()
}

#[test]
fn a_tree_is_renamed_in_slices_and_others_wait_for_it() {
    let mut world = World::new();
    numbered("a").iter().for_each(|name| world.create(name));
    let subscribe = |name: &str| Request::Subscribe {
        user: world.user,
        name: named(name),
        on: true,
    };
    assert!(matches!(world.bench().ask(subscribe("a/20")), Reply::Done));
    let long = "x".repeat(1023);
    let refused = world.bench().ask(rename(&world, "a", &long));
    assert!(
        matches!(refused, Reply::Refused(mail::Refusal::Name(_))),
        "{refused:?}"
    );
    assert_eq!(names(&world), numbered("a"));
    let renamed = world.bench().submit(rename(&world, "a", "b"));
    let create = Request::Create {
        user: world.user,
        name: named("b/25/new"),
        special_use: None,
    };
    let created = world.bench().submit(create);
    let again = world.bench().submit(rename(&world, "b", "c"));
    let delivered: Vec<Pending> = (0..20).map(|number| world.deliver(number)).collect();
    assert!(matches!(renamed.wait(), Reply::Done));
    assert!(matches!(created.wait(), Reply::Created(_)));
    assert!(matches!(again.wait(), Reply::Done));
    for pending in delivered {
        assert!(matches!(pending.wait(), Reply::Appended(_)));
    }
    let mut expected = numbered("c");
    expected.push("c/25/new".into());
    expected.sort();
    assert_eq!(names(&world), expected);
    let gone = world.bench().ask(rename(&world, "a", "d"));
    assert!(
        matches!(gone, Reply::Refused(mail::Refusal::NoMailbox)),
        "{gone:?}"
    );
    world.reopen();
    assert_eq!(names(&world), expected);
}

#[test]
fn a_rename_that_was_cut_off_is_finished_or_comes_to_nothing() {
    let mut seen = [false; 2];
    for turns in 0..24 {
        let mut world = World::with(Options {
            closing_max: Duration::ZERO,
            ..options()
        });
        numbered("a").iter().for_each(|name| world.create(name));
        let renamed = world.bench().submit(rename(&world, "a", "b"));
        for number in 0..turns {
            world.deliver(number).wait();
        }
        world.reopen();
        let is_done = matches!(renamed.wait(), Reply::Done);
        // Names are changed only when it has been finished, or has come to nothing.
        world.create("z");
        let now = names(&world);
        let parent = if now.contains(&"b".to_owned()) {
            "b"
        } else {
            "a"
        };
        let mut expected = numbered(parent);
        expected.push("z".into());
        assert_eq!(now, expected, "after {turns}");
        assert!(!is_done || parent == "b");
        seen[usize::from(parent == "b")] = true;
    }
    assert_eq!(seen, [true; 2], "both were seen");
}

#[test]
fn a_large_mailbox_is_not_looked_through_where_others_wait() {
    let mut world = World::new();
    world.reopen();
    let (bench, user) = (world.bench(), world.user);
    let open = Request::Open {
        user,
        name: MailboxName::inbox(),
        read_only: true,
    };
    assert_eq!(bench.store.read_at_once(&open).err(), Some(Cold));
    assert_eq!(bench.store.read_at_once(&open).err(), Some(Cold));
    let Some(Reply::Opened(opened)) = bench.store.read(&open) else {
        panic!("not opened");
    };
    assert_eq!(opened.uids.len() as u32, MESSAGES);
    // Its index is kept now.
    let kept = bench.store.read_at_once(&open);
    assert!(matches!(kept, Ok(Some(Reply::Opened(_)))));
}
