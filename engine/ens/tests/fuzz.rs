//! The fuzz bodies over seeds, every truncation of these, what campaigns found, and reproducible
//! mutations.

#[path = "../fuzz/src/targets.rs"]
mod targets;

use ens::frame::{Frame, VERSION};

/// Mutations of each seed.
const ROUNDS: u64 = 3000;
/// Mutations of each input that a campaign found.
const ROUNDS_OF_A_FIND: u64 = 100;

/// What campaigns found of a target: inputs that reach something new, and those that once failed.
fn found(target: &str) -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/");
    let Ok(entries) = std::fs::read_dir(format!("{folder}{target}")) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| std::fs::read(path).expect("a readable input"))
        .collect()
}

/// Runs one target; what it panics at is printed.
fn run(name: &str, target: fn(&[u8]), seeds: &[Vec<u8>]) {
    let check = |input: &[u8]| {
        let outcome = std::panic::catch_unwind(|| target(input));
        assert!(outcome.is_ok(), "{name}: b\"{}\"", input.escape_ascii());
    };
    for seed in seeds {
        (0..=seed.len()).for_each(|end| check(&seed[..end]));
    }
    let found = found(name);
    found.iter().for_each(|input| check(input));
    let mut rng = fastrand::Rng::with_seed(7);
    let rounds = seeds.iter().map(|seed| (seed, ROUNDS));
    for (input, rounds) in rounds.chain(found.iter().map(|input| (input, ROUNDS_OF_A_FIND))) {
        for _ in 0..rounds {
            let mut bytes = input.clone();
            for _ in 0..rng.u32(1..5) {
                let at = rng.usize(0..=bytes.len());
                let end = (at + rng.usize(0..8)).min(bytes.len());
                match rng.u32(0..5) {
                    0 if at < bytes.len() => bytes[at] = rng.u8(..),
                    1 => drop(bytes.drain(at..end)),
                    2 => {
                        let piece = bytes[at..end].to_vec();
                        bytes.splice(at..at, piece);
                    }
                    3 => {
                        let other = rng.choice(seeds).expect("there are seeds");
                        let from = rng.usize(0..=other.len());
                        bytes.splice(at..end, other[from..].iter().copied());
                    }
                    _ => bytes.truncate(at),
                }
            }
            check(&bytes);
        }
    }
}

fn texts(seeds: &[&str]) -> Vec<Vec<u8>> {
    seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}

/// What clients and brokers say, one after the other.
fn frames() -> Vec<Vec<u8>> {
    let notify = |subscription, event| Frame::Notify {
        subscription,
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
