//! What the server shows to who speaks TLS: the PEM files of `config/tls/`.
//!
//! `NAME.pem` is a chain, the server's own certificate first, and `NAME.key` its private key. A
//! client is shown the one for the name it asks for; `default.pem`, or else the first by name, if
//! there is none.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use admin::{Base, Config};
use arc_swap::ArcSwap;
use tls::{Clients, ClientsError, Options, Version, certificates};

/// Looks between two times that the log is told of certificates that end soon: a day's.
const WARN_EVERY: u32 = 86_400;

/// Why there is no TLS as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// What `config/tls/` holds.
    #[error(transparent)]
    Files(#[from] certificates::CertificatesError),
    /// The authorities of clients' certificates can't be read.
    #[error("ssl.clientca: {path}: {cause}; let the group of service.user read it")]
    ReadAuthorities {
        /// The file.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// They are of no use.
    #[error("ssl.clientca: {path}: {cause}")]
    Authorities {
        /// The file.
        path: String,
        /// Why.
        cause: ClientsError,
    },
    /// Nobody says which they are.
    #[error("ssl.clientcerts is {0}, and ssl.clientca names no file of authorities")]
    NoAuthorities(String),
}

impl Authorities {
    /// None if clients are not asked for certificates.
    fn configured(config: &Config) -> Result<Option<Self>, CertificatesError> {
        let mode = config.word("ssl.clientcerts");
        if mode == "no" {
            return Ok(None);
        }
        match config.path("ssl.clientca") {
            Some(path) => Ok(Some(Self {
                path,
                required: mode == "required",
            })),
            None => Err(CertificatesError::NoAuthorities(mode)),
        }
    }

    fn read(&self) -> Result<Clients, CertificatesError> {
        let path = || self.path.display().to_string();
        let text = fs::read(&self.path).map_err(|cause| CertificatesError::ReadAuthorities {
            path: path(),
            cause,
        })?;
        let clients = Clients::from_pem(&text, self.required);
        clients.map_err(|cause| CertificatesError::Authorities {
            path: path(),
            cause,
        })
    }
}

/// The certificates in use.
pub struct Certificates {
    files: certificates::Certificates,
    authorities: Option<Authorities>,
    /// As they were read last.
    clients: Option<Clients>,
    /// Looks since the last warnings.
    looks: u32,
    shown: Arc<ArcSwap<Vec<Shown>>>,
}

/// A certificate that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its file, without the folder.
    pub file: String,
    /// Its names, with blanks between them.
    pub names: String,
    /// Until when it is valid, in seconds since 1970.
    pub ends_s: i64,
}

/// Whose certificates clients may show.
struct Authorities {
    path: PathBuf,
    required: bool,
}

impl Certificates {
    /// Those of the base directory. While there are none there is no TLS.
    ///
    /// # Errors
    /// The first that can't be used.
    pub fn load(config: &Config) -> Result<Self, CertificatesError> {
        let folder = Base::new(config.base()).tls();
        let authorities = Authorities::configured(config)?;
        let clients = authorities.as_ref().map(Authorities::read).transpose()?;
        let options = options(config, b"imap");
        let mut certificates = Self {
            files: certificates::Certificates::load(folder, options, clients.clone())?,
            authorities,
            clients,
            looks: 0,
            shown: Arc::default(),
        };
        certificates.show();
        certificates.look();
        Ok(certificates)
    }

    /// What handshakes of mail are begun with.
    pub fn config(&self) -> Arc<tls::Config> {
        self.files.config()
    }

    /// What those of the broker are begun with.
    ///
    /// # Errors
    /// What TLS says.
    pub fn for_broker(&mut self, config: &Config) -> Result<Arc<tls::Config>, CertificatesError> {
        Ok(self.files.also(options(config, ens::frame::PROTOCOL))?)
    }

    /// What those of the status page's door are begun with.
    ///
    /// # Errors
    /// What TLS says.
    pub fn for_http(&mut self, config: &Config) -> Result<Arc<tls::Config>, CertificatesError> {
        Ok(self.files.also(options(config, b"http/1.1"))?)
    }

    /// Those in use, as they are known from now on.
    pub fn shown(&self) -> Arc<ArcSwap<Vec<Shown>>> {
        self.shown.clone()
    }

    fn show(&self) {
        let shown = self.files.ends().map(|(path, names, ends_s)| Shown {
            file: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into(),
            names: names.join(" "),
            ends_s,
        });
        self.shown.store(Arc::new(shown.collect()));
    }

    /// Whether handshakes can be begun: STARTTLS is offered then.
    pub fn offered(&self) -> Arc<AtomicBool> {
        self.files.offered()
    }

    /// Reads them again: all of the server are taken or, on an error, none, and the authorities of
    /// clients apart from them. Sessions stay. Gives how many there are.
    ///
    /// # Errors
    /// The first that can't be used.
    pub fn reload(&mut self) -> Result<usize, CertificatesError> {
        let authorities = self.authorities.as_ref();
        let read = authorities.map(Authorities::read).transpose();
        let read = read.map(|clients| self.clients = clients);
        let count = self.files.reload(self.clients.clone())?;
        self.looks = 0;
        self.show();
        self.look();
        read.map(|()| count)
    }

    /// Tells TLS the time, and once a day the log what ends soon. To be called once a second.
    pub fn look(&mut self) {
        self.files.look();
        if self.looks.is_multiple_of(WARN_EVERY) {
            for warning in self.files.warnings() {
                tracing::warn!("{warning}");
            }
        }
        self.looks = self.looks.wrapping_add(1);
    }
}

/// Whether there is any certificate.
pub fn are_there(base: &Path) -> bool {
    certificates::are_there(&Base::new(base).tls())
}

/// A line for each certificate, for who asks.
pub fn described(config: &Config) -> Vec<String> {
    match certificates::described(&Base::new(config.base()).tls()) {
        Err(error) => vec![format!("TLS: {error}")],
        Ok(lines) if lines.is_empty() => {
            vec!["TLS: off, config/tls/ holds no certificate".into()]
        }
        Ok(lines) => {
            let lines = lines.iter().map(|line| format!("TLS: {line}"));
            lines.chain(of_clients(config)).collect()
        }
    }
}

/// A line for certificates of clients, if they are asked for any.
fn of_clients(config: &Config) -> Option<String> {
    let authorities = match Authorities::configured(config) {
        Ok(authorities) => authorities?,
        Err(error) => return Some(format!("TLS: {error}")),
    };
    Some(match authorities.read() {
        Ok(_) => format!("TLS: {} for clients: good", authorities.path.display()),
        Err(error) => format!("TLS: {error}"),
    })
}

fn options(config: &Config, protocol: &[u8]) -> Options {
    let oldest = match config.word("ssl.minversion").as_str() {
        "tls1.3" => Version::Tls13,
        _ => Version::Tls12,
    };
    Options {
        oldest,
        protocols: vec![protocol.to_vec()],
        tickets: true,
    }
}
