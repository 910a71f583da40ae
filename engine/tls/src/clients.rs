//! Certificates that clients show: by whose authorities, and what they are called.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::asn1_rs::Tag;
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

/// Why a certificate that was verified names nobody, though there is something that should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.words())]
pub enum NameFault {
    /// It is broken, or an extension of it.
    Unreadable,
    /// Whoever made it may have meant either.
    Several,
    /// Not in an encoding that is known.
    NoText,
    /// Programs would take it for something else.
    Control,
    /// There is none, or it is far longer than any user's.
    Length,
}

impl NameFault {
    /// In words, none of which are the certificate's.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Unreadable => "it can't be read",
            Self::Several => "it has several common names",
            Self::NoText => "its name is no text",
            Self::Control => "its name has a control character",
            Self::Length => "its name is empty or too long",
        }
    }
}

/// The name in a certificate that was verified; none if it has none of that kind.
///
/// # Errors
///
/// What is wrong with the name that it has.
pub(crate) fn name(certificate: &[u8], by: NamedBy) -> Result<Option<Box<str>>, NameFault> {
    let parsed = X509Certificate::from_der(certificate);
    let (_, certificate) = parsed.map_err(|_| NameFault::Unreadable)?;
    let name = match by {
        NamedBy::CommonName => common_name(&certificate)?,
        NamedBy::Email => mail(&certificate)?,
    };
    match name {
        Some(name) if !(1..=NAME_BYTES_MAX).contains(&name.len()) => Err(NameFault::Length),
        Some(name) if name.contains(char::is_control) => Err(NameFault::Control),
        name => Ok(name.map(Box::from)),
    }
}

fn common_name<'a>(certificate: &X509Certificate<'a>) -> Result<Option<&'a str>, NameFault> {
    let mut names = certificate.subject.iter_common_name();
    let first = names.next();
    if names.next().is_some() {
        return Err(NameFault::Several);
    }
    let name = first.map(|name| name.as_str().map_err(|_| NameFault::NoText));
    name.transpose()
}

/// The first one, if its alternative names have any: that of its subject is for certificates that
/// have none (RFC 5280 §4.1.2.6).
fn mail<'a>(certificate: &'a X509Certificate<'a>) -> Result<Option<&'a str>, NameFault> {
    /// `rfc822Name` among the alternative names (RFC 5280 §4.2.1.6).
    const RFC822_NAME: u32 = 1;
    let alternatives = certificate.subject_alternative_name();
    let alternatives = alternatives.map_err(|_| NameFault::Unreadable)?;
    let alternatives = alternatives.iter().flat_map(|it| &it.value.general_names);
    let mut mails = alternatives.filter_map(|name| match name {
        GeneralName::RFC822Name(mail) => Some(Ok(*mail)),
        GeneralName::Invalid(Tag(RFC822_NAME), _) => Some(Err(NameFault::NoText)),
        _ => None,
    });
    let of_subject = || {
        let first = certificate.subject().iter_email().next();
        first.map(|mail| mail.as_str().map_err(|_| NameFault::NoText))
    };
    mails.next().or_else(of_subject).transpose()
}
