//! TLS in the simulated world: the record layer is the shipped one; before it comes a stand-in for
//! the handshake, without chance, so that a seed's run repeats.
//!
//! A client says `h` and a number of its own, from which both ends make their secrets; it is
//! answered `s` and says `f`.

use engine::secure::{Handshake, Records, Shaken, Tls};
use tls::{Alert, Channel, Cipher, Fault, HandshakeError, Opened};

use super::Mutant;

/// Bytes of the number that a client begins with.
const NUMBER: usize = 8;
/// A record that is sealed under a number that was used is one of so many.
const SEALED_TWICE_EVERY: u32 = 5;
/// What nobody should hear.
const BEHIND_THE_END: &[u8] = b"* OK Still here\r\n";

/// Begins handshakes.
#[derive(Clone, Copy)]
pub struct StandIn {
    /// A bug in the record layers that they lead to.
    pub mutant: Mutant,
}

/// The server's side of a handshake.
pub struct Hello {
    mutant: Mutant,
    input: Vec<u8>,
    number: Option<[u8; NUMBER]>,
}

/// What a client says first.
pub fn hello(number: u64) -> Vec<u8> {
    [b"h", &number.to_be_bytes()[..]].concat()
}

/// What a client says last, once it has heard [`ANSWER`].
pub const FINISHED: &[u8] = b"f";
/// What the server says in between.
pub const ANSWER: u8 = b's';

/// A client's record layer.
///
/// # Errors
/// Never: the secrets are as long as they must be.
pub fn client_records(number: u64) -> Result<tls::Records, Fault> {
    let [client, server] = secrets(number.to_be_bytes());
    tls::Records::tls13_client(Cipher::Aes128Gcm, &client, &server)
}

/// The client's secret and the server's.
fn secrets(number: [u8; NUMBER]) -> [[u8; 32]; 2] {
    [1, 2].map(|way| {
        let mut secret = [way; 32];
        secret[..NUMBER].copy_from_slice(&number);
        secret
    })
}

impl Tls for StandIn {
    type Handshake = Hello;
    type Records = Layer;

    fn begin(&self, _: bool) -> Option<Hello> {
        Some(Hello {
            mutant: self.mutant,
            input: Vec::new(),
            number: None,
        })
    }
}

impl Handshake for Hello {
    type Records = Layer;

    fn handle_input(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Shaken<Layer> {
        self.input.extend_from_slice(bytes);
        if self.number.is_none()
            && let [b'h', rest @ ..] = &self.input[..]
            && let Some((number, rest)) = rest.split_first_chunk()
        {
            self.number = Some(*number);
            self.input = rest.to_vec();
            output.push(ANSWER);
        }
        match (self.number, &self.input[..]) {
            (_, []) | (None, [b'h', ..]) => Ok(None),
            (Some(number), [b'f', rest @ ..]) => {
                let layer = Layer::new(number, self.mutant);
                let layer = layer.map_err(|_| HandshakeError::NoKeys)?;
                Ok(Some((layer, rest.to_vec(), Channel::default())))
            }
            _ => Err(HandshakeError::Closed),
        }
    }
}

/// The server's record layer, with a bug or without.
pub struct Layer {
    records: tls::Records,
    mutant: Mutant,
    /// The same keys once more, for bugs that need them: a record layer can't be copied.
    twin: Option<Box<tls::Records>>,
    seals: u32,
}

impl Layer {
    fn new(number: [u8; NUMBER], mutant: Mutant) -> Result<Self, Fault> {
        let [client, server] = secrets(number);
        let records = || tls::Records::tls13(Cipher::Aes128Gcm, &server, &client);
        let needs_twin = matches!(mutant, Mutant::SealedTwice | Mutant::BehindTheEnd);
        let twin = needs_twin.then(|| records().map(Box::new)).transpose()?;
        Ok(Self {
            records: records()?,
            mutant,
            twin,
            seals: 0,
        })
    }
}

impl Records for Layer {
    fn seal(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Result<(), Fault> {
        self.answer(output)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let from = output.len();
        self.records.seal(bytes, output)?;
        self.seals += 1;
        if let Some(twin) = &mut self.twin {
            let mut again = Vec::new();
            // One behind: the number it takes has sealed the record before.
            let lags = self.mutant == Mutant::SealedTwice && self.seals == 1;
            if !lags {
                twin.seal(bytes, &mut again)?;
            }
            let reused =
                self.mutant == Mutant::SealedTwice && self.seals.is_multiple_of(SEALED_TWICE_EVERY);
            if reused {
                output.truncate(from);
                output.append(&mut again);
            }
        }
        Ok(())
    }

    fn open<'a>(&mut self, input: &'a mut [u8]) -> Result<(usize, Opened<'a>), Fault> {
        self.records.open(input)
    }

    fn owes_answer(&self) -> bool {
        self.records.owes_answer()
    }

    fn answer(&mut self, output: &mut Vec<u8>) -> Result<(), Fault> {
        if !self.owes_answer() {
            return Ok(());
        }
        if let Some(twin) = &mut self.twin {
            twin.update_key(false, &mut Vec::new())?;
        }
        match self.mutant {
            Mutant::LostKeyUpdate => self.records.answer(&mut Vec::new()),
            _ => self.records.answer(output),
        }
    }

    fn hand_over(&self, output: &mut Vec<u8>) -> bool {
        self.records.hand_over(output);
        self.mutant == Mutant::None
    }

    fn taken_over(input: &[u8]) -> Option<Self> {
        Some(Self {
            records: tls::Records::taken_over(input)?,
            mutant: Mutant::None,
            twin: None,
            seals: 0,
        })
    }

    fn alert(&mut self, alert: Alert, output: &mut Vec<u8>) {
        self.records.alert(alert, output);
        if self.mutant == Mutant::BehindTheEnd
            && let Some(mut twin) = self.twin.take()
        {
            // The number of the alert, and the next.
            let sealed = twin.seal(b"-", &mut Vec::new());
            let _ = sealed.and_then(|()| twin.seal(BEHIND_THE_END, output));
        }
    }
}
