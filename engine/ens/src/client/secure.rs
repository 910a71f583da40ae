//! TLS to a broker: the handshake, which checks its certificate, and what is said within.
#![expect(
    clippy::disallowed_methods,
    reason = "a client waits by the machine's clock"
)]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::frame::PROTOCOL;
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, ConfigBuilder, Error, RootCertStore,
};

/// The environment variable that names a file of certificates of authorities, PEM.
pub const ENS_CA_FILE: &str = "ENS_CA_FILE";

const NO_CERTIFICATE: &str =
    "it holds no certificate (a block that begins with -----BEGIN CERTIFICATE-----)";

const NO_KEY: &str =
    "it holds no private key (a block that begins with -----BEGIN PRIVATE KEY-----)";

/// A TLS connection's state: everything but the socket.
pub(super) struct Secure {
    session: ClientConnection,
    /// What was opened and not taken.
    plain: Vec<u8>,
}

impl Secure {
    /// Shakes hands with the broker on this socket, whose certificate must be for `host` and signed
    /// by one of `ca`; by one that the system trusts if that is none.
    pub fn connect(
        stream: &TcpStream,
        host: &str,
        ca: Option<&Path>,
        within: Duration,
    ) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(config(ca)?, name).map_err(io::Error::other)?;
        let plain = Vec::new();
        let mut secure = Self { session, plain };
        let until = Instant::now() + within;
        let outcome = secure.shake_hands(stream, until);
        // What was refused is told to the broker.
        if outcome.is_err() {
            let _ = secure.session.write_tls(&mut &*stream);
        }
        outcome?;
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(None)?;
        Ok(secure)
    }

    fn shake_hands(&mut self, mut stream: &TcpStream, until: Instant) -> io::Result<()> {
        while self.session.is_handshaking() || self.session.wants_write() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(late());
            }
            stream.set_read_timeout(Some(left))?;
            stream.set_write_timeout(Some(left))?;
            let in_time = |error: io::Error| match error.kind() {
                io::ErrorKind::WouldBlock => late(),
                _ => error,
            };
            let writes = self.session.wants_write();
            let done = match writes {
                true => self.session.write_tls(&mut stream),
                false => self.session.read_tls(&mut stream),
            };
            match done {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) if !writes => {
                    let text = "it closed the connection within the TLS handshake; see its log";
                    return Err(io::Error::other(text));
                }
                Ok(_) => {
                    self.session.process_new_packets().map_err(said)?;
                }
                Err(error) => return Err(in_time(error)),
            }
        }
        Ok(())
    }

    /// Takes what came from the socket; 0 bytes are its end.
    pub fn receive(&mut self, mut sealed: &[u8]) -> io::Result<()> {
        if sealed.is_empty() {
            // Whoever ends says so within TLS: anything else may have been cut off.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while !sealed.is_empty() {
            self.session.read_tls(&mut sealed)?;
            self.session.process_new_packets().map_err(said)?;
            match self.session.reader().read_to_end(&mut self.plain) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What was said within: none if nothing is there yet, 0 bytes at the end.
    pub fn take(&mut self, buffer: &mut [u8]) -> Option<usize> {
        // What came with the end of the handshake lies in the session still.
        let ended = self.session.reader().read_to_end(&mut self.plain).is_ok();
        let count = self.plain.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.plain[..count]);
        self.plain.drain(..count);
        (count > 0 || ended).then_some(count)
    }

    /// Seals bytes and gives to `socket` what it takes; 0 if it takes nothing for now.
    pub fn send_some(&mut self, bytes: &[u8], socket: &mut dyn Write) -> io::Result<usize> {
        if !self.flush(socket)? {
            return Ok(0);
        }
        let sealed = self.session.writer().write(bytes)?;
        self.flush(socket)?;
        Ok(sealed)
    }

    /// Whether something that is sealed has not left.
    pub fn is_behind(&self) -> bool {
        self.session.wants_write()
    }

    /// Whether all that is sealed has left.
    fn flush(&mut self, socket: &mut dyn Write) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut *socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Ok(0) => return Ok(false),
                sent => sent?,
            };
        }
        Ok(true)
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "its TLS handshake takes too long")
}

/// What went wrong, and what to do.
fn said(error: Error) -> io::Error {
    io::Error::other(match error {
        Error::InvalidCertificate(why) => format!(
            "its certificate is not trusted: {why}; the file of {ENS_CA_FILE} or --ca has to hold \
             that of whoever signed it, and it has to be for this host's name"
        ),
        Error::InvalidMessage(_) => "it speaks no TLS on this port".into(),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "it speaks TLS on this port, and no ENP within".into()
        }
        other => format!("TLS: {other}"),
    })
}

fn config(ca: Option<&Path>) -> io::Result<Arc<ClientConfig>> {
    let of_environment = || std::env::var_os(ENS_CA_FILE).filter(|path| !path.is_empty());
    let ca = ca
        .map(Path::to_owned)
        .or_else(|| of_environment().map(PathBuf::from));
    let roots = match ca {
        Some(path) => roots_of(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?,
        None => roots_of_system()?,
    };
    let mut config = trusting(roots)?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}

/// Whoever speaks another protocol trusts such roots, too.
///
/// # Errors
/// None that this host should have.
pub(crate) fn trusting(roots: Arc<RootCertStore>) -> io::Result<ClientConfig> {
    Ok(with_roots(roots)?.with_no_client_auth())
}

/// The same, with a certificate's chain and its private key, PEM, to show.
///
/// # Errors
/// What is wrong with these.
pub(crate) fn trusting_and_showing(
    roots: Arc<RootCertStore>,
    shown: &[u8],
) -> io::Result<ClientConfig> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(shown).collect();
    let chain = chain.map_err(io::Error::other)?;
    if chain.is_empty() {
        return Err(io::Error::other(NO_CERTIFICATE));
    }
    let key = PrivateKeyDer::from_pem_slice(shown).map_err(|error| match error {
        pem::Error::NoItemsFound => io::Error::other(NO_KEY),
        other => io::Error::other(format!("its private key: {other}")),
    })?;
    let config = with_roots(roots)?.with_client_auth_cert(chain, key);
    config.map_err(|error| match error {
        Error::InconsistentKeys(_) => {
            io::Error::other("its private key is not that of its first certificate")
        }
        other => io::Error::other(other),
    })
}

fn with_roots(
    roots: Arc<RootCertStore>,
) -> io::Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Ok(ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots))
}

/// Authorities of a file, PEM.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn roots_of(path: &Path) -> io::Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    let text = std::fs::read(path)?;
    for block in CertificateDer::pem_slice_iter(&text) {
        let certificate = block.map_err(io::Error::other)?;
        roots.add(certificate).map_err(io::Error::other)?;
    }
    if roots.is_empty() {
        return Err(io::Error::other(NO_CERTIFICATE));
    }
    Ok(Arc::new(roots))
}

/// Those of the system, read once.
///
/// # Errors
/// If there are none.
pub(crate) fn roots_of_system() -> io::Result<Arc<RootCertStore>> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let text = format!(
            "this host has no certificates of authorities (Debian: ca-certificates); name a file \
             of them by {ENS_CA_FILE} or --ca"
        );
        return Err(io::Error::other(text));
    }
    Ok(ROOTS.get_or_init(|| Arc::new(roots)).clone())
}
