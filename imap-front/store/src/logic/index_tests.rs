//! An index that is made of what was saved is the one that a look at all rows makes.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use mail::request::{CopyHow, FlagChange, StoreMode};
use mail::{Request, SystemFlag, Uid};
use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::search_tests::{Step, carry_out, steps};
use super::slice_tests::World;
use super::{numbering, tables};
use crate::index::{Figures, MailboxIndex};
use crate::index_cache::IndexCache;
use crate::index_files::IndexFiles;

/// The indexes in memory are gone, as after a start.
fn restart(world: &mut World, store: &Path) {
    let files = IndexFiles::new(store, 0);
    world.counted.indexes = IndexCache::new(16 << 20, Some(files));
}

/// What is in an index, keywords that no message has left out.
fn content(index: &MailboxIndex) -> (Figures, Vec<RoaringBitmap>) {
    let mut bitmaps: Vec<_> = index.bitmaps().cloned().collect();
    while bitmaps.last().is_some_and(RoaringBitmap::is_empty) {
        bitmaps.pop();
    }
    (*index.figures(), bitmaps)
}

fn scanned(world: &World) -> MailboxIndex {
    let rows = &world.counted.rows;
    let mailbox = tables::mailbox(rows, world.inbox).expect("memory");
    numbering::scanned(rows, world.inbox, &mailbox.expect("there")).expect("memory")
}

fn kept(world: &World) -> Arc<MailboxIndex> {
    let indexes = &world.counted.indexes;
    indexes.get(world.inbox).expect("it was built")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_was_saved_comes_out_as_a_look_at_all_rows(
        before in steps(),
        between in steps(),
        meanwhile in steps(),
        slice in 1usize..6,
        times in 1usize..3,
    ) {
        let store = tempfile::tempdir().expect("a folder");
        let mut world = World::new(1);
        restart(&mut world, store.path());
        let mut number = 0;
        let mut all = |world: &mut World, steps: &[Step]| {
            for step in steps {
                carry_out(world, step, number);
                number += 1;
            }
        };
        all(&mut world, &before);
        world.warm();
        world.counted.indexes.save_all();
        let is_saved = !IndexFiles::new(store.path(), 0).saved().is_empty();
        // Killed, as nothing is saved after this; more than once, what was saved being older.
        for _ in 0..times {
            all(&mut world, &between);
            restart(&mut world, store.path());
        }
        let is_saved = is_saved && !scanned(&world).uids().is_empty();
        // Commits come between the slices, as long as there are such steps.
        let mut meanwhile = meanwhile.into_iter();
        let shared = world.counted.indexes.build(world.inbox).expect("not kept");
        loop {
            let mut build = shared.lock().expect("no panic");
            let done = numbering::build_some(&world.counted, &shared, &mut build, slice);
            drop(build);
            if done.expect("memory") {
                break;
            }
            let step: Vec<_> = meanwhile.next().into_iter().collect();
            all(&mut world, &step);
        }
        let (loaded, _, refused) = world.counted.indexes.counts();
        prop_assert_eq!((loaded, refused), (u64::from(is_saved), 0));
        prop_assert_eq!(content(&kept(&world)), content(&scanned(&world)));
    }
}

/// A mailbox of so many messages whose index was saved, after a start.
fn saved(messages: u32, store: &Path) -> World {
    let mut world = World::new(messages);
    restart(&mut world, store);
    world.warm();
    world.counted.indexes.save_all();
    restart(&mut world, store);
    world
}

#[test]
fn a_start_costs_no_look_at_the_rows_of_a_large_mailbox() {
    for messages in [1_000, 20_000] {
        let store = tempfile::tempdir().expect("a folder");
        let mut world = saved(messages, store.path());
        for (number, step) in [
            Step::Append(3, 10),
            Step::Append(3, 10),
            Step::Store(8, vec![5, 7, 9]),
            Step::Expunge(700),
        ]
        .iter()
        .enumerate()
        {
            carry_out(&mut world, step, number);
        }
        restart(&mut world, store.path());
        world.counted.messages.set(0);
        world.warm();
        // Two that came and three that were changed.
        assert_eq!(world.counted.messages.get(), 5);
        assert_eq!(world.counted.indexes.counts(), (1, 0, 0));
        assert_eq!(content(&kept(&world)), content(&scanned(&world)));
    }
}

#[test]
fn what_a_cut_off_copy_has_staged_is_not_taken_for_messages() {
    let store = tempfile::tempdir().expect("a folder");
    let mut world = saved(300, store.path());
    let copy = Request::Copy {
        mailbox: world.inbox,
        messages: (1..=300).map(Uid).collect(),
        user: world.user,
        to: mail::MailboxName::inbox(),
        how: CopyHow::Copy,
        since: mail::ModSeq(1),
    };
    let (applied, _) = world.commit(|txn, rules| super::apply(txn, rules, copy));
    let mut operation = applied.then.expect("it takes slices");
    let (_, _) = world.commit(|txn, rules| operation.go_on(txn, rules));
    let mailbox = tables::mailbox(&world.counted.rows, world.inbox);
    assert!(mailbox.expect("memory").expect("there").staging.is_some());
    world.warm();
    assert_eq!(world.counted.indexes.counts().0, 1);
    assert_eq!(kept(&world).uids().len(), 300);
    assert_eq!(*kept(&world), scanned(&world), "staged messages too");
    // Nothing is saved as long as it goes on.
    let before = IndexFiles::new(store.path(), 0).load(world.inbox);
    world.counted.indexes.save_all();
    assert_eq!(IndexFiles::new(store.path(), 0).load(world.inbox), before);
}

