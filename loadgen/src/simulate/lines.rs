//! Connections of clients, in plain text or over TLS, compressed or not, as an actor of the
//! simulated world sees them: text in, text out. What a server's record layer and its compression
//! do wrong is met here.

use std::net::SocketAddr;

use reactor::sim::{Connections, News, SimReactor};
use reactor::{Rng, Waker};
use tls::{Opened, Records};

use super::compressed::Deflated;
use super::secure::{ANSWER, FINISHED, client_records, hello};

/// What has happened to a member's connection.
#[derive(Debug)]
pub enum Heard {
    /// Its client may speak, or waits to be greeted.
    Connected,
    /// It could not be made.
    Refused,
    /// Text came, all that is whole.
    Text(Vec<u8>),
    /// The handshake that the client has begun is over.
    Secured,
    /// It is gone.
    Lost,
    /// The kernel takes bytes again.
    Room,
}

/// The members of an actor and their connections.
pub struct Lines {
    connections: Connections,
    layers: Vec<Layer>,
    compressed: Vec<Option<Box<Deflated>>>,
    heard: Vec<(usize, Heard)>,
    /// What record layers and compression did wrong.
    pub faults: Vec<String>,
}

/// What is under a member's text.
#[derive(Default)]
enum Layer {
    #[default]
    Plain,
    /// A handshake begun with this number, by the client if it was in plain text before.
    Shaking {
        number: u64,
        upgrades: bool,
    },
    Sealed(Box<Sealed>),
}

struct Sealed {
    records: Records,
    /// What came and is not opened yet.
    input: Vec<u8>,
    /// A KeyUpdate was asked for and has not come.
    awaits_update: bool,
    heard_end: bool,
    said_end: bool,
}

