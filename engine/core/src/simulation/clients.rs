//! Clients of the board, and what they check: numbers only grow, and none is from the future.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use reactor::Rng;
use reactor::rng::Stream;
use reactor::sim::{Connections, News, SimReactor};
use tls::{Alert, Opened};

use super::board::Truth;
use super::stand_in::Layer;
use crate::secure::Records;

const MILLISECOND_NS: u64 = 1_000_000;
/// More pings than this don't wait for the slow side: it answers them all before the end.
const PINGS_MAX: usize = 100;

pub struct Clients {
    connections: Connections,
    rng: Rng,
    /// In plain text at first, and with TLS from the first byte.
    servers: [SocketAddr; 2],
    truth: Rc<RefCell<Truth>>,
    topics: u64,
    clients: Vec<Client>,
    /// They come and go and change what they watch all the time.
    fickle: bool,
    /// They watch, ping, leave and come back; else they only listen.
    pub restless: bool,
    pub leaving: bool,
    /// The server may cut connections whose output waits for long, without a good-bye.
    cuts: bool,
}

/// How far a connection is on its way to TLS.
#[derive(Default)]
enum Stage {
    #[default]
    Plain,
    /// It has asked to begin.
    Asked,
    Shaking,
    Sealed(Box<Layer>),
}

#[derive(Default)]
struct Client {
    stage: Stage,
    /// What it will say once it can.
    unsaid: Vec<String>,
    /// It will ask to begin TLS.
    asks: bool,
    implicit: bool,
    /// The epoch in which it waits for the next one.
    waits_in: Option<u16>,
    /// It has said `close_notify`, or heard it.
    ended: bool,
    heard_end: bool,
    /// What came and is not opened yet.
    sealed: Vec<u8>,
    input: Vec<u8>,
    topic: u64,
    /// Topics watched on this connection, as a bit set.
    watched: u64,
    /// What is watched beside, and the last numbers heard.
    further: BTreeMap<u64, Option<u64>>,
    /// Topics that were watched so, as a bit set.
    ever_further: u64,
    /// The last number heard of the topic.
    heard: Option<u64>,
    pings: u64,
    pongs: u64,
    quit: bool,
    bye: bool,
}

impl Clients {
    pub fn new(
        seed: u64,
        reactor: SimReactor,
        servers: [SocketAddr; 2],
        truth: Rc<RefCell<Truth>>,
        (count, topics, cuts): (usize, u64, bool),
    ) -> Self {
        Self {
            connections: Connections::new(reactor, count),
            rng: Rng::stream(seed, Stream::Workload),
            servers,
            truth,
            topics,
            clients: (0..count).map(|_| Client::default()).collect(),
            fickle: seed.is_multiple_of(4),
            restless: true,
            leaving: false,
            cuts,
        }
    }

    pub fn turn(&mut self) {
        let until_ns = self.connections.now_ns() + 2 * MILLISECOND_NS;
        self.connections.turn(Some(until_ns));
        while let Some((number, news)) = self.connections.take_next() {
            self.handle(number, news);
        }
        for number in 0..self.clients.len() {
            self.act(number);
        }
    }

    /// Those that listen to a topic and have not heard its number.
    pub fn ignorant(&self) -> Vec<String> {
        let truth = self.truth.borrow();
        let unheard = |(number, client): (usize, &Client)| {
            let truth = truth.number(client.topic);
            let open = self.connections.is_open(number);
            let further = client.further.iter();
            let mut unheard = further
                .filter(|(topic, heard)| heard.unwrap_or(0) != self.truth.borrow().number(**topic));
            let ignorant = !open
                || unheard.next().is_some()
                || (client.heard.unwrap_or(0) != truth)
                || client.pongs != client.pings
                || client.waits_in.is_some();
            let (heard, pings, pongs) = (client.heard, client.pings, client.pongs);
            let topic = client.topic;
            let further = &client.further;
            let what =
                format!("{topic} at {truth}, heard {heard:?}, {pongs} of {pings}, {further:?}");
            ignorant.then(|| format!("{number}, open: {open}: {what}"))
        };
        self.clients
            .iter()
            .enumerate()
            .filter_map(unheard)
            .collect()
    }

