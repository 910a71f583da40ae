//! A record layer on its way to another process of the same server, from memory to memory.
//!
//! A byte that says which ([`Cipher`], version), three of status, both sequence numbers, and the
//! secrets of both ways: what is at hand besides is made of these again. Who gives a layer away
//! must seal and open nothing more with it, and clear the bytes.

use crate::Records;
use crate::cipher::Cipher;
use crate::keys::Keys;

/// Bytes of the longest: TLS 1.3 with SHA-384.
pub const HANDED_OVER_BYTES_MAX: usize = 1 + 3 + 2 * 8 + 2 * 48;
/// In the first byte: TLS 1.2.
const TLS12: u8 = 0x80;

impl Records {
    /// Appends all that another process needs to go on.
    pub fn hand_over(&self, output: &mut Vec<u8>) {
        let cipher = match self.cipher() {
            Cipher::Aes128Gcm => 1,
            Cipher::Aes256Gcm => 2,
            Cipher::ChaCha20Poly1305 => 3,
        };
        let status = self.keys.status();
        let version = if self.keys.is_tls12() { TLS12 } else { 0 };
        output.extend([cipher | version, status.bits, status.quiet, status.partial]);
        output.extend(self.sent.to_be_bytes());
        output.extend(self.received.to_be_bytes());
        self.keys.hand_over(output);
    }

    /// The record layer that another process has given away; none if these are not its bytes.
    pub fn taken_over(input: &[u8]) -> Option<Self> {
        let (&[first, bits, quiet, partial], input) = input.split_first_chunk()?;
        let (sent, input) = input.split_first_chunk()?;
        let (received, secrets) = input.split_first_chunk()?;
        let cipher = match first & !TLS12 {
            1 => Cipher::Aes128Gcm,
            2 => Cipher::Aes256Gcm,
            3 => Cipher::ChaCha20Poly1305,
            _ => return None,
        };
        if bits & !Self::STATUS_BITS != 0 {
            return None;
        }
        let is_client = bits & crate::keys::Status::CLIENT != 0;
        let mut keys = match first & TLS12 {
            0 => Keys::taken_over(cipher, is_client, secrets)?,
            _ => Keys::taken_over_tls12(cipher, secrets)?,
        };
        let status = keys.status_mut();
        (status.bits, status.quiet, status.partial) = (bits, quiet, partial);
        let (sent, received) = (u64::from_be_bytes(*sent), u64::from_be_bytes(*received));
        Some(Self::at(keys, sent, received))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
    use proptest::prelude::*;

    use super::*;
    use crate::Opened;

    fn ciphers() -> [Cipher; 3] {
        [
            Cipher::Aes128Gcm,
            Cipher::Aes256Gcm,
            Cipher::ChaCha20Poly1305,
        ]
    }

    fn given(records: &Records) -> Vec<u8> {
        let mut bytes = Vec::new();
        records.hand_over(&mut bytes);
        assert!(bytes.len() <= HANDED_OVER_BYTES_MAX);
        bytes
    }

    fn say(from: &mut Records, to: &mut Records, text: &[u8]) {
        let mut sealed = Vec::new();
        from.seal(text, &mut sealed).unwrap();
        let mut at = 0;
        let mut heard = Vec::new();
        while at < sealed.len() {
            let (length, opened) = to.open(&mut sealed[at..]).unwrap();
            if let Opened::Data(data) = opened {
                heard.extend_from_slice(data);
            }
            at += length;
        }
        assert_eq!(heard, text);
    }

    #[test]
    fn both_ends_go_on_after_a_handover_and_after_a_new_key() {
        for cipher in ciphers() {
            let (ours, theirs) = (vec![1; cipher.secret_len()], vec![2; cipher.secret_len()]);
            let mut server = Records::tls13(cipher, &ours, &theirs).unwrap();
            let mut client = Records::tls13_client(cipher, &theirs, &ours).unwrap();
            for round in 0..6u8 {
                say(&mut server, &mut client, &[round; 40]);
                say(&mut client, &mut server, &[round; 3]);
                let mut update = Vec::new();
                client.update_key(true, &mut update).unwrap();
                server.open(&mut update).unwrap();
                assert!(server.owes_answer());
                server = Records::taken_over(&given(&server)).unwrap();
                client = Records::taken_over(&given(&client)).unwrap();
                assert!(server.owes_answer(), "what it owes it owes still");
                let mut answer = Vec::new();
                server.answer(&mut answer).unwrap();
                client.open(&mut answer).unwrap();
            }
            say(&mut server, &mut client, b"the last");
        }
    }

    proptest! {
        #[test]
        fn bytes_that_are_cut_or_longer_are_no_layer(
            which in 0..3usize, length in 0..HANDED_OVER_BYTES_MAX + 8, byte in any::<u8>()
        ) {
            let cipher = ciphers()[which];
            let secret = vec![7; cipher.secret_len()];
            let bytes = given(&Records::tls13(cipher, &secret, &secret).unwrap());
            let mut other = bytes.clone();
            other.resize(length, byte);
            prop_assert_eq!(Records::taken_over(&other).is_some(), other == bytes);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..160)) {
            if let Some(mut records) = Records::taken_over(&bytes) {
                let _ = records.seal(b"x", &mut Vec::new());
                let mut record = vec![0; 22];
                record[..5].copy_from_slice(&[23, 3, 3, 0, 17]);
                let _ = records.open(&mut record);
            }
        }
    }
}
