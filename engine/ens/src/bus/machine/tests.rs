//! What becomes of events when the bus or a process goes away, or messages go different ways.

use super::super::*;
use crate::bus::FAMILY_SHIFT;

const SECOND_NS: u64 = 1_000_000_000;
const POOL: Bytes = Bytes::from_static(b"a pool");

fn event() -> Crossing {
    Crossing {
        event: "enp://h/x".into(),
        payload: Bytes::new(),
        link: None,
    }
}

fn machine(origin: u64) -> Machine {
    let mut machine = Machine::new(origin, 0, Limits::default());
    machine.connected(0, 1 << 20);
    machine
}

/// What one says to all, or to a pool, comes to the other.
fn pass(now_ns: u64, from: &mut Machine, to: &mut Machine, lost: impl Fn(&Subject) -> bool) {
    let publishes = from.take_actions().into_iter();
    let messages = publishes.filter_map(|action| match action {
        Action::Publish { to, message, .. } if !lost(&to) => Some(message),
        _ => None,
    });
    to.hear(now_ns, messages.collect());
}

fn have_met() -> (Machine, Machine) {
    let (mut one, mut other) = (machine(1), machine(2));
    other.set_members(0, &POOL, 1);
    other.tick(1_000_000_000);
    pass(1_000_000_000, &mut one, &mut other, |_| false);
    pass(1_000_000_000, &mut other, &mut one, |_| false);
    one.take_actions();
    other.take_actions();
    (one, other)
}

fn bus_comes_again(one: &mut Machine, other: &mut Machine) -> bool {
    one.disconnected();
    one.connected(2_000_000_000, 1 << 20);
    pass(2_000_000_000, one, other, |_| false);
    other.take_actions().contains(&Action::PoolsMissed)
}

#[test]
fn members_elsewhere_are_told_of_what_was_lost_before_it_was_at_the_bus() {
    let (mut one, mut other) = have_met();
    assert!(!bus_comes_again(&mut one, &mut other), "nothing was sent");
    one.publish_to_pool(1_500_000_000, POOL, event());
    pass(1_500_000_000, &mut one, &mut other, |to| to.is_shared());
    assert!(bus_comes_again(&mut one, &mut other));
    assert!(!bus_comes_again(&mut one, &mut other), "that is told once");
}

#[test]
fn what_comes_for_members_of_a_process_that_ends_goes_to_others() {
    let (mut one, mut other) = have_met();
    let pool = Subject::Pool(PoolId::of(&POOL));
    other.retire(2_000_000_000, true);
    let actions = other.take_actions();
    assert!(actions.contains(&Action::Unsubscribe(pool)), "{actions:?}");
    one.publish_to_pool(2_000_000_000, POOL, event());
    pass(2_000_000_000, &mut one, &mut other, |_| false);
    let actions = other.take_actions();
    let hands_on = |action: &Action| matches!(action, Action::Publish { to, .. } if *to == pool);
    assert!(actions.iter().any(hands_on), "{actions:?}");
    let gives = |action: &Action| matches!(action, Action::Pooled(_));
    assert!(!actions.iter().any(gives), "{actions:?}");
    // The others hear that it has none.
    other.retire(3_000_000_000, false);
    other.retire(3_000_000_000, true);
    pass(3_000_000_000, &mut other, &mut one, |_| false);
    let members = Action::Members {
        pattern: POOL,
        members: 0,
    };
    assert!(one.take_actions().contains(&members));
    // It stays after all.
    other.retire(4_000_000_000, false);
    let actions = other.take_actions();
    assert!(actions.contains(&Action::Subscribe(pool)), "{actions:?}");
    one.publish_to_pool(4_000_000_000, POOL, event());
    pass(4_000_000_000, &mut one, &mut other, |_| false);
    assert!(other.take_actions().iter().any(gives));
}

/// Messages for buckets.
fn batches(machine: &mut Machine) -> Vec<Bytes> {
    machine.flush();
    let actions = machine.take_actions().into_iter();
    let batch = |action| match action {
        Action::Publish {
            to: Subject::Bucket(_),
            message,
            ..
        } => Some(message),
        _ => None,
    };
    actions.filter_map(batch).collect()
}

#[test]
fn what_was_overtaken_on_another_way_is_missed_and_not_heard_late() {
    let (mut one, mut other) = (machine(1), machine(2));
    other.want(0, Wanted::all());
    let mut publish = |now_ns, bucket| {
        one.publish(now_ns, bucket, &event());
        let message = batches(&mut one);
        assert_eq!(message.len(), 1);
        message
    };
    other.hear(1, publish(1, 7));
    let first = publish(2, 7);
    other.hear(3, publish(3, 8));
    other.take_actions();
    other.hear(4, first);
    assert_eq!(
        other.take_actions(),
        [],
        "its publisher has published it before"
    );
    other.hear(5, publish(5, 7));
    let actions = other.take_actions();
    assert_eq!(actions[0], Action::Missed(7, Missed::AtMost(1)));
    let is_event = |action: &Action| matches!(action, Action::Event { bucket: 7, .. });
    assert!(actions.len() == 2 && is_event(&actions[1]), "{actions:?}");
}

#[test]
fn what_a_predecessor_said_is_missed_once_its_successor_was_heard() {
    let family = 5 << FAMILY_SHIFT;
    let (mut one, mut other) = (machine(family | 9), machine(2));
    other.want(0, Wanted::all());
    let last = |one: &mut Machine, now_ns| {
        one.publish(now_ns, 7, &event());
        batches(one)
    };
    other.hear(1, last(&mut one, 1));
    let late = last(&mut one, 2);
    let mut successor = Machine::new(family | 3, 3, Limits::default());
    successor.connected(3, 1 << 20);
    other.hear(4, last(&mut successor, 4));
    other.take_actions();
    other.hear(5, late);
    assert_eq!(other.take_actions(), []);
    // Its last word tells how many.
    one.end(6);
    pass(6, &mut one, &mut other, |_| false);
    other.tick(SECOND_NS);
    let missed = Action::Missed(7, Missed::AtMost(1));
    assert!(other.take_actions().contains(&missed));
}
