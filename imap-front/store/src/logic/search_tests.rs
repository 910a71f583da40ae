//! Searches by bitmaps find what a look at each message finds, and read no rows that they need not.

use bytes::Bytes;
use mail::reply::HitModSeqs;
use mail::request::{FlagChange, StoreMode};
use mail::search::{Candidate, DateField, Day, Key, Program, matches};
use mail::set::SetNumber;
use mail::{
    Body, Flags, InternalDate, MailboxName, ModSeq, Reply, Request, SequenceSet, SystemFlag, Uid,
    UidSet,
};
use proptest::prelude::*;

use super::slice_tests::World;
use super::{Counting, Findings, Search, read, status_with_deleted, tables};
use crate::Error;

const FLAGS: [SystemFlag; 5] = [
    SystemFlag::Answered,
    SystemFlag::Flagged,
    SystemFlag::Deleted,
    SystemFlag::Seen,
    SystemFlag::Draft,
];
const KEYWORDS: [&str; 3] = ["$Forwarded", "Junk", "red"];

#[derive(Clone, Debug)]
pub(super) enum Step {
    Append(u8, usize),
    Store(u8, Vec<usize>),
    Expunge(usize),
    /// So many UIDs are left out.
    Jump(u32),
}

fn flags(bits: u8) -> Flags {
    let keywords = KEYWORDS.iter().enumerate();
    let keywords = keywords.filter(|(place, _)| bits >> (5 + place) & 1 != 0);
    let mut flags = Flags::new(0, keywords.map(|(_, word)| (*word).into()));
    for (place, flag) in FLAGS.into_iter().enumerate() {
        if bits >> place & 1 != 0 {
            flags.insert(flag);
        }
    }
    flags
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (any::<u8>(), 0usize..200).prop_map(|(bits, len)| Step::Append(bits, len)),
        3 => (any::<u8>(), prop::collection::vec(0usize..40, 1..8))
            .prop_map(|(bits, picks)| Step::Store(bits, picks)),
        1 => (0usize..40).prop_map(Step::Expunge),
        1 => prop_oneof![Just(1), Just(65_500), Just(90_000_000)].prop_map(Step::Jump),
    ];
    prop::collection::vec(step, 1..60)
}

fn key() -> impl Strategy<Value = Key> {
    let number = prop_oneof![
        (1u32..60).prop_map(SetNumber::Value),
        (65_400u32..66_000).prop_map(SetNumber::Value),
        Just(SetNumber::Largest),
    ];
    let leaf = prop_oneof![
        Just(Key::All),
        Just(Key::Recent),
        (0usize..5).prop_map(|flag| Key::Flag(FLAGS[flag])),
        (0usize..5).prop_map(|flag| Key::Not(Box::new(Key::Flag(FLAGS[flag])))),
        prop_oneof![Just("JUNK"), Just("red"), Just("unknown")]
            .prop_map(|word| Key::Keyword(word.into())),
        prop::collection::vec((number.clone(), number), 0..4)
            .prop_map(|ranges| Key::Uids(SequenceSet(ranges))),
        (1u32..50, 0u32..100_000)
            .prop_map(|(low, len)| Key::UidRanges(vec![(low, low + 3), (low + 9, low + 9 + len)])),
        (1u64..60).prop_map(|modseq| Key::ModSeq(ModSeq(modseq))),
        (0u64..200).prop_map(Key::Larger),
        (0u64..200).prop_map(Key::Smaller),
        (0i32..20).prop_map(|day| Key::Since(DateField::Internal, Day(day))),
        (0usize..6, 0usize..5).prop_map(|(name, text)| {
            let name = ["subject", "TO", "from", "Bcc", "a", "cc"][name];
            let text = ["", "re: 3", "EXAMPLE", "SECOND", "b"][text];
            Key::Header(name.into(), text.into())
        }),
        (0u8..10).prop_map(|digit| Key::Body(digit.to_string().into())),
    ];
    leaf.prop_recursive(5, 40, 4, |key| {
        prop_oneof![
            prop::collection::vec(key.clone(), 0..5).prop_map(Key::And),
            (key.clone(), key.clone()).prop_map(|(one, other)| Key::Or(one.into(), other.into())),
            key.prop_map(|key| Key::Not(key.into())),
        ]
    })
}

fn uids(world: &World) -> Vec<Uid> {
    let mut uids = Vec::new();
    let rows = &world.counted.rows;
    let mailbox = tables::mailbox(rows, world.inbox).expect("memory");
    tables::messages(rows, world.inbox, &mailbox.expect("there"), |uid, _| {
        uids.push(uid);
    })
    .expect("memory");
    uids
}

/// Fields of a message; some have none, and one never ends.
fn header(number: usize) -> String {
    match number % 9 {
        0 => String::new(),
        8 => format!("Subject: {}", "long".repeat(20_000)),
        at => format!("Subject: Re: {at}\r\nTo: {number}@example\r\nSUBJECT: second\r\n"),
    }
}

