//! Brokers that start at a site, or can't join it.

use std::time::{Duration, Instant};

use ens::site;

use crate::nats_servers::Cluster;
use crate::site::{broker, join, joining, meet};
use crate::talk::Site;

#[test]
fn what_a_broker_publishes_right_after_its_start_reaches_pools_of_other_hosts() {
    let cluster = Cluster::new(1);
    let there = broker(vec![cluster.url(0)]);
    let member = there.client(false);
    member.subscribe("enp+pool://h/pool");
    for round in 0..5 {
        let comes = broker(vec![cluster.url(0)]);
        let publisher = comes.client(false);
        publisher.publish("enp://h/pool", &round.to_string());
        assert_eq!(member.event().1, round.to_string());
    }
}

#[test]
fn a_broker_whose_bus_is_away_serves_its_host_at_once() {
    let cluster = Cluster::down(1);
    let begun = Instant::now();
    let alone = broker(vec![cluster.url(0)]);
    let (publisher, subscriber) = (alone.client(false), alone.client(false));
    subscriber.subscribe("enp://h/x");
    publisher.publish("enp://h/x", "here");
    assert_eq!(subscriber.event().1, "here");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_server_that_takes_too_little_is_none_and_the_host_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nats.conf");
    std::fs::write(&file, "max_payload: 4096\n").unwrap();
    let cluster = Cluster::alone_with(&["-c", file.to_str().unwrap()]);
    let brokers = [(); 2].map(|()| broker(vec![cluster.url(0)]));
    let is_connected = |site: &Site| site.broker.as_ref().unwrap().site().unwrap().is_connected();
    std::thread::sleep(Duration::from_millis(500));
    assert!(!brokers.iter().any(is_connected));
    let (publisher, subscriber) = (brokers[0].client(false), brokers[0].client(false));
    subscriber.subscribe("enp://h/x");
    publisher.publish("enp://h/x", "here");
    assert_eq!(subscriber.event().1, "here");
}

#[test]
fn events_of_all_sizes_cross_if_the_servers_take_so_much() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nats.conf");
    std::fs::write(&file, "max_payload: 1114112\n").unwrap();
    let cluster = Cluster::alone_with(&["-c", file.to_str().unwrap()]);
    let brokers = [(); 2].map(|()| broker(vec![cluster.url(0)]));
    meet(&[&brokers[0], &brokers[1]]);
    let (publisher, subscriber) = (brokers[0].client(false), brokers[1].client(false));
    let name = "enp://h/x?a=".to_owned() + &"b".repeat(8000);
    subscriber.subscribe("enp://h/x");
    join(&publisher, &subscriber, "enp://h/x");
    let payload = "x".repeat(1 << 20);
    publisher.publish(&name, &payload);
    assert_eq!(subscriber.event(), (name, payload));
}

#[test]
fn what_can_t_be_joined_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let good = joining(vec!["nats://h:4222".into()]);
    let refused = |change: &dyn Fn(&mut site::Options)| {
        let mut options = good.clone();
        change(&mut options);
        options.read().expect_err("it is refused")
    };
    let of_url = |url: &str| refused(&|options| options.urls = vec![url.to_owned()]);
    let of_site = |name: &str| refused(&|options| options.site = name.to_owned());
    assert!(good.read().is_ok());
    for url in ["http://h", "nats://", "nats://h:port"] {
        assert!(of_url(url).contains("no address of a NATS server"));
    }
    assert!(of_url("nats://ens:secret@h").contains("has a user"));
    for name in ["", "a.b", "a*", ">", "a b", "é", &"x".repeat(65)] {
        assert!(of_site(name).contains("A-Z a-z 0-9 - _"), "{name}");
    }
    let missing = folder.path().join("missing");
    let said = refused(&|options| options.credentials = Some(missing.clone()));
    assert!(said.contains("missing (ens.nats.credentials"), "{said}");
    let said = refused(&|options| options.credentials = file("seed", "SUABCDEF\n"));
    assert!(said.contains("no nkey's seed"), "{said}");
    let said = refused(&|options| options.ca = Some(missing.clone()));
    assert!(said.contains("missing (ens.nats.ca"), "{said}");
}
