//! How much a structure may hold: it must not grow far beyond what a client needs of it, whatever
//! the message says.

use super::Address;
use super::text::{TEXT_BYTES_MAX, bounded};

/// Parts that are told apart in one message; more are left out.
const PARTS_MAX: usize = 10_000;
/// Addresses kept of one message, those of the messages in it included.
const ADDRESSES_MAX: usize = 50_000;
/// Bytes of text kept of one message, those of the messages in it included; once they are used up,
/// values are cut or left out.
const BYTES_MAX: usize = 1 << 20;
/// Bytes of From, of Sender and of Reply-To, each: few have more than one address.
const ORIGINATOR_BYTES_MAX: usize = 64 * 1024;
/// What an address costs besides its text.
const ADDRESS_BYTES: usize = 16;

/// What is left of the bounds of a whole message.
pub(super) struct Budget {
    pub parts: usize,
    addresses: usize,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            parts: PARTS_MAX,
            addresses: ADDRESSES_MAX,
            bytes: BYTES_MAX,
        }
    }
}

impl Budget {
    /// A text, cut to what one may have and to what is left.
    pub fn text(&mut self, value: Vec<u8>) -> Vec<u8> {
        let value = bounded(value, self.bytes.min(TEXT_BYTES_MAX));
        self.bytes -= value.len();
        value
    }

    /// Takes as many bytes, if there are so many left.
    pub fn take(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.bytes;
        self.bytes -= if fits { bytes } else { 0 };
        fits
    }

    /// Room for one address field.
    pub fn room(&mut self, is_originator: bool) -> Room {
        let bytes_max = if is_originator {
            ORIGINATOR_BYTES_MAX
        } else {
            BYTES_MAX
        };
        Room {
            addresses: self.addresses,
            bytes: self.bytes.min(bytes_max),
        }
    }

    /// Counts the addresses of a field.
    pub fn spend(&mut self, addresses: &[Address]) {
        let bytes: usize = addresses.iter().map(cost).sum();
        self.addresses = self.addresses.saturating_sub(addresses.len());
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// What is left for one address field.
pub(crate) struct Room {
    addresses: usize,
    bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Budget::default().room(false)
    }
}

impl Room {
    /// Takes an address, if there is room for it.
    pub(super) fn take(&mut self, address: &Address) -> bool {
        let bytes = cost(address);
        let fits = self.addresses > 0 && bytes <= self.bytes;
        if fits {
            self.addresses -= 1;
            self.bytes -= bytes;
        }
        fits
    }
}

fn cost(address: &Address) -> usize {
    let Address {
        name,
        route,
        mailbox,
        host,
    } = address;
    let texts = [name, route, mailbox, host].map(|text| text.as_ref().map_or(0, Vec::len));
    ADDRESS_BYTES + texts.iter().sum::<usize>()
}
