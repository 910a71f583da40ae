//! Users for loads, as `msguser import` takes them.

use admin::password;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::login;

/// What stands for a password in the user directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scheme {
    /// A salted hash that costs nothing: for studies of sessions.
    Ssha256,
    /// What SCRAM is verified by, of keys in place of a password: `--auth scram` knows them.
    Keys,
    /// What SCRAM is verified by, of the password. Takes some milliseconds a user.
    Verifier,
    /// What passwords should be hashed by. Takes tens of milliseconds a user.
    Argon2id,
}

impl Scheme {
    /// `{SCHEME}` and what it holds, for one user.
    ///
    /// # Errors
    /// If the password can't be hashed.
    pub fn entry(self, name: &str, password: &str) -> Result<String, String> {
        match self {
            Self::Ssha256 => Ok(cheap_hash(name, password)),
            Self::Keys => Ok(login::verifier(name, password)),
            Self::Verifier => password::hash(password::Scheme::ScramSha256, password.as_bytes()),
            Self::Argon2id => password::hash(password::Scheme::Argon2id, password.as_bytes()),
        }
    }
}

/// `{SSHA256}base64(sha256(password + salt) + salt)`, the salt from the name.
fn cheap_hash(name: &str, password: &str) -> String {
    let salt = &Sha256::digest(name.as_bytes())[..8];
    let mut hash = Sha256::new()
        .chain_update(password)
        .chain_update(salt)
        .finalize()
        .to_vec();
    hash.extend_from_slice(salt);
    format!("{{SSHA256}}{}", STANDARD.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_taken_and_verifies() {
        for scheme in [Scheme::Ssha256, Scheme::Verifier, Scheme::Argon2id] {
            let entry = scheme.entry("load7", "secret").expect("it can be hashed");
            assert!(password::check_stored(&entry).is_ok(), "{entry}");
            assert!(password::verify(&entry, b"secret"), "{entry}");
            assert!(!password::verify(&entry, b"other"), "{entry}");
        }
        let keys = Scheme::Keys.entry("load7", "secret").expect("keys");
        assert!(password::check_stored(&keys).is_ok(), "{keys}");
    }
}