impl Lines {
    /// So many members, none of them connected.
    pub fn new(reactor: SimReactor, members: usize) -> Self {
        Self {
            connections: Connections::new(reactor, members),
            layers: (0..members).map(|_| Layer::default()).collect(),
            compressed: (0..members).map(|_| None).collect(),
            heard: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// The time, in nanoseconds.
    pub fn now_ns(&self) -> u64 {
        self.connections.now_ns()
    }

    /// Ends the actor's sleep.
    pub fn waker(&self) -> Waker {
        self.connections.waker()
    }

    /// Waits until something happened.
    pub fn turn(&mut self, until_ns: Option<u64>) {
        self.connections.waker().announce_sleep();
        self.connections.turn(until_ns);
    }

    /// The next of what has happened: to be asked for until there is none.
    pub fn take_next(&mut self) -> Option<(usize, Heard)> {
        loop {
            if !self.heard.is_empty() {
                return Some(self.heard.remove(0));
            }
            let (number, news) = self.connections.take_next()?;
            let heard = match news {
                News::Connected => self.connected(number),
                News::Refused => Some(Heard::Refused),
                News::Lost(_) => {
                    self.layers[number] = Layer::Plain;
                    self.compressed[number] = None;
                    Some(Heard::Lost)
                }
                News::Room => Some(Heard::Room),
                News::Received(data) => self.received(number, &data),
            };
            let heard = match heard {
                Some(Heard::Text(text)) => self.inflate(number, text),
                heard => heard,
            };
            if let Some(heard) = heard {
                return Some((number, heard));
            }
        }
    }

    fn connected(&mut self, number: usize) -> Option<Heard> {
        if let Layer::Shaking { number: own, .. } = self.layers[number] {
            self.connections.send(number, hello(own).into());
        }
        Some(Heard::Connected)
    }

    fn received(&mut self, number: usize, data: &[u8]) -> Option<Heard> {
        match &mut self.layers[number] {
            Layer::Plain => Some(Heard::Text(data.to_vec())),
            Layer::Sealed(sealed) => {
                sealed.input.extend_from_slice(data);
                self.open(number)
            }
            Layer::Shaking {
                number: own,
                upgrades,
            } => {
                let (own, upgrades) = (*own, *upgrades);
                let [ANSWER, rest @ ..] = data else {
                    self.faults
                        .push(format!("client {number}: {data:?} within a handshake"));
                    return self.lose(number);
                };
                let records = client_records(own).expect("secrets are as long as they must be");
                self.layers[number] = Layer::Sealed(Box::new(Sealed {
                    records,
                    input: rest.to_vec(),
                    awaits_update: false,
                    heard_end: false,
                    said_end: false,
                }));
                self.connections.send(number, FINISHED.into());
                if upgrades {
                    self.heard.push((number, Heard::Secured));
                }
                let then = self.open(number);
                self.heard.extend(then.map(|heard| (number, heard)));
                None
            }
        }
    }

    /// Opens all that is whole.
    fn open(&mut self, number: usize) -> Option<Heard> {
        let Layer::Sealed(sealed) = &mut self.layers[number] else {
            return None;
        };
        let (mut text, mut from, mut fault) = (Vec::new(), 0, None);
        let mut input = std::mem::take(&mut sealed.input);
        while from < input.len() {
            if sealed.heard_end {
                fault = Some(format!("client {number}: output behind close_notify"));
                break;
            }
            match sealed.records.open(&mut input[from..]) {
                Err(why) => {
                    fault = Some(format!("client {number}: {why}"));
                    break;
                }
                Ok((_, Opened::Incomplete)) => break,
                Ok((length, opened)) => {
                    from += length;
                    match opened {
                        Opened::Data(data) => text.extend_from_slice(data),
                        Opened::Closed => sealed.heard_end = true,
                        Opened::Control => sealed.awaits_update = false,
                        opened => fault = Some(format!("client {number}: {opened:?}")),
                    }
                }
            }
        }
        sealed.input = input.split_off(from.min(input.len()));
        if let Some(fault) = fault {
            self.faults.push(fault);
            return self.lose(number);
        }
        (!text.is_empty()).then_some(Heard::Text(text))
    }

    /// Inflates what came, if the connection is compressed.
    fn inflate(&mut self, number: usize, text: Vec<u8>) -> Option<Heard> {
        let Some(deflated) = &mut self.compressed[number] else {
            return Some(Heard::Text(text));
        };
        match deflated.inflate(&text) {
            Ok(text) => (!text.is_empty()).then_some(Heard::Text(text)),
            Err(why) => {
                self.faults.push(format!("client {number}: {why}"));
                self.lose(number)
            }
        }
    }

    /// The server has said that it compresses: a member does so from now on.
    pub fn begin_compression(&mut self, number: usize, partial: bool) {
        self.compressed[number] = Some(Box::new(Deflated::new(partial)));
    }

    fn lose(&mut self, number: usize) -> Option<Heard> {
        self.close(number);
        Some(Heard::Lost)
    }

    /// Begins to connect a member; with TLS from the first byte if there is a number for it.
    pub fn connect(&mut self, number: usize, to: SocketAddr, tls: Option<u64>) {
        self.compressed[number] = None;
        self.layers[number] = match tls {
            None => Layer::Plain,
            Some(own) => Layer::Shaking {
                number: own,
                upgrades: false,
            },
        };
        self.connections.connect(number, to);
    }

    /// The server has said that TLS may begin.
    pub fn begin_tls(&mut self, number: usize, own: u64) {
        self.layers[number] = Layer::Shaking {
            number: own,
            upgrades: true,
        };
        self.connections.send(number, hello(own).into());
    }

    /// Whether a member has a connection.
    pub fn is_open(&self, number: usize) -> bool {
        self.connections.is_open(number)
    }

    /// Whether a member may connect.
    pub fn may_connect(&self, number: usize) -> bool {
        self.connections.may_connect(number)
    }

    /// Whether a member may say something, and the kernel takes it.
    pub fn has_room(&self, number: usize) -> bool {
        let may_speak = match &self.layers[number] {
            Layer::Plain => true,
            Layer::Shaking { .. } => false,
            Layer::Sealed(sealed) => !sealed.said_end,
        };
        may_speak && self.connections.has_room(number)
    }

    /// Says something.
    pub fn send(&mut self, number: usize, text: Vec<u8>) {
        let says = match &self.layers[number] {
            Layer::Plain => true,
            Layer::Sealed(sealed) => !sealed.said_end,
            Layer::Shaking { .. } => false,
        };
        if !says || text.is_empty() {
            return;
        }
        let text = match &mut self.compressed[number] {
            Some(deflated) => deflated.deflate(&text),
            None => text,
        };
        let output = match &mut self.layers[number] {
            Layer::Sealed(sealed) => {
                let mut output = Vec::new();
                let outcome = sealed.records.seal(&text, &mut output);
                outcome.expect("it has not ended");
                output
            }
            Layer::Plain => text,
            Layer::Shaking { .. } => return,
        };
        self.connections.send(number, output.into());
    }

    /// Now and then does what TLS allows beside text: begins another key and asks the server for
    /// the same, or says that nothing more will come. True if the connection ends with that.
    pub fn fidget(&mut self, number: usize, rng: &mut Rng) -> bool {
        let Layer::Sealed(sealed) = &mut self.layers[number] else {
            return false;
        };
        let mut output = Vec::new();
        if rng.chance(1, 12) {
            sealed.records.close(&mut output);
            sealed.said_end = true;
        } else if !sealed.awaits_update && rng.chance(1, 2) {
            let asked = sealed.records.update_key(true, &mut output);
            asked.expect("it has not ended");
            sealed.awaits_update = true;
        }
        let ends = sealed.said_end;
        self.connections.send(number, output.into());
        ends
    }

    /// Liveness: who still waits for a KeyUpdate.
    pub fn waiting(&self) -> Vec<String> {
        let each = self.layers.iter().enumerate();
        let waits = each.filter(|(_, layer)| match layer {
            Layer::Sealed(sealed) => sealed.awaits_update,
            _ => false,
        });
        waits
            .map(|(number, _)| format!("client {number} waits for a KeyUpdate"))
            .collect()
    }

    /// Has a member read, or not.
    pub fn read(&mut self, number: usize, on: bool) {
        self.connections.read(number, on);
    }

    /// Closes a member's connection, if it has one.
    pub fn close(&mut self, number: usize) {
        self.layers[number] = Layer::Plain;
        self.compressed[number] = None;
        self.connections.close(number);
    }

    /// Closes all, for good.
    pub fn leave(&mut self) {
        (0..self.layers.len()).for_each(|number| self.close(number));
        self.connections.leave();
    }
}
