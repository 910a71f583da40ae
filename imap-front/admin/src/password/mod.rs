//! Passwords: schemes in which they are stored, verification, and the cache of verified ones.

mod cache;
mod prepare;
pub mod scram;

pub use cache::{Fingerprint, VerifiedCache};
pub use prepare::prepare;

use argon2::Argon2;
use argon2::password_hash::rand_core::{OsRng, RngCore};
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scram::Verifier;
use sha2::{Digest, Sha256, Sha512};
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
/// Most memory, in bytes, that a stored yescrypt hash may ask for.
const YESCRYPT_MEMORY_MAX: u64 = 256 << 20;
/// Bytes of a SHA-256 digest.
const SHA256_BYTES: usize = 32;
/// Bytes of a SHA-512 digest.
const SHA512_BYTES: usize = 64;

/// How a stored password was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `{ARGON2ID}`: a PHC string; what new passwords get.
    Argon2id,
    /// `{ARGON2I}`: the same of another kind.
    Argon2i,
    /// `{BLF-CRYPT}` (also `{BCRYPT}`): bcrypt, `$2b$…`.
    Bcrypt,
    /// `{YESCRYPT}`: `$y$…`, what `/etc/shadow` has today.
    Yescrypt,
    /// `{SCRAM-SHA-256}`: iterations, salt, stored key and server key with commas between them.
    ScramSha256,
    /// `{SHA512-CRYPT}`: `$6$…`.
    Sha512Crypt,
    /// `{SHA256-CRYPT}`: `$5$…`.
    Sha256Crypt,
    /// `{SSHA512}`: base64 of SHA-512(password, salt) and the salt. As cheap as the next.
    Ssha512,
    /// `{SSHA256}`: base64 of SHA-256(password, salt) and the salt. Cheap to verify, and so to
    /// guess: for load tests and for moving users in.
    Ssha256,
}

impl Scheme {
    /// All schemes.
    pub const ALL: [Scheme; 9] = [
        Self::Argon2id,
        Self::Argon2i,
        Self::Bcrypt,
        Self::Yescrypt,
        Self::ScramSha256,
        Self::Sha512Crypt,
        Self::Sha256Crypt,
        Self::Ssha512,
        Self::Ssha256,
    ];

    /// The name between braces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Argon2id => "ARGON2ID",
            Self::Argon2i => "ARGON2I",
            Self::Bcrypt => "BLF-CRYPT",
            Self::Yescrypt => "YESCRYPT",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Sha512Crypt => "SHA512-CRYPT",
            Self::Sha256Crypt => "SHA256-CRYPT",
            Self::Ssha512 => "SSHA512",
            Self::Ssha256 => "SSHA256",
        }
    }

    /// Whether verifying takes microseconds.
    pub fn is_cheap(self) -> bool {
        matches!(self, Self::Ssha256 | Self::Ssha512)
    }

    /// Whether verifying takes several times as long as by a verifier for SCRAM.
    pub fn is_costly(self) -> bool {
        matches!(
            self,
            Self::Argon2id | Self::Argon2i | Self::Bcrypt | Self::Yescrypt
        )
    }

    /// The scheme of a hash as crypt(3) writes it, by its first letters.
    pub fn of_crypt(hash: &str) -> Option<Self> {
        let (id, _) = hash.strip_prefix('$')?.split_once('$')?;
        Some(match id {
            "2a" | "2b" | "2y" => Self::Bcrypt,
            "y" => Self::Yescrypt,
            "6" => Self::Sha512Crypt,
            "5" => Self::Sha256Crypt,
            "argon2id" => Self::Argon2id,
            "argon2i" => Self::Argon2i,
            _ => return None,
        })
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
        Scheme::Argon2id => is_sound_argon2(hash, "argon2id"),
        Scheme::Argon2i => is_sound_argon2(hash, "argon2i"),
        Scheme::Yescrypt => is_sound_yescrypt(hash),
        Scheme::ScramSha256 => Verifier::parse(hash).is_some(),
        Scheme::Bcrypt => hash
            .parse::<bcrypt::HashParts>()
            .is_ok_and(|it| it.get_cost() <= BCRYPT_COST_MAX),
        Scheme::Sha512Crypt => is_sound_sha_crypt(hash, "$6$", 86),
        Scheme::Sha256Crypt => is_sound_sha_crypt(hash, "$5$", 43),
        Scheme::Ssha512 => is_longer(hash, SHA512_BYTES),
        Scheme::Ssha256 => is_longer(hash, SHA256_BYTES),
    };
    if sound {
        Ok(scheme)
    } else {
        Err(format!("this is no hash that {{{}}} takes", scheme.name()))
    }
}

/// Whether there is a salt behind the digest.
fn is_longer(hash: &str, digest_bytes: usize) -> bool {
    STANDARD
        .decode(hash)
        .is_ok_and(|it| it.len() > digest_bytes)
}

