//! Subscriptions that hear the whole site, or their own broker alone.

use std::io::{BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use ens::client::{Address, ClientEvent, Connection, Options};
use ens::frame::{ErrorCode, Frame, Scope, decode};

use crate::nats_servers::Cluster;
use crate::programs::enpd;
use crate::site::{join, joining, meet, options_of, until};
use crate::talk::{Client, PATIENCE, Site};

const LOCAL: Option<Scope> = Some(Scope::Local);
const OF_SITE: Option<Scope> = Some(Scope::Site);

/// A broker of the site, with this scope by default.
fn broker(url: String, scope: Scope) -> Site {
    let mut options = options_of(&joining(vec![url]));
    options.broker.scope = scope;
    Site::with(&options)
}

fn subscribe(client: &Client, pattern: &str, scope: Option<Scope>) -> u32 {
    let id = client.connection.subscribe_to(pattern, scope).unwrap();
    assert_eq!(client.next(), ClientEvent::Subscribed(id));
    id
}

/// The next event's subscriptions and payload.
fn heard(client: &Client) -> (Vec<u32>, String) {
    match client.next() {
        ClientEvent::Notified {
            subscriptions,
            payload,
            ..
        } => (subscriptions, String::from_utf8(payload.to_vec()).unwrap()),
        news => panic!("{news:?}"),
    }
}

#[test]
fn a_local_subscription_hears_its_own_broker_alone_and_asks_the_bus_for_nothing() {
    let cluster = Cluster::new(1);
    let [one, other] = [Scope::Site; 2].map(|scope| broker(cluster.url(0), scope));
    meet(&[&one, &other]);
    let (away, here) = (one.client(false), other.client(false));
    let (local, both) = (other.client(false), other.client(false));
    subscribe(&local, "enp://h/*", LOCAL);
    subscribe(&local, "enp://h/x", LOCAL);
    away.publish("enp://h/x", "unheard");
    here.publish("enp://h/x", "own");
    assert_eq!(local.event().1, "own");
    let counters = other.broker.as_ref().unwrap().site().unwrap();
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(counters.heard(), 0, "nobody here wants it");

    // One client with some of both is told which of them an event is for.
    let far = subscribe(&both, "enp://h/x", OF_SITE);
    let near = subscribe(&both, "enp://h/*", LOCAL);
    join(&away, &both, "enp://h/x");
    away.publish("enp://h/x", "from away");
    assert_eq!(heard(&both), (vec![far], "from away".into()));
    away.publish("enp://h/y", "in the same way");
    here.publish("enp://h/x", "from here");
    assert_eq!(heard(&both), (vec![far, near], "from here".into()));
    assert_eq!(local.event().1, "from here");
    // The bus is asked no more when the last has left that hears it.
    both.connection.unsubscribe(far);
    assert_eq!(both.next(), ClientEvent::Unsubscribed(far));
    away.publish("enp://h/x", "unheard");
    here.publish("enp://h/x", "again");
    assert_eq!(heard(&both), (vec![near], "again".into()));
    [&local, &both].iter().for_each(|client| {
        while client.news.recv_timeout(Duration::from_millis(100)).is_ok() {}
    });
    away.publish("enp://h/x", "unheard");
    [local, both].iter().for_each(Client::nothing);
}

#[test]
fn a_broker_of_local_scope_hears_nothing_unasked_and_is_heard_all_the_same() {
    let cluster = Cluster::new(1);
    let one = broker(cluster.url(0), Scope::Site);
    let other = broker(cluster.url(0), Scope::Local);
    meet(&[&one, &other]);
    let (away, unasked, asked) = (one.client(false), other.client(false), other.client(false));
    unasked.subscribe("enp://h/x");
    let far = subscribe(&asked, "enp://h/x", OF_SITE);
    let near = asked.subscribe("enp://h/*");
    join(&away, &asked, "enp://h/x");
    away.publish("enp://h/x", "it");
    assert_eq!(heard(&asked), (vec![far], "it".into()));
    unasked.nothing();
    // What is published there crosses.
    away.subscribe("enp://h/back");
    let here = other.client(false);
    join(&here, &away, "enp://h/back");
    here.publish("enp://h/x", "own");
    assert_eq!(unasked.event().1, "own");
    while let Ok(news) = asked.news.recv_timeout(Duration::from_millis(300)) {
        let ClientEvent::Notified {
            event,
            payload,
            subscriptions,
            ..
        } = news
        else {
            panic!("{news:?}");
        };
        if event == "enp://h/x" {
            assert_eq!(
                (subscriptions, &payload[..]),
                (vec![far, near], &b"own"[..])
            );
        }
    }
}

#[test]
fn a_pool_of_local_scope_is_one_of_its_broker() {
    let cluster = Cluster::new(1);
    let [one, other] = [Scope::Site; 2].map(|scope| broker(cluster.url(0), scope));
    meet(&[&one, &other]);
    const POOL: &str = "enp+pool.p://h/work";
    let (of_site, local) = (other.client(false), other.client(false));
    subscribe(&of_site, POOL, OF_SITE);
    subscribe(&local, POOL, LOCAL);
    let (away, here) = (one.client(false), other.client(false));
    join(&away, &of_site, "enp://h/work");
    for number in 0..20 {
        away.publish("enp://h/work", &format!("away {number}"));
        assert_eq!(of_site.event().1, format!("away {number}"));
    }
    local.nothing();
    for number in 0..20 {
        here.publish("enp://h/work", &number.to_string());
        assert_eq!(local.event().1, number.to_string());
        assert_eq!(of_site.event().1, number.to_string());
    }
    // A local member that has left hands nothing on to other hosts.
    drop(local);
    here.publish("enp://h/work", "last");
    assert_eq!(of_site.event().1, "last");
    of_site.nothing();
}

/// All frames that come within a moment.
fn frames(stream: &mut impl Read) -> Vec<u8> {
    let (mut said, mut piece) = (vec![], [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        said.extend_from_slice(&piece[..count]);
    }
    said
}

#[test]
fn an_old_client_goes_on_and_knows_no_scope() {
    let site = Site::new();
    for version in [1, 2] {
        let mut stream = TcpStream::connect(site.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let subscribe = |id, scope| Frame::Subscribe {
            id,
            scope,
            pattern: "enp://h/x",
        };
        let name = "old";
        for frame in [
            Frame::Hello { version, name },
            subscribe(1, None),
            subscribe(2, LOCAL),
        ] {
            stream.write_all(&frame.to_bytes()).unwrap();
        }
        let said = frames(&mut stream);
        let Ok(Some((welcome, length))) = decode(&said) else {
            panic!("{said:?}");
        };
        let Frame::Welcome {
            version: spoken,
            scope,
            name,
            ..
        } = welcome
        else {
            panic!("{welcome:?}");
        };
        assert_eq!((spoken, scope), (version, None));
        assert!(name.starts_with("enpd "), "{name}");
        let rest = &said[length..];
        let subscribed = Frame::Subscribed { id: 1 }.to_bytes();
        assert!(rest.starts_with(&subscribed), "{rest:?}");
        let refused = decode(&rest[subscribed.len()..]).unwrap().unwrap().0;
        let Frame::Error { code, id: 2, text } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(code, ErrorCode::BadReference as u16);
        assert!(text.contains("version 3"), "{text}");
    }
}

#[test]
fn a_new_client_goes_on_with_an_old_broker_and_is_told_that_it_knows_no_scope() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
    let broker = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut said = vec![];
        loop {
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).unwrap();
            if count == 0 {
                return;
            }
            said.extend_from_slice(&piece[..count]);
            while let Ok(Some((frame, length))) = decode(&said) {
                let answer = match frame {
                    Frame::Hello { .. } => Frame::Welcome {
                        version: 2,
                        payload_max: 1 << 20,
                        keepalive_s: 0,
                        scope: None,
                        name: "old",
                    },
                    // The scope is a control character at the beginning of the pattern to it.
                    Frame::Subscribe {
                        id, scope: Some(_), ..
                    } => Frame::Error {
                        code: ErrorCode::BadReference as u16,
                        id,
                        text: "it has a blank or a control character",
                    },
                    Frame::Subscribe { id, .. } => Frame::Subscribed { id },
                    other => panic!("{other:?}"),
                };
                stream.write_all(&answer.to_bytes()).unwrap();
                said.drain(..length);
            }
        }
    });
    let (sender, news) = std::sync::mpsc::channel();
    let on_news = move |_: &Connection, news| drop(sender.send(news));
    let connection = Connection::open(address, Options::default(), on_news).unwrap();
    let next = || news.recv_timeout(PATIENCE).unwrap();
    assert_eq!(next(), ClientEvent::Welcome);
    let asks = connection.subscribe_to("enp://h/x", LOCAL).unwrap();
    let ClientEvent::Refused { id, why } = next() else {
        panic!("it is not refused");
    };
    assert_eq!(id, asks);
    assert_eq!(
        why,
        "a subscription of scope local needs a broker that speaks version 3 of ENP; this one \
         speaks 2"
    );
    let plain = connection.subscribe("enp://h/x").unwrap();
    assert_eq!(next(), ClientEvent::Subscribed(plain));
    drop(connection);
    broker.join().unwrap();
}

