//! What a handshake leaves besides keys: what the connection is known by, and who the client is.

use zeroize::Zeroizing;

use crate::cipher::Cipher;
use crate::clients::{self, NameFault, NamedBy};

/// Which of a channel's exporters binds authentication to it (RFC 9266 §2).
const LABEL: &[u8] = b"EXPORTER-Channel-Binding";
/// Its length in bytes.
const BINDING: usize = 32;

/// What both ends know of a connection once its handshake is over.
#[derive(Debug, Clone, Default)]
pub struct Channel {
    /// `tls-exporter` (RFC 9266): nobody else knows it, and no other connection has the same. Of
    /// TLS 1.3 only: of 1.2 it would depend on an extension that the client may leave out.
    pub binding: Option<Zeroizing<[u8; BINDING]>>,
    /// The client's own certificate, DER, if it has shown one and that was verified.
    pub certificate: Option<Box<[u8]>>,
}

impl Channel {
    /// The name in the client's certificate; none if it has shown none, or one without such a name.
    ///
    /// # Errors
    ///
    /// What is wrong with the name that it has.
    pub fn name(&self, by: NamedBy) -> Result<Option<Box<str>>, NameFault> {
        match &self.certificate {
            Some(certificate) => clients::name(certificate, by),
            None => Ok(None),
        }
    }
}

/// From the exporter's secret (RFC 8446 §7.5).
pub(crate) fn binding(cipher: Cipher, secret: &[u8]) -> Option<Zeroizing<[u8; BINDING]>> {
    let mut derived = Zeroizing::new([0; 48]);
    let derived = derived.get_mut(..cipher.secret_len())?;
    let nothing = cipher.hash(b"");
    let mut binding = Zeroizing::new([0; BINDING]);
    cipher
        .expand_with(secret, LABEL, nothing.as_ref(), derived)
        .ok()?;
    cipher
        .expand_with(derived, b"exporter", nothing.as_ref(), &mut *binding)
        .ok()?;
    Some(binding)
}
