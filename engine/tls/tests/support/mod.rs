//! A server's end without sockets, and the clients it meets.

#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

pub mod peer;

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    SupportedProtocolVersion,
};
use tls::{Config, Established, Handshake, HandshakeError, Identity, Opened, Options, Records};

/// A moment in 2023, in seconds since 1970.
pub const NOW: u64 = 1_700_000_000;

/// PEM texts of a certificate for these names, and of its key.
pub fn pem(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

pub fn identity(names: &[&str]) -> Identity {
    let (chain, key) = pem(names);
    Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()
}

pub fn config(options: Options) -> Config {
    Config::new(&[identity(&["localhost"])], options, NOW).unwrap()
}

/// A client that takes any certificate, and keeps the one that it was shown in `connection`.
pub fn client_config(
    suite: Option<CipherSuite>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(suite) = suite {
        provider.cipher_suites.retain(|it| it.suite() == suite);
    }
    let any = Arc::new(AnyCertificate(provider.clone()));
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(any)
        .with_no_client_auth();
    config.enable_secret_extraction = true;
    config
}

pub fn client(config: &Arc<ClientConfig>, name: &str) -> ClientConnection {
    let name: ServerName<'static> = name.to_owned().try_into().unwrap();
    ClientConnection::new(config.clone(), name).unwrap()
}

/// Takes any certificate.
#[derive(Debug)]
pub struct AnyCertificate(CryptoProvider);

impl Default for AnyCertificate {
    fn default() -> Self {
        Self(aws_lc_rs::default_provider())
    }
}

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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A rustls client and our end, joined.
pub struct Pair {
    pub client: ClientConnection,
    pub records: Records,
    pub suite: CipherSuite,
    pub resumed: bool,
    /// What our end has and could not open yet.
    pub input: Vec<u8>,
}

/// Shakes hands; each flight is given to our end in pieces of `piece` bytes.
pub fn shake(
    config: &Config,
    mut client: ClientConnection,
    piece: usize,
) -> Result<Pair, HandshakeError> {
    let mut handshake = Handshake::new(config)?;
    loop {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
        let mut established: Option<Established> = None;
        for piece in flight.chunks(piece) {
            if let Some(established) = &mut established {
                established.input.extend_from_slice(piece);
                continue;
            }
            let mut output = Vec::new();
            let step = handshake.handle_input(piece, &mut output);
            give(&mut client, &output);
            established = step?;
        }
        if let Some(established) = established {
            return Ok(Pair {
                client,
                records: established.records,
                suite: established.suite,
                resumed: established.resumed,
                input: established.input,
            });
        }
    }
}

/// Gives a client what our end has written; a client that fails says so in its next flight.
pub fn give(client: &mut ClientConnection, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        client.read_tls(&mut bytes).unwrap();
        let _ = client.process_new_packets();
    }
}

impl Pair {
    /// A pair for what all tests of the record layer need.
    pub fn new(
        config: &Config,
        suite: Option<CipherSuite>,
        version: &'static SupportedProtocolVersion,
    ) -> Self {
        let client_config = Arc::new(client_config(suite, &[version]));
        shake(config, client(&client_config, "localhost"), usize::MAX).unwrap()
    }

    /// What our end hears of all that the client has written.
    pub fn hear(&mut self) -> Vec<u8> {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.input).unwrap();
        }
        let mut data = Vec::new();
        let mut from = 0;
        loop {
            match self.records.open(&mut self.input[from..]).unwrap() {
                (_, Opened::Incomplete | Opened::Closed) => break,
                (length, Opened::Data(piece)) => {
                    data.extend_from_slice(piece);
                    from += length;
                }
                (length, _) => from += length,
            }
        }
        self.input.drain(..from);
        data
    }

    /// What the client hears when our end says this.
    pub fn say(&mut self, data: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        self.records.seal(data, &mut output).unwrap();
        self.deliver(&output)
    }

    /// What the client hears of sealed bytes.
    pub fn deliver(&mut self, mut sealed: &[u8]) -> Vec<u8> {
        let mut heard = Vec::new();
        while !sealed.is_empty() {
            self.client.read_tls(&mut sealed).unwrap();
            self.client.process_new_packets().unwrap();
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = self.client.reader().read(&mut piece) {
                heard.extend_from_slice(&piece[..length]);
            }
        }
        heard
    }

    pub fn write(&mut self, data: &[u8]) {
        self.client.writer().write_all(data).unwrap();
    }
}
