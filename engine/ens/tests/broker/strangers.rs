//! Clients that lie, send garbage, stop reading, or come in thousands.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ens::access::Access;
use ens::broker::BrokerConfig;
use ens::client::ClientEvent;
use ens::frame::{ErrorCode, Frame, PAYLOAD_BYTES_MAX, decode};

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
            scope: None,
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
            scope: None,
            pattern: STORE,
        },
        Frame::Subscribe {
            id: 5,
            scope: None,
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

/// What a broker says to a stranger who says these frames, until `count` of them were heard.
fn answers(stream: &mut TcpStream, count: usize) -> Vec<Vec<u8>> {
    let (mut buffer, mut chunk, mut heard) = (Vec::new(), vec![0; 1 << 16], vec![]);
    while heard.len() < count {
        let taken = stream.read(&mut chunk).unwrap();
        assert!(taken > 0, "closed after {} frames", heard.len());
        buffer.extend_from_slice(&chunk[..taken]);
        while let Ok(Some((_, length))) = decode(&buffer) {
            heard.push(buffer.drain(..length).collect());
        }
    }
    heard
}

fn frame(bytes: &[u8]) -> Frame<'_> {
    decode(bytes).unwrap().unwrap().0
}

#[test]
fn a_payload_that_is_too_large_is_an_error_of_that_publish() {
    let site = Site::new();
    let mut stream = stranger(&site);
    stream.write_all(&hello()).unwrap();
    let publish = Frame::Publish {
        id: 7,
        link: b"",
        event: STORE,
        payload: &vec![b'x'; PAYLOAD_BYTES_MAX + 1],
    };
    stream.write_all(&publish.to_bytes()).unwrap();
    let ping = Frame::Ping { token: 5 };
    stream.write_all(&ping.to_bytes()).unwrap();
    let heard = answers(&mut stream, 3);
    let Frame::Error { code, id, text } = frame(&heard[1]) else {
        panic!("{:?}", frame(&heard[1]));
    };
    assert_eq!((code, id), (ErrorCode::TooLarge as u16, 7));
    assert!(text.contains("payload"), "{text}");
    assert_eq!(frame(&heard[2]), Frame::Pong { token: 5 });
}

#[test]
fn what_is_too_large_is_not_published_from_this_process_either() {
    let site = Site::new();
    let subscriber = site.client(false);
    subscriber.subscribe(STORE);
    let local = site.broker.as_ref().unwrap().local();
    let large = vec![b'x'; PAYLOAD_BYTES_MAX + 1];
    assert!(local.publish(STORE, &large).is_err());
    assert!(local.publish("no reference", b"").is_err());
    assert_eq!(local.publish(STORE, b"small"), Ok(()));
    assert_eq!(subscriber.event().1, "small");
}

#[test]
fn a_receipt_that_was_overheard_or_guessed_acknowledges_nothing() {
    let site = Site::new();
    let publisher = site.client(false);
    let [mut knows, mut other] = [(); 2].map(|()| {
        let mut stream = stranger(&site);
        stream.write_all(&hello()).unwrap();
        let subscribe = Frame::Subscribe {
            id: 1,
            scope: None,
            pattern: STORE,
        };
        stream.write_all(&subscribe.to_bytes()).unwrap();
        answers(&mut stream, 2);
        stream
    });
    let published = publisher.connection.publish(STORE, b"", b"link", true);
    let id = published.unwrap();
    assert_eq!(publisher.next(), ClientEvent::Accepted(id));
    let notify = answers(&mut knows, 1);
    let Frame::Notify {
        receipt: Some((receipt, b"link")),
        ..
    } = frame(&notify[0])
    else {
        panic!("{:?}", frame(&notify[0]));
    };
    let mut guessed = receipt;
    guessed[15] ^= 1;
    for receipt in [receipt, guessed] {
        other.write_all(&Frame::Ack { receipt }.to_bytes()).unwrap();
    }
    publisher.nothing();
    knows.write_all(&Frame::Ack { receipt }.to_bytes()).unwrap();
    assert_eq!(publisher.next(), ClientEvent::Acknowledged(id));
}

fn limited(change: impl FnOnce(&mut BrokerConfig)) -> Site {
    let mut options = options(0);
    change(&mut options.broker);
    Site::with(&options)
}

#[test]
fn subscriptions_are_limited_for_a_client_and_for_all() {
    let site = limited(|broker| {
        broker.of_client.count = 3;
        broker.of_all.count = 5;
    });
    let refused = |client: &crate::talk::Client| {
        let id = client.connection.subscribe(STORE).unwrap();
        match client.next() {
            ClientEvent::Refused { id: have, why } => {
                assert_eq!(have, id);
                why
            }
            other => panic!("{other:?}"),
        }
    };
    let (one, two) = (site.client(false), site.client(false));
    let ids: Vec<u32> = (0..3).map(|_| one.subscribe(STORE)).collect();
    assert!(refused(&one).contains("may have 3"));
    two.subscribe(STORE);
    two.subscribe(STORE);
    assert!(refused(&two).contains("all clients together"));
    one.connection.unsubscribe(ids[0]);
    assert_eq!(one.next(), ClientEvent::Unsubscribed(ids[0]));
    two.subscribe(STORE);
    let site = limited(|broker| broker.of_client.bytes = 700);
    let one = site.client(false);
    one.subscribe(STORE);
    one.subscribe(STORE);
    assert!(refused(&one).contains("700 bytes"));
}

#[test]
fn what_very_many_subscriptions_leave_is_removed() {
    let site = Site::new();
    let publisher = site.client(false);
    let mut stream = stranger(&site);
    stream.write_all(&hello()).unwrap();
    let count = 50_000;
    let mut asked = Vec::new();
    for id in 1..=count {
        let pattern = format!("{STORE}?evtType=NewMsg&mailboxName=user{id}");
        let subscribe = Frame::Subscribe {
            id,
            scope: None,
            pattern: &pattern,
        };
        asked.extend_from_slice(&subscribe.to_bytes());
    }
    let mut asks = stream.try_clone().unwrap();
    let asker = std::thread::spawn(move || asks.write_all(&asked));
    answers(&mut stream, 1 + count as usize);
    asker.join().unwrap().unwrap();
    let subscribing = || site.broker.as_ref().unwrap().subscriptions();
    assert_eq!(subscribing().0, count as usize);
    drop(stream);
    let begun = std::time::Instant::now();
    while subscribing() != (0, 0) {
        assert!(begun.elapsed() < PATIENCE, "{:?} are left", subscribing());
        publisher.publish(STORE, "in between");
    }
}

#[test]
fn as_many_connections_are_let_in_as_the_limit_says() {
    let site = limited(|broker| broker.connections_max = 20);
    let mut all: Vec<TcpStream> = (0..30).map(|_| stranger(&site)).collect();
    let mut welcome = 0;
    for stream in &mut all {
        // Who is not let in may have been closed already.
        let _ = stream.write_all(&hello());
        let heard = answers(stream, 1);
        match frame(&heard[0]) {
            Frame::Welcome { .. } => welcome += 1,
            Frame::Bye { text } => assert!(text.contains("too many"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(welcome, 20);
}
