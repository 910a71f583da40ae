//! A NATS server that is faster than a broker.

use std::time::Duration;

use ens::client::ClientEvent;
use ens::site;

use crate::nats_servers::Cluster;
use crate::site::{join, joining, meet, options_of, until};
use crate::talk::Site;

/// A broker that lets so many bytes wait.
fn broker(url: String, waiting_bytes_max: usize) -> Site {
    let site = site::Options {
        waiting_bytes_max,
        ..joining(vec![url])
    };
    let mut options = options_of(&site);
    // Its own subscribers are not what is slow.
    options.pending_bytes_max = 64 << 20;
    Site::with(&options)
}

#[test]
fn what_comes_too_fast_is_told_as_lagged_to_the_last_event() {
    const COUNT: u64 = 4000;
    let cluster = Cluster::new(1);
    let (fast, slow) = (
        broker(cluster.url(0), 64 << 20),
        broker(cluster.url(0), 64 << 10),
    );
    meet(&[&fast, &slow]);
    let (publisher, subscriber) = (fast.client(false), slow.client(false));
    subscriber.subscribe("enp://h/x");
    let member = slow.client(false);
    member.subscribe("enp+pool://h/y");
    join(&publisher, &subscriber, "enp://h/x");
    join(&publisher, &member, "enp://h/y");
    let payload = vec![b'x'; 16 * 1024];
    let events = (0..COUNT).map(|_| ("enp://h/x", &payload[..]));
    publisher.connection.publish_all(events).unwrap();
    let (mut heard, mut missed) = (0, 0);
    while heard + missed < COUNT {
        match subscriber.next() {
            ClientEvent::Notified { .. } => heard += 1,
            ClientEvent::Lagged(events) => missed += events,
            news => panic!("{news:?} after {heard} and {missed}"),
        }
    }
    assert_eq!(heard + missed, COUNT, "{heard} heard, {missed} missed");
    assert!(missed > 0, "it was no faster");
    let counters = slow.broker.as_ref().unwrap().site().unwrap();
    until("they are not counted", || {
        counters.crowded() + counters.missed() >= missed
    });
    // It goes on, with pools too.
    subscriber.nothing();
    publisher.publish("enp://h/x", "after");
    assert_eq!(subscriber.event().1, "after");
    while member.news.recv_timeout(Duration::from_millis(100)).is_ok() {}
    publisher.publish("enp://h/y", "after");
    assert_eq!(member.event().1, "after");
}

#[test]
fn what_fits_into_the_bounds_is_heard_whole_however_fast_it_comes() {
    // More than a shard's queue takes, which the bus's thread fills in less than a turn.
    const COUNT: usize = 40_000;
    let cluster = Cluster::new(1);
    let [here, there] = [(); 2].map(|()| broker(cluster.url(0), 64 << 20));
    meet(&[&here, &there]);
    let (publisher, subscriber) = (here.client(false), there.client(false));
    subscriber.subscribe("enp://h/x");
    join(&publisher, &subscriber, "enp://h/x");
    for round in 0..3 {
        let numbers: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
        let events = numbers.iter().map(|it| ("enp://h/x", it.as_bytes()));
        publisher.connection.publish_all(events).unwrap();
        for number in &numbers {
            match subscriber.next() {
                ClientEvent::Notified { payload, .. } => {
                    assert_eq!(payload, number.as_bytes(), "round {round}");
                }
                news => panic!("round {round}, {news:?} in the place of {number}"),
            }
        }
    }
    let counters = there.broker.as_ref().unwrap().site().unwrap();
    assert_eq!((counters.crowded(), counters.missed()), (0, 0));
}
