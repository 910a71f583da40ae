//! Brokers that are one site over a cluster of NATS servers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ens::client::ClientEvent;
use ens::{server, site};

use crate::nats_servers::Cluster;
use crate::talk::{Client, PATIENCE, Site, options};

/// How a broker joins the site at these servers.
pub fn joining(urls: Vec<String>) -> site::Options {
    site::Options {
        urls,
        site: "test".into(),
        credentials: None,
        ca: None,
        certificate: None,
        waiting_bytes_max: 1 << 20,
    }
}

/// Options of a broker that joins so.
pub fn options_of(site: &site::Options) -> server::Options {
    let mut options = options(0);
    options.site = Some(site.read().unwrap());
    options
}

/// A broker that joins the site at these servers.
pub fn broker(urls: Vec<String>) -> Site {
    Site::with(&options_of(&joining(urls)))
}

/// Waits until a condition holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until each of them knows all others.
pub fn meet(brokers: &[&Site]) {
    for broker in brokers {
        let counters = broker.broker.as_ref().unwrap().site().unwrap().clone();
        let others = brokers.len() as u64 - 1;
        until("they don't meet", || {
            counters.is_connected() && counters.brokers() == others
        });
    }
}

/// Publishes a probe until the other hears it: what was subscribed to is known everywhere.
pub fn join(publisher: &Client, subscriber: &Client, event: &str) {
    until("the subscription is unknown", || {
        publisher.publish(event, "probe");
        subscriber
            .news
            .recv_timeout(Duration::from_millis(50))
            .is_ok()
    });
    while subscriber
        .news
        .recv_timeout(Duration::from_millis(200))
        .is_ok()
    {}
}

#[test]
fn what_is_published_at_one_broker_is_heard_at_others_once_and_in_order() {
    let cluster = Cluster::new(3);
    let brokers: Vec<Site> = (0..3).map(|at| broker(vec![cluster.url(at)])).collect();
    meet(&brokers.iter().collect::<Vec<_>>());
    let publisher = brokers[0].client(false);
    let (near, exact, deep) = (
        brokers[0].client(false),
        brokers[1].client(false),
        brokers[2].client(false),
    );
    near.subscribe("enp://h/a/x");
    exact.subscribe("enp://h/a/x?k=1");
    deep.subscribe("enp://h/*");
    join(&publisher, &exact, "enp://h/a/x?k=1");
    join(&publisher, &deep, "enp://h/b");
    while near.news.recv_timeout(Duration::from_millis(100)).is_ok() {}
    for number in 0..200 {
        let k = number % 2;
        publisher.publish(&format!("enp://h/a/x?k={k}"), &number.to_string());
        publisher.publish("enp://h/other", &number.to_string());
    }
    for number in 0..200 {
        let text = number.to_string();
        assert_eq!(near.event().1, text);
        assert_eq!(
            deep.event(),
            (format!("enp://h/a/x?k={}", number % 2), text.clone())
        );
        assert_eq!(deep.event(), ("enp://h/other".into(), text.clone()));
        if number % 2 == 1 {
            assert_eq!(exact.event().1, text);
        }
    }
    [near, exact, deep].iter().for_each(Client::nothing);
}

#[test]
fn each_event_goes_to_one_member_of_a_pool_wherever_it_is() {
    let cluster = Cluster::new(1);
    let (one, other) = (broker(vec![cluster.url(0)]), broker(vec![cluster.url(0)]));
    meet(&[&one, &other]);
    let (here, there) = (one.client(false), other.client(false));
    here.subscribe("enp+pool.p://h/work");
    there.subscribe("enp+pool.p://h/work");
    let publisher = one.client(false);
    // Until a member on the other host has its turn.
    join(&publisher, &there, "enp://h/work");
    while here.news.recv_timeout(Duration::from_millis(200)).is_ok() {}
    for number in 0..100 {
        publisher.publish("enp://h/work", &number.to_string());
    }
    let mut seen = BTreeMap::new();
    let take = |client: &Client, seen: &mut BTreeMap<String, u32>| {
        let mut count = 0;
        while let Ok(news) = client.news.recv_timeout(Duration::from_millis(300)) {
            let ClientEvent::Notified { payload, .. } = news else {
                panic!("{news:?}");
            };
            let text = String::from_utf8(payload.to_vec()).unwrap();
            *seen.entry(text).or_default() += 1;
            count += 1;
        }
        count
    };
    let counts = [take(&here, &mut seen), take(&there, &mut seen)];
    assert_eq!(counts, [50, 50]);
    assert!(seen.len() == 100 && seen.values().all(|times| *times == 1));
    // A member that has left is nobody's loss.
    drop(here);
    until("the pool has one member", || {
        publisher.publish("enp://h/work", "to the other");
        there.event().1 == "to the other"
    });
}

