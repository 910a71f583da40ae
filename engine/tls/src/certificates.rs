//! What a server shows to who speaks TLS: the PEM files of a folder.
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
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Clients, Config, Identity, IdentityError, Options};

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
    /// All were removed.
    #[error("{0} holds no certificate (NAME.pem and NAME.key) any more")]
    Gone(String),
    /// TLS refuses them.
    #[error("TLS: {0}")]
    Tls(String),
}

/// The certificates in use.
pub struct Certificates {
    folder: PathBuf,
    /// One or more.
    configs: Vec<Arc<Config>>,
    /// Whether there are any.
    offered: Arc<AtomicBool>,
    shown: Vec<(PathBuf, Identity)>,
}

impl Certificates {
    /// Those of a folder, for handshakes with these options, in which clients may be asked for
    /// theirs. While there are none there is no TLS.
    ///
    /// # Errors
    /// The first that can't be used.
    pub fn load(
        folder: PathBuf,
        options: Options,
        clients: Option<Clients>,
    ) -> Result<Self, CertificatesError> {
        let shown = read(&folder)?;
        let mut certificates = Self {
            folder,
            configs: vec![],
            offered: Arc::new(AtomicBool::new(!shown.is_empty())),
            shown,
        };
        let config = certificates.also(options)?;
        let asked = config.reload_with(&identities(&certificates.shown), clients);
        asked.map_err(|error| CertificatesError::Tls(error.to_string()))?;
        Ok(certificates)
    }

    /// What handshakes are begun with.
    pub fn config(&self) -> Arc<Config> {
        self.configs[0].clone()
    }

    /// The same certificates for handshakes with other options.
    ///
    /// # Errors
    /// If TLS refuses them.
    pub fn also(&mut self, options: Options) -> Result<Arc<Config>, CertificatesError> {
        let made = Config::new(&identities(&self.shown), options, now_s());
        let config = made.map_err(|error| CertificatesError::Tls(error.to_string()))?;
        let config = Arc::new(config);
        self.configs.push(config.clone());
        Ok(config)
    }

    /// Whether handshakes can be begun: STARTTLS is offered then.
    pub fn offered(&self) -> Arc<AtomicBool> {
        self.offered.clone()
    }

    /// Reads them again: all are taken or, on an error, none. Sessions stay. Gives how many there
    /// are.
    ///
    /// # Errors
    /// The first that can't be used.
    pub fn reload(&mut self, clients: Option<Clients>) -> Result<usize, CertificatesError> {
        let shown = read(&self.folder)?;
        if shown.is_empty() && !self.shown.is_empty() {
            return Err(CertificatesError::Gone(self.folder.display().to_string()));
        }
        let identities = identities(&shown);
        let failed = |error: rustls::Error| CertificatesError::Tls(error.to_string());
        let (first, others) = self.configs.split_at(1);
        for config in first {
            let reloaded = config.reload_with(&identities, clients.clone());
            reloaded.map_err(failed)?;
        }
        for config in others {
            config.reload(&identities).map_err(failed)?;
        }
        self.offered.store(!shown.is_empty(), Ordering::Relaxed);
        self.shown = shown;
        Ok(self.shown.len())
    }

    /// Tells TLS the time. To be called every few seconds.
    pub fn look(&self) {
        let now = now_s();
        self.configs.iter().for_each(|config| config.set_time(now));
    }

    /// Each certificate's file, its names, and until when it is valid, in seconds since 1970.
    pub fn ends(&self) -> impl Iterator<Item = (&Path, &[String], i64)> {
        let each = self.shown.iter();
        each.map(|(path, identity)| (path.as_path(), identity.names(), identity.not_after()))
    }

    /// A line for each certificate that there is something to say against now.
    pub fn warnings(&self) -> Vec<String> {
        let now = now_s();
        let line = |(path, identity): &(PathBuf, Identity)| {
            let warning = warning(identity, now)?;
            Some(format!("{}: {warning}", path.display()))
        };
        self.shown.iter().filter_map(line).collect()
    }
}

/// Whether there is any certificate.
pub fn are_there(folder: &Path) -> bool {
    chains(folder).is_ok_and(|chains| !chains.is_empty())
}

/// A line for each certificate of a folder, for who asks: its file, names, and what to say of it.
///
/// # Errors
/// The first that can't be used.
pub fn described(folder: &Path) -> Result<Vec<String>, CertificatesError> {
    let now = now_s();
    let line = |(path, identity): &(PathBuf, Identity)| {
        let names = identity.names().join(" ");
        let warning = warning(identity, now).unwrap_or_else(|| "good".into());
        format!("{} for {names}: {warning}", path.display())
    };
    Ok(read(folder)?.iter().map(line).collect())
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
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
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
