//! Certificates that clients show: by whose authorities, and what they are called.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::provider::provider;

/// Longest name of a client that is taken, in bytes: far longer than any user's.
const NAME_BYTES_MAX: usize = 256;

/// Which clients are let in by their certificates.
#[derive(Debug, Clone)]
pub struct Clients {
    verifier: Arc<dyn ClientCertVerifier>,
}

/// Why a file of authorities is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// There is none.
    #[error("holds no certificate of an authority (-----BEGIN CERTIFICATE-----)")]
    None,
    /// One of them cannot be read.
    #[error("certificate {0} cannot be read: {1}")]
    Certificate(usize, String),
    /// They make up no verifier.
    #[error("{0}")]
    Refused(String),
}

/// What of a client's certificate is its user's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NamedBy {
    /// Its first mail address: of its alternative names (rfc822Name), or else of its subject.
    #[default]
    Email,
    /// The subject's common name.
    CommonName,
}

impl Clients {
    /// Certificates of these authorities, PEM; clients without one are let in unless `required`.
    ///
    /// # Errors
    ///
    /// What is wrong with the authorities.
    pub fn from_pem(authorities: &[u8], required: bool) -> Result<Self, ClientsError> {
        let mut roots = RootCertStore::empty();
        for (at, der) in CertificateDer::pem_slice_iter(authorities).enumerate() {
            let failed = |cause: String| ClientsError::Certificate(at + 1, cause);
            let der = der.map_err(|cause| failed(cause.to_string()))?;
            roots.add(der).map_err(|cause| failed(cause.to_string()))?;
        }
        if roots.is_empty() {
            return Err(ClientsError::None);
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let builder = match required {
            true => builder,
            false => builder.allow_unauthenticated(),
        };
        let verifier = builder.build();
        let verifier = verifier.map_err(|cause| ClientsError::Refused(cause.to_string()))?;
        Ok(Self { verifier })
    }

    pub(crate) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        self.verifier.clone()
    }
}

/// The name in a certificate that was verified; none if it has none of that kind, or one that is
/// too long or has a NUL in it.
pub(crate) fn name(certificate: &[u8], by: NamedBy) -> Option<Box<str>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subject = certificate.subject();
    let name = match by {
        NamedBy::CommonName => subject.iter_common_name().next()?.as_str().ok()?,
        NamedBy::Email => {
            let alternatives = certificate.subject_alternative_name().ok()?;
            let alternatives = alternatives.iter().flat_map(|it| &it.value.general_names);
            let mut mails = alternatives.filter_map(|name| match name {
                GeneralName::RFC822Name(mail) => Some(*mail),
                _ => None,
            });
            match mails.next() {
                Some(mail) => mail,
                None => subject.iter_email().next()?.as_str().ok()?,
            }
        }
    };
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains('\0');
    is_name.then(|| name.into())
}
