//! Keys on their way to another process.

use super::{Keys, Status, Way};
use crate::cipher::{Cipher, NONCE};

impl Keys {
    /// Appends the secrets of both ways; of TLS 1.2 keys and IVs.
    pub fn hand_over(&self, output: &mut Vec<u8>) {
        match self {
            Self::Tls12 {
                send,
                send_iv,
                receive,
                receive_iv,
                ..
            } => {
                let parts: [&[u8]; 4] = [send, send_iv, receive, receive_iv];
                for part in parts {
                    output.extend_from_slice(part);
                }
            }
            _ => {
                output.extend_from_slice(self.secret(Way::Send));
                output.extend_from_slice(self.secret(Way::Receive));
            }
        }
    }

    /// Those of TLS 1.3 from the secrets of both ways.
    pub fn taken_over(cipher: Cipher, is_client: bool, secrets: &[u8]) -> Option<Self> {
        let (send, receive) = secrets.split_at_checked(cipher.secret_len())?;
        if receive.len() != cipher.secret_len() {
            return None;
        }
        let kept = if is_client { Way::Receive } else { Way::Send };
        Self::tls13(cipher, send, receive, kept).ok()
    }

    /// Those of TLS 1.2.
    pub fn taken_over_tls12(cipher: Cipher, secrets: &[u8]) -> Option<Self> {
        let (send, secrets) = secrets.split_first_chunk::<32>()?;
        let (send_iv, secrets) = secrets.split_first_chunk::<NONCE>()?;
        let (receive, secrets) = secrets.split_first_chunk::<32>()?;
        let receive_iv = <[u8; NONCE]>::try_from(secrets).ok()?;
        Some(Self::Tls12 {
            cipher,
            send: *send,
            send_iv: *send_iv,
            receive: *receive,
            receive_iv,
            status: Status::default(),
        })
    }
}