#[test]
fn an_acknowledgement_crosses() {
    let cluster = Cluster::new(2);
    let (one, other) = (broker(vec![cluster.url(0)]), broker(vec![cluster.url(1)]));
    meet(&[&one, &other]);
    let (publisher, subscriber) = (one.client(false), other.client(false));
    subscriber.subscribe("enp://h/linked");
    join(&publisher, &subscriber, "enp://h/linked");
    let connection = &publisher.connection;
    let id = connection
        .publish("enp://h/linked", b"x", b"link", true)
        .unwrap();
    assert_eq!(publisher.next(), ClientEvent::Accepted(id));
    let ClientEvent::Notified { receipt, .. } = subscriber.next() else {
        panic!("no event");
    };
    let (receipt, name) = receipt.unwrap();
    assert_eq!(&name[..], b"link");
    subscriber.connection.acknowledge(receipt);
    assert_eq!(publisher.next(), ClientEvent::Acknowledged(id));
    publisher.nothing();
}

#[test]
fn a_server_that_is_killed_costs_three_seconds_and_every_loss_is_told() {
    let mut cluster = Cluster::new(3);
    let one = broker(cluster.urls_from(0));
    let other = broker(vec![cluster.url(1)]);
    meet(&[&one, &other]);
    let (publisher, subscriber) = (other.client(false), one.client(false));
    subscriber.subscribe("enp://h/x");
    join(&publisher, &subscriber, "enp://h/x");
    // Both ways: what the first publishes crosses the server that is killed, too.
    let back = other.client(false);
    back.subscribe("enp://h/back");
    let backward = one.client(false);
    join(&backward, &back, "enp://h/back");
    let counters = one.broker.as_ref().unwrap().site().unwrap().clone();
    let mut published = 0;
    let mut publish = |milliseconds: u64| {
        for _ in 0..milliseconds / 5 {
            publisher.publish("enp://h/x", "x");
            backward.publish("enp://h/back", "x");
            published += 1;
            std::thread::sleep(Duration::from_millis(5));
        }
        published
    };
    publish(500);
    // Whichever server it has chosen, one of the three that it may use is left.
    cluster.kill(0);
    let killed = Instant::now();
    publish(1000);
    cluster.kill(2);
    until("it doesn't come back", || counters.is_connected());
    let mut published = publish(500);
    assert!(killed.elapsed() < Duration::from_secs(15));
    std::thread::sleep(Duration::from_secs(2));
    for client in [&subscriber, &back] {
        let (mut heard, mut missed) = (0, 0);
        while let Ok(news) = client.news.recv_timeout(Duration::from_millis(300)) {
            match news {
                ClientEvent::Notified { .. } => heard += 1,
                ClientEvent::Lagged(events) => missed += events,
                news => panic!("{news:?}"),
            }
        }
        assert_eq!(heard + missed, published, "{heard} heard, {missed} missed");
        assert!(heard > published / 2);
    }
    // And goes on.
    published += 1;
    let alive = Instant::now();
    publisher.publish("enp://h/x", &published.to_string());
    assert_eq!(subscriber.event().1, published.to_string());
    assert!(alive.elapsed() < Duration::from_secs(10));
}

#[test]
fn without_the_bus_this_host_goes_on_and_joins_when_it_comes() {
    let mut cluster = Cluster::down(1);
    let (one, other) = (broker(vec![cluster.url(0)]), broker(vec![cluster.url(0)]));
    let (publisher, near, far) = (one.client(false), one.client(false), other.client(false));
    near.subscribe("enp://h/x");
    far.subscribe("enp://h/x");
    let member = one.client(false);
    member.subscribe("enp+pool://h/x");
    for number in 0..10 {
        publisher.publish("enp://h/x", &number.to_string());
        assert_eq!(near.event().1, number.to_string());
        assert_eq!(member.event().1, number.to_string());
    }
    far.nothing();
    cluster.start(0);
    meet(&[&one, &other]);
    join(&publisher, &far, "enp://h/x");
}
