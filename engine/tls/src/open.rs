//! Into the connection, a record a call (RFC 8446 §5, RFC 5246 §6.2).

use crate::alert::{Alert, Fault};
use crate::cipher::TAG;
use crate::keys::Way;
use crate::records::Records;
use crate::seal::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, EXPLICIT, HANDSHAKE, HEADER, KEY_UPDATE,
    PLAINTEXT_MAX, additional_data,
};

/// Bytes that a sealed record of TLS 1.3 may have behind its header (RFC 8446 §5.2).
const SEALED_MAX_13: usize = PLAINTEXT_MAX + 256;
/// The same of TLS 1.2 (RFC 5246 §6.2.3).
const SEALED_MAX_12: usize = PLAINTEXT_MAX + 2048;
/// Bytes of the longest record: what waits for its end is never longer.
pub const RECORD_MAX: usize = HEADER + SEALED_MAX_12;
/// Records in a row that may come without data: KeyUpdates, empty ones, warnings. Data begins the
/// count again, so that a long life has as many as it likes.
pub const QUIET_MAX: u8 = 32;

/// The kind of a ClientHello (RFC 5246 §7.4).
const CLIENT_HELLO: u8 = 1;
/// The kind of a ticket (RFC 8446 §4.6.1).
const NEW_SESSION_TICKET: u8 = 4;

/// What a record was.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened<'a> {
    /// Its end has not come: call again with more behind the same bytes.
    Incomplete,
    /// Data, opened in place.
    Data(&'a [u8]),
    /// Something between the two record layers. See whether [`Records::owes_answer`].
    Control,
    /// The peer's second handshake (TLS 1.2) is to be refused: [`Alert::NoRenegotiation`].
    Renegotiation,
    /// `close_notify`: the peer has sent all it wanted. An end without it may have been cut off.
    Closed,
    /// The peer gives up for the reason of this alert code; there is nobody to answer.
    Failed(u8),
}

