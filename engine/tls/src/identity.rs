//! A certificate chain and its key.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::provider::provider;

/// What a server shows and proves: its certificate with those that lead to a root, and the key.
#[derive(Debug, Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    names: Vec<String>,
    not_after: i64,
    self_signed: bool,
}

/// Why a chain and a key are no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read.
    #[error("{path}: {cause}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Something is wrong in a file.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        cause: Box<IdentityError>,
    },
    /// There is no certificate.
    #[error("holds no certificate (a block that begins with -----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// A certificate of the chain cannot be read.
    #[error("certificate {0} of the chain cannot be read: {1}")]
    Certificate(usize, String),
    /// The chain is not in order.
    #[error(
        "certificate {0} of the chain is not by the holder of certificate {next}: \
         put the server's own first, and behind each the one that signed it", next = .0 + 1
    )]
    Order(usize),
    /// The key cannot be read.
    #[error(
        "holds no private key that can be used (PEM, RSA or ECDSA or Ed25519, no passphrase): {0}"
    )]
    Key(String),
    /// The key is another's.
    #[error("the private key is not that of the chain's first certificate")]
    Mismatch,
    /// The key is of another certificate of the chain.
    #[error("the private key is that of certificate {0} of the chain: put that certificate first")]
    NotFirst(usize),
}

impl Identity {
    /// Reads PEM files: the chain, the server's own certificate first, and its private key.
    pub fn read(chain: &Path, key: &Path) -> Result<Self, IdentityError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|cause| IdentityError::Read {
                path: path.display().to_string(),
                cause,
            })
        };
        let key_text = zeroize::Zeroizing::new(read(key)?);
        Self::from_pem(&read(chain)?, &key_text).map_err(|cause| {
            let path = match cause {
                IdentityError::Key(_) => key.display().to_string(),
                IdentityError::Mismatch | IdentityError::NotFirst(_) => {
                    format!("{}, {}", chain.display(), key.display())
                }
                _ => chain.display().to_string(),
            };
            let cause = Box::new(cause);
            IdentityError::File { path, cause }
        })
    }

    /// From PEM texts.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let blocks: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = blocks.map_err(|cause| IdentityError::Certificate(1, cause.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|cause| IdentityError::Key(cause.to_string()))?;
        let key = provider().key_provider.load_private_key(key);
        let key = key.map_err(|cause| IdentityError::Key(cause.to_string()))?;

        let parsed = parse(&chain)?;
        let leaf = parsed.first().ok_or(IdentityError::NoCertificate)?;
        let pairs = parsed.iter().zip(parsed.iter().skip(1)).enumerate();
        for (at, (below, above)) in pairs {
            if below.issuer().as_raw() != above.subject().as_raw() {
                return Err(IdentityError::Order(at + 1));
            }
        }
        let (names, not_after) = (names(leaf), leaf.validity().not_after.timestamp());
        let self_signed = leaf.issuer().as_raw() == leaf.subject().as_raw();
        let certified = CertifiedKey::new(chain.clone(), key);
        if let Some(cause) = mismatch(&certified) {
            return Err(cause);
        }
        Ok(Self {
            certified: Arc::new(certified),
            names,
            not_after,
            self_signed,
        })
    }

    /// The names it is for, in small letters; `*.example.org` for all beside each other.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Until when the server's own certificate is valid, in seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Whether it was issued by itself, so that clients have to be told to trust it.
    pub fn is_self_signed(&self) -> bool {
        self.self_signed
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        self.certified.clone()
    }
}

fn parse<'a>(chain: &'a [CertificateDer<'_>]) -> Result<Vec<X509Certificate<'a>>, IdentityError> {
    let each = chain.iter().enumerate().map(|(at, der)| {
        let parsed = X509Certificate::from_der(der);
        let failed = |cause| IdentityError::Certificate(at + 1, format!("{cause}"));
        parsed.map(|(_, certificate)| certificate).map_err(failed)
    });
    each.collect()
}

/// Its DNS names; without any, the common name, as of old.
fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let alternatives = leaf.subject_alternative_name().ok().flatten();
    if let Some(alternatives) = alternatives {
        let names = alternatives.value.general_names.iter();
        let dns = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        return dns.collect();
    }
    let common = leaf.subject().iter_common_name();
    let common = common.filter_map(|name| name.as_str().ok());
    common.map(str::to_ascii_lowercase).collect()
}

/// What is wrong with the pair, if anything is.
fn mismatch(pair: &CertifiedKey) -> Option<IdentityError> {
    let fits = |chain: Vec<CertificateDer<'static>>| {
        CertifiedKey::new(chain, pair.key.clone()).keys_match()
    };
    match fits(pair.cert.clone()) {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => None,
        Err(Error::InconsistentKeys(_)) => {
            let other = pair
                .cert
                .iter()
                .position(|it| fits(vec![it.clone()]).is_ok());
            let found = other.map(|at| IdentityError::NotFirst(at + 1));
            Some(found.unwrap_or(IdentityError::Mismatch))
        }
        Err(cause) => Some(IdentityError::Certificate(1, cause.to_string())),
    }
}
