//! A broker of a site that is upgraded, or ends, says goodbye to the others.

use std::io::{BufRead, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ens::client::ClientEvent;
use ens::frame::{Frame, VERSION};

use crate::nats_servers::Cluster;
use crate::programs::enpd;
use crate::site::{broker, join, meet, until};
use crate::talk::Client;

/// Much less than it takes others to think that a silent broker has failed.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn an_upgrade_is_no_loss_to_the_other_brokers() {
    let cluster = Cluster::new(1);
    let here = broker(vec![cluster.url(0)]);
    let subscriber = here.client(false);
    subscriber.subscribe("enp://h/*");
    let counters = here.broker.as_ref().unwrap().site().unwrap().clone();

    let folder = tempfile::tempdir().unwrap();
    let control = folder.path().join("control");
    let control = ["--control", control.to_str().unwrap(), "--port", "0"];
    let socket = folder.path().join("ens");
    let socket = ["--socket", socket.to_str().unwrap()];
    let url = cluster.url(0);
    let there = ["--nats", &url, "--nats-site", "test"];
    let arguments = [&control[..], &socket, &there].concat();
    let (mut first, _said) = enpd(&arguments);
    until("the other does not come", || counters.brokers() == 1);
    let (mut second, mut said) = enpd(&[&arguments[..], &["--take-over"]].concat());
    let mut line = String::new();
    while !line.contains("taken over") {
        line.clear();
        assert_ne!(
            said.read_line(&mut line).unwrap(),
            0,
            "it did not take over"
        );
    }
    let taken = Instant::now();
    assert!(first.wait().unwrap().success());
    until("the predecessor is still thought to be there", || {
        counters.brokers() == 1
    });
    assert!(taken.elapsed() < TOLD_WITHIN, "{:?}", taken.elapsed());
    // It was known to be gone, and nothing of it is missed.
    let unexpected = |news: &ClientEvent| !matches!(news, ClientEvent::Notified { .. });
    std::thread::sleep(Duration::from_millis(500));
    let heard: Vec<_> = subscriber.news.try_iter().filter(unexpected).collect();
    assert!(heard.is_empty(), "{heard:?}");
    assert_eq!((counters.missed(), counters.unknown()), (0, 0));
    assert_eq!(counters.brokers(), 1, "the successor is there");
    second.kill().unwrap();
    second.wait().unwrap();
}

/// Texts of the events that a member of a pool has heard, and what it was told of losses.
fn heard(member: &Client) -> (Vec<String>, Vec<ClientEvent>) {
    let (mut heard, mut lost) = (vec![], vec![]);
    while let Ok(news) = member.news.recv_timeout(Duration::from_secs(1)) {
        match news {
            ClientEvent::Notified { payload, .. } => {
                heard.push(String::from_utf8(payload.to_vec()).unwrap());
            }
            ClientEvent::Missed | ClientEvent::Lagged(_) => lost.push(news),
            _ => {}
        }
    }
    (heard, lost)
}

/// How many events these losses may be.
fn at_most(lost: &[ClientEvent]) -> u64 {
    let each = lost.iter().map(|news| match news {
        ClientEvent::Lagged(events) => *events,
        _ => u64::MAX,
    });
    each.fold(0, u64::saturating_add)
}

#[test]
fn a_broker_that_ends_loses_no_event_of_a_pool() {
    let cluster = Cluster::new(1);
    for round in 0..5 {
        let one = broker(vec![cluster.url(0)]);
        let mut other = broker(vec![cluster.url(0)]);
        meet(&[&one, &other]);
        let (here, there) = (one.client(false), other.client(false));
        for member in [&here, &there] {
            member.subscribe("enp+pool.p://h/work");
        }
        let publisher = one.client(false);
        join(&publisher, &there, "enp://h/work");
        while here.news.recv_timeout(Duration::from_millis(200)).is_ok() {}
        let counters = [&one, &other].map(|site| {
            let broker = site.broker.as_ref().unwrap();
            (broker.site().unwrap().clone(), broker.stats().clone())
        });
        let ends = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            other.stop();
        });
        let published: Vec<String> = (0..2000).map(|number| number.to_string()).collect();
        for number in &published {
            publisher.publish("enp://h/work", number);
        }
        ends.join().unwrap();
        let (mut all, mut lost) = heard(&here);
        let (events, lost_there) = heard(&there);
        let last = (events.len(), events.last().cloned());
        let counted = counters.map(|(site, stats)| (site.figures(), stats.dropped()));
        all.extend(events);
        lost.extend(lost_there);
        all.sort_by_key(|number| number.parse::<u32>().unwrap());
        let missing: Vec<_> = published.iter().filter(|it| !all.contains(it)).collect();
        let told = format!("told {lost:?}, of those there {last:?}; {counted:?}");
        let is_told = missing.len() as u64 <= at_most(&lost);
        assert!(is_told, "round {round}: {missing:?}, {told}");
        assert_eq!(
            all.len() + missing.len(),
            published.len(),
            "round {round}: some came twice"
        );
        if !missing.is_empty() || !lost.is_empty() {
            println!("round {round}: {missing:?}, {told}");
        }
    }
}

#[test]
fn what_a_member_has_not_taken_when_its_broker_ends_is_told_as_lost() {
    let cluster = Cluster::new(1);
    let one = broker(vec![cluster.url(0)]);
    let mut other = broker(vec![cluster.url(0)]);
    meet(&[&one, &other]);
    let here = one.client(false);
    here.subscribe("enp+pool.p://h/work");
    // It reads nothing, ever.
    let mut deaf = TcpStream::connect(other.address).unwrap();
    let frames = [
        Frame::Hello {
            version: VERSION,
            name: "deaf",
        },
        Frame::Subscribe {
            id: 1,
            scope: None,
            pattern: "enp+pool.p://h/work",
        },
    ];
    for frame in frames {
        deaf.write_all(&frame.to_bytes()).unwrap();
    }
    let subscriptions = || other.broker.as_ref().unwrap().subscriptions().0;
    until("it does not subscribe", || subscriptions() == 1);
    let publisher = one.client(false);
    // More than the kernel takes for it.
    let payload = "x".repeat(60_000);
    let bytes = || other.broker.as_ref().unwrap().stats().dropped();
    until("nothing is too much for it", || {
        publisher.publish("enp://h/work", &payload);
        bytes() > 0
    });
    let told = |news: ClientEvent| matches!(news, ClientEvent::Missed | ClientEvent::Lagged(_));
    assert!(!here.news.try_iter().any(told), "before it was lost");
    other.stop();
    until("nobody is told", || here.news.try_iter().any(told));
}
