//! Passwords: schemes in which they are stored, verification, and the cache of verified ones.

mod cache;

pub use cache::{Fingerprint, VerifiedCache};

use argon2::Argon2;
use argon2::password_hash::rand_core::{OsRng, RngCore};
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Longest password that is looked at, in bytes; longer ones are wrong.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Most memory, in KiB, that a stored argon2 hash may ask for: a guard against a bad import.
const ARGON2_MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Most passes that a stored argon2 hash may ask for.
const ARGON2_PASSES_MAX: u32 = 64;
/// Highest bcrypt cost (a power of two) that is taken.
const BCRYPT_COST_MAX: u32 = 16;
/// Most rounds of SHA-crypt that are taken.
const SHA_CRYPT_ROUNDS_MAX: usize = 5_000_000;
/// Bytes of a SHA-256 digest.
const SHA256_BYTES: usize = 32;

/// How a stored password was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `{ARGON2ID}`: a PHC string; what new passwords get.
    Argon2id,
    /// `{BLF-CRYPT}` (also `{BCRYPT}`): bcrypt, `$2b$…`.
    Bcrypt,
    /// `{SHA512-CRYPT}`: `$6$…`.
    Sha512Crypt,
    /// `{SHA256-CRYPT}`: `$5$…`.
    Sha256Crypt,
    /// `{SSHA256}`: base64 of SHA-256(password, salt) and the salt. Cheap to verify, and so to
    /// guess: for load tests and for moving users in.
    Ssha256,
}

impl Scheme {
    /// All schemes.
    pub const ALL: [Scheme; 5] = [
        Self::Argon2id,
        Self::Bcrypt,
        Self::Sha512Crypt,
        Self::Sha256Crypt,
        Self::Ssha256,
    ];

    /// The name between braces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Argon2id => "ARGON2ID",
            Self::Bcrypt => "BLF-CRYPT",
            Self::Sha512Crypt => "SHA512-CRYPT",
            Self::Sha256Crypt => "SHA256-CRYPT",
            Self::Ssha256 => "SSHA256",
        }
    }

    /// The scheme of that name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("BCRYPT") {
            return Some(Self::Bcrypt);
        }
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.name().eq_ignore_ascii_case(name))
    }
}

/// Splits `{SCHEME}hash`.
///
/// # Errors
/// What is wrong: no scheme, or one that is not known.
pub fn split(stored: &str) -> Result<(Scheme, &str), String> {
    let known = || {
        Scheme::ALL
            .map(|scheme| format!("{{{}}}", scheme.name()))
            .join(", ")
    };
    let (name, hash) = stored
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'))
        .ok_or_else(|| format!("the hash must begin with its scheme, one of {}", known()))?;
    let scheme = Scheme::named(name)
        .ok_or_else(|| format!("there is no scheme {{{name}}}; known are {}", known()))?;
    Ok((scheme, hash))
}

/// Checks that a stored hash can be verified at all, and at a bearable price.
///
/// # Errors
/// What is wrong with it. The hash itself is never part of the text.
pub fn check_stored(stored: &str) -> Result<Scheme, String> {
    let (scheme, hash) = split(stored)?;
    let sound = match scheme {
        Scheme::Argon2id => is_sound_argon2(hash),
        Scheme::Bcrypt => hash
            .parse::<bcrypt::HashParts>()
            .is_ok_and(|it| it.get_cost() <= BCRYPT_COST_MAX),
        Scheme::Sha512Crypt => is_sound_sha_crypt(hash, "$6$", 86),
        Scheme::Sha256Crypt => is_sound_sha_crypt(hash, "$5$", 43),
        Scheme::Ssha256 => STANDARD
            .decode(hash)
            .is_ok_and(|it| it.len() > SHA256_BYTES),
    };
    if sound {
        Ok(scheme)
    } else {
        Err(format!("this is no hash that {{{}}} takes", scheme.name()))
    }
}

fn is_sound_argon2(hash: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(hash) else {
        return false;
    };
    let bearable = argon2::Params::try_from(&parsed).is_ok_and(|params| {
        params.m_cost() <= ARGON2_MEMORY_KIB_MAX && params.t_cost() <= ARGON2_PASSES_MAX
    });
    parsed.algorithm.as_str() == "argon2id" && parsed.hash.is_some() && bearable
}