impl Records {
    /// Opens the record at the beginning of `input`, in place, and gives the bytes it took (0 if
    /// it is incomplete). After a fault nothing opens any more: send its alert, then close. What
    /// comes after the peer's end is swallowed.
    pub fn open<'a>(&mut self, input: &'a mut [u8]) -> Result<(usize, Opened<'a>), Fault> {
        if self.has(Self::BROKEN) {
            let why = "the record layer has failed before";
            return Err(Fault::new(Alert::InternalError, why));
        }
        if self.is_peer_closed() {
            return Ok((input.len(), Opened::Closed));
        }
        let opened = self.open_record(input);
        if opened.is_err() {
            self.set(Self::BROKEN);
        }
        opened
    }

    fn open_record<'a>(&mut self, input: &'a mut [u8]) -> Result<(usize, Opened<'a>), Fault> {
        let Some(&outer) = input.first() else {
            return Ok((0, Opened::Incomplete));
        };
        self.check_outer(outer)?;
        let Some((header, rest)) = input.split_first_chunk_mut::<HEADER>() else {
            return Ok((0, Opened::Incomplete));
        };
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        self.check_length(*header, length)?;
        let Some(sealed) = rest.get_mut(..length) else {
            return Ok((0, Opened::Incomplete));
        };
        let (content, data) = match self.keys.is_tls12() {
            true => (outer, self.open_tls12(outer, sealed)?),
            false => self.open_tls13(*header, sealed)?,
        };
        self.received += 1;
        Ok((HEADER + length, self.take(content, data)?))
    }

    /// Plain text shows in the first byte: TLS 1.3 disguises everything as data.
    fn check_outer(&self, outer: u8) -> Result<(), Fault> {
        let known = match self.keys.is_tls12() {
            true => (ALERT..=APPLICATION_DATA).contains(&outer),
            false => outer == APPLICATION_DATA,
        };
        let why = match outer {
            CHANGE_CIPHER_SPEC => "a change of cipher after the handshake",
            _ => "what is no sealed record",
        };
        match known {
            true => Ok(()),
            false => Err(Fault::new(Alert::UnexpectedMessage, why)),
        }
    }

    fn check_length(&self, header: [u8; HEADER], length: usize) -> Result<(), Fault> {
        const LONG: Fault = Fault::new(Alert::RecordOverflow, "a record longer than allowed");
        const VERSION: Fault = Fault::new(Alert::ProtocolVersion, "a record of another version");
        match self.keys.is_tls12() {
            true if header[1..3] != [3, 3] => Err(VERSION),
            true if length > SEALED_MAX_12 => Err(LONG),
            // RFC 8446 §5.2: the version of a record means nothing any more.
            false if length > SEALED_MAX_13 => Err(LONG),
            _ => Ok(()),
        }
    }

    fn open_tls13<'a>(
        &self,
        header: [u8; HEADER],
        sealed: &'a mut [u8],
    ) -> Result<(u8, &'a [u8]), Fault> {
        let key = self.keys.opening()?;
        let inner = key.open(key.nonce(self.received), &header, sealed)?;
        if inner.len() > PLAINTEXT_MAX + 1 {
            let why = "a record with more inside than allowed";
            return Err(Fault::new(Alert::RecordOverflow, why));
        }
        // What is behind the content's type is padding of zeros (RFC 8446 §5.4).
        let Some(end) = inner.iter().rposition(|byte| *byte != 0) else {
            let why = "a record without a content type";
            return Err(Fault::new(Alert::UnexpectedMessage, why));
        };
        Ok((inner[end], &inner[..end]))
    }

    fn open_tls12<'a>(&self, outer: u8, sealed: &'a mut [u8]) -> Result<&'a [u8], Fault> {
        const SHORT: Fault = Fault::new(Alert::BadRecordMac, "a record shorter than its tag");
        let key = self.keys.opening()?;
        let mut nonce = key.nonce(self.received);
        let mut text = sealed;
        if self.cipher().is_gcm() {
            let (explicit, rest) = text.split_at_mut_checked(EXPLICIT).ok_or(SHORT)?;
            nonce[..4].copy_from_slice(&key.iv[..4]);
            nonce[4..].copy_from_slice(explicit);
            text = rest;
        }
        let length = text.len().checked_sub(TAG).ok_or(SHORT)?;
        let aad = additional_data(self.received, outer, length);
        let data = key.open(nonce, &aad, text)?;
        if data.len() > PLAINTEXT_MAX {
            let why = "a record with more inside than allowed";
            return Err(Fault::new(Alert::RecordOverflow, why));
        }
        Ok(data)
    }

    /// What the record says.
    fn take<'a>(&mut self, content: u8, data: &'a [u8]) -> Result<Opened<'a>, Fault> {
        if self.keys.status().partial > 0 && content != HANDSHAKE {
            let why = "another record within a handshake message";
            return Err(Fault::new(Alert::UnexpectedMessage, why));
        }
        if content == APPLICATION_DATA && !data.is_empty() {
            self.keys.status_mut().quiet = 0;
            return Ok(Opened::Data(data));
        }
        let quiet = &mut self.keys.status_mut().quiet;
        *quiet += 1;
        if *quiet > QUIET_MAX {
            let why = "too many records without data";
            return Err(Fault::new(Alert::UnexpectedMessage, why));
        }
        match content {
            APPLICATION_DATA => Ok(Opened::Control),
            ALERT => self.take_alert(data),
            HANDSHAKE if self.keys.is_tls12() => take_hello(data),
            HANDSHAKE if self.is_client() => self.take_tickets(data),
            HANDSHAKE => self.take_update(data),
            _ => Err(Fault::new(
                Alert::UnexpectedMessage,
                "a record of no known type",
            )),
        }
    }

    /// An alert is alone in its record, and whole (RFC 8446 §5.1). In TLS 1.3 its level says
    /// nothing.
    fn take_alert(&mut self, data: &[u8]) -> Result<Opened<'static>, Fault> {
        let [level, code] = *data else {
            return Err(Fault::new(Alert::DecodeError, "an alert of another length"));
        };
        let warning = code == Alert::UserCanceled as u8 || self.keys.is_tls12() && level == 1;
        if code == Alert::CloseNotify as u8 {
            self.set(Self::PEER_CLOSED);
            Ok(Opened::Closed)
        } else if warning {
            Ok(Opened::Control)
        } else {
            // Both ways are dead: nothing is said to who has given up.
            self.set(Self::PEER_CLOSED | Self::CLOSED);
            Ok(Opened::Failed(code))
        }
    }

    /// A server may send tickets too, which a client of ours has no use for. One that goes on in
    /// the next record is refused: none of the servers we meet does that.
    fn take_tickets(&mut self, data: &[u8]) -> Result<Opened<'static>, Fault> {
        let mut rest = data;
        while self.keys.status().partial == 0
            && let [NEW_SESSION_TICKET, a, b, c, body @ ..] = rest
        {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            rest = body.get(length..).ok_or_else(|| {
                let why = "a ticket that is not whole in its record";
                Fault::new(Alert::DecodeError, why)
            })?;
            if rest.is_empty() {
                return Ok(Opened::Control);
            }
        }
        self.take_update(rest)
    }

    /// A KeyUpdate is all that a client may say after its handshake; it may come in pieces, and is
    /// the last of its record (RFC 8446 §4.6.3, §5.1).
    fn take_update(&mut self, data: &[u8]) -> Result<Opened<'static>, Fault> {
        let unexpected = |why| Err(Fault::new(Alert::UnexpectedMessage, why));
        if data.is_empty() {
            return unexpected("an empty piece of a handshake message");
        }
        for (at, byte) in data.iter().enumerate() {
            let partial = self.keys.status().partial;
            match KEY_UPDATE.get(usize::from(partial)) {
                Some(expected) if expected == byte => {
                    self.keys.status_mut().partial += 1;
                    continue;
                }
                Some(_) if partial == 0 => return unexpected("a handshake message after it"),
                Some(_) => {
                    let why = "a KeyUpdate of another length";
                    return Err(Fault::new(Alert::DecodeError, why));
                }
                None => {}
            }
            if *byte > 1 {
                let why = "a KeyUpdate that asks for neither of the two";
                return Err(Fault::new(Alert::IllegalParameter, why));
            }
            if at + 1 < data.len() {
                return unexpected("something behind a KeyUpdate in its record");
            }
            if *byte == 1 {
                self.set(Self::UPDATE_OWED);
            }
            self.keys.status_mut().partial = 0;
            self.keys.renew(Way::Receive)?;
            self.received = 0;
        }
        Ok(Opened::Control)
    }
}

