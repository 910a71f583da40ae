use super::*;

const ORIGIN: u64 = 7;
const BUCKET: u16 = 3;

fn header(age_ns: u64) -> Header {
    Header {
        origin: ORIGIN,
        age_ns,
        order: 0,
    }
}

fn events(numbers: std::ops::Range<u64>) -> Vec<Crossing> {
    let event = |number: u64| Crossing {
        event: format!("enp://h/{number}").into(),
        payload: bytes::Bytes::new(),
        link: None,
    };
    numbers.map(event).collect()
}

/// What comes of events with these numbers.
fn batch(incoming: &mut Incoming, now_ns: u64, numbers: std::ops::Range<u64>) -> Vec<String> {
    let mut heard = vec![];
    incoming.note(now_ns, header(now_ns));
    let (first, events) = (numbers.start, events(numbers));
    incoming.batch(now_ns, ORIGIN, BUCKET, first, events, &mut heard);
    words(&heard)
}

fn digest(incoming: &mut Incoming, now_ns: u64, number: u64, last: u64) {
    incoming.note(now_ns, header(now_ns));
    let buckets = [(BUCKET, last)];
    let mut heard = vec![];
    incoming.digest(now_ns, ORIGIN, (number, false), &buckets, &mut heard);
    assert_eq!(heard, []);
}

fn tick(incoming: &mut Incoming, now_ns: u64) -> Vec<String> {
    let mut heard = vec![];
    incoming.tick(now_ns, true, &mut heard);
    words(&heard)
}

fn words(heard: &[Heard]) -> Vec<String> {
    let word = |heard: &Heard| match heard {
        Heard::Event(BUCKET, event) => {
            let text = std::str::from_utf8(&event.event).expect("text");
            text.trim_start_matches("enp://h/").to_owned()
        }
        Heard::Missed(BUCKET, Missed::AtMost(events)) => format!("-{events}"),
        Heard::Missed(BUCKET, Missed::Unknown) => "-?".to_owned(),
        Heard::PoolsMissed => "pools".to_owned(),
        heard => panic!("{heard:?}"),
    };
    heard.iter().map(word).collect()
}

/// Wanted from so many nanoseconds on.
fn wanting(since_ns: u64) -> Incoming {
    let mut incoming = Incoming::new(0);
    let mut wanted = Wanted::none();
    wanted.add(BUCKET);
    incoming.want(since_ns, &wanted);
    incoming
}

#[test]
fn gaps_are_counted_and_nothing_is_heard_twice() {
    let mut incoming = wanting(SECOND_NS);
    // What was before is nothing that was wanted.
    assert_eq!(batch(&mut incoming, 2 * SECOND_NS, 10..12), ["10", "11"]);
    assert_eq!(batch(&mut incoming, 2 * SECOND_NS, 10..12), [""; 0]);
    assert_eq!(batch(&mut incoming, 2 * SECOND_NS, 15..16), ["-3", "15"]);
    assert_eq!(batch(&mut incoming, 2 * SECOND_NS, 12..18), ["16", "17"]);
}

#[test]
fn the_end_of_a_stream_that_was_lost_is_told_by_the_next_digest_but_not_before_it_may_come() {
    let mut incoming = wanting(SECOND_NS);
    batch(&mut incoming, 2 * SECOND_NS, 10..12);
    digest(&mut incoming, 3 * SECOND_NS, 1, 14);
    assert_eq!(tick(&mut incoming, 3 * SECOND_NS + 1), [""; 0]);
    assert_eq!(
        batch(&mut incoming, 3 * SECOND_NS + 2, 12..14),
        ["12", "13"]
    );
    assert_eq!(tick(&mut incoming, 3 * SECOND_NS + LATE_NS), ["-1"]);
    assert_eq!(batch(&mut incoming, 5 * SECOND_NS, 14..16), ["15"]);
}

