//! A stand-in for TLS: no secrets, no chance, and every record checked for its place. What is
//! sealed twice, lost, out of order or behind the end does not open.
//!
//! A record is a kind, a length, and, once the handshake is over, an epoch and a number in it. A
//! client says `h`, is answered `s`, and says `f`; then come `d` (data), `u` (the next epoch
//! begins; asks for the same or not) and `c` (the end).

use tls::{Alert, Channel, Fault, HandshakeError, Opened};

use crate::secure::{Handshake, Records, Shaken, Tls};

const HEADER: usize = 9;
/// So short that most of what is said takes several.
const DATA_MAX: usize = 20;

/// Begins handshakes.
#[derive(Clone, Copy, Default)]
pub struct StandIn;

/// The server's side of a handshake.
#[derive(Default)]
pub struct Hello {
    input: Vec<u8>,
}

/// Either end's record layer.
#[derive(Default)]
pub struct Layer {
    sent: (u16, u32),
    received: (u16, u32),
    owed: bool,
    closed: bool,
    peer_closed: bool,
}

impl Tls for StandIn {
    type Handshake = Hello;
    type Records = Layer;

    fn begin(&self, _: bool) -> Option<Hello> {
        Some(Hello::default())
    }
}

impl Handshake for Hello {
    type Records = Layer;

    fn handle_input(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Shaken<Layer> {
        self.input.extend_from_slice(bytes);
        while let [first, rest @ ..] = &self.input[..] {
            let rest = rest.to_vec();
            match first {
                b'h' => output.push(b's'),
                b'f' => return Ok(Some((Layer::default(), rest, Channel::default()))),
                _ => return Err(HandshakeError::Closed),
            }
            self.input = rest;
        }
        Ok(None)
    }
}

impl Layer {
    fn record(&mut self, kind: u8, data: &[u8], output: &mut Vec<u8>) {
        let (epoch, number) = self.sent;
        output.push(kind);
        output.extend_from_slice(&(data.len() as u16).to_be_bytes());
        output.extend_from_slice(&epoch.to_be_bytes());
        output.extend_from_slice(&number.to_be_bytes());
        output.extend(data.iter().map(|byte| byte ^ 0x5A));
        self.sent.1 += 1;
    }

    fn update(&mut self, ask: bool, output: &mut Vec<u8>) {
        self.record(b'u', &[u8::from(ask)], output);
        self.sent = (self.sent.0 + 1, 0);
    }

    /// Begins the next epoch and asks the peer for the same.
    pub fn ask(&mut self, output: &mut Vec<u8>) {
        self.update(true, output);
    }

    /// The epoch of what the peer sends.
    pub fn peer_epoch(&self) -> u16 {
        self.received.0
    }
}

fn fault(alert: Alert, why: &'static str) -> Fault {
    Fault { alert, why }
}

impl Records for Layer {
    fn seal(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Result<(), Fault> {
        if self.closed {
            return Err(fault(Alert::InternalError, "data after the end"));
        }
        self.answer(output)?;
        for piece in bytes.chunks(DATA_MAX) {
            self.record(b'd', piece, output);
        }
        Ok(())
    }

    fn open<'a>(&mut self, input: &'a mut [u8]) -> Result<(usize, Opened<'a>), Fault> {
        let Some((header, rest)) = input.split_first_chunk_mut::<HEADER>() else {
            return Ok((0, Opened::Incomplete));
        };
        let [kind, len @ .., e1, e0, n3, n2, n1, n0] = *header;
        let len = usize::from(u16::from_be_bytes(len));
        let place = (
            u16::from_be_bytes([e1, e0]),
            u32::from_be_bytes([n3, n2, n1, n0]),
        );
        if place != self.received || self.peer_closed {
            return Err(fault(Alert::BadRecordMac, "a record out of its place"));
        }
        let Some(data) = rest.get_mut(..len) else {
            return Ok((0, Opened::Incomplete));
        };
        data.iter_mut().for_each(|byte| *byte ^= 0x5A);
        self.received.1 += 1;
        let opened = match (kind, &data[..]) {
            (b'd', _) => Opened::Data(data),
            (b'u', [ask]) => {
                self.owed |= *ask == 1;
                self.received = (self.received.0 + 1, 0);
                Opened::Control
            }
            (b'c', []) => {
                self.peer_closed = true;
                Opened::Closed
            }
            _ => return Err(fault(Alert::UnexpectedMessage, "what is no record")),
        };
        Ok((HEADER + len, opened))
    }

    fn owes_answer(&self) -> bool {
        self.owed && !self.closed
    }

    fn answer(&mut self, output: &mut Vec<u8>) -> Result<(), Fault> {
        if self.owes_answer() {
            self.owed = false;
            self.update(false, output);
        }
        Ok(())
    }

    fn alert(&mut self, alert: Alert, output: &mut Vec<u8>) {
        if !self.closed {
            let kind = match alert {
                Alert::CloseNotify => b'c',
                _ => b'a',
            };
            self.record(kind, b"", output);
            self.closed = true;
        }
    }
}