/// TLS 1.2: the client begins a second handshake, in a record of its own (RFC 5246 §7.2.2).
fn take_hello(data: &[u8]) -> Result<Opened<'static>, Fault> {
    let whole = match *data {
        [CLIENT_HELLO, a, b, c, ref body @ ..] => {
            body.len() == u32::from_be_bytes([0, a, b, c]) as usize
        }
        _ => false,
    };
    match whole {
        true => Ok(Opened::Renegotiation),
        false => Err(Fault::new(
            Alert::UnexpectedMessage,
            "a handshake message after it",
        )),
    }
}

/// TLS 1.2; 1.3 is tried from outside.
#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
    use super::*;
    use crate::SEND_RECORDS_MAX;
    use crate::cipher::{Cipher, NONCE};
    use crate::keys::{Keys, Status};

    const CIPHERS: [Cipher; 3] = [
        Cipher::Aes128Gcm,
        Cipher::Aes256Gcm,
        Cipher::ChaCha20Poly1305,
    ];

    /// Our end and the peer's.
    fn joined(cipher: Cipher) -> (Records, Records) {
        let end = |send: u8, receive: u8| {
            let keys = Keys::Tls12 {
                cipher,
                send: [send; 32],
                send_iv: [send; NONCE],
                receive: [receive; 32],
                receive_iv: [receive; NONCE],
                status: Status::default(),
            };
            Records::at(keys, 1, 1)
        };
        (end(1, 2), end(2, 1))
    }

    fn sealed(peer: &mut Records, content: u8, data: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        let key = peer.keys.sealing().unwrap();
        peer.seal_record(&key, content, data, &mut output).unwrap();
        output
    }

    fn met(content: u8, data: &[u8]) -> Result<String, Alert> {
        let (mut records, mut peer) = joined(Cipher::Aes128Gcm);
        let mut sealed = sealed(&mut peer, content, data);
        let opened = records.open(&mut sealed);
        opened
            .map(|(_, opened)| format!("{opened:?}"))
            .map_err(|fault| fault.alert)
    }

    #[test]
    fn what_a_record_may_be() {
        let heard = |text: &str| Ok(text.to_owned());
        assert_eq!(met(APPLICATION_DATA, b"A"), heard("Data([65])"));
        assert_eq!(met(APPLICATION_DATA, b""), heard("Control"));
        assert_eq!(met(ALERT, &[1, 0]), heard("Closed"));
        assert_eq!(met(ALERT, &[1, 90]), heard("Control"));
        assert_eq!(met(ALERT, &[2, 42]), heard("Failed(42)"));
        assert_eq!(met(ALERT, &[2]), Err(Alert::DecodeError));
        assert_eq!(met(HANDSHAKE, &[1, 0, 0, 1, 9]), heard("Renegotiation"));
        let unexpected = Err(Alert::UnexpectedMessage);
        assert_eq!(met(HANDSHAKE, &[1, 0, 0, 2, 9]), unexpected);
        assert_eq!(met(HANDSHAKE, &[24, 0, 0, 1, 0]), unexpected);
        assert_eq!(met(HANDSHAKE, b""), unexpected);
        assert_eq!(met(CHANGE_CIPHER_SPEC, &[1]), unexpected);
        let long = vec![0; PLAINTEXT_MAX + 1];
        assert_eq!(met(APPLICATION_DATA, &long), Err(Alert::RecordOverflow));
        assert!(met(APPLICATION_DATA, &long[1..]).is_ok());
    }

    #[test]
    fn what_its_header_alone_may_not_be() {
        let header = |bytes: [u8; HEADER]| {
            let (mut records, _) = joined(Cipher::ChaCha20Poly1305);
            records
                .open(&mut bytes.clone())
                .map_err(|fault| fault.alert)
                .map(drop)
        };
        assert_eq!(header([23, 3, 1, 0, 9]), Err(Alert::ProtocolVersion));
        assert_eq!(header([23, 3, 3, 0x48, 1]), Err(Alert::RecordOverflow));
        assert_eq!(header([23, 3, 3, 0x48, 0]), Ok(()));
        assert_eq!(header([23, 3, 3, 0, 0]), Err(Alert::BadRecordMac));
    }

    #[test]
    fn a_byte_changed_anywhere_is_met() {
        for cipher in CIPHERS {
            let whole = sealed(&mut joined(cipher).1, APPLICATION_DATA, b"a NOOP");
            for at in 0..whole.len() {
                for bit in 0..8 {
                    let mut changed = whole.clone();
                    changed[at] ^= 1 << bit;
                    changed.resize(RECORD_MAX, 0);
                    let opened = joined(cipher).0.open(&mut changed).map(drop);
                    assert!(opened.is_err(), "{cipher:?}: bit {bit} of byte {at}");
                }
            }
        }
    }

    #[test]
    fn a_second_handshake_is_refused_and_the_session_goes_on() {
        let (mut records, mut peer) = joined(Cipher::Aes256Gcm);
        let mut hello = sealed(&mut peer, HANDSHAKE, &[1, 0, 0, 1, 9]);
        assert_eq!(records.open(&mut hello).unwrap().1, Opened::Renegotiation);
        let mut output = Vec::new();
        records.alert(Alert::NoRenegotiation, &mut output);
        records.seal(b"on", &mut output).unwrap();
        let (length, opened) = peer.open(&mut output).unwrap();
        assert_eq!(opened, Opened::Control);
        assert_eq!(
            peer.open(&mut output[length..]).unwrap().1,
            Opened::Data(b"on")
        );
    }

    #[test]
    fn it_ends_when_its_key_has_sealed_all_it_may() {
        let (mut records, mut peer) = joined(Cipher::Aes128Gcm);
        records.pretend_sent(SEND_RECORDS_MAX - 3);
        peer.received = SEND_RECORDS_MAX - 3;
        let mut output = Vec::new();
        records.seal(b"last", &mut output).unwrap();
        let fault = records.seal(b"none", &mut output).unwrap_err();
        records.alert(fault.alert, &mut output);
        let (length, opened) = peer.open(&mut output).unwrap();
        assert_eq!(opened, Opened::Data(b"last"));
        let opened = peer.open(&mut output[length..]).unwrap().1;
        assert_eq!(opened, Opened::Failed(Alert::InternalError as u8));
    }

    #[test]
    fn a_client_takes_tickets_and_what_comes_behind_them() {
        let secret = [6; 32];
        let pair = || {
            let server = Records::tls13(Cipher::Aes128Gcm, &secret, &secret).unwrap();
            (
                server,
                Records::tls13_client(Cipher::Aes128Gcm, &secret, &secret).unwrap(),
            )
        };
        let (mut server, mut client) = pair();
        let messages = [4, 0, 0, 1, 9, 4, 0, 0, 0, 24, 0, 0, 1, 0];
        let mut record = sealed(&mut server, HANDSHAKE, &messages);
        assert_eq!(client.open(&mut record).unwrap().1, Opened::Control);
        // The KeyUpdate behind the tickets has begun the next key.
        server.keys.renew(Way::Send).unwrap();
        server.sent = 0;
        let mut record = sealed(&mut server, APPLICATION_DATA, b"on");
        assert_eq!(client.open(&mut record).unwrap().1, Opened::Data(b"on"));

        let (mut server, mut client) = pair();
        let mut record = sealed(&mut server, HANDSHAKE, &[4, 0, 0, 2, 9]);
        let fault = client.open(&mut record).unwrap_err();
        assert_eq!(fault.alert, Alert::DecodeError);
        let (mut server, mut client) = pair();
        let mut record = sealed(&mut client, HANDSHAKE, &[4, 0, 0, 1, 9]);
        let fault = server.open(&mut record).unwrap_err();
        assert_eq!(fault.alert, Alert::UnexpectedMessage);
    }
}
