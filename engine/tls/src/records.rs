//! What a connection keeps after its handshake, active and parked alike.

use crate::alert::Fault;
use crate::cipher::Cipher;
use crate::keys::{Keys, Status, Way};
use crate::{Version, alert::Alert};

/// The record layer of one connection. It cannot be cloned: a sequence number is used once.
pub struct Records {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) keys: Keys,
}

/// A million of them are held at once.
const _: () = assert!(size_of::<Records>() == 112);

impl Records {
    /// This end will send nothing more.
    pub(crate) const CLOSED: u8 = 1;
    /// The peer will send nothing more.
    pub(crate) const PEER_CLOSED: u8 = 2;
    /// The peer has asked for a KeyUpdate that has not been sent.
    pub(crate) const UPDATE_OWED: u8 = 4;
    /// The peer broke the rules: nothing is opened any more.
    pub(crate) const BROKEN: u8 = 8;
    /// All of these.
    pub(crate) const STATUS_BITS: u8 =
        Self::CLOSED | Self::PEER_CLOSED | Self::UPDATE_OWED | Self::BROKEN | Status::CLIENT;

    /// TLS 1.3 from the application traffic secrets of both ways (RFC 8446 §7.1), each
    /// [`Cipher::secret_len`] bytes long, at sequence number 0.
    pub fn tls13(cipher: Cipher, send: &[u8], receive: &[u8]) -> Result<Self, Fault> {
        Self::from_secrets(cipher, send, receive, Way::Send)
    }

    /// The same of a client: it takes the server's tickets, which it forgets.
    ///
    /// # Errors
    /// Secrets of another length.
    pub fn tls13_client(cipher: Cipher, send: &[u8], receive: &[u8]) -> Result<Self, Fault> {
        Self::from_secrets(cipher, send, receive, Way::Receive)
    }

    fn from_secrets(cipher: Cipher, send: &[u8], receive: &[u8], kept: Way) -> Result<Self, Fault> {
        if send.len() != cipher.secret_len() || receive.len() != cipher.secret_len() {
            let why = "a traffic secret of another length than the cipher's hash";
            return Err(Fault::new(Alert::InternalError, why));
        }
        Ok(Self::at(Keys::tls13(cipher, send, receive, kept)?, 0, 0))
    }

    /// Whether this is a client's end.
    pub(crate) fn is_client(&self) -> bool {
        self.has(Status::CLIENT)
    }

    pub(crate) fn at(keys: Keys, sent: u64, received: u64) -> Self {
        Self {
            sent,
            received,
            keys,
        }
    }

    /// The version in use.
    pub fn version(&self) -> Version {
        match self.keys.is_tls12() {
            true => Version::Tls12,
            false => Version::Tls13,
        }
    }

    /// What seals and opens.
    pub fn cipher(&self) -> Cipher {
        self.keys.cipher()
    }

    /// Whether the peer will send nothing more.
    pub fn is_peer_closed(&self) -> bool {
        self.has(Self::PEER_CLOSED)
    }

    /// Whether `close_notify` or a fatal alert was sealed: nothing can follow.
    pub fn is_closed(&self) -> bool {
        self.has(Self::CLOSED)
    }

    /// Begins the next key of what is sent, and asks the peer for the same if `asks` (RFC 8446
    /// §4.6.3).
    ///
    /// # Errors
    /// With TLS 1.2, which has no other key, and when nothing more can be sent.
    pub fn update_key(&mut self, asks: bool, output: &mut Vec<u8>) -> Result<(), Fault> {
        self.check_open()?;
        self.update(asks, output)
    }

    /// What it takes beside its own size, in bytes.
    pub fn heap_bytes(&self) -> usize {
        match &self.keys {
            Keys::Aes256(..) => size_of::<crate::keys::Wide>(),
            _ => 0,
        }
    }

    /// As if so many records had been sent: what comes near the limit can be tested.
    #[cfg(test)]
    pub(crate) fn pretend_sent(&mut self, records: u64) {
        self.sent = records;
    }

    pub(crate) fn has(&self, bit: u8) -> bool {
        self.keys.status().bits & bit != 0
    }

    pub(crate) fn set(&mut self, bit: u8) {
        self.keys.status_mut().bits |= bit;
    }
}

impl std::fmt::Debug for Records {
    /// Says nothing that is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records")
            .field("version", &self.version())
            .field("cipher", &self.cipher())
            .field("sent", &self.sent)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
    use super::*;
    use crate::{Opened, SEND_RECORDS_MAX};

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<char> = text.chars().collect();
        let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    /// The trace of RFC 8448 §3.
    #[test]
    fn the_records_of_the_published_trace_come_out_and_in() {
        let client = hex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5");
        let server = hex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643");
        let mut records = Records::tls13(Cipher::Aes128Gcm, &server, &client).unwrap();
        let payload: Vec<u8> = (0..50).collect();
        let mut data = hex(concat!(
            "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f",
            "2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae6",
            "3aeebb21694915e4"
        ));
        let opened = records.open(&mut data).unwrap();
        assert_eq!(opened, (72, Opened::Data(&payload)));
        let mut alert = hex("1703030013c9872760655666b74d7ff1153efd6db6d0b0e3");
        assert_eq!(records.open(&mut alert).unwrap(), (24, Opened::Closed));

        // The server's first record is its ticket.
        records.pretend_sent(1);
        let mut output = Vec::new();
        records.seal(&payload, &mut output).unwrap();
        records.close(&mut output);
        let expected = concat!(
            "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36",
            "e30efaf97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf33254",
            "0dd032e167c2955d",
            "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9"
        );
        assert_eq!(output, hex(expected));
    }

    #[test]
    fn a_key_is_renewed_before_it_has_sealed_too_much() {
        for cipher in [
            Cipher::Aes128Gcm,
            Cipher::Aes256Gcm,
            Cipher::ChaCha20Poly1305,
        ] {
            let (ours, theirs) = (vec![1; cipher.secret_len()], vec![2; cipher.secret_len()]);
            let mut records = Records::tls13(cipher, &ours, &theirs).unwrap();
            let mut peer = Records::tls13(cipher, &theirs, &ours).unwrap();
            records.pretend_sent(SEND_RECORDS_MAX - 4);
            peer.received = SEND_RECORDS_MAX - 4;
            let mut heard = Vec::new();
            for number in 0..6u8 {
                let mut output = Vec::new();
                records.seal(&[number], &mut output).unwrap();
                let mut from = 0;
                while from < output.len() {
                    let (length, opened) = peer.open(&mut output[from..]).unwrap();
                    if let Opened::Data(data) = opened {
                        heard.extend_from_slice(data);
                    }
                    from += length;
                }
                assert!(records.sent < SEND_RECORDS_MAX);
            }
            assert_eq!(heard, [0, 1, 2, 3, 4, 5], "{cipher:?}");
            assert_eq!((records.sent, peer.received), (4, 4), "{cipher:?}");
            assert!(!peer.owes_answer(), "it asks for none");
        }
    }

    #[test]
    fn a_size_and_what_lies_beside_it() {
        let beside = |cipher: Cipher| {
            let secret = vec![0; cipher.secret_len()];
            Records::tls13(cipher, &secret, &secret)
                .unwrap()
                .heap_bytes()
        };
        assert_eq!(beside(Cipher::Aes128Gcm), 0);
        assert_eq!(beside(Cipher::ChaCha20Poly1305), 0);
        assert_eq!(beside(Cipher::Aes256Gcm), 140);
    }
}
