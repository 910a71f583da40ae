//! The keys of a connection, as small as they can be kept.
//!
//! TLS 1.3 keeps the two traffic secrets, from which a KeyUpdate makes the next (RFC 8446 §7.2),
//! and what seals: many records leave for each that comes. AES-128-GCM keeps its send key too,
//! ChaCha20 makes its own from the secret for each call, AES-256-GCM's lie in a box of their own.
//! TLS 1.2 has keys and no secrets.

mod handover;

use rustls::ConnectionTrafficSecrets;
use zeroize::{Zeroize, Zeroizing};

use crate::alert::Fault;
use crate::cipher::{Cipher, Key, NONCE};

/// Which way records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Send,
    Receive,
}

/// What a connection is in the middle of; here, so that it fits into what is left beside the keys.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Status {
    pub bits: u8,
    /// Records without data since the last with some.
    pub quiet: u8,
    /// Bytes of a KeyUpdate that have come so far.
    pub partial: u8,
}

impl Status {
    /// Among the bits: this is a client's end.
    pub const CLIENT: u8 = 16;
}

pub(crate) enum Keys {
    Aes128 {
        send: [u8; 32],
        receive: [u8; 32],
        key: [u8; 16],
        iv: [u8; NONCE],
        status: Status,
    },
    ChaCha {
        send: [u8; 32],
        receive: [u8; 32],
        iv: [u8; NONCE],
        status: Status,
    },
    Aes256(Box<Wide>, Status),
    Tls12 {
        cipher: Cipher,
        send: [u8; 32],
        send_iv: [u8; NONCE],
        receive: [u8; 32],
        receive_iv: [u8; NONCE],
        status: Status,
    },
}

/// The keys of TLS 1.3 with AES-256-GCM and SHA-384.
pub(crate) struct Wide {
    send: [u8; 48],
    receive: [u8; 48],
    key: [u8; 32],
    iv: [u8; NONCE],
}

impl Keys {
    /// Of TLS 1.3, from the traffic secrets of both ways, with the key at hand of the way that is
    /// `kept`.
    pub fn tls13(cipher: Cipher, send: &[u8], receive: &[u8], kept: Way) -> Result<Self, Fault> {
        let bits = match kept {
            Way::Send => 0,
            Way::Receive => Status::CLIENT,
        };
        let status = Status {
            bits,
            ..Status::default()
        };
        let mut keys = match cipher {
            Cipher::Aes128Gcm => Self::Aes128 {
                send: [0; 32],
                receive: [0; 32],
                key: [0; 16],
                iv: [0; NONCE],
                status,
            },
            Cipher::ChaCha20Poly1305 => Self::ChaCha {
                send: [0; 32],
                receive: [0; 32],
                iv: [0; NONCE],
                status,
            },
            Cipher::Aes256Gcm => {
                let wide = Wide {
                    send: [0; 48],
                    receive: [0; 48],
                    key: [0; 32],
                    iv: [0; NONCE],
                };
                Self::Aes256(Box::new(wide), status)
            }
        };
        keys.secret_mut(Way::Send).copy_from_slice(send);
        keys.secret_mut(Way::Receive).copy_from_slice(receive);
        keys.derive()?;
        Ok(keys)
    }

    /// Of TLS 1.2, as rustls hands them out; `None` for a cipher that it was not configured for.
    pub fn tls12(
        sent: &ConnectionTrafficSecrets,
        received: &ConnectionTrafficSecrets,
    ) -> Option<Self> {
        let (cipher, send, send_iv) = parts(sent)?;
        let (_, receive, receive_iv) = parts(received)?;
        Some(Self::Tls12 {
            cipher,
            send: *send,
            send_iv,
            receive: *receive,
            receive_iv,
            status: Status::default(),
        })
    }

    pub fn cipher(&self) -> Cipher {
        match self {
            Self::Aes128 { .. } => Cipher::Aes128Gcm,
            Self::ChaCha { .. } => Cipher::ChaCha20Poly1305,
            Self::Aes256(..) => Cipher::Aes256Gcm,
            Self::Tls12 { cipher, .. } => *cipher,
        }
    }