    fn handle(&mut self, number: usize, news: News) {
        match news {
            News::Connected => {
                self.begin(number);
                self.watch(number);
            }
            News::Received(data) => self.received(number, &data),
            News::Lost(error) => {
                let client = &self.clients[number];
                let open = matches!(client.stage, Stage::Plain | Stage::Sealed(_));
                let quit = client.quit && open && !client.ended;
                let bye = client.bye || !quit || error.is_some() || self.cuts;
                assert!(bye, "client {number} was promised a good-bye");
                let sealed = matches!(client.stage, Stage::Sealed(_));
                let told = client.heard_end || !client.bye || error.is_some() || self.cuts;
                assert!(
                    told || !sealed,
                    "client {number} was cut behind its good-bye"
                );
                self.clients[number] = Client::default();
            }
            News::Refused | News::Room => {}
        }
    }

    /// Takes the first step towards TLS, if this connection speaks it.
    fn begin(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if client.implicit {
            client.stage = Stage::Shaking;
            self.put(number, b"h".to_vec());
        } else if client.asks {
            client.stage = Stage::Asked;
            self.put(number, b"STARTTLS\n".to_vec());
        }
    }

    fn received(&mut self, number: usize, bytes: &[u8]) {
        let client = &mut self.clients[number];
        match client.stage {
            Stage::Plain => return self.input(number, bytes),
            Stage::Asked => {
                client.input.extend_from_slice(bytes);
                if client.input.ends_with(b"\n") {
                    // Only a refusal or the shutdown comes in its place, and then the end.
                    let line = std::mem::take(&mut client.input);
                    if line == b"GO\n" {
                        client.stage = Stage::Shaking;
                        self.put(number, b"h".to_vec());
                    } else {
                        assert_eq!(line, b"BYE\n");
                    }
                }
                return;
            }
            Stage::Shaking => {
                assert_eq!(bytes[0], b's', "the first byte is the handshake's");
                client.sealed.extend_from_slice(&bytes[1..]);
                client.stage = Stage::Sealed(Box::default());
                self.put(number, b"f".to_vec());
                for words in std::mem::take(&mut self.clients[number].unsaid) {
                    self.say(number, words);
                }
            }
            Stage::Sealed(_) => client.sealed.extend_from_slice(bytes),
        }
        self.open_records(number);
    }

    fn open_records(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let mut sealed = std::mem::take(&mut client.sealed);
        let mut from = 0;
        while from < sealed.len() {
            let client = &mut self.clients[number];
            let Stage::Sealed(layer) = &mut client.stage else {
                return;
            };
            let opened = layer.open(&mut sealed[from..]);
            let (length, opened) = opened.expect("each record is in its place");
            from += length;
            if client
                .waits_in
                .is_some_and(|epoch| epoch != layer.peer_epoch())
            {
                client.waits_in = None;
            }
            match opened {
                Opened::Incomplete => break,
                Opened::Data(data) => {
                    let data = data.to_vec();
                    self.input(number, &data);
                }
                Opened::Closed => client.heard_end = true,
                _ => {}
            }
        }
        self.clients[number].sealed = sealed.split_off(from);
    }

