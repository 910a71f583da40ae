//! Out of the connection: data, KeyUpdates, alerts (RFC 8446 §5.1–5.5, RFC 5246 §6.2).

use crate::alert::{Alert, Fault};
use crate::cipher::{Key, TAG};
use crate::keys::Way;
use crate::records::Records;

/// Bytes of data in one record (RFC 8446 §5.1).
pub const PLAINTEXT_MAX: usize = 1 << 14;
/// Records sealed with one key, before TLS 1.3 takes the next and TLS 1.2 ends. RFC 8446 §5.5
/// allows some 2^24.5 full-sized ones with AES-GCM.
pub const SEND_RECORDS_MAX: u64 = 1 << 24;

/// Content types (RFC 8446 §5.1).
pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;

/// Bytes of a record's header.
pub(crate) const HEADER: usize = 5;
/// Bytes of the nonce in a record of TLS 1.2 with AES-GCM.
pub(crate) const EXPLICIT: usize = 8;
/// A KeyUpdate up to what it asks for (RFC 8446 §4.6.3).
pub(crate) const KEY_UPDATE: [u8; 4] = [24, 0, 0, 1];

/// An upper bound of the bytes that so much data becomes, its own KeyUpdates aside.
pub const fn sealed_len(data: usize) -> usize {
    data + data.div_ceil(PLAINTEXT_MAX) * (HEADER + EXPLICIT + TAG)
}

impl Records {
    /// Seals data to the end of `output`, in records as long as allowed; before it, a KeyUpdate
    /// that is owed or due. What was sealed must leave in this order, once: keep it until it has.
    ///
    /// Fails after [`Records::close`], and when TLS 1.2 has sealed [`SEND_RECORDS_MAX`]; what was
    /// appended until then is good.
    pub fn seal(&mut self, data: &[u8], output: &mut Vec<u8>) -> Result<(), Fault> {
        self.answer(output)?;
        if data.is_empty() {
            return Ok(());
        }
        self.check_open()?;
        output.reserve(sealed_len(data.len()));
        let mut key = self.keys.sealing()?;
        for piece in data.chunks(PLAINTEXT_MAX) {
            // One number is left for the KeyUpdate, and one for the last alert.
            if self.sent >= SEND_RECORDS_MAX - 2 {
                self.update(false, output)?;
                key = self.keys.sealing()?;
            }
            self.seal_record(&key, APPLICATION_DATA, piece, output)?;
        }
        Ok(())
    }

    /// Whether the peer waits for a KeyUpdate: it leaves with the next data, or by
    /// [`Records::answer`].
    pub fn owes_answer(&self) -> bool {
        self.has(Self::UPDATE_OWED) && !self.is_closed()
    }

    /// Seals the KeyUpdate that the peer has asked for, if it has: one, however often it asked
    /// (RFC 8446 §4.6.3). Call it when the connection has nothing else that waits to leave, so that
    /// a peer that asks and does not read has one answer waiting and no more.
    pub fn answer(&mut self, output: &mut Vec<u8>) -> Result<(), Fault> {
        match self.owes_answer() {
            true => self.update(false, output),
            false => Ok(()),
        }
    }

    /// Seals `close_notify`, once: nothing follows it.
    pub fn close(&mut self, output: &mut Vec<u8>) {
        self.alert(Alert::CloseNotify, output);
    }

    /// Seals an alert; unless it is a warning of TLS 1.2, nothing follows it. After one of these it
    /// does nothing.
    pub fn alert(&mut self, alert: Alert, output: &mut Vec<u8>) {
        if self.is_closed() {
            return;
        }
        // There is nobody to tell when an alert cannot be sealed: the connection ends all the same.
        if let Ok(key) = self.keys.sealing() {
            let _ = self.seal_record(&key, ALERT, &[alert.level(), alert as u8], output);
        }
        if !matches!(alert, Alert::NoRenegotiation | Alert::UserCanceled) {
            self.set(Self::CLOSED);
        }
    }

    /// A KeyUpdate under the old key, then the next key (RFC 8446 §4.6.3).
    pub(crate) fn update(&mut self, asks: bool, output: &mut Vec<u8>) -> Result<(), Fault> {
        if self.keys.is_tls12() {
            let why = "the records that one key may seal are used up, and TLS 1.2 has no other";
            return Err(Fault::new(Alert::InternalError, why));
        }
        let [kind, a, b, c] = KEY_UPDATE;
        let key = self.keys.sealing()?;
        self.seal_record(&key, HANDSHAKE, &[kind, a, b, c, u8::from(asks)], output)?;
        self.keys.renew(Way::Send)?;
        self.sent = 0;
        self.keys.status_mut().bits &= !Self::UPDATE_OWED;
        Ok(())
    }

    pub(crate) fn check_open(&self) -> Result<(), Fault> {
        const AFTER: Fault = Fault::new(Alert::InternalError, "data after the last alert");
        if self.is_closed() { Err(AFTER) } else { Ok(()) }
    }

    pub(crate) fn seal_record(
        &mut self,
        key: &Key,
        content: u8,
        data: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let from = output.len();
        let sealed = match self.keys.is_tls12() {
            true => self.seal_tls12(key, content, data, output),
            false => self.seal_tls13(key, content, data, output),
        };
        // The number is spent, whatever came of it.
        self.sent += 1;
        if sealed.is_err() {
            output.truncate(from);
            self.set(Self::CLOSED);
        }
        sealed
    }

    fn seal_tls13(
        &self,
        key: &Key,
        content: u8,
        data: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let header = header(APPLICATION_DATA, data.len() + 1 + TAG);
        output.extend_from_slice(&header);
        let from = output.len();
        output.extend_from_slice(data);
        output.push(content);
        let tag = key.seal(key.nonce(self.sent), &header, &mut output[from..])?;
        output.extend_from_slice(&tag);
        Ok(())
    }

    fn seal_tls12(
        &self,
        key: &Key,
        content: u8,
        data: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let nonce = key.nonce(self.sent);
        let explicit = if self.cipher().is_gcm() { EXPLICIT } else { 0 };
        output.extend_from_slice(&header(content, explicit + data.len() + TAG));
        output.extend_from_slice(&nonce[nonce.len() - explicit..]);
        let from = output.len();
        output.extend_from_slice(data);
        let aad = additional_data(self.sent, content, data.len());
        let tag = key.seal(nonce, &aad, &mut output[from..])?;
        output.extend_from_slice(&tag);
        Ok(())
    }
}

/// A record's header; its version is that of TLS 1.2 ever since (RFC 8446 §5.2).
fn header(content: u8, length: usize) -> [u8; HEADER] {
    let [high, low] = (length as u16).to_be_bytes();
    [content, 3, 3, high, low]
}

/// What TLS 1.2 authenticates beside the data (RFC 5246 §6.2.3.3).
pub(crate) fn additional_data(sequence: u64, content: u8, length: usize) -> [u8; 13] {
    let mut data = [0; 13];
    data[..8].copy_from_slice(&sequence.to_be_bytes());
    data[8..].copy_from_slice(&header(content, length));
    data
}
