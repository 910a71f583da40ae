//! Structures of large messages are made once, and kept with them.

use std::sync::Arc;

use mail::mime::Structure;
use mail::request::{FlagChange, StoreMode, Want};
use mail::{Flags, ModSeq, Reply, Request, SystemFlag, Uid};

use super::arrange_tests::{append, forget_what_is_in_memory, lose, rows};
use super::made::keep_made;
use super::slice_tests::World;
use super::{keys, read};
use crate::kv::Space;

/// The structures of the first so many messages, those that can be read.
fn structures(world: &World, count: u32) -> Vec<Arc<Structure>> {
    let request = Request::Fetch {
        mailbox: world.inbox,
        uids: (1..=count).map(Uid).collect(),
        want: Want {
            structure: true,
            ..Want::default()
        },
        budget_bytes: usize::MAX,
    };
    match read(&world.counted, &world.rules, &request) {
        Ok(Some(Reply::Fetched { messages, .. })) => messages
            .into_iter()
            .filter_map(|message| message.structure)
            .collect(),
        reply => panic!("{reply:?}"),
    }
}

fn keep(world: &mut World) -> usize {
    let made = world.rules.made.take();
    let count = made.len();
    world.commit(|txn, _| {
        keep_made(txn, made);
        Ok(())
    });
    count
}

#[test]
fn structures_of_large_messages_are_made_once() {
    let mut world = World::new(0);
    world.rules.options.kept_s = 0;
    append(&mut world, "large", 100_000);
    append(&mut world, "small", 10);
    let made = structures(&world, 2);
    assert_eq!(made.len(), 2);
    assert_eq!(keep(&mut world), 1, "what takes one read is not kept");
    assert_eq!(rows(&world, Space::Structures), [keys::number(1)]);
    // After a start it comes without a look at the message.
    forget_what_is_in_memory(&mut world);
    assert_eq!(structures(&world, 1), made[..1]);
    forget_what_is_in_memory(&mut world);
    lose(&mut world, Space::Bodies);
    assert_eq!(structures(&world, 2), made[..1]);
    assert_eq!(keep(&mut world), 0);
}

#[test]
fn a_structure_goes_with_its_message() {
    let mut world = World::new(0);
    world.rules.options.kept_s = 0;
    append(&mut world, "large", 100_000);
    structures(&world, 1);
    assert_eq!(keep(&mut world), 1);
    let mailbox = world.inbox;
    world.carry_out(Request::Store {
        mailbox,
        ranges: [Uid(1)].into_iter().collect(),
        change: FlagChange {
            mode: StoreMode::Add,
            flags: Flags::new(SystemFlag::Deleted as u8, []),
            unchanged_since: None,
        },
        since: ModSeq(1),
    });
    world.carry_out(Request::Expunge {
        mailbox,
        within: None,
        since: ModSeq(1),
    });
    assert!(rows(&world, Space::Structures).is_empty());
}

#[test]
fn a_damaged_structure_is_made_again() {
    let mut world = World::new(0);
    append(&mut world, "large", 100_000);
    let made = structures(&world, 1);
    keep(&mut world);
    world.commit(|txn, _| {
        txn.put(Space::Structures, &keys::number(1), vec![1; 20]);
        Ok(())
    });
    forget_what_is_in_memory(&mut world);
    assert_eq!(structures(&world, 1), made);
    assert_eq!(keep(&mut world), 1);
}
