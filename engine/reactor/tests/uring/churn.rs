//! Numbers that are reused all the time: nobody ever hears of a predecessor.

use std::collections::BTreeMap;

use bytes::Bytes;
use reactor::uring::Options;
use reactor::{Completion, Conn, Reactor, Rng};

use crate::host::{Host, both, options};

/// What the server knows of a connection: the identity that its peer repeats.
#[derive(Default)]
struct Known {
    identity: Option<[u8; 8]>,
    partial: Vec<u8>,
    hung_up: bool,
}

impl Known {
    fn hear(&mut self, data: &[u8]) {
        assert!(!self.hung_up, "bytes after the end");
        self.partial.extend_from_slice(data);
        for word in self.partial.chunks_exact(8) {
            let word: [u8; 8] = word.try_into().expect("eight bytes");
            assert_eq!(
                *self.identity.get_or_insert(word),
                word,
                "another connection's bytes"
            );
        }
        let rest = self.partial.len() / 8 * 8;
        self.partial.drain(..rest);
    }
}

struct Churn {
    host: Host,
    clients: Host,
    rng: Rng,
    server_side: BTreeMap<Conn, Known>,
    client_side: BTreeMap<Conn, u64>,
    next: u64,
    dialling: u64,
    accepted: u64,
}

impl Churn {
    fn new(rings: usize, seed: u64) -> Self {
        let small = |files| Options {
            batch: 8,
            ..options(rings, files)
        };
        let mut clients = Host::with(small(64));
        clients.reactor.accept(false);
        clients.flush();
        Self {
            host: Host::with(small(40)),
            clients,
            rng: Rng::new(seed),
            server_side: BTreeMap::new(),
            client_side: BTreeMap::new(),
            next: 0,
            dialling: 0,
            accepted: 0,
        }
    }

    fn pick<V>(rng: &mut Rng, from: &BTreeMap<Conn, V>) -> Option<Conn> {
        if from.is_empty() {
            return None;
        }
        let number = rng.below(from.len() as u64) as usize;
        from.keys().nth(number).copied()
    }

    fn step(&mut self) {
        let address = self.host.address;
        match self.rng.below(10) {
            0..3 if self.dialling < 8 && self.clients.reactor.room() > 8 => {
                self.clients.reactor.connect(self.next, address, None);
                self.next += 1;
                self.dialling += 1;
            }
            3..6 => {
                if let Some(conn) = Self::pick(&mut self.rng, &self.client_side) {
                    let word = self.client_side[&conn].to_le_bytes();
                    let times = 1 + self.rng.below(40) as usize;
                    self.clients
                        .reactor
                        .send(conn, Bytes::from(word.repeat(times)));
                }
            }
            6 => {
                if let Some(conn) = Self::pick(&mut self.rng, &self.client_side) {
                    self.client_side.remove(&conn);
                    self.clients.reactor.close(conn);
                }
            }
            7 => {
                if let Some(conn) = Self::pick(&mut self.rng, &self.server_side) {
                    self.server_side.remove(&conn);
                    self.host.reactor.close(conn);
                }
            }
            8 => {
                if let Some(conn) = Self::pick(&mut self.rng, &self.server_side) {
                    let on = self.rng.chance(2, 3);
                    self.host.reactor.read(conn, on);
                    self.host.reactor.watch_writable(conn);
                    self.host
                        .reactor
                        .send(conn, Bytes::from_static(b"some words"));
                }
            }
            _ => {
                self.host.flush();
                self.clients.flush();
            }
        }
        self.hear_host();
        self.hear_clients();
    }

    fn hear_host(&mut self) {
        for completion in std::mem::take(&mut self.host.completions) {
            if let Completion::Accepted { conn, .. } = completion {
                let before = self.server_side.insert(conn, Known::default());
                assert!(
                    before.is_none(),
                    "a number is free before it is given again"
                );
                self.host.reactor.read(conn, true);
                self.accepted += 1;
                continue;
            }
            let conn = completion.conn().expect("the server does not connect");
            let known = self
                .server_side
                .get_mut(&conn)
                .expect("a completion of a closed one");
            match completion {
                Completion::Received { data, .. } => known.hear(&data),
                Completion::Hangup { .. } => {
                    assert!(!known.hung_up, "the end comes once");
                    known.hung_up = true;
                    if self.rng.chance(1, 2) {
                        self.server_side.remove(&conn);
                        self.host.reactor.close(conn);
                        // The rest of this turn's completions are of others.
                    }
                }
                _ => {}
            }
        }
    }

    fn hear_clients(&mut self) {
        for completion in std::mem::take(&mut self.clients.completions) {
            if let Completion::Connected { token, result } = completion {
                self.dialling -= 1;
                let conn = result.expect("the backlog takes it");
                let before = self.client_side.insert(conn, token);
                assert!(
                    before.is_none(),
                    "a number is free before it is given again"
                );
                if self.rng.chance(1, 2) {
                    self.clients.reactor.read(conn, true);
                }
                continue;
            }
            let conn = completion.conn().expect("not connecting");
            assert!(
                self.client_side.contains_key(&conn),
                "a completion of a closed one"
            );
        }
    }
}

#[test]
fn no_completion_outlives_its_connection() {
    both(|rings| {
        for seed in 0..4 {
            let mut churn = Churn::new(rings, seed);
            for _ in 0..15_000 {
                churn.step();
            }
            assert!(churn.accepted > 500, "only {} connections", churn.accepted);
            for conn in std::mem::take(&mut churn.client_side).into_keys() {
                churn.clients.reactor.close(conn);
            }
            for conn in std::mem::take(&mut churn.server_side).into_keys() {
                churn.host.reactor.close(conn);
            }
            churn.host.flush();
            let open = churn.host.reactor.open().iter().sum::<u32>();
            assert_eq!(open as usize, churn.host.completions.len(), "nothing leaks");
        }
    });
}