    pub fn is_tls12(&self) -> bool {
        matches!(self, Self::Tls12 { .. })
    }

    pub fn status(&self) -> Status {
        match self {
            Self::Aes128 { status, .. }
            | Self::ChaCha { status, .. }
            | Self::Aes256(_, status)
            | Self::Tls12 { status, .. } => *status,
        }
    }

    pub fn status_mut(&mut self) -> &mut Status {
        match self {
            Self::Aes128 { status, .. }
            | Self::ChaCha { status, .. }
            | Self::Aes256(_, status)
            | Self::Tls12 { status, .. } => status,
        }
    }

    /// The way whose key is at hand.
    fn kept(&self) -> Way {
        match self.status().bits & Status::CLIENT {
            0 => Way::Send,
            _ => Way::Receive,
        }
    }

    /// The key that seals.
    pub fn sealing(&self) -> Result<Key, Fault> {
        self.key(Way::Send)
    }

    /// The key that opens.
    pub fn opening(&self) -> Result<Key, Fault> {
        self.key(Way::Receive)
    }

    fn key(&self, way: Way) -> Result<Key, Fault> {
        let (cipher, kept) = (self.cipher(), way == self.kept());
        let kept_iv = match self {
            Self::Aes128 { key, iv, .. } if kept => return Key::new(cipher, key, *iv),
            Self::Aes256(wide, _) if kept => return Key::new(cipher, &wide.key, wide.iv),
            Self::Tls12 {
                send,
                send_iv,
                receive,
                receive_iv,
                ..
            } => {
                let (key, iv) = match way {
                    Way::Send => (send, send_iv),
                    Way::Receive => (receive, receive_iv),
                };
                return Key::new(cipher, &key[..cipher.key_len()], *iv);
            }
            Self::ChaCha { iv, .. } if kept => Some(*iv),
            _ => None,
        };
        let secret = self.secret(way);
        let (mut key, mut iv) = (Zeroizing::new([0; 32]), kept_iv.unwrap_or_default());
        let key = &mut key[..cipher.key_len()];
        cipher.expand(secret, b"key", key)?;
        if kept_iv.is_none() {
            cipher.expand(secret, b"iv", &mut iv)?;
        }
        Key::new(cipher, key, iv)
    }

    /// The next generation of one way's keys (RFC 8446 §7.2); TLS 1.2 has none.
    pub fn renew(&mut self, way: Way) -> Result<(), Fault> {
        let cipher = self.cipher();
        let mut next = Zeroizing::new([0; 48]);
        let next = &mut next[..cipher.secret_len()];
        let secret = self.secret_mut(way);
        if secret.is_empty() {
            return Ok(());
        }
        cipher.expand(secret, b"traffic upd", next)?;
        secret.copy_from_slice(next);
        match way == self.kept() {
            true => self.derive(),
            false => Ok(()),
        }
    }

    /// The key at hand, from its secret.
    fn derive(&mut self) -> Result<(), Fault> {
        let (cipher, way) = (self.cipher(), self.kept());
        let mut secret = Zeroizing::new([0; 48]);
        let secret = &mut secret[..self.secret(way).len()];
        secret.copy_from_slice(self.secret(way));
        match self {
            Self::Aes128 { key, iv, .. } => {
                cipher.expand(secret, b"key", key)?;
                cipher.expand(secret, b"iv", iv)
            }
            Self::ChaCha { iv, .. } => cipher.expand(secret, b"iv", iv),
            Self::Aes256(wide, _) => {
                cipher.expand(secret, b"key", &mut wide.key)?;
                cipher.expand(secret, b"iv", &mut wide.iv)
            }
            Self::Tls12 { .. } => Ok(()),
        }
    }

    fn secret(&self, way: Way) -> &[u8] {
        match (self, way) {
            (Self::Aes128 { send, .. } | Self::ChaCha { send, .. }, Way::Send) => send,
            (Self::Aes128 { receive, .. } | Self::ChaCha { receive, .. }, Way::Receive) => receive,
            (Self::Aes256(wide, _), Way::Send) => &wide.send,
            (Self::Aes256(wide, _), Way::Receive) => &wide.receive,
            (Self::Tls12 { .. }, _) => &[],
        }
    }

