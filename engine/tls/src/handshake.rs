//! From the first byte to the keys, by rustls; nothing of it is left afterwards.

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::UnbufferedStatus;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, InsufficientSizeError};
use rustls::{CipherSuite, ConnectionTrafficSecrets, SupportedCipherSuite};
use zeroize::Zeroizing;

use crate::alert::Alert;
use crate::channel::{self, Channel};
use crate::cipher::Cipher;
use crate::config::Config;
use crate::keys::{Keys, Way};
use crate::open::RECORD_MAX;
use crate::records::Records;
use crate::seal::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HEADER};
use crate::secrets::{Secret, Secrets};

/// Bytes that a client may need for its handshake, with a chain of certificates if it is asked for
/// one.
const INPUT_MAX: usize = 32 << 10;
/// Steps that a call may take; each handles a record or writes one, so it ends long before.
const STEPS_MAX: usize = 4096;

/// A handshake under way, some kilobytes. The host bounds how long it may take.
pub struct Handshake {
    /// Until it is done or has failed.
    connection: Option<Box<UnbufferedServerConnection>>,
    secrets: Secrets,
    /// What came and is not used: the beginning of a record, or what follows the handshake.
    input: Vec<u8>,
    /// How much of it rustls may see: records as they are needed, and none behind the handshake,
    /// whose KeyUpdate it would take for itself.
    shown: usize,
    taken: usize,
}

/// What a handshake has led to.
#[derive(Debug)]
pub struct Established {
    /// The record layer from here on.
    pub records: Records,
    /// What came behind the handshake, for [`Records::open`].
    pub input: Vec<u8>,
    /// What the connection is known by, and who the client is.
    pub channel: Channel,
    /// Whether the client has resumed a session of before.
    pub resumed: bool,
    /// The suite, by its name in the registry.
    pub suite: CipherSuite,
}

/// Why a handshake failed. What the peer is to be told, if rustls has an alert for it, is in the
/// output already.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// A fault of the client, or nothing in common.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    /// The client ended it.
    #[error("the client closed before the end of its handshake")]
    Closed,
    /// There is no identity to show.
    #[error("there is no certificate")]
    NoIdentity,
    /// Far more than a handshake needs.
    #[error("the client sent more than {INPUT_MAX} bytes and its handshake has no end")]
    TooLong,
    /// It has ended before.
    #[error("the handshake is over")]
    Over,
    /// The fault is ours.
    #[error("the handshake ended without keys")]
    NoKeys,
}

/// Where a step has led.
pub(crate) enum Step {
    Again,
    Blocked,
    Done,
}

impl Handshake {
    /// For a connection that has just come, or has just answered STARTTLS: nothing that came in
    /// plain text may be given to it.
    ///
    /// # Errors
    ///
    /// If there is no identity; or what rustls said.
    pub fn new(config: &Config) -> Result<Self, HandshakeError> {
        Self::with(config, false)
    }

    /// The same; a client that `asks` is true for is asked for a certificate if the configuration
    /// has authorities for them.
    ///
    /// # Errors
    ///
    /// If there is no identity; or what rustls said.
    pub fn with(config: &Config, asks: bool) -> Result<Self, HandshakeError> {
        let config = config.current(asks).ok_or(HandshakeError::NoIdentity)?;
        let connection = UnbufferedServerConnection::new(config)?;
        Ok(Self {
            connection: Some(Box::new(connection)),
            secrets: Secrets::default(),
            input: Vec::new(),
            shown: 0,
            taken: 0,
        })
    }

    /// Takes what has come, appends what is to leave, and gives the keys when it is done; after
    /// that, and after an error, it is to be dropped. What was appended leaves in each case.
    pub fn handle_input(
        &mut self,
        bytes: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<Option<Established>, HandshakeError> {
        self.input.extend_from_slice(bytes);
        self.taken += bytes.len();
        for _ in 0..STEPS_MAX {
            match self.step(output) {
                Ok(Step::Again) => {}
                Ok(Step::Done) => return self.established().map(Some),
                Ok(Step::Blocked) if self.peer_leaves() => {
                    self.connection = None;
                    return Err(HandshakeError::Closed);
                }
                Ok(Step::Blocked) if self.show_more() => {}
                Ok(Step::Blocked) if self.taken > INPUT_MAX => break,
                Ok(Step::Blocked) => {
                    if self.input.is_empty() {
                        self.input = Vec::new();
                    }
                    return Ok(None);
                }
                Err(error) => {
                    self.tell(output);
                    return Err(error);
                }
            }
        }
        self.connection = None;
        Err(HandshakeError::TooLong)
    }

    /// Whether the next record is close_notify in plain text. rustls takes it for a warning in TLS
    /// 1.2, as anybody may have sent it, and waits; but who did could have cut the connection.
    fn peer_leaves(&self) -> bool {
        const CLOSE_NOTIFY: u8 = Alert::CloseNotify as u8;
        let hidden = &self.input[self.shown..];
        matches!(hidden, [ALERT, _, _, 0, 2, _, CLOSE_NOTIFY, ..])
    }

    /// Lets rustls see one record more, if it is there; what is none, it shall refuse.
    fn show_more(&mut self) -> bool {
        let hidden = &self.input[self.shown..];
        let more = match *hidden {
            [kind, ..] if !begins_record(kind) => hidden.len(),
            [_, _, _, high, low, ..] => {
                let length = HEADER + usize::from(u16::from_be_bytes([high, low]));
                match length > RECORD_MAX {
                    true => hidden.len(),
                    false if length > hidden.len() => 0,
                    false => length,
                }
            }
            _ => 0,
        };
        self.shown += more;
        more > 0
    }

    fn step(&mut self, output: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        let Self {
            connection,
            secrets,
            input,
            shown,
            ..
        } = self;
        let connection = connection.as_mut().ok_or(HandshakeError::Over)?;
        let status = secrets.during(|| connection.process_tls_records(&mut input[..*shown]));
        let UnbufferedStatus { discard, state, .. } = status;
        let step = match state {
            Err(error) => Err(error.into()),
            Ok(ConnectionState::EncodeTlsData(data)) => encode(data, output).map(|()| Step::Again),
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                Ok(Step::Again)
            }
            Ok(ConnectionState::WriteTraffic(_)) => Ok(Step::Done),
            Ok(ConnectionState::BlockedHandshake) => Ok(Step::Blocked),
            Ok(_) => Err(HandshakeError::Closed),
        };
        input.drain(..discard);
        *shown -= discard;
        step
    }