#[test]
fn subscriptions_keep_their_scope_through_an_upgrade() {
    let cluster = Cluster::new(1);
    let one = broker(cluster.url(0), Scope::Site);
    let away = one.client(false);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (control, socket, url) = (path("control"), path("ens"), cluster.url(0));
    let own = ["--control", &control, "--port", "0", "--socket", &socket];
    let there = ["--nats", &url, "--nats-site", "test", "--nats-scope"];
    // The successor would have it otherwise for those who come.
    let arguments = [&own[..], &there].concat();
    let (mut first, _said) = enpd(&[&arguments[..], &["local"]].concat());
    let client = |socket: &str| {
        let (sender, news) = std::sync::mpsc::channel();
        let on_news = move |_: &Connection, news| drop(sender.send(news));
        let address = Address::new(socket, 0);
        let connection = Connection::open(address, Options::default(), on_news).unwrap();
        let client = Client { connection, news };
        assert_eq!(client.next(), ClientEvent::Welcome);
        client
    };
    until("it does not listen", || {
        UnixStream::connect(&socket).is_ok()
    });
    let (mixed, here) = (client(&socket), client(&socket));
    let near = mixed.subscribe("enp://h/*");
    let far = subscribe(&mixed, "enp://h/x", OF_SITE);
    let pooled = subscribe(&mixed, "enp+pool://h/p", LOCAL);
    join(&away, &mixed, "enp://h/x");
    let (mut second, mut said) = enpd(&[&arguments[..], &["site", "--take-over"]].concat());
    let mut line = String::new();
    while !line.contains("taken over") {
        line.clear();
        assert_ne!(
            said.read_line(&mut line).unwrap(),
            0,
            "it did not take over"
        );
    }
    assert!(first.wait().unwrap().success());
    join(&away, &mixed, "enp://h/x");
    away.publish("enp://h/x", "away");
    assert_eq!(heard(&mixed), (vec![far], "away".into()));
    // What doesn't say is still local on this connection.
    let later = mixed.subscribe("enp://h/x");
    away.publish("enp://h/x", "away");
    assert_eq!(heard(&mixed), (vec![far], "away".into()));
    away.publish("enp://h/p", "away");
    here.publish("enp://h/x", "here");
    assert_eq!(heard(&mixed), (vec![near, far, later], "here".into()));
    here.publish("enp://h/p", "here");
    let mut both = [heard(&mixed).0, heard(&mixed).0];
    both.sort();
    assert_eq!(both, [vec![near], vec![pooled]]);
    mixed.nothing();
    // Whoever comes now is told what it would have.
    let new = client(&socket);
    new.subscribe("enp://h/x");
    join(&away, &new, "enp://h/x");
    second.kill().unwrap();
    second.wait().unwrap();
}
