//! The AEADs and the key derivation of TLS 1.3 (RFC 8446 §5.2, §7.1), over aws-lc.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hkdf};

use crate::alert::{Alert, Fault};

/// Bytes of an authentication tag.
pub(crate) const TAG: usize = 16;
/// Bytes of a nonce.
pub(crate) const NONCE: usize = 12;

const BROKEN: Fault = Fault::new(
    Alert::InternalError,
    "the cryptographic library refused a key",
);

/// What seals a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// With SHA-256 in TLS 1.3.
    Aes128Gcm,
    /// With SHA-384 in TLS 1.3.
    Aes256Gcm,
    /// With SHA-256 in TLS 1.3.
    ChaCha20Poly1305,
}

impl Cipher {
    /// Bytes of its key.
    pub fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    /// Bytes of a traffic secret in TLS 1.3.
    pub fn secret_len(self) -> usize {
        match self {
            Self::Aes256Gcm => 48,
            Self::Aes128Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    /// Whether it is AES-GCM, whose nonce TLS 1.2 writes into each record (RFC 5288 §3).
    pub(crate) fn is_gcm(self) -> bool {
        !matches!(self, Self::ChaCha20Poly1305)
    }

    fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }

    fn hkdf(self) -> hkdf::Algorithm {
        match self {
            Self::Aes256Gcm => hkdf::HKDF_SHA384,
            Self::Aes128Gcm | Self::ChaCha20Poly1305 => hkdf::HKDF_SHA256,
        }
    }

    /// The hash beside it in TLS 1.3.
    pub(crate) fn hash(self, data: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Aes256Gcm => &digest::SHA384,
            Self::Aes128Gcm | Self::ChaCha20Poly1305 => &digest::SHA256,
        };
        digest::digest(algorithm, data)
    }

    /// HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
    pub(crate) fn expand(self, secret: &[u8], label: &[u8], out: &mut [u8]) -> Result<(), Fault> {
        self.expand_with(secret, label, b"", out)
    }

    /// HKDF-Expand-Label.
    pub(crate) fn expand_with(
        self,
        secret: &[u8],
        label: &[u8],
        context: &[u8],
        out: &mut [u8],
    ) -> Result<(), Fault> {
        let length = [0, out.len() as u8];
        let label_length = [b"tls13 ".len() as u8 + label.len() as u8];
        let context_length = [context.len() as u8];
        let info = [
            &length[..],
            &label_length,
            b"tls13 ",
            label,
            &context_length,
            context,
        ];
        let prk = hkdf::Prk::new_less_safe(self.hkdf(), secret);
        let okm = prk.expand(&info, Length(out.len())).map_err(|_| BROKEN)?;
        okm.fill(out).map_err(|_| BROKEN)
    }
}

/// How much HKDF shall give.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// A key at work, for the length of a call; the library clears it when it goes.
pub(crate) struct Key {
    key: LessSafeKey,
    pub iv: [u8; NONCE],
}

impl Key {
    pub fn new(cipher: Cipher, key: &[u8], iv: [u8; NONCE]) -> Result<Self, Fault> {
        let key = UnboundKey::new(cipher.algorithm(), key).map_err(|_| BROKEN)?;
        let key = LessSafeKey::new(key);
        Ok(Self { key, iv })
    }

    /// The nonce of a record (RFC 8446 §5.3).
    pub fn nonce(&self, sequence: u64) -> [u8; NONCE] {
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(sequence.to_be_bytes()) {
            *byte ^= number;
        }
        nonce
    }

    /// Seals in place; the tag goes behind it.
    pub fn seal(
        &self,
        nonce: [u8; NONCE],
        aad: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; TAG], Fault> {
        const FAILED: Fault = Fault::new(Alert::InternalError, "a record could not be sealed");
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(aad), text);
        let tag = tag.map_err(|_| FAILED)?;
        tag.as_ref().try_into().map_err(|_| FAILED)
    }

    /// Opens in place what ends in a tag; gives what it says.
    pub fn open<'a>(
        &self,
        nonce: [u8; NONCE],
        aad: &[u8],
        text: &'a mut [u8],
    ) -> Result<&'a mut [u8], Fault> {
        const FORGED: Fault = Fault::new(Alert::BadRecordMac, "a record does not open");
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(aad), text);
        opened.map_err(|_| FORGED)
    }
}