#[test]
fn of_an_origin_that_began_later_than_the_subscription_everything_is_wanted() {
    let mut incoming = wanting(SECOND_NS);
    let mut heard = vec![];
    incoming.note(60 * SECOND_NS, header(10 * SECOND_NS));
    incoming.batch(60 * SECOND_NS, ORIGIN, BUCKET, 5, events(5..6), &mut heard);
    assert_eq!(words(&heard), ["-4", "5"]);
}

#[test]
fn what_an_origin_said_before_it_could_be_heard_is_unknown() {
    let mut incoming = wanting(SECOND_NS);
    assert_eq!(batch(&mut incoming, 60 * SECOND_NS, 5..6), ["-?", "5"]);
    let mut incoming = wanting(SECOND_NS);
    digest(&mut incoming, 60 * SECOND_NS, 1, 0);
    assert_eq!(tick(&mut incoming, 61 * SECOND_NS), [""; 0], "nothing");
    assert_eq!(batch(&mut incoming, 62 * SECOND_NS, 2..3), ["-1", "2"]);
}

#[test]
fn silence_is_told_once_and_who_comes_back_is_counted_from_where_it_was() {
    let mut incoming = wanting(SECOND_NS);
    batch(&mut incoming, 2 * SECOND_NS, 10..12);
    assert_eq!(tick(&mut incoming, 11 * SECOND_NS), [""; 0]);
    assert_eq!(tick(&mut incoming, 12 * SECOND_NS), ["-?", "pools"]);
    assert_eq!(tick(&mut incoming, 30 * SECOND_NS), [""; 0]);
    assert_eq!(incoming.count(), 0);
    assert_eq!(batch(&mut incoming, 40 * SECOND_NS, 14..15), ["-2", "14"]);
    assert_eq!(incoming.count(), 1);
}

#[test]
fn who_says_that_it_ends_is_not_missed_but_what_it_has_said_is() {
    let mut incoming = wanting(SECOND_NS);
    batch(&mut incoming, 2 * SECOND_NS, 10..12);
    let mut heard = vec![];
    incoming.digest(
        3 * SECOND_NS,
        ORIGIN,
        (1, true),
        &[(BUCKET, 13)],
        &mut heard,
    );
    assert_eq!(tick(&mut incoming, 4 * SECOND_NS), ["-2"]);
    assert_eq!(tick(&mut incoming, 60 * SECOND_NS), [""; 0]);
}

#[test]
fn time_without_a_connection_is_nobody_s_silence() {
    let mut incoming = wanting(SECOND_NS);
    batch(&mut incoming, 2 * SECOND_NS, 10..12);
    let mut heard = vec![];
    incoming.tick(60 * SECOND_NS, false, &mut heard);
    incoming.connected(60 * SECOND_NS);
    incoming.tick(69 * SECOND_NS, true, &mut heard);
    assert_eq!(heard, []);
    assert_eq!(tick(&mut incoming, 70 * SECOND_NS), ["-?", "pools"]);
}

#[test]
fn a_bucket_that_is_wanted_again_begins_again() {
    let mut incoming = wanting(SECOND_NS);
    batch(&mut incoming, 2 * SECOND_NS, 10..12);
    digest(&mut incoming, 3 * SECOND_NS, 1, 13);
    incoming.want(3 * SECOND_NS + 1, &Wanted::none());
    let mut wanted = Wanted::none();
    wanted.add(BUCKET);
    incoming.want(3 * SECOND_NS + 2, &wanted);
    assert_eq!(tick(&mut incoming, 4 * SECOND_NS), [""; 0]);
    assert_eq!(batch(&mut incoming, 5 * SECOND_NS, 20..21), ["20"]);
}

#[test]
fn a_gap_among_digests_may_concern_pools() {
    let mut incoming = wanting(SECOND_NS);
    digest(&mut incoming, 2 * SECOND_NS, 1, 0);
    let mut heard = vec![];
    incoming.digest(3 * SECOND_NS, ORIGIN, (3, false), &[], &mut heard);
    assert_eq!(words(&heard), ["pools"]);
}
