//! Clients that lie, send garbage, stop reading, or come in thousands.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ens::access::Access;
use ens::broker::BrokerConfig;
use ens::client::ClientEvent;
use ens::frame::{Frame, decode};

use crate::talk::{PATIENCE, Site, options};

const STORE: &str = "enp://127.0.0.1/store";

fn stranger(site: &Site) -> TcpStream {
    let stream = TcpStream::connect(site.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that comes until the broker closes.
fn last_words(mut stream: TcpStream) -> Vec<u8> {
    let mut said = vec![];
    let _ = stream.read_to_end(&mut said);
    said
}

fn ends_in_bye(said: &[u8]) -> bool {
    let mut rest = said;
    let mut bye = false;
    while let Ok(Some((frame, taken))) = decode(rest) {
        bye = matches!(frame, Frame::Bye { .. });
        rest = &rest[taken..];
    }
    bye
}

fn hello() -> Vec<u8> {
    Frame::Hello {
        version: 1,
        name: "stranger",
    }
    .to_bytes()
    .to_vec()
}

#[test]
fn garbage_and_lies_are_answered_and_closed_and_disturb_nobody() {
    let site = Site::new();
    let (publisher, subscriber) = (site.client(false), site.client(false));
    subscriber.subscribe(STORE);
    let ping = Frame::Ping { token: 1 }.to_bytes().to_vec();
    let after_hello = |bytes: &[u8]| [&hello()[..], bytes].concat();
    for bad in [
        b"GET / HTTP/1.0\r\n\r\n".to_vec(),
        vec![0xFF; 100],
        ping,
        after_hello(&[0, 0, 0, 2, 13, 0]),
        after_hello(&[0x7F, 0xFF, 0xFF, 0xFF, 3]),
        after_hello(&[0, 0, 0, 0]),
    ] {
        let mut stream = stranger(&site);
        stream.write_all(&bad).unwrap();
        let said = last_words(stream);
        assert!(ends_in_bye(&said), "{bad:?} was answered by {said:?}");
    }
    // A frame that never comes to its end.
    let mut half = stranger(&site);
    half.write_all(&after_hello(&[0, 0x0F, 0xFF, 0xFF, 3, 1, 2]))
        .unwrap();
    publisher.publish(STORE, "still here");
    assert_eq!(subscriber.event().1, "still here");
}

#[test]
fn a_frame_may_come_byte_by_byte() {
    let site = Site::new();
    let subscriber = site.client(false);
    subscriber.subscribe(STORE);
    let mut stream = stranger(&site);
    stream.set_nodelay(true).unwrap();
    let publish = Frame::Publish {
        id: 1,
        link: b"",
        event: STORE,
        payload: b"slow",
    };
    for byte in [&hello()[..], &publish.to_bytes()].concat() {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(subscriber.event().1, "slow");
}

#[test]
fn who_stops_reading_lags_and_is_told_by_how_many() {
    let site = Site::new();
    let publisher = site.client(false);
    let other = site.client(false);
    other.subscribe(STORE);
    let mut deaf = stranger(&site);
    deaf.write_all(&hello()).unwrap();
    deaf.write_all(
        &Frame::Subscribe {
            id: 1,
            pattern: STORE,
        }
        .to_bytes(),
    )
    .unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let payload = "x".repeat(10_000);
    let count = 3000;
    for _ in 0..count {
        publisher.publish(STORE, &payload);
        assert_eq!(other.event().1.len(), payload.len());
    }
    // Now it reads: some events, then how many it missed, then news again.
    let (mut heard, mut lagged, mut buffer) = (0, 0, Vec::new());
    let mut chunk = vec![0; 1 << 16];
    while heard + lagged < count {
        let taken = deaf.read(&mut chunk).unwrap();
        assert!(taken > 0, "closed after {heard} and {lagged}");
        buffer.extend_from_slice(&chunk[..taken]);
        let mut done = 0;
        while let Ok(Some((frame, length))) = decode(&buffer[done..]) {
            match frame {
                Frame::Notify { .. } => {
                    assert_eq!(lagged, 0, "news overtook the lag");
                    heard += 1;
                }
                Frame::Lagged { events } => lagged += events,
                _ => {}
            }
            done += length;
        }
        buffer.drain(..done);
    }
    assert_eq!(heard + lagged, count);
    assert!(lagged > 0 && heard > 0, "{heard} heard, {lagged} not");
    assert_eq!(site.broker.as_ref().unwrap().stats().dropped(), lagged);
}

#[test]
fn thousands_of_connections_disturb_nobody() {
    let site = Site::new();
    let (publisher, subscriber) = (site.client(false), site.client(false));
    subscriber.subscribe(STORE);
    let crowd: Vec<_> = (0..10_000).map(|_| stranger(&site)).collect();
    publisher.publish(STORE, "in the crowd");
    assert_eq!(subscriber.event().1, "in the crowd");
    drop(crowd);
}

#[test]
fn who_may_not_connect_is_closed_before_a_byte_is_read() {
    let access = Access::parse("+127.0.0.1|255.255.255.255;-127.0.0.0|255.0.0.0").unwrap();
    let site = Site::with(&ens::server::Options {
        broker: BrokerConfig::new(access, 60),
        ..options(0)
    });
    assert_eq!(last_words(stranger(&site)), b"");
}

#[test]
fn mistakes_are_errors_and_the_connection_goes_on() {
    let site = Site::new();
    let mut stream = stranger(&site);
    stream.write_all(&hello()).unwrap();
    for frame in [
        Frame::Subscribe {
            id: 0,
            pattern: STORE,
        },
        Frame::Subscribe {
            id: 5,
            pattern: "store",
        },
        Frame::Unsubscribe { id: 9 },
        Frame::Publish {
            id: 3,
            link: b"",
            event: "enp://a b",
            payload: b"",
        },
        Frame::Accepted { id: 1 },
        Frame::Ping { token: 77 },
    ] {
        stream.write_all(&frame.to_bytes()).unwrap();
    }
    stream.write_all(&[0, 0, 0, 1, 200]).unwrap();
    let (mut buffer, mut chunk) = (Vec::new(), [0; 4096]);
    let mut errors = vec![];
    let mut pong = false;
    while errors.len() < 6 || !pong {
        let taken = stream.read(&mut chunk).unwrap();
        assert!(taken > 0);
        buffer.extend_from_slice(&chunk[..taken]);
        let mut done = 0;
        while let Ok(Some((frame, length))) = decode(&buffer[done..]) {
            match frame {
                Frame::Error { code, id, .. } => errors.push((code, id)),
                Frame::Pong { token } => pong = token == 77,
                _ => {}
            }
            done += length;
        }
        buffer.drain(..done);
    }
    assert_eq!(errors, [(6, 0), (5, 5), (6, 9), (5, 3), (2, 0), (2, 0)]);
    let client = site.client(false);
    let id = client.connection.subscribe("enp+pool.a_b://h/x");
    assert!(id.is_err());
    client.publish(STORE, "");
    assert!(!matches!(client.news.try_recv(), Ok(ClientEvent::Over(_))));
}
