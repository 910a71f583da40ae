//! A peer that seals whatever it is told to, with a record protection of its own: what no
//! well-behaved stack would send.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305};
use aws_lc_rs::aead::{Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, HKDF_SHA384, KeyType, Prk};
use tls::{Cipher, Records};

pub const DATA: u8 = 23;
pub const HANDSHAKE: u8 = 22;
pub const ALERT: u8 = 21;
pub const CHANGE: u8 = 20;
/// KeyUpdates that ask for one, and for none.
pub const ASKING: [u8; 5] = [24, 0, 0, 1, 1];
pub const TELLING: [u8; 5] = [24, 0, 0, 1, 0];

/// One way of TLS 1.3, seen by who seals or opens it.
pub struct Peer {
    cipher: Cipher,
    secret: Vec<u8>,
    pub sequence: u64,
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Peer {
    pub fn new(cipher: Cipher, secret: &[u8]) -> Self {
        Self {
            cipher,
            secret: secret.to_vec(),
            sequence: 0,
        }
    }

    fn expand(&self, label: &str, length: usize) -> Vec<u8> {
        let hash = match self.cipher {
            Cipher::Aes256Gcm => HKDF_SHA384,
            _ => HKDF_SHA256,
        };
        let label = format!("tls13 {label}");
        let head = [0, length as u8, label.len() as u8];
        let info = [&head[..], label.as_bytes(), &[0]];
        let mut out = vec![0; length];
        let prk = Prk::new_less_safe(hash, &self.secret);
        prk.expand(&info, Length(length))
            .unwrap()
            .fill(&mut out)
            .unwrap();
        out
    }

    fn key(&self) -> LessSafeKey {
        let algorithm: &'static Algorithm = match self.cipher {
            Cipher::Aes128Gcm => &AES_128_GCM,
            Cipher::Aes256Gcm => &AES_256_GCM,
            Cipher::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let key = self.expand("key", algorithm.key_len());
        LessSafeKey::new(UnboundKey::new(algorithm, &key).unwrap())
    }

    fn nonce(&mut self) -> Nonce {
        let iv = self.expand("iv", 12);
        let number = u128::from(self.sequence).to_be_bytes();
        self.sequence += 1;
        let mixed: Vec<u8> = iv.iter().zip(&number[4..]).map(|(a, b)| a ^ b).collect();
        Nonce::try_assume_unique_for_key(&mixed).unwrap()
    }

    /// The next generation of the secret.
    pub fn update(&mut self) {
        self.secret = self.expand("traffic upd", self.secret.len());
        self.sequence = 0;
    }

    /// A record whose inside is exactly this: data, type, padding, or nothing of these.
    pub fn seal_inner(&mut self, inner: &[u8]) -> Vec<u8> {
        let length = (inner.len() + 16) as u16;
        let mut record = vec![DATA, 3, 3];
        record.extend_from_slice(&length.to_be_bytes());
        let aad = Aad::from(record.clone());
        let mut text = inner.to_vec();
        let nonce = self.nonce();
        self.key()
            .seal_in_place_append_tag(nonce, aad, &mut text)
            .unwrap();
        record.extend_from_slice(&text);
        record
    }

    pub fn seal(&mut self, content: u8, data: &[u8]) -> Vec<u8> {
        self.seal_inner(&[data, &[content]].concat())
    }

    /// Opens the record at the beginning, and gives its type, what it says, and its length.
    pub fn open(&mut self, bytes: &[u8]) -> (u8, Vec<u8>, usize) {
        let length = 5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        let aad = Aad::from(bytes[..5].to_vec());
        let mut text = bytes[5..length].to_vec();
        let nonce = self.nonce();
        let inner = self.key().open_in_place(nonce, aad, &mut text).unwrap();
        let end = inner.iter().rposition(|byte| *byte != 0).unwrap();
        (inner[end], inner[..end].to_vec(), length)
    }
}

pub const CIPHERS: [Cipher; 3] = [
    Cipher::Aes128Gcm,
    Cipher::Aes256Gcm,
    Cipher::ChaCha20Poly1305,
];

/// Our end, the peer's sealer, and the peer's opener.
pub fn joined(cipher: Cipher) -> (Records, Peer, Peer) {
    let ours: Vec<u8> = (0..cipher.secret_len() as u8).collect();
    let theirs: Vec<u8> = (100..100 + cipher.secret_len() as u8).collect();
    let records = Records::tls13(cipher, &ours, &theirs).unwrap();
    (
        records,
        Peer::new(cipher, &theirs),
        Peer::new(cipher, &ours),
    )
}