    /// After an error: the alert that rustls has made for it, if it has. It is asked for no more
    /// than that, as it would go on with what it has refused; and what it has seen must be there
    /// still, as it may hold the beginning of a message.
    fn tell(&mut self, output: &mut Vec<u8>) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        while connection.wants_write() {
            let status = connection.process_tls_records(&mut self.input[..self.shown]);
            let told = match status.state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, output).is_ok(),
                _ => false,
            };
            if !told {
                return;
            }
        }
    }

    fn established(&mut self) -> Result<Established, HandshakeError> {
        let connection = self.connection.take().ok_or(HandshakeError::Over)?;
        let resumed = connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        let suite = connection.negotiated_cipher_suite();
        let suite = suite.ok_or(HandshakeError::NoKeys)?;
        let certificates = connection.peer_certificates().unwrap_or_default();
        let certificate = certificates.first().map(|it| it.as_ref().into());
        let (keys, _) = connection.dangerous_into_kernel_connection()?;
        let (sent, received) = (keys.tx.0, keys.rx.0);
        let secrets = std::mem::take(&mut self.secrets);
        let keys = match suite {
            SupportedCipherSuite::Tls12(_) => Keys::tls12(&keys.tx.1, &keys.rx.1),
            SupportedCipherSuite::Tls13(_) => tls13(&keys.tx.1, &secrets),
        };
        let keys = keys.ok_or(HandshakeError::NoKeys)?;
        let exporter = secrets.exporter.as_ref();
        let binding = exporter.and_then(|it| channel::binding(keys.cipher(), it.as_bytes()));
        let channel = Channel {
            binding,
            certificate,
        };
        Ok(Established {
            records: Records::at(keys, sent, received),
            channel,
            input: std::mem::take(&mut self.input),
            resumed,
            suite: suite.suite(),
        })
    }
}

/// Whether a record may begin with this byte.
pub fn begins_record(first: u8) -> bool {
    (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&first)
}

/// The keys of TLS 1.3: the cipher by what rustls hands out, the secrets by what it has told.
fn tls13(handed_out: &ConnectionTrafficSecrets, secrets: &Secrets) -> Option<Keys> {
    let cipher = match handed_out {
        ConnectionTrafficSecrets::Aes128Gcm { .. } => Cipher::Aes128Gcm,
        ConnectionTrafficSecrets::Aes256Gcm { .. } => Cipher::Aes256Gcm,
        ConnectionTrafficSecrets::Chacha20Poly1305 { .. } => Cipher::ChaCha20Poly1305,
        _ => return None,
    };
    let whole = |secret: &Option<Secret>| {
        let secret = secret.as_ref()?.as_bytes();
        (secret.len() == cipher.secret_len()).then_some(secret.to_owned())
    };
    let send = Zeroizing::new(whole(&secrets.server)?);
    let receive = Zeroizing::new(whole(&secrets.client)?);
    Keys::tls13(cipher, &send, &receive, Way::Send).ok()
}

/// Appends a record that rustls has ready.
pub(crate) fn encode<D>(
    mut data: EncodeTlsData<'_, D>,
    output: &mut Vec<u8>,
) -> Result<(), HandshakeError> {
    let from = output.len();
    let required = match data.encode(&mut []) {
        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
            required_size
        }
        _ => return Ok(()),
    };
    output.resize(from + required, 0);
    let written = data.encode(&mut output[from..]);
    output.truncate(from + written.as_ref().copied().unwrap_or(0));
    written.map(drop).map_err(|_| HandshakeError::NoKeys)
}