pub(super) fn carry_out(world: &mut World, step: &Step, number: usize) {
    let inbox = world.inbox;
    let there = uids(world);
    match step {
        Step::Append(bits, len) => {
            let append = Request::Append {
                user: world.user,
                name: MailboxName::inbox(),
                flags: flags(*bits),
                date: Some(InternalDate {
                    unix_s: number as i64 % 20 * 86_400,
                    zone_min: 0,
                }),
                body: Body::Inline(Bytes::from(format!(
                    "A: b\r\n{}\r\n{number}{}",
                    header(number),
                    " ".repeat(*len)
                ))),
            };
            world.carry_out(append);
        }
        Step::Store(bits, picks) if !there.is_empty() => {
            let mut uids: Vec<Uid> = picks.iter().map(|pick| there[pick % there.len()]).collect();
            uids.sort_unstable();
            uids.dedup();
            let store = Request::Store {
                mailbox: inbox,
                ranges: uids.into_iter().collect(),
                change: FlagChange {
                    mode: StoreMode::Replace,
                    flags: flags(*bits),
                    unchanged_since: None,
                },
                since: ModSeq(1),
            };
            world.carry_out(store);
        }
        Step::Expunge(pick) if !there.is_empty() => {
            let uid = there[pick % there.len()].0;
            let expunge = Request::Expunge {
                mailbox: inbox,
                within: Some([Uid(uid)].into_iter().collect()),
                since: ModSeq(1),
            };
            world.carry_out(expunge);
        }
        Step::Jump(uids) => {
            world.commit(|txn, _| {
                let mut mailbox = tables::mailbox(txn, inbox)?.expect("there");
                let next = mailbox.uid_next.0;
                mailbox.uid_next = Uid((next + uids).min(1 << 30).max(next));
                tables::put_mailbox(txn, inbox, &mailbox);
                Ok(())
            });
        }
        _ => {}
    }
}

/// By a look at each message.
fn naive(world: &World, program: &Program, recent_from: Uid) -> (UidSet, Option<HitModSeqs>) {
    let rows = &world.counted.rows;
    let mailbox = tables::mailbox(rows, world.inbox).expect("memory");
    let mailbox = mailbox.expect("there");
    let (mut hits, mut modseqs) = (UidSet::default(), None);
    tables::messages(rows, world.inbox, &mailbox, |uid, row| {
        let candidate = Candidate {
            uid,
            modseq: row.modseq,
            flags: &row.flags(&mailbox),
            date: row.date,
            saved: row.saved(),
            email: mail::EmailId(row.body),
            thread: &|| super::fetching::thread(rows, &row).expect("readable"),
            size: row.size,
            now_s: 1_000_000_000,
            recent: uid >= recent_from,
            header: &|_, _| None,
            bytes: &|| tables::body(rows, row.body, 0..row.size).expect("memory"),
        };
        if matches(program, &candidate) {
            hits.insert(uid);
            modseqs = Some(HitModSeqs::then(modseqs, row.modseq));
        }
    })
    .expect("memory");
    let asks = program.asks_for_modseqs();
    (hits, modseqs.filter(|_| asks))
}