    fn secret_mut(&mut self, way: Way) -> &mut [u8] {
        match (self, way) {
            (Self::Aes128 { send, .. } | Self::ChaCha { send, .. }, Way::Send) => send,
            (Self::Aes128 { receive, .. } | Self::ChaCha { receive, .. }, Way::Receive) => receive,
            (Self::Aes256(wide, _), Way::Send) => &mut wide.send,
            (Self::Aes256(wide, _), Way::Receive) => &mut wide.receive,
            (Self::Tls12 { .. }, _) => &mut [],
        }
    }
}

/// Cipher, key and IV, the key filled up with zeros.
fn parts(secrets: &ConnectionTrafficSecrets) -> Option<(Cipher, Zeroizing<[u8; 32]>, [u8; NONCE])> {
    let (cipher, key, iv) = match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (Cipher::Aes128Gcm, key, iv),
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (Cipher::Aes256Gcm, key, iv),
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
            (Cipher::ChaCha20Poly1305, key, iv)
        }
        _ => return None,
    };
    let mut filled = Zeroizing::new([0; 32]);
    filled
        .get_mut(..cipher.key_len())?
        .copy_from_slice(key.as_ref().get(..cipher.key_len())?);
    Some((cipher, filled, iv.as_ref().try_into().ok()?))
}

impl Drop for Keys {
    /// What moved from here to there has left copies that nobody clears; this is the last place.
    fn drop(&mut self) {
        self.clear();
    }
}

impl Keys {
    fn clear(&mut self) {
        match self {
            Self::Aes128 {
                send,
                receive,
                key,
                iv,
                ..
            } => {
                send.zeroize();
                receive.zeroize();
                key.zeroize();
                iv.zeroize();
            }
            Self::ChaCha {
                send, receive, iv, ..
            } => {
                send.zeroize();
                receive.zeroize();
                iv.zeroize();
            }
            Self::Aes256(wide, _) => {
                wide.send.zeroize();
                wide.receive.zeroize();
                wide.key.zeroize();
                wide.iv.zeroize();
            }
            Self::Tls12 {
                send,
                send_iv,
                receive,
                receive_iv,
                ..
            } => {
                send.zeroize();
                send_iv.zeroize();
                receive.zeroize();
                receive_iv.zeroize();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
    use super::*;

    fn is_clear(keys: &Keys) -> bool {
        let all: Vec<&[u8]> = match keys {
            Keys::Aes128 {
                send,
                receive,
                key,
                iv,
                ..
            } => vec![send, receive, key, iv],
            Keys::ChaCha {
                send, receive, iv, ..
            } => vec![send, receive, iv],
            Keys::Aes256(wide, _) => vec![&wide.send, &wide.receive, &wide.key, &wide.iv],
            Keys::Tls12 {
                send,
                send_iv,
                receive,
                receive_iv,
                ..
            } => vec![send, send_iv, receive, receive_iv],
        };
        all.concat().iter().all(|byte| *byte == 0)
    }

    #[test]
    fn what_goes_is_cleared() {
        let mut all = vec![Keys::Tls12 {
            cipher: Cipher::Aes256Gcm,
            send: [1; 32],
            send_iv: [2; NONCE],
            receive: [3; 32],
            receive_iv: [4; NONCE],
            status: Status::default(),
        }];
        for cipher in [
            Cipher::Aes128Gcm,
            Cipher::Aes256Gcm,
            Cipher::ChaCha20Poly1305,
        ] {
            let secret = vec![7; cipher.secret_len()];
            for kept in [Way::Send, Way::Receive] {
                all.push(Keys::tls13(cipher, &secret, &secret, kept).unwrap());
            }
        }
        for keys in &mut all {
            assert!(!is_clear(keys));
            keys.clear();
            assert!(is_clear(keys), "{:?}", keys.cipher());
        }
    }
}
