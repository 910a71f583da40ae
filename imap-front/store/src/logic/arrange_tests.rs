//! SORT and THREAD over rows in memory: what is kept is not read again, and what is not is made.

use std::collections::BTreeMap;
use std::ops::ControlFlow::Continue;

use bytes::Bytes;
use mail::reply::Arrangement;
use mail::request::Arrange;
use mail::search::{Key, Program};
use mail::sort::{Criterion, SortField};
use mail::{Body, Flags, MailboxName, ModSeq, Refusal, Reply, Request, Uid};

use super::arranging::Arranging;
use super::made::{Made, keep_made};
use super::searching::Search;
use super::slice_tests::World;
use super::{Rules, apply, keys, tables};
use crate::Options;
use crate::kv::{Changes, Kv, Space};

/// A message comes, and its keys are made.
pub(super) fn append(world: &mut World, subject: &str, padding: usize) {
    let body = format!("Subject: {subject}\r\n\r\n{}", "x".repeat(padding));
    let body = Bytes::from(body);
    let append = Request::Append {
        user: world.user,
        name: MailboxName::inbox(),
        flags: Flags::default(),
        date: None,
        body: Body::Inline(body.clone()),
    };
    world.commit(|txn, rules| apply(txn, rules, append));
    let piece = rows(world, Space::Bodies).pop().expect("it was stored");
    let number = u64::from_be_bytes(*piece.first_chunk().expect("it begins with the number"));
    let made = Made::sort_keys(number, &body);
    world.commit(|txn, _| {
        keep_made(txn, vec![made]);
        Ok(())
    });
}

/// Rows of a keyspace.
pub(super) fn rows(world: &World, space: Space) -> Vec<Vec<u8>> {
    let mut rows = Vec::new();
    let visit = &mut |key: &[u8], _: &[u8]| {
        rows.push(key.to_vec());
        Continue(())
    };
    let scan = world
        .counted
        .rows
        .scan(space, &[], &[0xff; 16], false, visit);
    scan.expect("memory");
    rows
}

/// Loses all rows of a keyspace.
pub(super) fn lose(world: &mut World, space: Space) {
    let changes = rows(world, space)
        .into_iter()
        .map(|key| ((space, key), None));
    let changes: Changes = changes.collect();
    world.counted.commit_unnoted(&changes);
}

fn arrange(world: &World, how: &Arrange) -> (Reply, Vec<Made>, usize) {
    let program = Program { key: Key::All };
    let search = Search {
        mailbox: world.inbox,
        program: &program,
        recent_from: Uid(1),
    };
    let mut arranging = Arranging::new(how, &world.rules);
    let (mut made, mut pieces) = (Vec::new(), 1);
    loop {
        let reply = arranging.go_on(&world.counted, &world.rules, &search, ModSeq(u64::MAX));
        made.extend(arranging.take_made());
        if let Some(reply) = reply.expect("memory") {
            return (reply, made, pieces);
        }
        pieces += 1;
    }
}

fn by_subject(world: &World) -> (Vec<u32>, Vec<Made>, usize) {
    let criterion = Criterion {
        field: SortField::Subject,
        reverse: false,
    };
    let (reply, made, pieces) = arrange(world, &Arrange::Sort(Box::new([criterion])));
    let Reply::Arranged {
        arrangement: Arrangement::Sorted(uids),
        unreadable: 0,
        ..
    } = reply
    else {
        panic!("{reply:?}");
    };
    (uids.iter().map(|uid| uid.0).collect(), made, pieces)
}

pub(super) fn forget_what_is_in_memory(world: &mut World) {
    world.rules = Rules::new(Options::default());
}

#[test]
fn messages_are_sorted_without_a_look_at_them() {
    let mut world = World::new(0);
    for subject in ["b", "Re: c", "A"] {
        append(&mut world, subject, 10);
    }
    world.warm();
    lose(&mut world, Space::Bodies);
    let (uids, made, _) = by_subject(&world);
    assert_eq!((uids, made.len()), (vec![3, 1, 2], 0));
    // Nor at what is kept, the next time; what came since is put to it.
    lose(&mut world, Space::SortKeys);
    append(&mut world, "bb", 10);
    let (uids, made, _) = by_subject(&world);
    assert_eq!((uids, made.len()), (vec![3, 1, 4, 2], 0));
}

