//! A broker of a site that is upgraded says goodbye to the others.

use std::io::BufRead;
use std::time::{Duration, Instant};

use ens::client::ClientEvent;
use ens::site;

use crate::nats_servers::Cluster;
use crate::programs::enpd;
use crate::site::until;
use crate::talk::{Site, options};

/// Much less than it takes others to think that a silent broker has failed.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn an_upgrade_is_no_loss_to_the_other_brokers() {
    let cluster = Cluster::new(1);
    let site = site::Options {
        urls: vec![cluster.url(0)],
        site: "test".into(),
        credentials: None,
        ca: None,
        waiting_bytes_max: 1 << 20,
    };
    let mut here = options(0);
    here.site = Some(site.read().unwrap());
    let here = Site::with(&here);
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
