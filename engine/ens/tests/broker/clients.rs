//! Publishing, subscribing, acknowledging, restarts.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ens::client::{Address, ClientEvent, Connection, OpenError, Options};
use ens::frame::{Frame, decode};

use crate::talk::{PATIENCE, Site, options};

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

/// A broker that greets whoever comes and then says something.
fn greet(listener: &TcpListener, then: &[u8]) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut said = Vec::new();
    while !matches!(decode(&said), Ok(Some((Frame::Hello { .. }, _)))) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        said.extend(byte);
    }
    let welcome = Frame::Welcome {
        version: 1,
        payload_max: 1 << 20,
        keepalive_s: 0,
        scope: None,
        name: "another",
    };
    let _ = stream.write_all(&[&welcome.to_bytes(), then].concat());
    stream
}

#[test]
fn after_a_broker_that_talks_nonsense_a_client_waits_and_begins_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
    let event = Frame::Notify {
        subscription: 0,
        away: false,
        receipt: None,
        event: STORE,
        payload: b"whole",
    }
    .to_bytes();
    let broker = thread::spawn(move || {
        // The beginning of an event, and a frame longer than any may be.
        let (begun, nonsense) = (&event[..event.len() - 1], [0xFF; 64]);
        let at = Instant::now();
        for then in [&nonsense[..], begun, &nonsense, begun, &nonsense] {
            let mut stream = greet(&listener, then);
            // It is the client that breaks off when it hears nonsense.
            if then == nonsense {
                let _ = stream.read_to_end(&mut Vec::new());
            }
        }
        let took = at.elapsed();
        let stream = greet(&listener, &event);
        (took, stream)
    });
    let (sender, news) = mpsc::channel();
    let options = Options {
        reconnect: true,
        ..Options::default()
    };
    let on_news = move |_: &Connection, one| drop(sender.send(one));
    let client = Connection::open(address, options, on_news).unwrap();
    while client.subscribe(STORE).is_err() {
        thread::sleep(Duration::from_millis(1));
    }
    let mut seen = (0, 0);
    loop {
        match news.recv_timeout(PATIENCE).unwrap() {
            ClientEvent::Welcome => seen.0 += 1,
            ClientEvent::Over(_) => seen.1 += 1,
            ClientEvent::Notified { payload, .. } => {
                assert_eq!(&payload[..], b"whole");
                break;
            }
            one => panic!("{one:?}"),
        }
    }
    assert_eq!(seen, (6, 5));
    // 25, 50, 100 and 200 ms at least, and no upper bound on a busy machine.
    let (took, _stream) = broker.join().unwrap();
    assert!(took >= Duration::from_millis(375), "{took:?}");
}

#[test]
fn a_broker_that_says_nothing_is_not_waited_for_without_end() {
    // Whoever connects is let in by the system, and nobody ever speaks.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
    let (done, outcome) = mpsc::channel();
    let opener = thread::Builder::new();
    let opener = opener.spawn(move || {
        let opened = Connection::open(address, Options::default(), |_, _| {});
        done.send(opened.map(drop)).unwrap();
    });
    let opened = outcome.recv_timeout(PATIENCE).expect("it gives up");
    assert!(
        matches!(opened, Err(OpenError::NotGreeted(..))),
        "{opened:?}"
    );
    opener.unwrap().join().unwrap();
}
