//! Publishing, subscribing, acknowledging, restarts.

use ens::client::ClientEvent;

use crate::talk::{Site, options};

const STORE: &str = "enp://127.0.0.1/store";

#[test]
fn events_go_to_all_whose_patterns_match_once_and_in_order() {
    let site = Site::new();
    // On both shards, as the kernel spreads connections by chance.
    let everything: Vec<_> = (0..8).map(|_| site.client(false)).collect();
    for client in &everything {
        client.subscribe(STORE);
        client.subscribe("enp://127.0.0.1/*");
    }
    let some = site.client(false);
    some.subscribe("enp://127.0.0.1/store?mailboxName=fred&evtType=NewMsg");
    let publisher = site.client(false);
    for number in 0..500 {
        let user = if number % 2 == 0 { "fred" } else { "mary" };
        let event = format!("{STORE}?evtType=NewMsg&number={number}&mailboxName={user}");
        publisher.publish(&event, "text");
    }
    for client in &everything {
        for number in 0..500 {
            let (event, payload) = client.event();
            assert!(
                event.contains(&format!("&number={number}&")),
                "{event}, not {number}"
            );
            assert_eq!(payload, "text");
        }
        client.nothing();
    }
    for number in (0..500).step_by(2) {
        assert!(some.event().0.contains(&format!("&number={number}&")));
    }
    some.nothing();
}

#[test]
fn unsubscribed_is_over() {
    let site = Site::new();
    let client = site.client(false);
    let id = client.subscribe(STORE);
    client.publish(STORE, "one");
    // Its own event comes before or after the answer.
    let got = client.event();
    assert_eq!(got, (STORE.into(), "one".into()));
    client.connection.unsubscribe(id);
    assert_eq!(client.next(), ClientEvent::Unsubscribed(id));
    client.publish(STORE, "two");
    client.nothing();
}

#[test]
fn a_publisher_hears_from_the_end_of_its_link() {
    let site = Site::new();
    let (publisher, subscriber) = (site.client(false), site.client(false));
    subscriber.subscribe(STORE);
    let id = publisher
        .connection
        .publish(STORE, b"", b"link", true)
        .unwrap();
    assert_eq!(publisher.next(), ClientEvent::Accepted(id));
    let ClientEvent::Notified {
        receipt: Some((receipt, link)),
        ..
    } = subscriber.next()
    else {
        panic!("no receipt");
    };
    assert_eq!(&link[..], b"link");
    publisher.nothing();
    subscriber.connection.acknowledge(receipt);
    assert_eq!(publisher.next(), ClientEvent::Acknowledged(id));
    // Made up.
    subscriber.connection.acknowledge([7; 16]);
    publisher.nothing();
}

#[test]
fn clients_come_back_after_a_restart_and_subscribe_again() {
    let mut site = Site::new();
    let port = site.address.port();
    let client = site.client(true);
    let id = client.subscribe(STORE);
    site.stop();
    assert!(matches!(client.next(), ClientEvent::Over(_)));
    let site = Site::with(&options(port));
    loop {
        match client.next() {
            ClientEvent::Subscribed(again) if again == id => break,
            ClientEvent::Welcome | ClientEvent::Over(_) => {}
            news => panic!("{news:?}"),
        }
    }
    site.client(false).publish(STORE, "after");
    assert_eq!(client.event().1, "after");
}

#[test]
fn payloads_up_to_a_mebibyte_and_no_larger() {
    let site = Site::new();
    let (publisher, subscriber) = (site.client(false), site.client(false));
    subscriber.subscribe(STORE);
    let large = "x".repeat(1 << 20);
    publisher.publish(STORE, &large);
    assert_eq!(subscriber.event().1, large);
    assert!(
        publisher
            .connection
            .publish(STORE, &vec![0; (1 << 20) + 1], b"", false)
            .is_err()
    );
    assert!(
        publisher
            .connection
            .publish("store", b"", b"", false)
            .is_err()
    );
}

#[test]
fn the_service_bus_says_that_the_broker_runs() {
    let site = Site::new();
    let client = site.client(false);
    client.subscribe("servbus:///service/ens");
    let running = format!(
        "servbus:///service/ens&pid={}&state=running",
        std::process::id()
    );
    assert_eq!(client.event().0, running);
    site.client(false).publish("servbus:///monitor/ens", "");
    assert_eq!(client.event().0, running);
}
