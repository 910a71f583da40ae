//! Receipts: what a subscriber gives back so that the publisher hears of it. A receipt says whose
//! PUBLISH it is for, and a code that only this broker can make binds it to that PUBLISH and to the
//! subscriber that was given it: one that was guessed, or overheard from another, is worth nothing.

use engine::event::{SessionId, ShardId};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::frame::Receipt;

/// An event that is to be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// A PUBLISH of a client of this broker.
    Here {
        /// Whose it is.
        publisher: SessionId,
        /// Its id.
        id: u32,
    },
    /// One of another host's.
    Away {
        /// What the bus knows it by.
        number: u64,
    },
}

/// Bytes of a receipt that say what it is for; the others are the code.
const NAME_BYTES: usize = 11;
/// In the place of a shard's number: the event is another host's.
const AWAY: u8 = 0xFF;

fn keyed(secret: &[u8; 32], name: &[u8], subscriber: SessionId) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key may have any length");
    mac.update(name);
    mac.update(&subscriber.shard.0.to_be_bytes());
    mac.update(&subscriber.generation.to_be_bytes());
    mac.update(&subscriber.slot.to_be_bytes());
    mac
}

/// The receipt of a PUBLISH for one subscriber.
pub(super) fn make(secret: &[u8; 32], linked: Linked, subscriber: SessionId) -> Receipt {
    let mut receipt = [0; 16];
    match linked {
        Linked::Here { publisher, id } => {
            // There are at most 64 shards.
            receipt[0] = publisher.shard.0 as u8;
            receipt[1..3].copy_from_slice(&publisher.generation.to_be_bytes());
            receipt[3..7].copy_from_slice(&publisher.slot.to_be_bytes());
            receipt[7..NAME_BYTES].copy_from_slice(&id.to_be_bytes());
        }
        Linked::Away { number } => {
            receipt[0] = AWAY;
            receipt[1..9].copy_from_slice(&number.to_be_bytes());
        }
    }
    let code = keyed(secret, &receipt[..NAME_BYTES], subscriber).finalize();
    let code = code.into_bytes();
    receipt[NAME_BYTES..].copy_from_slice(&code[..16 - NAME_BYTES]);
    receipt
}

/// The event that a receipt is for, if this broker made it for that subscriber.
pub(super) fn read(
    secret: &[u8; 32],
    shards: u16,
    receipt: &Receipt,
    subscriber: SessionId,
) -> Option<Linked> {
    let (name, code) = receipt.split_at(NAME_BYTES);
    let is_ours = keyed(secret, name, subscriber).verify_truncated_left(code);
    is_ours.ok()?;
    if name[0] == AWAY {
        let number = u64::from_be_bytes(*name[1..].first_chunk()?);
        return Some(Linked::Away { number });
    }
    let [shard, g0, g1, s0, s1, s2, s3, i0, i1, i2, i3] = *name.first_chunk()?;
    let publisher = SessionId {
        shard: ShardId(shard.into()),
        generation: u16::from_be_bytes([g0, g1]),
        slot: u32::from_be_bytes([s0, s1, s2, s3]),
    };
    let id = u32::from_be_bytes([i0, i1, i2, i3]);
    (publisher.shard.0 < shards).then_some(Linked::Here { publisher, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(slot: u32) -> SessionId {
        SessionId {
            shard: ShardId(1),
            generation: 2,
            slot,
        }
    }

    #[test]
    fn only_the_subscriber_that_was_given_a_receipt_can_use_it() {
        let secret = [7; 32];
        let linked = Linked::Here {
            publisher: session(3),
            id: 9,
        };
        let receipt = make(&secret, linked, session(4));
        assert_eq!(read(&secret, 2, &receipt, session(4)), Some(linked));
        assert_eq!(read(&secret, 2, &receipt, session(5)), None, "overheard");
        let away = Linked::Away { number: 1 << 40 };
        let receipt_away = make(&secret, away, session(4));
        assert_eq!(read(&secret, 2, &receipt_away, session(4)), Some(away));
        assert_eq!(read(&secret, 2, &receipt_away, session(5)), None);
        assert_eq!(
            read(&[8; 32], 2, &receipt, session(4)),
            None,
            "another broker's"
        );
        for bit in 0..128 {
            let mut other = receipt;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&secret, 2, &other, session(4)), None, "bit {bit}");
        }
    }
}