    fn input(&mut self, number: usize, bytes: &[u8]) {
        let client = &mut self.clients[number];
        client.input.extend_from_slice(bytes);
        while let Some(end) = client.input.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = client.input.drain(..=end).collect();
            let line = std::str::from_utf8(&line[..end]).expect("the server sends text");
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["AT", topic, seq] => {
                    let topic: u64 = topic.parse().expect("a topic");
                    let seq: u64 = seq.parse().expect("a number");
                    assert!(
                        seq <= self.truth.borrow().number(topic),
                        "{line}: from the future"
                    );
                    if topic == client.topic {
                        assert!(client.heard < Some(seq), "{line} after {:?}", client.heard);
                        client.heard = Some(seq);
                    }
                }
                ["ON", topic, seq] => {
                    let topic: u64 = topic.parse().expect("a topic");
                    let seq: u64 = seq.parse().expect("a number");
                    let truth = self.truth.borrow().number(topic);
                    assert!(seq <= truth, "{line}: from the future");
                    if let Some(heard) = client.further.get_mut(&topic) {
                        assert!(*heard < Some(seq), "{line} after {heard:?}");
                        *heard = Some(seq);
                    }
                }
                ["PONG", pong] => {
                    client.pongs += 1;
                    assert_eq!(
                        pong,
                        client.pongs.to_string(),
                        "answers come in order, once"
                    );
                }
                ["BYE"] => client.bye = true,
                _ => assert_eq!(line, ".", "what is this?"),
            }
        }
    }

    /// What a client does by itself.
    fn act(&mut self, number: usize) {
        if !self.connections.is_open(number) {
            let may = self.connections.may_connect(number) && !self.leaving;
            if may && self.rng.chance(1, 4) {
                let way = self.rng.below(4);
                self.clients[number] = Client {
                    implicit: way == 0,
                    asks: way == 1,
                    ..Client::default()
                };
                let server = self.servers[usize::from(way == 0)];
                self.connections.connect(number, server);
            }
            return;
        }
        if !self.connections.has_room(number) {
            return;
        }
        if self.leaving && !self.clients[number].quit {
            self.clients[number].quit = true;
            self.say(number, "QUIT\n".into());
        }
        if self.clients[number].quit || self.clients[number].ended || !self.restless {
            return;
        }
        match self.rng.below(if self.fickle { 40 } else { 200 }) {
            0..6 if self.truth.borrow().pings.len() < PINGS_MAX => {
                self.clients[number].pings += 1;
                let ping = format!("PING {}\n", self.clients[number].pings);
                self.say(number, ping);
            }
            6..9 => self.watch(number),
            9 => {
                self.clients[number].quit = true;
                self.say(number, "QUIT\n".into());
            }
            10 => {
                self.connections.close(number);
                self.clients[number] = Client::default();
            }
            11..14 => self.ask(number),
            14 => self.end(number),
            15..18 => self.watch_further(number),
            _ => {}
        }
    }

    /// Asks for the next epoch, unless it waits for one.
    fn ask(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if let Stage::Sealed(layer) = &mut client.stage
            && client.waits_in.is_none()
        {
            client.waits_in = Some(layer.peer_epoch());
            let mut record = Vec::new();
            layer.ask(&mut record);
            self.put(number, record);
        }
    }

    /// Ends as TLS asks for, and waits for the other end to do so.
    fn end(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if let Stage::Sealed(layer) = &mut client.stage {
            client.ended = true;
            let mut record = Vec::new();
            layer.alert(Alert::CloseNotify, &mut record);
            self.put(number, record);
        }
    }

    fn watch(&mut self, number: usize) {
        // A topic that was never watched on this connection: what is on its way is not of it.
        let topic = 1 + self.rng.below(self.topics);
        if self.clients[number].watched >> topic & 1 == 1 {
            return;
        }
        self.clients[number].watched |= 1 << topic;
        self.clients[number].topic = topic;
        self.clients[number].heard = None;
        self.say(number, format!("WATCH {topic}\n"));
    }

    /// Watches a topic beside, which was not on this connection; and some others no more.
    fn watch_further(&mut self, number: usize) {
        let topic = 1 + self.rng.below(self.topics);
        let drops = self.rng.chance(1, 3);
        let client = &mut self.clients[number];
        if client.ever_further >> topic & 1 == 1 {
            return;
        }
        client.ever_further |= 1 << topic;
        if drops {
            client.further.pop_first();
        }
        client.further.insert(topic, None);
        let topics: Vec<String> = client.further.keys().map(u64::to_string).collect();
        self.say(number, format!("FURTHER {}\n", topics.join(",")));
    }

    fn say(&mut self, number: usize, words: String) {
        let client = &mut self.clients[number];
        match &mut client.stage {
            Stage::Plain => self.put(number, words.into()),
            Stage::Sealed(_) if client.ended => {}
            Stage::Sealed(layer) => {
                let mut record = Vec::new();
                let sealed = layer.seal(words.as_bytes(), &mut record);
                sealed.expect("it has not ended");
                self.put(number, record);
            }
            _ => client.unsaid.push(words),
        }
    }

    fn put(&mut self, number: usize, bytes: Vec<u8>) {
        self.connections.send(number, bytes.into());
    }
}
