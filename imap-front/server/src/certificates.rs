//! What the server shows to who speaks TLS: the PEM files of `config/tls/`.
//!
//! `NAME.pem` is a chain, the server's own certificate first, and `NAME.key` its private key. A
//! client is shown the one for the name it asks for; `default.pem`, or else the first by name, if
//! there is none.
#![expect(
    clippy::disallowed_methods,
    reason = "certificates and tickets end by the calendar"
)]

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use admin::{Base, Config};
use tls::{Clients, ClientsError, Identity, IdentityError, Version};

const DAY_S: u64 = 86_400;
/// A certificate that ends within so many days is warned of.
const WARNING_DAYS: u64 = 30;

/// Why there is no TLS as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// The folder can't be read.
    #[error("{path}: {cause}; let the group of service.user read it")]
    Folder {
        /// The folder.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// A chain and its key are of no use.
    #[error("{0}; config/tls/ holds a chain NAME.pem and its private key NAME.key for each name")]
    Identity(#[from] IdentityError),
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
    /// All were removed.
    #[error("{0} holds no certificate (NAME.pem and NAME.key) any more")]
    Gone(String),
    /// TLS refuses them.
    #[error("TLS: {0}")]
    Tls(String),
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
    folder: PathBuf,
    config: Arc<tls::Config>,
    shown: Vec<(PathBuf, Identity)>,
    authorities: Option<Authorities>,
    warned_s: u64,
}

/// Whose certificates clients may show.
struct Authorities {
    path: PathBuf,
    required: bool,
}

impl Certificates {
    /// Those of the base directory; none if there are none: then there is no TLS.
    ///
    /// # Errors
    /// The first that can't be used.
    pub fn load(config: &Config) -> Result<Option<Self>, CertificatesError> {
        let folder = folder(config.base());
        let authorities = Authorities::configured(config)?;
        let shown = read(&folder)?;
        if shown.is_empty() {
            return Ok(None);
        }
        let oldest = match config.word("ssl.minversion").as_str() {
            "tls1.3" => Version::Tls13,
            _ => Version::Tls12,
        };
        let options = tls::Options {
            oldest,
            protocols: vec![b"imap".to_vec()],
            tickets: true,
        };
        let made = tls::Config::new(&identities(&shown), options, now_s());
        let made = made.map_err(|error| CertificatesError::Tls(error.to_string()))?;
        let mut certificates = Self {
            folder,
            config: Arc::new(made),
            shown,
            authorities,
            warned_s: 0,
        };
        certificates.take(None)?;
        certificates.look();
        Ok(Some(certificates))
    }

    /// What handshakes are begun with.
    pub fn config(&self) -> Arc<tls::Config> {
        self.config.clone()
    }

    /// Reads them again: all are taken or, on an error, none. Sessions stay.
    ///
    /// # Errors
    /// The first that can't be used.
    pub fn reload(&mut self) -> Result<(), CertificatesError> {
        let shown = read(&self.folder)?;
        if shown.is_empty() {
            return Err(CertificatesError::Gone(self.folder.display().to_string()));
        }
        self.take(Some(shown))?;
        self.warned_s = 0;
        self.look();
        Ok(())
    }

    /// Gives TLS the certificates, these or those it has, and the authorities of clients', which
    /// are read.
    fn take(&mut self, shown: Option<Vec<(PathBuf, Identity)>>) -> Result<(), CertificatesError> {
        let clients = self
            .authorities
            .as_ref()
            .map(Authorities::read)
            .transpose()?;
        let identities = identities(shown.as_ref().unwrap_or(&self.shown));
        let taken = self.config.reload_with(&identities, clients);
        taken.map_err(|error| CertificatesError::Tls(error.to_string()))?;
        self.shown = shown.unwrap_or_else(|| std::mem::take(&mut self.shown));
        Ok(())
    }

    /// Tells TLS the time, and once a day the log what ends soon. To be called every few seconds.
    pub fn look(&mut self) {
        let now = now_s();
        self.config.set_time(now);
        if now < self.warned_s + DAY_S {
            return;
        }
        self.warned_s = now;
        for (path, identity) in &self.shown {
            if let Some(warning) = warning(identity, now) {
                tracing::warn!("{}: {warning}", path.display());
            }
        }
    }
}

/// Whether there is any certificate.
pub fn are_there(base: &Path) -> bool {
    chains(&folder(base)).is_ok_and(|chains| !chains.is_empty())
}

/// A line for each certificate, for who asks.
pub fn described(config: &Config) -> Vec<String> {
    let now = now_s();
    match read(&folder(config.base())) {
        Err(error) => vec![format!("TLS: {error}")],
        Ok(shown) if shown.is_empty() => {
            vec!["TLS: off, config/tls/ holds no certificate".into()]
        }
        Ok(shown) => {
            let line = |(path, identity): &(PathBuf, Identity)| {
                let names = identity.names().join(" ");
                let warning = warning(identity, now).unwrap_or_else(|| "good".into());
                format!("TLS: {} for {names}: {warning}", path.display())
            };
            shown.iter().map(line).chain(of_clients(config)).collect()
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

fn folder(base: &Path) -> PathBuf {
    Base::new(base).tls()
}

fn identities(shown: &[(PathBuf, Identity)]) -> Vec<Identity> {
    shown.iter().map(|(_, identity)| identity.clone()).collect()
}

/// The files that hold chains, the default first.
fn chains(folder: &Path) -> Result<Vec<PathBuf>, CertificatesError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(vec![]),
        Err(cause) => {
            let path = folder.display().to_string();
            return Err(CertificatesError::Folder { path, cause });
        }
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut chains: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|it| it == "pem"))
        .collect();
    chains.sort_by_key(|path| (path.file_stem() != Some("default".as_ref()), path.clone()));
    Ok(chains)
}

fn read(folder: &Path) -> Result<Vec<(PathBuf, Identity)>, CertificatesError> {
    let chains = chains(folder)?.into_iter();
    let each = chains.map(|chain| {
        let identity = Identity::read(&chain, &chain.with_extension("key"))?;
        Ok((chain, identity))
    });
    each.collect()
}

/// What there is to say against a certificate at that time.
fn warning(identity: &Identity, now_s: u64) -> Option<String> {
    let left_s = identity.not_after() - now_s.cast_signed();
    let days = left_s.unsigned_abs() / DAY_S;
    if left_s < 0 {
        Some(format!("this certificate ended {days} days ago; renew it"))
    } else if days < WARNING_DAYS {
        Some(format!("this certificate ends in {days} days; renew it"))
    } else if identity.is_self_signed() {
        Some("this certificate is self-signed; clients must be told to trust it".into())
    } else {
        None
    }
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_soon_is_warned_of() {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let key = made.signing_key.serialize_pem();
        let identity = Identity::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).unwrap();
        let end_s = identity.not_after().cast_unsigned();
        let said = |now_s| warning(&identity, now_s).unwrap();
        assert!(said(end_s + 3 * DAY_S).contains("ended 3 days ago"));
        assert!(said(end_s - 29 * DAY_S).contains("ends in 29 days"));
        assert!(said(end_s - 31 * DAY_S).contains("self-signed"));
    }
}
