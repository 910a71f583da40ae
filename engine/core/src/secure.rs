//! What a shard needs of TLS, and the real one behind it: the simulation has a stand-in.

use std::sync::Arc;

use tls::{Alert, Channel, Fault, HandshakeError, Opened};

/// Which listeners a shard has, as far as TLS goes.
#[derive(Clone, Debug, Default)]
pub struct Doors<T> {
    /// What handshakes are begun with.
    pub tls: T,
    /// The listeners whose connections begin with a handshake, as the reactor numbers them.
    pub implicit: Vec<u8>,
}

/// Begins handshakes.
pub trait Tls {
    /// A handshake under way.
    type Handshake: Handshake<Records = Self::Records>;
    /// What is left of it.
    type Records: Records;

    /// A handshake for a connection that has just come or was just told to begin, which `asks` the
    /// client for a certificate or doesn't; none if there is no TLS here.
    fn begin(&self, asks: bool) -> Option<Self::Handshake>;
}

/// The record layer, what came behind the handshake, and what that has shown, once it is done; or
/// why it failed.
pub type Shaken<R> = Result<Option<(R, Vec<u8>, Channel)>, HandshakeError>;

/// From the first byte to the keys: see [`tls::Handshake`].
pub trait Handshake {
    /// What it leads to.
    type Records;

    /// Takes what has come and appends what is to leave.
    ///
    /// # Errors
    /// Why it failed. What was appended leaves all the same.
    fn handle_input(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Shaken<Self::Records>;
}

/// A record layer: see [`tls::Records`].
pub trait Records {
    /// Whether it is of TLS 1.2, and not of TLS 1.3.
    fn is_tls12(&self) -> bool {
        false
    }
    /// Seals bytes to the end of `output`, which leaves in this order, once.
    ///
    /// # Errors
    /// If nothing can be sealed any more.
    fn seal(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Result<(), Fault>;
    /// Opens the record at the beginning of `input` in place, and gives the bytes it took.
    ///
    /// # Errors
    /// What was wrong: nothing can be opened any more.
    fn open<'a>(&mut self, input: &'a mut [u8]) -> Result<(usize, Opened<'a>), Fault>;
    /// Whether the peer waits for an answer of the layer itself.
    fn owes_answer(&self) -> bool;
    /// Seals that answer. To be called when nothing else waits to leave.
    ///
    /// # Errors
    /// If nothing can be sealed any more.
    fn answer(&mut self, output: &mut Vec<u8>) -> Result<(), Fault>;
    /// Seals an alert, `close_notify` included.
    fn alert(&mut self, alert: Alert, output: &mut Vec<u8>);
    /// Appends what another process needs to go on; false if none can. Nothing may be sealed or
    /// opened any more if it does.
    fn hand_over(&self, output: &mut Vec<u8>) -> bool {
        let _ = output;
        false
    }
    /// What another process has given away; none if these are not its bytes.
    fn taken_over(input: &[u8]) -> Option<Self>
    where
        Self: Sized,
    {
        let _ = input;
        None
    }
}

impl Tls for Option<Arc<tls::Config>> {
    type Handshake = tls::Handshake;
    type Records = tls::Records;

    fn begin(&self, asks: bool) -> Option<tls::Handshake> {
        tls::Handshake::with(self.as_ref()?, asks).ok()
    }
}

impl Handshake for tls::Handshake {
    type Records = tls::Records;

    fn handle_input(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Shaken<tls::Records> {
        let established = self.handle_input(bytes, output)?;
        Ok(established.map(|it| (it.records, it.input, it.channel)))
    }
}

impl Records for tls::Records {
    fn is_tls12(&self) -> bool {
        self.version() == tls::Version::Tls12
    }

    fn seal(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Result<(), Fault> {
        self.seal(bytes, output)
    }

    fn open<'a>(&mut self, input: &'a mut [u8]) -> Result<(usize, Opened<'a>), Fault> {
        self.open(input)
    }

    fn owes_answer(&self) -> bool {
        self.owes_answer()
    }

    fn answer(&mut self, output: &mut Vec<u8>) -> Result<(), Fault> {
        self.answer(output)
    }

    fn alert(&mut self, alert: Alert, output: &mut Vec<u8>) {
        self.alert(alert, output);
    }

    fn hand_over(&self, output: &mut Vec<u8>) -> bool {
        self.hand_over(output);
        true
    }

    fn taken_over(input: &[u8]) -> Option<Self> {
        tls::Records::taken_over(input)
    }
}
