//! TLS under a client, or none: bytes of the connection on one side, plain text on the other.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tls::{ClientConfig, ClientHandshake, Joined, Opened, Records};

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Security {
    /// With the connection, on the port for it (993).
    Implicit,
    /// By STARTTLS.
    Starttls,
}

/// What clients shake hands with.
///
/// # Errors
/// What rustls said.
pub fn config() -> Result<ClientConfig, Error> {
    let name = ServerName::try_from("localhost").map_err(|_| Error::UnsupportedNameType)?;
    ClientConfig::new(
        name,
        Arc::new(AnyCertificate(aws_lc_rs::default_provider())),
    )
}

/// Takes any certificate unread: what is measured is the server.
#[derive(Debug)]
struct AnyCertificate(CryptoProvider);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client's end. A million of these are kept, so what is large lies beside it.
pub enum Link {
    /// Plain text.
    Plain,
    /// A handshake is under way.
    Shaking(Box<ClientHandshake>),
    /// TLS.
    Sealed(Box<Sealed>),
}

/// The record layer, and the beginning of a record whose end has not come.
pub struct Sealed {
    records: Records,
    input: Vec<u8>,
}

const _: () = assert!(size_of::<Link>() == 16);

impl Link {
    /// Begins a handshake; its first flight is appended to `output`.
    ///
    /// # Errors
    /// What rustls said.
    pub fn shake(config: &ClientConfig, output: &mut Vec<u8>) -> Result<Self, String> {
        let handshake = ClientHandshake::begin(config, output);
        let handshake = handshake.map_err(|error| error.to_string())?;
        Ok(Self::Shaking(Box::new(handshake)))
    }

    /// Takes bytes of the connection: what TLS has to say is appended to `output`, and what was
    /// said within it is given to `hear`. True when a handshake ended with them.
    ///
    /// # Errors
    /// What the server did wrong: nothing can be heard any more.
    pub fn take(
        &mut self,
        bytes: &mut [u8],
        output: &mut Vec<u8>,
        hear: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, String> {
        match self {
            Self::Plain => hear(bytes),
            Self::Sealed(sealed) => sealed.take(bytes, output, hear)?,
            Self::Shaking(handshake) => {
                let joined = handshake.handle_input(bytes, output);
                let joined = joined.map_err(|error| format!("TLS: {error}"))?;
                let Some(Joined { records, mut input }) = joined else {
                    return Ok(false);
                };
                let mut sealed = Sealed {
                    records,
                    input: Vec::new(),
                };
                sealed.take(&mut input, output, hear)?;
                *self = Self::Sealed(Box::new(sealed));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is to leave of plain text, behind what `output` has.
    ///
    /// # Errors
    /// If nothing can be said any more, or not yet.
    pub fn say(&mut self, text: &[u8], output: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::Plain => output.extend_from_slice(text),
            Self::Sealed(sealed) => {
                let outcome = sealed.records.seal(text, output);
                outcome.map_err(|fault| format!("TLS: {fault}"))?;
            }
            Self::Shaking(_) if text.is_empty() => {}
            Self::Shaking(_) => return Err("it speaks before the end of its handshake".into()),
        }
        Ok(())
    }
}

impl Sealed {
    fn take(
        &mut self,
        bytes: &mut [u8],
        output: &mut Vec<u8>,
        hear: &mut dyn FnMut(&[u8]),
    ) -> Result<(), String> {
        if self.input.is_empty() {
            let used = self.open(bytes, hear)?;
            if used < bytes.len() {
                self.input = bytes[used..].to_vec();
            }
        } else {
            let mut input = std::mem::take(&mut self.input);
            input.extend_from_slice(bytes);
            let used = self.open(&mut input, hear)?;
            self.input = input[used..].to_vec();
        }
        let answered = self.records.answer(output);
        answered.map_err(|fault| format!("TLS: {fault}"))
    }

    /// Opens all that is whole; gives how many bytes that was.
    fn open(&mut self, input: &mut [u8], hear: &mut dyn FnMut(&[u8])) -> Result<usize, String> {
        let mut from = 0;
        while from < input.len() {
            let opened = self.records.open(&mut input[from..]);
            let (length, opened) = opened.map_err(|fault| format!("TLS: {fault}"))?;
            match opened {
                Opened::Incomplete => break,
                Opened::Data(data) => hear(data),
                Opened::Failed(alert) => return Err(format!("TLS: the server's alert {alert}")),
                Opened::Control | Opened::Renegotiation | Opened::Closed => {}
            }
            from += length;
        }
        Ok(from)
    }
}

#[cfg(test)]
mod tests {
    use tls::{Config, Handshake, Identity, Options};

    use super::*;

    /// A client's end after the handshake, and the server's; what the server sends comes in pieces
    /// of so many bytes, with the greeting right behind the handshake.
    fn joined(piece: usize) -> (Link, Records, Vec<u8>) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a pair");
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("a pair");
        let server = Config::new(&[identity], Options::default(), 1_700_000_000);
        let server = server.expect("a configuration");
        let mut flight = Vec::new();
        let mut link = Link::shake(&config().expect("a client"), &mut flight).expect("begins");
        assert!(link.say(b"too early", &mut Vec::new()).is_err());
        let mut handshake = Handshake::new(&server).expect("a server");
        let (mut output, mut heard, mut over) = (Vec::new(), Vec::new(), 0);
        loop {
            let step = handshake.handle_input(&std::mem::take(&mut flight), &mut output);
            let established = step.expect("it is right");
            let mut established = established.map(|it| it.records);
            if let Some(records) = &mut established {
                records.seal(b"* OK hi\r\n", &mut output).expect("open");
            }
            for bytes in std::mem::take(&mut output).chunks_mut(piece) {
                let hear = &mut |text: &[u8]| heard.extend_from_slice(text);
                over += usize::from(link.take(bytes, &mut flight, hear).expect("right"));
            }
            if let Some(records) = established {
                assert_eq!(over, 1);
                return (link, records, heard);
            }
        }
    }

    #[test]
    fn text_comes_out_whatever_the_pieces_and_goes_in() {
        for piece in [1, 7, 500, 100_000] {
            let (mut link, mut server, heard) = joined(piece);
            assert_eq!(heard, b"* OK hi\r\n", "pieces of {piece}");
            let mut output = Vec::new();
            link.say(b"a NOOP\r\n", &mut output).expect("open");
            let (length, opened) = server.open(&mut output).expect("it is right");
            assert_eq!(opened, Opened::Data(b"a NOOP\r\n"));
            assert_eq!(length, output.len());
        }
    }

    #[test]
    fn a_new_key_is_answered_and_a_forged_record_is_met() {
        let (mut link, mut server, _) = joined(100_000);
        let (mut sealed, mut answer) = (Vec::new(), Vec::new());
        server.update_key(true, &mut sealed).expect("open");
        server.seal(b"on", &mut sealed).expect("open");
        let mut heard = Vec::new();
        let hear = &mut |text: &[u8]| heard.extend_from_slice(text);
        link.take(&mut sealed, &mut answer, hear).expect("right");
        assert_eq!(heard, b"on");
        assert_eq!(server.open(&mut answer).expect("right").1, Opened::Control);
        let mut sealed = Vec::new();
        server.seal(b"more", &mut sealed).expect("open");
        *sealed.last_mut().expect("a record") ^= 1;
        let met = link.take(&mut sealed, &mut answer, &mut |_| {});
        assert!(met.expect_err("it is forged").starts_with("TLS: "));
    }
}