/// `$y$PARAMETERS$salt$digest`, of which the parameters are three letters: kind, size, block.
fn is_sound_yescrypt(hash: &str) -> bool {
    let value = |letter: u8| match letter {
        b'.' | b'/' => Some(letter - b'.'),
        b'0'..=b'9' => Some(letter - b'0' + 2),
        b'A'..=b'Z' => Some(letter - b'A' + 12),
        _ => None,
    };
    let parts: Vec<&str> = hash.split('$').collect();
    let ["", "y", parameters, salt, digest] = parts[..] else {
        return false;
    };
    let &[b'j', size, block] = parameters.as_bytes() else {
        return false;
    };
    let (Some(size), Some(block)) = (value(size), value(block)) else {
        return false;
    };
    let memory = (128 * (u64::from(block) + 1)) << (u64::from(size) + 1).min(32);
    let is_base64 = |text: &str| {
        let mut bytes = text.bytes();
        bytes.all(|b| b.is_ascii_alphanumeric() || b"./".contains(&b))
    };
    let sound = is_base64(salt) && is_base64(digest);
    sound && digest.len() == 43 && salt.len() <= 86 && memory <= YESCRYPT_MEMORY_MAX
}

fn is_sound_argon2(hash: &str, algorithm: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(hash) else {
        return false;
    };
    let bearable = argon2::Params::try_from(&parsed).is_ok_and(|params| {
        params.m_cost() <= ARGON2_MEMORY_KIB_MAX && params.t_cost() <= ARGON2_PASSES_MAX
    });
    parsed.algorithm.as_str() == algorithm && parsed.hash.is_some() && bearable
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

/// Whether the password is the one that was hashed. Slow on purpose, but for the cheap ones. A
/// stored hash that is not in order verifies nothing, and an empty password is always wrong.
/// A hash of another program was made of the password as it was typed: so that is tried, too, if
/// [`prepare`] makes another of it.
pub fn verify(stored: &str, password: &[u8]) -> bool {
    if !is_taken(password) {
        return false;
    }
    let prepared = prepare(password);
    let Ok((scheme, hash)) = split(stored) else {
        return false;
    };
    verify_by(scheme, hash, &prepared)
        || (**prepared != *password && verify_by(scheme, hash, password))
}

/// Whether it is looked at at all: a password that is empty or too long is always wrong.
pub(crate) fn is_taken(password: &[u8]) -> bool {
    password.len() <= PASSWORD_BYTES_MAX && !prepare(password).is_empty()
}

fn verify_by(scheme: Scheme, hash: &str, password: &[u8]) -> bool {
    match scheme {
        Scheme::Argon2id | Scheme::Argon2i => PasswordHash::new(hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok()),
        Scheme::Bcrypt => bcrypt::verify(password, hash).unwrap_or(false),
        Scheme::Yescrypt => {
            use yescrypt::{PasswordVerifier, Yescrypt};
            Yescrypt::default().verify_password(password, hash).is_ok()
        }
        Scheme::ScramSha256 => Verifier::parse(hash).is_some_and(|it| it.is_of(password)),
        Scheme::Sha512Crypt => as_text(password)
            .is_some_and(|password| sha_crypt::sha512_check(password, hash).is_ok()),
        Scheme::Sha256Crypt => as_text(password)
            .is_some_and(|password| sha_crypt::sha256_check(password, hash).is_ok()),
        Scheme::Ssha512 => verify_salted::<Sha512>(hash, password, SHA512_BYTES),
        Scheme::Ssha256 => verify_salted::<Sha256>(hash, password, SHA256_BYTES),
    }
}

fn as_text(password: &[u8]) -> Option<&str> {
    std::str::from_utf8(password).ok()
}

fn verify_salted<D: Digest>(hash: &str, password: &[u8], digest_bytes: usize) -> bool {
    let Ok(decoded) = STANDARD.decode(hash) else {
        return false;
    };
    let Some((digest, salt)) = decoded.split_at_checked(digest_bytes) else {
        return false;
    };
    let computed = D::new()
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
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(format!(
            "the password is longer than {PASSWORD_BYTES_MAX} bytes"
        ));
    }
    let password = prepare(password);
    if password.is_empty() {
        return Err("the password is empty".into());
    }
    let hash = match scheme {
        Scheme::Argon2id => Argon2::default()
            .hash_password(&password, &SaltString::generate(&mut OsRng))
            .map_err(|error| error.to_string())?
            .to_string(),
        Scheme::ScramSha256 => Verifier::new(&password).to_text().to_string(),
        Scheme::Ssha256 => {
            let mut salt = [0; 8];
            OsRng.fill_bytes(&mut salt);
            let digest = Sha256::new()
                .chain_update(&*password)
                .chain_update(salt)
                .finalize();
            STANDARD.encode([digest.as_slice(), &salt].concat())
        }
        other => {
            return Err(format!(
                "{{{}}} is only for hashes that exist; new passwords take {{ARGON2ID}}",
                other.name()
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
