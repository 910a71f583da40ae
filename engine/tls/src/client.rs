//! The client's side, as small and cheap as the server's: for load generators, which hold as many
//! ends as the server does.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::aws_lc_rs::{cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::version;

use crate::alert::Fault;
use crate::cipher::Cipher;
use crate::handshake::{HandshakeError, Step, encode};
use crate::records::Records;
use crate::secrets::{Listener, Secrets};

/// Steps that a call may take, each for a record at most.
const STEPS_MAX: usize = 256;

/// What a client shakes hands with: TLS 1.3, AES-128-GCM and X25519, which cost least; a session is
/// never resumed.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    inner: Arc<rustls::ClientConfig>,
    name: ServerName<'static>,
}

/// A client's handshake under way.
pub struct ClientHandshake {
    connection: Option<Box<UnbufferedClientConnection>>,
    secrets: Secrets,
    input: Vec<u8>,
}

/// What a client's handshake has led to.
#[derive(Debug)]
pub struct Joined {
    /// The record layer from here on.
    pub records: Records,
    /// What came behind the handshake, for [`Records::open`].
    pub input: Vec<u8>,
}

impl ClientConfig {
    /// For a server of this name, whose certificate `verifier` judges.
    ///
    /// # Errors
    /// What rustls said.
    pub fn new(
        name: ServerName<'static>,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Result<Self, rustls::Error> {
        let provider = CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![kx_group::X25519],
            ..aws_lc_rs::default_provider()
        };
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.enable_secret_extraction = true;
        config.key_log = Arc::new(Listener);
        config.resumption = Resumption::disabled();
        let inner = Arc::new(config);
        Ok(Self { inner, name })
    }
}

impl ClientHandshake {
    /// Begins: what leaves first is appended to `output`.
    ///
    /// # Errors
    /// What rustls said.
    pub fn begin(config: &ClientConfig, output: &mut Vec<u8>) -> Result<Self, HandshakeError> {
        let connection =
            UnbufferedClientConnection::new(config.inner.clone(), config.name.clone())?;
        let mut handshake = Self {
            connection: Some(Box::new(connection)),
            secrets: Secrets::default(),
            input: Vec::new(),
        };
        handshake.handle_input(b"", output)?;
        Ok(handshake)
    }

    /// Takes what has come, appends what is to leave, and gives the keys when it is done; after
    /// that, and after an error, it is to be dropped.
    ///
    /// # Errors
    /// Why it failed.
    pub fn handle_input(
        &mut self,
        bytes: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<Option<Joined>, HandshakeError> {
        self.input.extend_from_slice(bytes);
        for _ in 0..STEPS_MAX {
            let Self {
                connection,
                secrets,
                input,
            } = self;
            let connection = connection.as_mut().ok_or(HandshakeError::Over)?;
            let status = secrets.during(|| connection.process_tls_records(input));
            let UnbufferedStatus { discard, state, .. } = status;
            let step = match state? {
                ConnectionState::EncodeTlsData(data) => encode(data, output).map(|()| Step::Again),
                ConnectionState::TransmitTlsData(data) => {
                    data.done();
                    Ok(Step::Again)
                }
                ConnectionState::WriteTraffic(_) => Ok(Step::Done),
                ConnectionState::BlockedHandshake => Ok(Step::Blocked),
                _ => Err(HandshakeError::Closed),
            };
            input.drain(..discard);
            match step? {
                Step::Again => {}
                Step::Blocked => return Ok(None),
                Step::Done => return self.join().map(Some),
            }
        }
        Err(HandshakeError::TooLong)
    }

    fn join(&mut self) -> Result<Joined, HandshakeError> {
        let connection = self.connection.take().ok_or(HandshakeError::Over)?;
        let (keys, _) = connection.dangerous_into_kernel_connection()?;
        let secrets = std::mem::take(&mut self.secrets);
        let (client, server) = (secrets.client, secrets.server);
        let (send, receive) = client.zip(server).ok_or(HandshakeError::NoKeys)?;
        let made = Records::tls13_client(Cipher::Aes128Gcm, send.as_bytes(), receive.as_bytes());
        let mut records = made.map_err(|_: Fault| HandshakeError::NoKeys)?;
        (records.sent, records.received) = (keys.tx.0, keys.rx.0);
        let input = std::mem::take(&mut self.input);
        Ok(Joined { records, input })
    }
}
