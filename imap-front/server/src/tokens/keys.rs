//! The file of keys by which tokens are checked: PEM public keys, or a JWKS (RFC 7517).

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, VerificationAlgorithm,
};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, Header};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use zeroize::Zeroizing;

/// Longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Keys that a file may have: a token without `kid` is tried with each of its kind.
const KEYS_MAX: usize = 32;
/// Least bytes of a secret (RFC 7518 §3.2).
const SECRET_BYTES_MIN: usize = 32;
/// Least bits of an RSA key (RFC 7518 §3.3), and most.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// What is wrong with a file of keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It can't be read.
    #[error("{0}; let the group of service.user read it")]
    Read(#[from] std::io::Error),
    /// Nobody has so many keys.
    #[error("it is longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
    /// Nor so many.
    #[error("it has more than {KEYS_MAX} keys; leave those that sign no more out")]
    TooMany,
    /// Neither of the formats.
    #[error("it is neither PEM nor JSON: {0}")]
    Format(String),
    /// It is one of them, and has nothing that can be used.
    #[error(
        "it has no key that can be used: PEM blocks -----BEGIN PUBLIC KEY-----, or a JWKS, with \
         RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519, or oct with a secret of 32 bytes"
    )]
    None,
    /// A key is broken, or not of those that can be used.
    #[error("key {0} can't be used: {1}")]
    Key(usize, String),
}

/// A key.
pub struct Key {
    decoding: DecodingKey,
    /// The algorithms for which it may be used; the token chooses among these only.
    algorithms: &'static [Algorithm],
    /// If its owner has said which.
    algorithm: Option<Algorithm>,
    kid: Option<String>,
}

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
const P256: &[Algorithm] = &[Algorithm::ES256];
const P384: &[Algorithm] = &[Algorithm::ES384];
const ED: &[Algorithm] = &[Algorithm::EdDSA];
const SECRET: &[Algorithm] = &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

impl Key {
    pub fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    /// Whether a token with this header may be by this key: `alg` must be of the key's own kind, so
    /// that no public key is ever taken for a secret, and `kid`, if both have one, must be the
    /// same.
    pub fn may_have_signed(&self, header: &Header) -> bool {
        let kid = header.kid.as_ref().is_none_or(|kid| self.is_called(kid));
        let fits = self.algorithms.contains(&header.alg);
        kid && fits && self.algorithm.is_none_or(|own| own == header.alg)
    }

    /// Whether it has this id, or none.
    pub fn is_called(&self, kid: &str) -> bool {
        self.kid.as_ref().is_none_or(|own| own == kid)
    }

    fn is_secret(&self) -> bool {
        self.algorithms == SECRET
    }
}

/// Reads a file.
///
/// # Errors
/// What is wrong with it.
pub fn read(path: &Path) -> Result<Vec<Key>, KeysError> {
    let mut file = File::open(path)?;
    let mut text = Zeroizing::new(Vec::new());
    file.by_ref()
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(KeysError::TooLong);
    }
    let keys = parse(&text)?;
    let mode = file.metadata()?.mode();
    if mode & 0o007 != 0 && keys.iter().any(Key::is_secret) {
        let path = path.display();
        tracing::warn!(
            "{path} holds a secret and is open to others (mode {:o})",
            mode & 0o777
        );
    }
    Ok(keys)
}

fn parse(text: &[u8]) -> Result<Vec<Key>, KeysError> {
    let keys = match text.trim_ascii_start() {
        [b'{', ..] => jwks(text)?,
        _ => pem(text)?,
    };
    match keys.len() {
        0 => Err(KeysError::None),
        1..=KEYS_MAX => Ok(keys),
        _ => Err(KeysError::TooMany),
    }
}

fn pem(text: &[u8]) -> Result<Vec<Key>, KeysError> {
    let blocks = SubjectPublicKeyInfoDer::pem_slice_iter(text);
    let blocks: Result<Vec<_>, _> = blocks.collect();
    let blocks = blocks.map_err(|error| KeysError::Format(error.to_string()))?;
    let key = |(at, der): (usize, &SubjectPublicKeyInfoDer<'_>)| {
        let (decoding, algorithms) = public(der).ok_or_else(|| {
            let why = "neither RSA of 2048 to 8192 bits nor P-256, P-384 or Ed25519";
            KeysError::Key(at + 1, why.into())
        })?;
        Ok(Key {
            decoding,
            algorithms,
            algorithm: None,
            kid: None,
        })
    };
    blocks.iter().enumerate().map(key).collect()
}

