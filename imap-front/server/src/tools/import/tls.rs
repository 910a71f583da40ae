//! The connection to another IMAP server.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use archive::remote::{Remote, RemoteError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::ImportError;
use crate::arguments::imsimport::{FromImap, Tls};

/// How long the other server may take to answer.
const PATIENCE: Duration = Duration::from_secs(300);
/// The longest response: a message, and what stands around it.
const RESPONSE_BYTES_MAX: usize = 256 << 20;

/// A connection, with TLS or without.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// How to reach the other server.
pub(super) struct Reach {
    host: String,
    port: u16,
    tls: Tls,
    config: Option<Arc<ClientConfig>>,
}

impl Reach {
    pub fn new(from: &FromImap) -> Result<Self, Box<dyn Error>> {
        let config = match from.tls {
            Tls::None => None,
            _ => Some(Arc::new(client_config(from.ca.as_deref())?)),
        };
        let usual = if from.tls == Tls::Imaps { 993 } else { 143 };
        Ok(Self {
            host: from.host.clone(),
            port: from.port.unwrap_or(usual),
            tls: from.tls,
            config,
        })
    }

    /// Connects; the server has greeted, and nobody has logged in.
    pub fn connect(&self) -> Result<Remote<Stream>, ImportError> {
        let stream = self.dial()?;
        match self.tls {
            Tls::None => Ok(Remote::greeted(Stream::Plain(stream), RESPONSE_BYTES_MAX)?),
            Tls::Imaps => Ok(Remote::greeted(self.secure(stream)?, RESPONSE_BYTES_MAX)?),
            Tls::Starttls => {
                let mut plain = Remote::greeted(stream, RESPONSE_BYTES_MAX)?;
                plain.start_tls()?;
                // What was said before is not believed.
                let stream = self.secure(plain.into_stream())?;
                Ok(Remote::new(stream, RESPONSE_BYTES_MAX))
            }
        }
    }

    fn dial(&self) -> Result<TcpStream, ImportError> {
        let at = |error: io::Error| {
            RemoteError::Io(io::Error::new(
                error.kind(),
                format!("{}:{}: {error}", self.host, self.port),
            ))
        };
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in (&*self.host, self.port).to_socket_addrs().map_err(at)? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    stream.set_write_timeout(Some(PATIENCE))?;
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(at(last).into())
    }

    fn secure(&self, stream: TcpStream) -> Result<Stream, ImportError> {
        let other = |error: &dyn std::fmt::Display| ImportError::Other(error.to_string());
        let name = ServerName::try_from(self.host.clone()).map_err(|error| other(&error))?;
        let config = self.config.clone();
        let config = config.ok_or_else(|| other(&"no TLS was asked for"))?;
        let client = ClientConnection::new(config, name).map_err(|error| other(&error))?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(client, stream))))
    }
}

/// Trusts what the system trusts, or the authorities in a file.
fn client_config(ca: Option<&Path>) -> Result<ClientConfig, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
            for certificate in CertificateDer::pem_reader_iter(BufReader::new(file)) {
                roots.add(certificate?)?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err("no certificate authority is trusted: name a file by --ca".into());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
