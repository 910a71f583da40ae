//! The fuzz bodies over seeds, every truncation of these, what campaigns found, and reproducible
//! mutations.

#[path = "../../../tests/fuzz/inputs.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod inputs;
#[path = "../fuzz/src/targets.rs"]
mod targets;

use ens::bus::{Action, Crossing, Limits, Machine, Wanted};
use ens::frame::{Frame, Scope, VERSION};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");
/// Mutations of all inputs of a target together.
const MUTATIONS: usize = 30_000;

fn run(name: &str, target: fn(&[u8]), seeds: &[Vec<u8>]) {
    inputs::run_seeds(FOLDER, name, target, seeds, MUTATIONS);
}

fn texts(seeds: &[&str]) -> Vec<Vec<u8>> {
    seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}

/// What clients and brokers say, one after the other.
fn frames() -> Vec<Vec<u8>> {
    let notify = |subscription, event| Frame::Notify {
        subscription,
        away: subscription == 0,
        receipt: Some(([1; 16], b"link")),
        event,
        payload: b"payload",
    };
    let all = [
        Frame::Hello {
            version: VERSION,
            name: "fuzz",
        },
        Frame::Welcome {
            version: VERSION,
            payload_max: 9,
            keepalive_s: 9,
            scope: Some(Scope::Local),
            name: "enpd",
        },
        Frame::Subscribed { id: 1 },
        notify(0, "enp://s/k?a=1"),
        notify(2, "enp://s/k"),
        Frame::Publish {
            id: 3,
            link: b"",
            event: "enp://s/k",
            payload: b"x",
        },
        Frame::Subscribe {
            id: 4,
            scope: Some(Scope::Site),
            pattern: "enp://s/*",
        },
        Frame::Lagged { events: 7 },
        Frame::Ping { token: 1 },
        Frame::Bye { text: "bye" },
    ];
    let mut seeds: Vec<Vec<u8>> = all.iter().map(|frame| frame.to_bytes().to_vec()).collect();
    seeds.push(seeds.concat());
    seeds
}

#[test]
fn frame() {
    run("frame", targets::frame, &frames());
}

#[test]
fn client() {
    run("client", targets::client, &frames());
}

/// What brokers say on the bus, each with its length before it; at last all of it.
fn said() -> Vec<Vec<u8>> {
    let event = |link: Option<&'static [u8]>| Crossing {
        event: "enp://s/k?a=1".into(),
        payload: b"payload"[..].into(),
        link: link.map(|link| (link.into(), [7; 16])),
    };
    let mut said = Machine::new(3, 0, Limits::default());
    let pool = bytes::Bytes::from_static(b"a pool");
    said.want(0, Wanted::none());
    said.connected(0, 1 << 20);
    said.publish(1, 7, &event(None));
    said.publish(1, 7, &event(Some(b"link")));
    said.flush();
    said.set_members(1, &pool, 2);
    said.publish_to_pool(1, pool.clone(), event(Some(b"link")));
    said.tick(2_000_000_000);
    said.skip(7, 3);
    said.end(3_000_000_000);
    let messages = said.take_actions().into_iter().filter_map(|it| match it {
        Action::Publish { message, .. } => Some(message),
        _ => None,
    });
    let framed = |message: bytes::Bytes| {
        let length = (message.len() as u16).to_be_bytes();
        [&length[..], &message[..]].concat()
    };
    let mut seeds: Vec<Vec<u8>> = messages.map(framed).collect();
    assert!(seeds.len() >= 6, "{}", seeds.len());
    seeds.push(seeds.concat());
    seeds
}

#[test]
fn bus() {
    run("bus", targets::bus, &said());
}

#[test]
fn event_ref() {
    let seeds = texts(&[
        "enp://127.0.0.1/store",
        "enp://127.0.0.1/store/fred/R%26D?evtType=NewMsg&mailboxName=fred%2FR&empty=",
        "enp://127.0.0.1/store/*?evtType=NewMsg",
        "enp+pool://s/k",
        "enp+pool.aB+/9=://s/k?a=1",
        "servbus:///service/ens&pid=1&state=running",
    ]);
    run("event_ref", targets::event_ref, &seeds);
}

#[test]
fn access() {
    let seeds = texts(&[
        "+127.0.0.1|255.255.255.255",
        "+192.168.0.1|255.255.255.0;+127.0.0.1|255.255.255.255; \\\n-192.168.0.17;255.255.255.255",
        "\u{2014}10.0.0.0/8;+fd00::/8",
        " + 10.0.0.1 | 255.0.0.0 ; ",
    ]);
    run("access", targets::access, &seeds);
}
