//! What somebody may say on the bus who means ill, or is broken: nothing of it ends the machine,
//! takes memory without bound, or keeps it from telling what is missed.

use bytes::Bytes;

use super::bucket::BUCKETS;
use super::interest::Wanted;
use super::machine::{Action, Limits, Machine};
use super::pools::SitePools;
use super::wire::{Crossing, Header, Said};
use super::{Counts, Missed, belongs_at};

const SECOND_NS: u64 = 1_000_000_000;
const NOW_NS: u64 = 3600 * SECOND_NS;

fn machine() -> Machine {
    let mut machine = Machine::new(1 << 40, NOW_NS, Limits::default());
    machine.want(NOW_NS, Wanted::all());
    machine.connected(NOW_NS, 1 << 20);
    machine.take_actions();
    machine
}

/// What an origin says that has just begun.
fn said(origin: u64, order: u64, said: &Said) -> Bytes {
    said.encode(Header {
        origin,
        age_ns: 0,
        order,
    })
}

fn event() -> Crossing {
    Crossing {
        event: "enp://h/x".into(),
        payload: Bytes::new(),
        link: None,
    }
}

fn batch(first: u64, events: Vec<Crossing>) -> Said {
    Said::Batch {
        bucket: 7,
        first,
        events,
    }
}

fn digest(number: u64, bye: bool, buckets: Vec<(u16, u64)>) -> Said {
    Said::Digest {
        number,
        pools: 0,
        bye,
        sent: vec![],
        taken: vec![],
        buckets,
    }
}

#[test]
fn numbers_at_their_end_are_counted_without_an_end() {
    let mut machine = machine();
    for origin in 2..60 {
        let last = batch((1 << 60) - 1, vec![event(); 3]);
        machine.hear(NOW_NS + origin, vec![said(origin, u64::MAX, &last)]);
    }
    let Counts { heard, missed, .. } = machine.counts();
    assert_eq!((heard, missed), (3 * 58, u64::MAX));
    let mut tally = crate::broker::Tally::default();
    for action in machine.take_actions() {
        if let Action::Missed(_, missed) = action {
            tally.add(missed);
        }
    }
    assert_eq!(tally.events, u64::MAX);
    for number in [u64::MAX, 1, u64::MAX] {
        let all = (0..BUCKETS).map(|bucket| (bucket, (1 << 60) - 1)).collect();
        let digest = digest(number, false, all);
        machine.hear(NOW_NS, vec![said(2, number, &digest)]);
    }
    machine.tick(NOW_NS + SECOND_NS);
}

#[test]
fn an_event_that_was_handed_on_too_often_is_not_handed_on() {
    let mut machine = machine();
    let pattern = Bytes::from_static(b"a pool");
    machine.set_members(NOW_NS, &pattern, 1);
    let pooled = Said::Pooled {
        home: 2,
        before: 0,
        number: 1,
        hops: u8::MAX,
        pattern,
        event: event(),
    };
    machine.hear(NOW_NS, vec![said(2, 1, &pooled)]);
    let found = machine.take_actions().into_iter().find_map(|it| match it {
        Action::Pooled(pooled) => Some(pooled),
        _ => None,
    });
    machine.hand_on(NOW_NS, found.expect("it is for a member here"));
    let actions = machine.take_actions();
    assert!(matches!(&actions[..], [Action::Returned(_)]), "{actions:?}");
}

#[test]
fn very_many_digests_wait_in_little_room_and_the_last_still_counts() {
    let mut machine = machine();
    for number in 1..=20_000 {
        let digest = digest(number, false, vec![(7, number)]);
        machine.hear(NOW_NS + number, vec![said(2, number, &digest)]);
    }
    assert!(
        machine.waiting_checks() <= 2,
        "{}",
        machine.waiting_checks()
    );
    let last = digest(20_001, true, vec![(7, 20_001)]);
    machine.hear(NOW_NS + 20_001, vec![said(2, 20_001, &last)]);
    machine.tick(NOW_NS + SECOND_NS);
    let missed = machine.take_actions().into_iter().map(|it| match it {
        Action::Missed(7, Missed::AtMost(events)) => events,
        _ => 0,
    });
    assert_eq!(missed.sum::<u64>(), 20_001);
}