/// Of which kind a public key is, if it is one that can be used.
fn public(der: &[u8]) -> Option<(DecodingKey, &'static [Algorithm])> {
    let is =
        |algorithm: &'static dyn VerificationAlgorithm| ParsedPublicKey::new(algorithm, der).ok();
    if is(&RSA_PKCS1_2048_8192_SHA256).is_some_and(|_| has_rsa_bits(der)) {
        Some((DecodingKey::from_rsa_der(der), RSA))
    } else if is(&ECDSA_P256_SHA256_FIXED).is_some() {
        Some((DecodingKey::from_ec_der(der), P256))
    } else if is(&ECDSA_P384_SHA384_FIXED).is_some() {
        Some((DecodingKey::from_ec_der(der), P384))
    } else if is(&ED25519).is_some() {
        Some((DecodingKey::from_ed_der(der), ED))
    } else {
        None
    }
}

/// The library would look at the bits with the first signature only.
fn has_rsa_bits(der: &[u8]) -> bool {
    let key = PublicEncryptingKey::from_der(der);
    key.is_ok_and(|key| RSA_BITS.contains(&key.key_size_bits()))
}

/// A set, or one key. What is of a kind that is not known, or for another use, is left out (RFC
/// 7517 §5).
fn jwks(text: &[u8]) -> Result<Vec<Key>, KeysError> {
    let format = |error: serde_json::Error| KeysError::Format(error.to_string());
    let whole: Value = serde_json::from_slice(text).map_err(format)?;
    let list = match &whole {
        Value::Object(object) if object.contains_key("keys") => object["keys"].as_array(),
        _ => None,
    };
    let all = match list {
        Some(list) => &list[..],
        None => std::slice::from_ref(&whole),
    };
    let mut keys = Vec::new();
    for (at, value) in all.iter().enumerate() {
        let Ok(jwk) = serde_json::from_value::<Jwk>(value.clone()) else {
            continue;
        };
        let why = |why: &str| KeysError::Key(at + 1, why.into());
        if let Some(key) = signing(&jwk).map_err(why)? {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn signing(jwk: &Jwk) -> Result<Option<Key>, &'static str> {
    let common = &jwk.common;
    let signs = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
    let operations = common.key_operations.as_ref();
    let verifies = operations.is_none_or(|list| list.contains(&KeyOperations::Verify));
    if !signs || !verifies {
        return Ok(None);
    }
    let algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => RSA,
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => P256,
            EllipticCurve::P384 => P384,
            _ => return Ok(None),
        },
        AlgorithmParameters::OctetKeyPair(key) => match key.curve {
            EllipticCurve::Ed25519 => ED,
            _ => return Ok(None),
        },
        AlgorithmParameters::OctetKey(_) => SECRET,
        _ => return Ok(None),
    };
    let algorithm = match &common.key_algorithm {
        None => None,
        Some(named) => {
            let known = algorithms
                .iter()
                .find(|it| named.to_string() == format!("{it:?}"));
            match known {
                Some(known) => Some(*known),
                // For encryption, or one that is not known.
                None => return Ok(None),
            }
        }
    };
    let decoding = DecodingKey::from_jwk(jwk).map_err(|_| "its parts are not base64url")?;
    check(&decoding, algorithms)?;
    Ok(Some(Key {
        decoding,
        algorithms,
        algorithm,
        kid: common.key_id.clone(),
    }))
}

/// Whether the parts make up a key.
fn check(key: &DecodingKey, algorithms: &[Algorithm]) -> Result<(), &'static str> {
    let is_good = match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => {
            let n = &n[n.iter().take_while(|byte| **byte == 0).count()..];
            let zeros = n.first().map_or(0, |byte| byte.leading_zeros() as usize);
            if !RSA_BITS.contains(&(n.len() * 8 - zeros)) {
                return Err("RSA keys have 2048 to 8192 bits");
            }
            let parts = RsaPublicKeyComponents { n, e };
            parts
                .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
                .is_ok()
        }
        DecodingKeyKind::SecretOrDer(secret) if algorithms == SECRET => {
            if secret.len() < SECRET_BYTES_MIN {
                return Err("a secret has 32 bytes at least");
            }
            true
        }
        DecodingKeyKind::SecretOrDer(point) => {
            let algorithm: &'static dyn VerificationAlgorithm = match algorithms {
                P256 => &ECDSA_P256_SHA256_FIXED,
                P384 => &ECDSA_P384_SHA384_FIXED,
                _ => &ED25519,
            };
            ParsedPublicKey::new(algorithm, point).is_ok()
        }
    };
    is_good
        .then_some(())
        .ok_or("its parts are not those of such a key")
}