#[test]
fn what_is_of_another_time_is_not_used() {
    let changes: [fn(&mut crate::rows::Mailbox); 3] = [
        |mailbox| mailbox.uid_validity.0 += 1,
        |mailbox| mailbox.modseq.0 -= 1,
        |mailbox| mailbox.horizon.0 = mailbox.modseq.0 + 1,
    ];
    for change in changes {
        let store = tempfile::tempdir().expect("a folder");
        let mut world = saved(100, store.path());
        let inbox = world.inbox;
        world.commit(|txn, _| {
            let mut mailbox = tables::mailbox(txn, inbox)?.expect("there");
            change(&mut mailbox);
            tables::put_mailbox(txn, inbox, &mailbox);
            Ok(())
        });
        world.warm();
        assert_eq!(world.counted.indexes.counts(), (0, 1, 0));
        assert_eq!(content(&kept(&world)), content(&scanned(&world)));
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Text<'a>(&'a mut String);
        impl tracing::field::Visit for Text<'_> {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn fmt::Debug) {
                self.0.push_str(&format!("{value:?}\n"));
            }
        }
        let mut log = self.0.lock().expect("no panic");
        event.record(&mut Text(&mut log));
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

fn logged(work: impl FnOnce()) -> String {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), work);
    log.0.lock().expect("no panic").clone()
}

#[test]
fn a_damaged_one_is_said_and_made_anew() {
    let store = tempfile::tempdir().expect("a folder");
    let mut world = saved(100, store.path());
    let path = store.path().join("indexes").join(world.inbox.0.to_string());
    let mut bytes = std::fs::read(&path).expect("saved");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&path, bytes).expect("written");
    restart(&mut world, store.path());
    let said = logged(|| world.warm());
    let expected = "mailbox INBOX of ann: its saved index is not used, its checksum is wrong";
    assert!(said.contains(expected), "{said}");
    assert_eq!(world.counted.indexes.counts(), (0, 1, 0));
    assert_eq!(content(&kept(&world)), content(&scanned(&world)));
    // The one made anew takes its place.
    world.counted.indexes.save_all();
    restart(&mut world, store.path());
    world.warm();
    assert_eq!(world.counted.indexes.counts(), (1, 0, 0));
}

#[test]
fn one_that_is_not_as_counted_is_said_and_made_anew() {
    let store = tempfile::tempdir().expect("a folder");
    let mut world = saved(100, store.path());
    let files = IndexFiles::new(store.path(), 0);
    let saved = files.load(world.inbox).expect("intact").expect("saved");
    // Right in itself, but one flag is another than the mailbox has.
    let mut other = saved.clone();
    let row = crate::rows::MessageRow {
        created: mail::ModSeq(1),
        system: SystemFlag::Seen as u8,
        ..Default::default()
    };
    other.apply(Uid(50), Some(&row), false);
    let bytes = crate::index_files::encode(world.inbox, &other);
    let path = store.path().join("indexes").join(world.inbox.0.to_string());
    std::fs::write(path, bytes).expect("written");
    restart(&mut world, store.path());
    let said = logged(|| world.warm());
    assert!(
        said.contains("doesn't come out as its figures say"),
        "{said}"
    );
    assert!(
        world.counted.indexes.get(world.inbox).is_none(),
        "never served"
    );
    world.warm();
    assert_eq!(world.counted.indexes.counts(), (0, 1, 1));
    assert_eq!(content(&kept(&world)), content(&scanned(&world)));
}

/// A commit is seen by readers before the indexes are told of it. An index whose last piece saw it,
/// but not the first, waits for that.
#[test]
fn an_index_in_pieces_waits_for_what_only_its_last_piece_saw() {
    let mut world = World::new(300);
    let shared = world.counted.indexes.build(world.inbox).expect("not kept");
    let mut build = shared.lock().expect("no panic");
    let mut some = |world: &World, rows| {
        numbering::build_some(&world.counted, &shared, &mut build, rows).expect("memory")
    };
    assert!(!some(&world, 100));
    let mut flags = mail::Flags::default();
    flags.insert(SystemFlag::Flagged);
    let store = Request::Store {
        mailbox: world.inbox,
        ranges: [Uid(5)].into_iter().collect(),
        change: FlagChange {
            mode: StoreMode::Add,
            flags,
            unchanged_since: None,
        },
        since: mail::ModSeq(1),
    };
    let mut txn = crate::kv::Transaction::new(&world.counted);
    txn.begin();
    super::apply(&mut txn, &world.rules, store).expect("memory");
    let changes = txn.into_changes();
    world.counted.commit_unnoted(&changes);
    assert!(!some(&world, usize::MAX), "UID 5 was looked at before");
    world.counted.indexes.committed(&changes);
    assert!(some(&world, usize::MAX));
    assert_eq!(content(&kept(&world)), content(&scanned(&world)));
    assert!(kept(&world).with_system(1).contains(5));
}
