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

/// Each is of a family of its own, unless it is said which.
fn origin(name: u64) -> u64 {
    match name >> FAMILY_SHIFT {
        0 => name << FAMILY_SHIFT,
        _ => name,
    }
}

fn machine(name: u64) -> Machine {
    let origin = origin(name);
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

fn is_for_origin(to: &Subject) -> bool {
    matches!(to, Subject::Origin(_))
}

fn told(machine: &mut Machine) -> bool {
    machine.take_actions().contains(&Action::PoolsMissed)
}

#[test]
fn members_elsewhere_are_told_of_what_was_lost_before_it_was_at_the_bus() {
    let (mut one, mut other) = have_met();
    let mut now_ns = 2 * SECOND_NS;
    let mut bus_comes_again = |one: &mut Machine, other: &mut Machine| {
        now_ns += 3 * SECOND_NS;
        one.disconnected();
        one.connected(now_ns, 1 << 20);
        pass(now_ns, one, other, |_| false);
        other.tick(now_ns + SECOND_NS);
        told(other)
    };
    assert!(!bus_comes_again(&mut one, &mut other), "nothing was sent");
    other.ask(8 * SECOND_NS);
    other.set_members(8 * SECOND_NS, &POOL, 2);
    other.tick(8 * SECOND_NS);
    pass(8 * SECOND_NS, &mut other, &mut one, |_| false);
    one.publish_to_pool(8 * SECOND_NS, POOL, event());
    pass(8 * SECOND_NS, &mut one, &mut other, is_for_origin);
    assert!(bus_comes_again(&mut one, &mut other));
    assert!(!bus_comes_again(&mut one, &mut other), "that is told once");
}

#[test]
fn members_elsewhere_are_told_of_what_was_published_before_they_were_known() {
    // Whether they hear that something may have been missed, when a broker publishes so long after
    // it has come, or has come back.
    let is_told = |(mut one, mut other): (Machine, Machine), after_ns: Option<u64>| {
        let now_ns = 4 * SECOND_NS;
        one.connected(now_ns, 1 << 20);
        pass(now_ns, &mut one, &mut other, |_| false);
        other.tick(now_ns + 1);
        pass(now_ns + 1, &mut other, &mut one, |_| false);
        other.take_actions();
        for tick_ns in [1, SECOND_NS / 10, SECOND_NS / 2, SECOND_NS, 2 * SECOND_NS] {
            if after_ns.is_some_and(|after_ns| after_ns <= tick_ns) {
                one.publish(now_ns + tick_ns, 7, &event());
                one.flush();
            }
            one.tick(now_ns + tick_ns);
            pass(now_ns + tick_ns, &mut one, &mut other, |_| false);
        }
        told(&mut other)
    };
    let comes_back = || {
        let (mut one, other) = have_met();
        one.disconnected();
        (one, other)
    };
    let comes = || {
        let other = have_met().1;
        (
            Machine::new(origin(3), 4 * SECOND_NS, Limits::default()),
            other,
        )
    };
    let early_ns = Some(1);
    assert!(is_told(comes_back(), early_ns) && is_told(comes(), early_ns));
    for after_ns in [None, Some(SECOND_NS / 2)] {
        assert!(!is_told(comes_back(), after_ns) && !is_told(comes(), after_ns));
    }
    // A member here has got it, unless it has come since.
    let (mut one, other) = have_met();
    one.set_members(3 * SECOND_NS, &POOL, 1);
    one.disconnected();
    assert!(!is_told((one, other), early_ns));
    let (mut one, other) = comes_back();
    one.set_members(3 * SECOND_NS, &POOL, 1);
    assert!(is_told((one, other), early_ns));
}

#[test]
fn a_gap_in_what_comes_for_a_pool_is_told_at_once() {
    let (mut one, mut other) = have_met();
    for (now_ns, is_lost) in [(1, false), (2, true), (3, false)] {
        let now_ns = SECOND_NS + now_ns;
        one.publish_to_pool(now_ns, POOL, event());
        pass(now_ns, &mut one, &mut other, |_| is_lost);
    }
    assert!(told(&mut other));
}

#[test]
fn what_comes_for_members_of_a_process_that_ends_goes_to_others() {
    let (mut one, mut other) = have_met();
    one.set_members(2 * SECOND_NS, &POOL, 1);
    one.tick(2 * SECOND_NS);
    pass(2 * SECOND_NS, &mut one, &mut other, |_| false);
    other.retire(2 * SECOND_NS, true);
    let retires = other.take_actions();
    one.publish_to_pool(2 * SECOND_NS, POOL, event());
    pass(2 * SECOND_NS, &mut one, &mut other, |_| false);
    let actions = other.take_actions();
    let to_one = Subject::Origin(origin(1));
    let hands_on = |action: &Action| matches!(action, Action::Publish { to, .. } if *to == to_one);
    assert!(actions.iter().any(hands_on), "{actions:?}");
    let gives = |action: &Action| matches!(action, Action::Pooled(_));
    assert!(!actions.iter().any(gives), "{actions:?}");
    // The others hear that it has none.
    let messages = retires.into_iter().filter_map(|action| match action {
        Action::Publish { message, .. } => Some(message),
        _ => None,
    });
    one.hear(3 * SECOND_NS, messages.collect());
    let members = Action::Members {
        pattern: POOL,
        members: 0,
    };
    assert!(one.take_actions().contains(&members));
    // It stays after all.
    other.retire(4 * SECOND_NS, false);
    other.tick(4 * SECOND_NS);
    pass(4 * SECOND_NS, &mut other, &mut one, |_| false);
    one.publish_to_pool(4 * SECOND_NS, POOL, event());
    pass(4 * SECOND_NS, &mut one, &mut other, |_| false);
    assert!(other.take_actions().iter().any(gives));
}

#[test]
fn what_a_process_has_not_taken_when_it_ends_is_sent_to_others() {
    let (mut one, mut other) = have_met();
    one.publish_to_pool(2 * SECOND_NS, POOL, event());
    one.publish_to_pool(2 * SECOND_NS, POOL, event());
    let publishes = one.take_actions();
    let messages: Vec<Bytes> = publishes
        .into_iter()
        .filter_map(|action| match action {
            Action::Publish { message, .. } => Some(message),
            _ => None,
        })
        .collect();
    other.hear(2 * SECOND_NS, vec![messages[0].clone()]);
    other.take_actions();
    other.end(2 * SECOND_NS);
    let last = other.take_actions();
    other.hear(2 * SECOND_NS, vec![messages[1].clone()]);
    assert_eq!(other.take_actions(), [], "it takes nothing more");
    let last = last.into_iter().filter_map(|action| match action {
        Action::Publish { message, .. } => Some(message),
        _ => None,
    });
    one.hear(2 * SECOND_NS, last.collect());
    // There is nobody else, and nobody comes.
    assert!(!one.is_settled());
    one.tick(3 * SECOND_NS);
    let back = one.take_actions();
    let is_back = |action: &&Action| matches!(action, Action::Returned(_));
    assert_eq!(back.iter().filter(is_back).count(), 1, "{back:?}");
    assert!(one.is_settled());
}

#[test]
fn what_the_bus_says_of_an_origin_that_has_ended_is_no_loss() {
    let (mut one, mut other) = have_met();
    one.set_members(SECOND_NS, &POOL, 1);
    one.publish_to_pool(2 * SECOND_NS, POOL, event());
    one.take_actions();
    other.end(2 * SECOND_NS);
    pass(2 * SECOND_NS, &mut other, &mut one, |_| false);
    let back = one.take_actions();
    let is_back = |action: &&Action| matches!(action, Action::Returned(_));
    assert_eq!(back.iter().filter(is_back).count(), 1, "{back:?}");
    one.nobody_there(2 * SECOND_NS, 1);
    assert_eq!(one.take_actions(), [], "it is given already");
    one.nobody_there(2 * SECOND_NS, 1);
    assert!(told(&mut one), "of what nobody knows");
}

#[test]
fn who_says_nothing_is_not_waited_for() {
    let (mut one, mut other) = have_met();
    assert!(!one.waits_for_some(0), "all was taken");
    one.publish_to_pool(2 * SECOND_NS, POOL, event());
    one.take_actions();
    assert!(one.waits_for_some(SECOND_NS) && !one.waits_for_some(2 * SECOND_NS));
    other.ask(3 * SECOND_NS);
    pass(3 * SECOND_NS, &mut other, &mut one, |_| false);
    assert!(one.waits_for_some(2 * SECOND_NS) && !one.is_settled());
    other.end(3 * SECOND_NS);
    pass(3 * SECOND_NS, &mut other, &mut one, |_| false);
    assert!(!one.waits_for_some(0));
    other.tick(5 * SECOND_NS);
    pass(5 * SECOND_NS, &mut other, &mut one, |_| false);
    assert_eq!(one.others(), 0, "it has ended, however long it stays");
}

#[test]
fn what_reaches_nobody_is_sent_to_another() {
    let (mut one, _) = have_met();
    let mut third = machine(3);
    third.set_members(SECOND_NS, &POOL, 1);
    third.tick(SECOND_NS);
    pass(SECOND_NS, &mut third, &mut one, |_| false);
    one.take_actions();
    one.publish_to_pool(2 * SECOND_NS, POOL, event());
    one.nobody_there(2 * SECOND_NS, 1);
    let to = |action| match action {
        Action::Publish { to, reply, .. } => Some((to, reply)),
        _ => None,
    };
    let mut sent: Vec<_> = one.take_actions().into_iter().filter_map(to).collect();
    sent.sort_unstable();
    let to_both = [2, 3].map(|name| Subject::Origin(origin(name)));
    assert_eq!([sent[0].0, sent[1].0], to_both, "{sent:?}");
}

#[test]
fn what_is_for_a_member_that_has_just_come_waits_until_that_is_known() {
    let (mut one, _) = have_met();
    let mut third = machine(3);
    third.set_members(SECOND_NS, &POOL, 1);
    third.tick(SECOND_NS);
    one.publish_to_pool(2 * SECOND_NS, POOL, event());
    one.nobody_there(2 * SECOND_NS, 1);
    one.take_actions();
    pass(2 * SECOND_NS, &mut third, &mut one, |_| false);
    let to_third = Subject::Origin(origin(3));
    let is_sent = |action: &Action| matches!(action, Action::Publish { to, .. } if *to == to_third);
    assert!(one.take_actions().iter().any(is_sent));
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

#[test]
fn what_a_predecessor_has_published_is_not_heard_by_its_successor() {
    let family = 5 << FAMILY_SHIFT;
    let (mut one, mut successor) = (machine(family | 9), machine(family | 3));
    successor.want(0, Wanted::all());
    successor.take_actions();
    one.publish(1, 7, &event());
    successor.hear(2, batches(&mut one));
    assert_eq!(successor.take_actions(), []);
}

#[test]
fn who_follows_another_process_knows_the_pools_of_others_before_they_have_said_anything() {
    let (one, mut other) = have_met();
    let mut pools = vec![];
    one.hand_over_pools(2 * SECOND_NS, &mut pools);
    let mut next = Machine::new(origin(1) + 1, 0, Limits::default());
    assert!(next.take_pools_over(0, pools.clone().into()));
    let members = Action::Members {
        pattern: POOL,
        members: 1,
    };
    assert!(next.take_actions().contains(&members));
    next.connected(0, 1 << 20);
    next.tick(SECOND_NS);
    next.publish_to_pool(SECOND_NS, POOL, event());
    pass(SECOND_NS, &mut next, &mut other, |to| !is_for_origin(to));
    let actions = other.take_actions();
    let gives = |action: &Action| matches!(action, Action::Pooled(_));
    assert!(actions.iter().any(gives), "{actions:?}");
    pools.pop();
    assert!(!machine(3).take_pools_over(0, pools.into()));
}

#[test]
fn what_somebody_has_lost_before_he_was_known_is_told_by_those_who_were_there() {
    let mut one = machine(1);
    one.set_members(0, &POOL, 1);
    one.take_actions();
    for (name, loses) in [(2, false), (3, true)] {
        let mut later = Machine::new(origin(name), SECOND_NS, Limits::default());
        if loses {
            later.lost_of_pool();
        }
        later.connected(2 * SECOND_NS, 1 << 20);
        pass(2 * SECOND_NS, &mut later, &mut one, |_| false);
        assert_eq!(told(&mut one), loses);
        let mut latest = Machine::new(origin(4), 3 * SECOND_NS, Limits::default());
        latest.set_members(3 * SECOND_NS, &POOL, 1);
        later.tick(4 * SECOND_NS);
        latest.take_actions();
        pass(4 * SECOND_NS, &mut later, &mut latest, |_| false);
        assert!(!told(&mut latest), "that was before it");
    }
}

#[test]
fn what_went_to_somebody_who_falls_silent_is_told_to_those_who_did_not_know_him() {
    let (mut one, mut other) = have_met();
    one.publish_to_pool(SECOND_NS, POOL, event());
    pass(SECOND_NS, &mut one, &mut other, |_| false);
    let mut later = Machine::new(origin(3), 2 * SECOND_NS, Limits::default());
    later.connected(2 * SECOND_NS, 1 << 20);
    later.set_members(2 * SECOND_NS, &POOL, 1);
    let mut tells = |second: &u64| {
        let now_ns = second * SECOND_NS;
        one.tick(now_ns);
        pass(now_ns, &mut one, &mut later, |_| false);
        told(&mut later)
    };
    let when: Vec<u64> = (3..30).filter(|second| tells(second)).collect();
    assert_eq!(when.len(), 1, "{when:?}");
    assert!(when[0] > 10, "{when:?}");
}

#[test]
fn an_acknowledgement_waits_for_the_bus_and_for_who_comes_back_later() {
    let (mut one, mut other) = have_met();
    let mut wanted = Wanted::none();
    wanted.add(7);
    other.want(SECOND_NS, wanted);
    let link = Some((Bytes::from_static(b"link"), [5; 16]));
    one.publish(2 * SECOND_NS, 7, &Crossing { link, ..event() });
    one.flush();
    pass(2 * SECOND_NS, &mut one, &mut other, |_| false);
    let number = |action| match action {
        Action::Event { number, .. } => number,
        _ => None,
    };
    let number = other.take_actions().into_iter().find_map(number);
    other.disconnected();
    other.acknowledge(3 * SECOND_NS, number.expect("it is linked"));
    (4..20).for_each(|second| other.tick(second * SECOND_NS));
    other.connected(20 * SECOND_NS, 1 << 20);
    // The publisher's broker is not there yet.
    other.take_actions();
    other.tick(22 * SECOND_NS);
    pass(22 * SECOND_NS, &mut other, &mut one, |_| false);
    assert!(one.take_actions().contains(&Action::Acknowledged([5; 16])));
}