/// `PREFIX[rounds=N$]salt$digest`.
fn is_sound_sha_crypt(hash: &str, prefix: &str, digest_chars: usize) -> bool {
    let Some(rest) = hash.strip_prefix(prefix) else {
        return false;
    };
    let rest = match rest
        .strip_prefix("rounds=")
        .and_then(|rest| rest.split_once('$'))
    {
        Some((rounds, rest)) => {
            if !rounds
                .parse()
                .is_ok_and(|n: usize| (1000..=SHA_CRYPT_ROUNDS_MAX).contains(&n))
            {
                return false;
            }
            rest
        }
        None => rest,
    };
    rest.split_once('$').is_some_and(|(salt, digest)| {
        (1..=16).contains(&salt.len())
            && digest.len() == digest_chars
            && digest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"./".contains(&b))
    })
}

/// Whether the password is the one that was hashed. Slow on purpose, but for SSHA256. A stored
/// hash that is not in order verifies nothing.
pub fn verify(stored: &str, password: &[u8]) -> bool {
    if password.len() > PASSWORD_BYTES_MAX {
        return false;
    }
    let Ok((scheme, hash)) = split(stored) else {
        return false;
    };
    match scheme {
        Scheme::Argon2id => PasswordHash::new(hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok()),
        Scheme::Bcrypt => bcrypt::verify(password, hash).unwrap_or(false),
        Scheme::Sha512Crypt => as_text(password)
            .is_some_and(|password| sha_crypt::sha512_check(password, hash).is_ok()),
        Scheme::Sha256Crypt => as_text(password)
            .is_some_and(|password| sha_crypt::sha256_check(password, hash).is_ok()),
        Scheme::Ssha256 => verify_ssha256(hash, password),
    }
}

fn as_text(password: &[u8]) -> Option<&str> {
    std::str::from_utf8(password).ok()
}

fn verify_ssha256(hash: &str, password: &[u8]) -> bool {
    let Ok(decoded) = STANDARD.decode(hash) else {
        return false;
    };
    let Some((digest, salt)) = decoded.split_at_checked(SHA256_BYTES) else {
        return false;
    };
    let computed = Sha256::new()
        .chain_update(password)
        .chain_update(salt)
        .finalize();
    computed.as_slice().ct_eq(digest).into()
}

/// Hashes a new password with a fresh salt, as `{SCHEME}hash`.
///
/// # Errors
/// If the password is empty or too long, or the scheme is one for verifying only.
pub fn hash(scheme: Scheme, password: &[u8]) -> Result<String, String> {
    if password.is_empty() {
        return Err("the password is empty".into());
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(format!(
            "the password is longer than {PASSWORD_BYTES_MAX} bytes"
        ));
    }
    let hash = match scheme {
        Scheme::Argon2id => Argon2::default()
            .hash_password(password, &SaltString::generate(&mut OsRng))
            .map_err(|error| error.to_string())?
            .to_string(),
        Scheme::Ssha256 => {
            let mut salt = [0; 8];
            OsRng.fill_bytes(&mut salt);
            let digest = Sha256::new()
                .chain_update(password)
                .chain_update(salt)
                .finalize();
            STANDARD.encode([digest.as_slice(), &salt].concat())
        }
        Scheme::Bcrypt | Scheme::Sha512Crypt | Scheme::Sha256Crypt => {
            return Err(format!(
                "{{{}}} is only for hashes that exist; new passwords take {{ARGON2ID}}",
                scheme.name()
            ));
        }
    };
    Ok(format!("{{{}}}{hash}", scheme.name()))
}

/// What a password of an unknown user is verified against while there are no users at all, so that
/// the answer takes its usual time. Nobody knows a password for it: its digest is arbitrary.
pub(crate) const NOBODY: &str = "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$\
    bm9ib2R5LWlzLWhlcmUhIQ$NmIwZjQyNWYtbm8tcGFzc3dvcmQtZml0cy10aGlzISE";

#[cfg(test)]
mod tests;