#[test]
fn digests_of_invented_origins_wait_in_little_room() {
    let mut machine = machine();
    for origin in 2..20_000 {
        let digest = digest(1, false, vec![]);
        machine.hear(NOW_NS + origin, vec![said(origin, 1, &digest)]);
    }
    // Each has a number for each bucket.
    assert!(
        machine.waiting_checks() <= 2 * 1024,
        "{}",
        machine.waiting_checks()
    );
}

#[test]
fn an_origin_that_was_said_to_have_ended_and_goes_on_is_there() {
    let mut machine = machine();
    let say = |machine: &mut Machine, number, bye| {
        let digest = digest(number, bye, vec![]);
        machine.hear(NOW_NS, vec![said(2, number, &digest)]);
    };
    say(&mut machine, 1, false);
    assert_eq!(machine.others(), 1);
    say(&mut machine, 2, true);
    assert_eq!(machine.others(), 0);
    // An older one that comes late is no sign of life.
    say(&mut machine, 1, false);
    assert_eq!(machine.others(), 0);
    say(&mut machine, 3, false);
    assert_eq!(machine.others(), 1);
}

#[test]
fn what_is_no_message_is_counted() {
    let mut machine = machine();
    let empty = said(2, 1, &batch(5, vec![]));
    let mut later = said(2, 2, &digest(1, false, vec![])).to_vec();
    later[2] = 2;
    let strange = vec![Bytes::new(), "PING".into(), empty, later.into()];
    machine.hear(NOW_NS, strange);
    assert_eq!(machine.counts().strange, 4);
    assert_eq!(machine.take_actions(), []);
}

#[test]
fn each_message_has_its_subject() {
    let digest = said(2, 1, &digest(1, false, vec![]));
    let batch = said(2, 1, &batch(1, vec![event()]));
    let acked = said(2, 1, &Said::Acked { request: 1 });
    for (message, name) in [(&digest, "c"), (&batch, "b.7"), (&acked, "o.0002")] {
        assert!(belongs_at(name, message));
        for other in [
            "c", "b.7", "b.8", "b.07x", "b", "o", "p.7", "o.2", "", "x.7",
        ] {
            let at_home = other == name || (name.starts_with('o') && other == "o.2");
            assert_eq!(belongs_at(other, message), at_home, "{name} at {other}");
        }
    }
    assert!(!belongs_at("b.7", &batch[..20]) && !belongs_at("c", b""));
}

#[test]
fn lists_of_pools_are_bounded_in_number_and_bytes() {
    let mut pools = SitePools::default();
    let mut told = 0;
    for origin in 0..40 {
        for part in 0..100 {
            let pool = |number: usize| Bytes::from(format!("{origin} {part} {number:0500}"));
            let list = (0..200).map(|number| (pool(number), 1)).collect();
            told += pools.take(origin, 1, (part, 100), list).len();
        }
    }
    assert!(told > 1000, "{told} are known");
    assert!(pools.others_bytes() <= 64 << 20, "{}", pools.others_bytes());
    (0..40).for_each(|origin| _ = pools.forget(origin));
    assert_eq!(pools.others_bytes(), 0);
}

#[test]
fn origins_that_say_what_they_have_sent_are_bounded_between_two_looks_at_them() {
    let mut machine = machine();
    let digest = |origin| {
        let mut digest = digest(1, false, vec![]);
        if let Said::Digest { sent, .. } = &mut digest {
            sent.push((1 << 40, 9));
        }
        said(origin, 1, &digest)
    };
    machine.hear(NOW_NS, (2..20_000).map(digest).collect());
    assert!(machine.senders() < 3000, "{}", machine.senders());
}

#[test]
fn those_who_were_heard_of_once_are_not_remembered_for_ever() {
    let mut machine = machine();
    let mut streams = super::streams::Streams::default();
    for origin in 2..20_000 {
        let pooled = Said::Pooled {
            home: origin,
            before: 0,
            number: u64::MAX,
            hops: 0,
            pattern: Bytes::from_static(b"a pool"),
            event: event(),
        };
        machine.hear(NOW_NS + origin, vec![said(origin, 1, &pooled)]);
        assert!(machine.senders() < 3000, "{}", machine.senders());
        streams.note_sent(NOW_NS, origin, u64::MAX);
    }
    assert!(machine.senders() < 3000, "{}", machine.senders());
    streams.prune(|origin| origin < 5);
    assert_eq!(streams.senders(), 3);
}
