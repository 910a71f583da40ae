//! Verifiers for SCRAM-SHA-256 (RFC 5802 §3, RFC 7677): they prove a password without being one.

use argon2::password_hash::rand_core::{OsRng, RngCore};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::prepare;

/// Bytes of SHA-256, and so of keys, proofs and signatures.
pub const KEY_BYTES: usize = 32;
/// Bytes of a new salt.
pub const SALT_BYTES: usize = 16;
/// Iterations of new verifiers; RFC 7677 §4 asks for 4096 at least.
pub const ITERATIONS: u32 = 10_000;
/// Fewest and most iterations of verifiers that come from elsewhere.
const ITERATIONS_TAKEN: std::ops::RangeInclusive<u32> = 1000..=1_000_000;
/// Longest salt that comes from elsewhere, in bytes.
const SALT_BYTES_MAX: usize = 64;

/// Bytes of a hash's hash that say which one it is.
const MARK_BYTES: usize = 12;

/// A key or a signature.
pub type Key = Zeroizing<[u8; KEY_BYTES]>;

/// What the server keeps of a password. Who has it can pass for the server, and guess passwords at
/// the price of its iterations, but can't log in.
#[derive(Clone)]
pub struct Verifier {
    /// The salt.
    pub salt: Box<[u8]>,
    /// Iterations of PBKDF2.
    pub iterations: u32,
    pub(crate) stored_key: Key,
    pub(crate) server_key: Key,
}

impl Verifier {
    /// Of a new password, with a fresh salt.
    pub fn new(password: &[u8]) -> Self {
        let mut salt = [0; SALT_BYTES];
        OsRng.fill_bytes(&mut salt);
        Self::derive(password, &salt, ITERATIONS)
    }

    /// Of a password: takes some milliseconds.
    pub fn derive(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let mut salted = Zeroizing::new([0; KEY_BYTES]);
        let password = prepare(password);
        pbkdf2::pbkdf2_hmac::<Sha256>(&password, salt, iterations, &mut *salted);
        let client_key = mac(&*salted, b"Client Key");
        Self {
            salt: salt.into(),
            iterations,
            stored_key: Zeroizing::new(Sha256::digest(*client_key).into()),
            server_key: mac(&*salted, b"Server Key"),
        }
    }

    /// From `iterations,salt,stored key,server key`, the last three in base64; none if it is not
    /// that, or asks for a price that nobody should pay.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let iterations = parts.next()?.parse().ok()?;
        let mut bytes = || STANDARD.decode(parts.next()?).ok().map(Zeroizing::new);
        let (salt, stored, server) = (bytes()?, bytes()?, bytes()?);
        let key = |bytes: &[u8]| Some(Zeroizing::new(bytes.try_into().ok()?));
        let sound = ITERATIONS_TAKEN.contains(&iterations)
            && (1..=SALT_BYTES_MAX).contains(&salt.len())
            && parts.next().is_none();
        sound.then_some(Self {
            salt: salt.as_slice().into(),
            iterations,
            stored_key: key(&stored)?,
            server_key: key(&server)?,
        })
    }

    /// The form that [`Verifier::parse`] takes.
    pub fn to_text(&self) -> Zeroizing<String> {
        let of = |bytes: &[u8]| STANDARD.encode(bytes);
        Zeroizing::new(format!(
            "{},{},{},{}",
            self.iterations,
            of(&self.salt),
            of(&*self.stored_key),
            of(&*self.server_key)
        ))
    }

    /// The form for a line of the directory, which says beside which hash it stands. When somebody
    /// gives the user another hash by hand, the verifier, which is of the old password, is as good
    /// as none.
    pub fn to_text_beside(&self, stored: &str) -> Zeroizing<String> {
        Zeroizing::new(format!("{},{}", *self.to_text(), mark(stored)))
    }

    /// From what [`Verifier::to_text_beside`] gives; none if that is beside another hash.
    pub fn parse_beside(text: &str, stored: &str) -> Option<Self> {
        let (text, beside) = text.rsplit_once(',')?;
        (beside == mark(stored)).then(|| Self::parse(text))?
    }

    /// Whether it has the form, whichever hash it is beside.
    pub fn is_beside_any(text: &str) -> bool {
        let parts = text.rsplit_once(',');
        parts.is_some_and(|(text, _)| Self::parse(text).is_some())
    }

    /// Whether a client's proof shows that it knows the password: the server's signature if so
    /// (RFC 5802 §3). Takes microseconds.
    pub fn check(&self, auth_message: &[u8], proof: &[u8]) -> Option<Key> {
        let signature = mac(&*self.stored_key, auth_message);
        let mut client_key = Zeroizing::new([0; KEY_BYTES]);
        if proof.len() != KEY_BYTES {
            return None;
        }
        for (at, byte) in client_key.iter_mut().enumerate() {
            *byte = signature[at] ^ proof[at];
        }
        let proved: bool = Sha256::digest(*client_key)
            .as_slice()
            .ct_eq(&*self.stored_key)
            .into();
        proved.then(|| mac(&*self.server_key, auth_message))
    }

    /// Whether the password is the one it was made of: takes some milliseconds.
    pub fn is_of(&self, password: &[u8]) -> bool {
        let other = Self::derive(password, &self.salt, self.iterations);
        other.stored_key.ct_eq(&*self.stored_key).into()
    }
}

/// What says which hash a verifier is beside. Hashes have salts, so no two are alike.
fn mark(stored: &str) -> String {
    STANDARD.encode(&Sha256::digest(stored)[..MARK_BYTES])
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

/// HMAC-SHA-256.
pub(crate) fn mac(key: &[u8], text: &[u8]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(text);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677 §3: user `user`, password `pencil`.
    const AUTH_MESSAGE: &str = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
        r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
        c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const PROOF: &str = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SIGNATURE: &str = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    #[test]
    fn the_example_of_rfc_7677() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::derive(b"pencil", &salt, 4096);
        let verifier = Verifier::parse(&verifier.to_text()).unwrap();
        let proof = STANDARD.decode(PROOF).unwrap();
        let signature = verifier.check(AUTH_MESSAGE.as_bytes(), &proof).unwrap();
        assert_eq!(STANDARD.encode(*signature), SIGNATURE);
        for at in 0..proof.len() {
            let mut wrong = proof.clone();
            wrong[at] ^= 1;
            assert!(verifier.check(AUTH_MESSAGE.as_bytes(), &wrong).is_none());
        }
        assert!(verifier.check(b"another", &proof).is_none());
        assert!(verifier.check(AUTH_MESSAGE.as_bytes(), b"").is_none());
        assert!(verifier.is_of(b"pencil") && !verifier.is_of(b"pen"));
    }

    #[test]
    fn what_is_no_verifier_is_refused() {
        let good = Verifier::new(b"x").to_text();
        assert!(Verifier::parse(&good).is_some());
        let (_, rest) = good.split_once(',').unwrap();
        for bad in [
            String::new(),
            format!("0,{rest}"),
            format!("10000000,{rest}"),
            format!("{},x", *good),
            format!("4096,,{}", rest.split_once(',').unwrap().1),
            good[..good.len() - 8].to_owned(),
        ] {
            assert!(Verifier::parse(&bad).is_none(), "{bad}");
        }
        assert_ne!(*Verifier::new(b"x").to_text(), *good, "salted");
    }
}