#[test]
fn keys_of_messages_from_before_are_made_and_kept() {
    let mut world = World::new(0);
    world.rules.options.kept_s = 0;
    for subject in ["b", "c", "a", "d"] {
        append(&mut world, subject, 10);
    }
    world.warm();
    lose(&mut world, Space::SortKeys);
    let (uids, made, _) = by_subject(&world);
    assert_eq!((uids, made.len()), (vec![3, 1, 2, 4], 4));
    // One is gone before its keys can be kept.
    let inbox = world.inbox;
    world.carry_out(Request::Store {
        mailbox: inbox,
        ranges: [Uid(4)].into_iter().collect(),
        change: mail::request::FlagChange {
            mode: mail::request::StoreMode::Add,
            flags: Flags::new(mail::SystemFlag::Deleted as u8, []),
            unchanged_since: None,
        },
        since: ModSeq(1),
    });
    world.carry_out(Request::Expunge {
        mailbox: inbox,
        within: None,
        since: ModSeq(1),
    });
    world.commit(|txn, _| {
        keep_made(txn, made);
        Ok(())
    });
    assert_eq!(rows(&world, Space::SortKeys), [1, 2, 3].map(keys::number));
    forget_what_is_in_memory(&mut world);
    lose(&mut world, Space::Bodies);
    let (uids, made, _) = by_subject(&world);
    assert_eq!((uids, made.len()), (vec![3, 1, 2], 0));
}

/// A body whose commit has failed leaves its number to another.
#[test]
fn keys_of_another_body_of_that_number_are_not_kept() {
    let mut world = World::new(0);
    append(&mut world, "b", 10);
    let kept = |world: &World| world.counted.rows.get(Space::SortKeys, &keys::number(1));
    let right = kept(&world).expect("memory");
    for lost in ["Subject: lost\r\n\r\n", ""] {
        let made = Made::sort_keys(1, lost.as_bytes());
        world.commit(|txn, _| {
            keep_made(txn, vec![made]);
            Ok(())
        });
        assert_eq!(kept(&world).expect("memory"), right);
    }
}

#[test]
fn large_messages_are_read_a_piece_at_a_time() {
    let mut world = World::new(0);
    for number in 0..40 {
        append(&mut world, &format!("{:02}", 99 - number), 100_000);
    }
    world.warm();
    lose(&mut world, Space::SortKeys);
    let (uids, made, pieces) = by_subject(&world);
    assert_eq!(uids, (1..=40).rev().collect::<Vec<u32>>());
    // 64 KB of each, and 1 MB a piece.
    assert!(made.len() == 40 && pieces >= 3, "{pieces}");
}

#[test]
fn a_message_that_can_not_be_read_is_counted() {
    let mut world = World::new(0);
    for subject in ["b", "a"] {
        append(&mut world, subject, 10);
    }
    world.warm();
    lose(&mut world, Space::SortKeys);
    let piece = keys::piece(1, 0);
    let body = world.counted.rows.get(Space::Bodies, &piece);
    let body = body.expect("memory");
    // Once it can be read again, it is.
    for (body, count) in [(None, 1), (None, 1), (body, 0)] {
        let changes = BTreeMap::from([((Space::Bodies, piece.clone()), body)]);
        world.counted.commit_unnoted(&changes);
        let (reply, _, _) = arrange(&world, &Arrange::Sort(Box::default()));
        assert!(
            matches!(reply, Reply::Arranged { unreadable, .. } if unreadable == count),
            "{reply:?}"
        );
    }
}

#[test]
fn keys_go_with_the_last_message_that_has_the_body() {
    let mut world = World::new(0);
    append(&mut world, "a", 10);
    world.rules.options.kept_s = 0;
    let inbox = world.inbox;
    let (user, to) = (world.user, MailboxName::new("box"));
    let name = to.clone();
    world.carry_out(Request::Create {
        user,
        name,
        special_use: None,
    });
    world.carry_out(Request::Copy {
        mailbox: inbox,
        messages: [Uid(1)].into_iter().collect(),
        user,
        to,
        how: mail::request::CopyHow::Copy,
        since: ModSeq(1),
    });
    let other = world
        .commit(|txn, _| tables::named_mailbox(txn, user, &MailboxName::new("box")))
        .0;
    let other = other.expect("just made").0;
    for (mailbox, left) in [(inbox, 1), (other, 0)] {
        world.carry_out(Request::Store {
            mailbox,
            ranges: [Uid(1)].into_iter().collect(),
            change: mail::request::FlagChange {
                mode: mail::request::StoreMode::Add,
                flags: Flags::new(mail::SystemFlag::Deleted as u8, []),
                unchanged_since: None,
            },
            since: ModSeq(1),
        });
        world.carry_out(Request::Expunge {
            mailbox,
            within: None,
            since: ModSeq(1),
        });
        assert_eq!(rows(&world, Space::SortKeys).len(), left);
    }
}

#[test]
fn what_is_not_there_is_refused() {
    let mut world = World::new(1);
    world.inbox = mail::MailboxId(99);
    let (reply, _, _) = arrange(&world, &Arrange::Sort(Box::default()));
    assert!(
        matches!(reply, Reply::Refused(Refusal::NoMailbox)),
        "{reply:?}"
    );
}