fn by_bitmaps(world: &World, program: &Program, recent_from: Uid) -> (Reply, usize) {
    let search = Search {
        mailbox: world.inbox,
        program,
        recent_from,
    };
    let (mut findings, mut pieces) = (Findings::default(), 1);
    loop {
        let reply = search.go_on(
            &world.counted,
            &world.rules,
            ModSeq(u64::MAX),
            &mut findings,
        );
        if let Some(reply) = reply.expect("memory") {
            return (reply, pieces);
        }
        pieces += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bitmaps_find_what_a_look_at_each_message_finds(
        steps in steps(),
        keys in prop::collection::vec(key(), 1..6),
        recent_from in 0u32..60,
        is_warm in any::<bool>(),
        texts_min in prop_oneof![Just(0), Just(256)],
    ) {
        let mut world = World::new(0);
        world.rules.texts_min = texts_min;
        if is_warm {
            world.warm();
        }
        for (number, step) in steps.iter().enumerate() {
            carry_out(&mut world, step, number);
        }
        world.rules.options.index_messages_min = if is_warm { 0 } else { u32::MAX };
        for key in keys {
            let program = Program { key };
            let expected = naive(&world, &program, Uid(recent_from));
            let (reply, _) = by_bitmaps(&world, &program, Uid(recent_from));
            let Reply::Found { hits, modseqs, unreadable, .. } = reply else {
                panic!("{reply:?}");
            };
            prop_assert_eq!(unreadable, 0);
            prop_assert_eq!((hits, modseqs), expected, "{:?}", program);
        }
    }
}

fn unseen() -> Key {
    Key::Not(Box::new(Key::Flag(SystemFlag::Seen)))
}

/// A mailbox of so many messages, of which each hundredth is not seen.
fn mostly_seen(messages: u32) -> World {
    let mut world = World::new(messages);
    world.warm();
    let seen = Request::Store {
        mailbox: world.inbox,
        ranges: (1..=messages).filter(|n| n % 100 != 0).map(Uid).collect(),
        change: FlagChange {
            mode: StoreMode::Add,
            flags: Flags::new(SystemFlag::Seen as u8, []),
            unchanged_since: None,
        },
        since: ModSeq(1),
    };
    world.carry_out(seen);
    world
}

#[test]
fn flags_and_uids_are_searched_without_a_look_at_messages() {
    for messages in [1_000, 10_000] {
        let world = mostly_seen(messages);
        let keys = [
            (unseen(), messages / 100),
            (Key::All, messages),
            (Key::Recent, messages - 4),
            (Key::And(vec![Key::UidRanges(vec![(1, 500)]), unseen()]), 5),
            (
                Key::Or(unseen().into(), Key::Keyword("red".into()).into()),
                messages / 100,
            ),
        ];
        for (key, count) in keys {
            world.counted.read.set(0);
            world.counted.messages.set(0);
            let program = Program { key };
            let (reply, pieces) = by_bitmaps(&world, &program, Uid(5));
            let Reply::Found { hits, .. } = reply else {
                panic!("{reply:?}");
            };
            assert_eq!((hits.len(), pieces), (count as usize, 1), "{program:?}");
            assert_eq!(world.counted.messages.get(), 0, "{program:?}");
            assert!(!program.looks_at_messages(), "{program:?}");
            // The mailbox's.
            assert_eq!(world.counted.read.get(), 2, "{program:?}");
        }
    }
}

#[test]
fn other_keys_look_at_what_bitmaps_leave() {
    let world = mostly_seen(10_000);
    world.counted.messages.set(0);
    let key = Key::And(vec![Key::Larger(1), unseen()]);
    let (reply, pieces) = by_bitmaps(&world, &Program { key }, Uid(1));
    assert!(matches!(reply, Reply::Found { hits, .. } if hits.len() == 100));
    assert_eq!((world.counted.messages.get(), pieces), (100, 1));
    // All of them are looked at in pieces.
    let (reply, pieces) = by_bitmaps(
        &world,
        &Program {
            key: Key::Larger(1),
        },
        Uid(1),
    );
    assert!(matches!(reply, Reply::Found { hits, .. } if hits.len() == 10_000));
    assert_eq!(pieces, 3);
}

#[test]
fn a_status_counts_no_rows_of_a_large_mailbox() {
    let world = World::new(10_000);
    let status = Request::Status {
        user: world.user,
        name: MailboxName::inbox(),
        deleted_bytes: false,
    };
    let cold = read(&world.counted, &world.rules, &status);
    assert!(
        matches!(cold, Err(Error::Cold(id)) if id == world.inbox),
        "{cold:?}"
    );
    world.warm();
    world.counted.read.set(0);
    let reply = read(&world.counted, &world.rules, &status).expect("memory");
    assert!(matches!(reply, Some(Reply::Status(it)) if it.recent == 10_000));
    assert!(world.counted.read.get() <= 3);
}

/// As in a base that is older than the count.
#[test]
fn bytes_of_deleted_messages_that_are_not_counted_are_counted_in_pieces() {
    let mut world = World::new(3000);
    world.warm();
    let (inbox, name) = (world.inbox, MailboxName::inbox());
    let mut flags = Flags::default();
    flags.insert(SystemFlag::Deleted);
    world.carry_out(Request::Store {
        mailbox: inbox,
        ranges: (1..=2500).map(Uid).collect(),
        change: FlagChange {
            mode: StoreMode::Add,
            flags,
            unchanged_since: None,
        },
        since: ModSeq(1),
    });
    world.commit(|txn, _| {
        let mut row = tables::mailbox(txn, inbox)?.expect("it is there");
        row.deleted_bytes = None;
        tables::put_mailbox(txn, inbox, &row);
        Ok(())
    });
    let status = Request::Status {
        user: world.user,
        name: name.clone(),
        deleted_bytes: false,
    };
    world.counted.read.set(0);
    read(&world.counted, &world.rules, &status).expect("memory");
    assert!(world.counted.read.get() <= 3, "it is not asked for");
    let (mut counting, mut pieces) = (Counting::default(), 1);
    let reply = loop {
        let whose = (world.user, &name);
        match status_with_deleted(&world.counted, &world.rules, whose, &mut counting) {
            Ok(Some(reply)) => break reply,
            Ok(None) => pieces += 1,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(matches!(reply, Reply::Status(it) if it.deleted_bytes == 2500 * 14));
    assert_eq!(pieces, 3);
}
