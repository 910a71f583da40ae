//! Tickets with which a client resumes (RFC 8446 §2.2, RFC 5077): its state, sealed by keys that
//! only this process has. One set of keys serves all shards, so it does not matter where a client
//! returns.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

/// Seconds that a key makes tickets, and then that it still opens them.
pub const TICKET_LIFETIME_S: u32 = 12 * 3600;

const NAME_LEN: usize = 8;
const KEY_LEN: usize = 32;

/// A key and what its tickets begin with.
struct TicketKey {
    name: [u8; NAME_LEN],
    key: LessSafeKey,
    /// What it is made of, for a process that takes over.
    bytes: Zeroizing<[u8; KEY_LEN]>,
}

impl TicketKey {
    /// `None` if there is no chance to be had.
    fn random() -> Option<Arc<Self>> {
        let mut name = [0; NAME_LEN];
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        rand::fill(&mut name).ok()?;
        rand::fill(&mut *bytes).ok()?;
        Self::of(name, bytes)
    }

    fn of(name: [u8; NAME_LEN], bytes: Zeroizing<[u8; KEY_LEN]>) -> Option<Arc<Self>> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*bytes).ok()?);
        Some(Arc::new(Self { name, key, bytes }))
    }
}

struct Generations {
    current: Option<Arc<TicketKey>>,
    previous: Option<Arc<TicketKey>>,
}

/// The keys of now and of before.
pub(crate) struct Tickets {
    generations: ArcSwap<Generations>,
}

impl Tickets {
    pub fn new() -> Self {
        Self {
            generations: ArcSwap::from_pointee(Generations {
                current: TicketKey::random(),
                previous: None,
            }),
        }
    }

    /// A new key makes tickets, the one before opens them still, the one before that is gone.
    pub fn rotate(&self) {
        let current = TicketKey::random();
        self.generations.rcu(|before| Generations {
            current: current.clone(),
            previous: before.current.clone(),
        });
    }

    /// Appends the keys, that of now first.
    pub fn hand_over(&self, output: &mut Vec<u8>) {
        let generations = self.generations.load();
        let keys = [&generations.current, &generations.previous];
        for key in keys.into_iter().flatten() {
            output.extend(key.name);
            output.extend(&*key.bytes);
        }
    }

    /// Goes on with the keys of another process. False if these are not its bytes.
    pub fn take_over(&self, input: &[u8]) -> bool {
        let (keys, []) = input.as_chunks::<{ NAME_LEN + KEY_LEN }>() else {
            return false;
        };
        let key = |at: usize| {
            let (name, bytes) = keys.get(at)?.split_first_chunk::<NAME_LEN>()?;
            TicketKey::of(*name, Zeroizing::new(*bytes.first_chunk()?))
        };
        let (current, previous) = (key(0), key(1));
        let is_whole = current.is_some() && keys.len() <= 2;
        if is_whole {
            self.generations
                .store(Arc::new(Generations { current, previous }));
        }
        is_whole
    }
}

impl std::fmt::Debug for Tickets {
    /// Says nothing that is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TICKET_LIFETIME_S
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let generations = self.generations.load();
        let key = generations.current.as_ref()?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut ticket = Vec::with_capacity(NAME_LEN + NONCE_LEN + plain.len() + 16);
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(plain);
        let text = &mut ticket[NAME_LEN + NONCE_LEN..];
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(key.name), text)
            .ok()?;
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    /// What cannot be opened leads to a full handshake.
    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_LEN>()?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
        let generations = self.generations.load();
        let keys = [&generations.current, &generations.previous];
        let key = keys.into_iter().flatten().find(|key| key.name == *name)?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = key
            .key
            .open_in_place(nonce, Aad::from(*name), &mut text)
            .ok()?;
        let length = plain.len();
        text.truncate(length);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
    use super::*;

    #[test]
    fn a_ticket_lives_through_one_rotation() {
        let tickets = Tickets::new();
        let ticket = tickets.encrypt(b"state").unwrap();
        tickets.rotate();
        assert_eq!(tickets.decrypt(&ticket).unwrap(), b"state");
        tickets.rotate();
        assert_eq!(tickets.decrypt(&ticket), None);
    }

    #[test]
    fn another_process_opens_what_this_one_has_sealed() {
        let (tickets, other) = (Tickets::new(), Tickets::new());
        let old = tickets.encrypt(b"old").unwrap();
        for generations in 1..=2 {
            let new = tickets.encrypt(b"new").unwrap();
            let mut bytes = Vec::new();
            tickets.hand_over(&mut bytes);
            assert_eq!(bytes.len(), generations * (NAME_LEN + KEY_LEN));
            assert!(!other.take_over(&bytes[1..]) && !other.take_over(b""));
            assert!(other.take_over(&bytes));
            assert_eq!(other.decrypt(&old).unwrap(), b"old");
            assert_eq!(other.decrypt(&new).unwrap(), b"new");
            let back = other.encrypt(b"back").unwrap();
            assert_eq!(tickets.decrypt(&back).unwrap(), b"back");
            tickets.rotate();
        }
    }

    #[test]
    fn a_ticket_with_any_byte_changed_or_missing_is_none() {
        let tickets = Tickets::new();
        let ticket = tickets.encrypt(b"state").unwrap();
        for at in 0..ticket.len() {
            let mut other = ticket.clone();
            other[at] ^= 1;
            assert_eq!(tickets.decrypt(&other), None, "byte {at}");
            assert_eq!(tickets.decrypt(&ticket[..at]), None, "{at} bytes");
        }
    }
}
