//! Checking a name and a password, or what proves one.

use std::sync::Arc;

use argon2::password_hash::rand_core::{OsRng, RngCore};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Learned, User, Users, UsersError};
use crate::password::scram::{ITERATIONS, KEY_BYTES, Key, SALT_BYTES, Verifier, mac};
use crate::password::{self, Fingerprint, Scheme, VerifiedCache};

/// Bytes of chance in a nonce.
const NONCE_BYTES: usize = 18;

/// Users and the passwords that verified lately.
pub struct Login {
    users: Arc<Users>,
    cache: VerifiedCache,
    learned: Option<Learned>,
    scram: ScramUse,
    /// Who may act as anybody.
    admins: Vec<Box<str>>,
    submitters: Vec<Box<str>>,
    /// Of this installation if it learns, else of this process.
    secret: Key,
}

/// What a client of SCRAM is told, so that it can prove its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The salt.
    pub salt: Box<[u8]>,
    /// Iterations of PBKDF2.
    pub iterations: u32,
    /// The server's part of the nonce: printable, and never the same.
    pub nonce: Box<str>,
}

/// Whether verifiers for SCRAM are made and SCRAM is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScramUse {
    /// Offered once each user has a verifier; made at logins by costly hashes.
    #[default]
    Auto,
    /// Offered; made at all logins.
    Always,
    /// Not offered, and none is made at logins.
    Never,
}

impl ScramUse {
    /// By the words of the option `service.imap.scram`.
    pub fn named(word: &str) -> Self {
        match word {
            "yes" => Self::Always,
            "no" => Self::Never,
            _ => Self::Auto,
        }
    }
}

impl Login {
    /// Checks against `users`, remembering up to about `cache_entries` users.
    pub fn new(users: Arc<Users>, cache_entries: usize) -> Self {
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        OsRng.fill_bytes(&mut *secret);
        Self {
            users,
            cache: VerifiedCache::new(cache_entries),
            learned: None,
            scram: ScramUse::default(),
            admins: vec![],
            submitters: vec![],
            secret,
        }
    }

    /// Keeps verifiers for SCRAM of passwords that verify.
    pub fn with_learned(self, learned: Option<Learned>) -> Self {
        let secret = match &learned {
            Some(learned) => learned.secret().clone(),
            None => self.secret,
        };
        Self {
            learned,
            secret,
            ..self
        }
    }

    /// Makes and offers verifiers as told.
    pub fn with_scram(self, scram: ScramUse) -> Self {
        Self { scram, ..self }
    }

    /// Lets these users, with commas or blanks between them, act as any other.
    ///
    /// # Errors
    /// What is no name.
    pub fn with_admins(self, names: &str) -> Result<Self, String> {
        let admins = listed(names)?;
        Ok(Self { admins, ..self })
    }

    /// Lets these users, listed in the same way, submit messages for others (RFC 4467 §2.3).
    ///
    /// # Errors
    /// What is no name.
    pub fn with_submitters(self, names: &str) -> Result<Self, String> {
        let submitters = listed(names)?;
        Ok(Self { submitters, ..self })
    }

    /// Whether a user submits messages for others.
    pub fn submits(&self, name: &str) -> bool {
        self.submitters.iter().any(|it| **it == *name)
    }

    /// Bytes that nobody can guess.
    pub fn fresh_key(&self) -> [u8; KEY_BYTES] {
        let mut key = [0; KEY_BYTES];
        OsRng.fill_bytes(&mut key);
        key
    }

    /// Whether a user may act as any other.
    pub fn is_admin(&self, name: &str) -> bool {
        self.admins.iter().any(|admin| **admin == *name)
    }

    /// The user whose mail it is when `user`, who has logged in, wants to act as `other` (RFC 4616
    /// §2): an administrator may, as anybody who is there and not locked.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub fn acting_as(&self, user: &User, other: Option<&str>) -> Result<Option<User>, UsersError> {
        let Some(other) = other else {
            return Ok(Some(user.clone()));
        };
        if super::canonical(other).is_ok_and(|other| other == user.name) {
            return Ok(Some(user.clone()));
        }
        if !self.admins.contains(&user.name) {
            return Ok(None);
        }
        self.vouched(other)
    }

    /// The user of a name for which something else than a password speaks, if one is there and not
    /// locked.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub fn vouched(&self, name: &str) -> Result<Option<User>, UsersError> {
        Ok(self.users.find(name)?.filter(|user| !user.locked))
    }

    /// The directory.
    pub fn users(&self) -> &Arc<Users> {
        &self.users
    }

    /// Names a check without telling what is checked: the same name and password have the same
    /// fingerprint in this process, and nobody else can compute it.
    pub fn fingerprint(&self, name: &str, password: &[u8]) -> Fingerprint {
        self.cache.fingerprint(name, password)
    }

    /// The user, if this password verified lately and nothing changed since. Takes microseconds;
    /// none says nothing about the password: [`Login::verify`] does.
    pub fn recall(&self, name: &str, password: &[u8]) -> Option<User> {
        let user = self.users.find(name).ok().flatten()?;
        let known = self.cache.knows(&user.name, &user.stored, password);
        (known && !user.locked).then_some(user)
    }

    /// What verified lately, for the process that takes over: it may be kept in memory only.
    pub fn hand_over_remembered(&self) -> Zeroizing<Vec<u8>> {
        self.cache.hand_over()
    }

    /// Remembers what another process has handed over. False if these are not its bytes.
    pub fn take_remembered(&self, bytes: &[u8]) -> bool {
        self.cache.take_over(bytes)
    }

    /// The user, if the password is right. Takes tens of milliseconds of CPU time on purpose, and
    /// the same for a user who doesn't exist or is locked: call it on a thread that may block.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub fn verify(&self, name: &str, password: &[u8]) -> Result<Option<User>, UsersError> {
        let Some(user) = self.users.find(name)? else {
            match self.users.decoy(name) {
                Some(other) => self.is_right(&other, password),
                None => password::verify(password::NOBODY, password),
            };
            return Ok(None);
        };
        if !self.is_right(&user, password) || user.locked {
            return Ok(None);
        }
        self.cache.remember(&user.name, &user.stored, password);
        Ok(Some(user))
    }

    /// Whether it is the user's password: by the verifier, if that is there and cheaper. A verifier
    /// was made of the same password.
    fn is_right(&self, user: &User, password: &[u8]) -> bool {
        if password::is_taken(password)
            && is_costly(user)
            && let Some(verifier) = self.verifier(user)
            && verifier.iterations <= ITERATIONS
        {
            return verifier.is_of(password);
        }
        password::verify(&user.stored, password)
    }

    /// Whether SCRAM is to be offered.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub fn offers_scram(&self) -> Result<bool, UsersError> {
        match self.scram {
            ScramUse::Always => Ok(true),
            ScramUse::Never => Ok(false),
            ScramUse::Auto => {
                let learned = self.learned.as_ref();
                let known = learned.map_or(0, Learned::count);
                self.users
                    .is_all_scram(known, |user| self.verifier(user).is_some())
            }
        }
    }

    /// How many verifiers were learned.
    pub fn learned(&self) -> usize {
        self.learned.as_ref().map_or(0, Learned::count)
    }

    /// What SCRAM tells whoever says to be `name`. Somebody whose password is known by another hash
    /// only has a salt too, always the same; so has somebody who doesn't exist, as long as that of
    /// some user, and with that one's iterations: verifiers from elsewhere have their own.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub fn challenge(&self, name: &str) -> Result<Challenge, UsersError> {
        let user = self.users.find(name)?;
        let verifier = user.as_ref().and_then(|user| self.verifier(user));
        let (salt, iterations) = match verifier {
            Some(Verifier {
                salt, iterations, ..
            }) => (salt, iterations),
            None => self.made_up(name, user.is_none()),
        };
        let mut nonce = [0; NONCE_BYTES];
        OsRng.fill_bytes(&mut nonce);
        let nonce = STANDARD.encode(nonce).into();
        Ok(Challenge {
            salt,
            iterations,
            nonce,
        })
    }

    /// The user and the server's signature, if the proof is right (RFC 5802 §3). Takes
    /// microseconds, for a user who doesn't exist too.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub fn check_proof(
        &self,
        name: &str,
        auth_message: &[u8],
        proof: &[u8],
    ) -> Result<Option<(User, Key)>, UsersError> {
        let user = self.users.find(name)?;
        let verifier = user.as_ref().and_then(|user| self.verifier(user));
        let nobody = || Verifier {
            salt: Box::default(),
            iterations: ITERATIONS,
            stored_key: self.secret.clone(),
            server_key: self.secret.clone(),
        };
        let signature = match verifier {
            Some(verifier) => verifier.check(auth_message, proof),
            None => nobody().check(auth_message, proof).and(None),
        };
        Ok(user.filter(|user| !user.locked).zip(signature))
    }

    /// Whether a verifier for SCRAM is to be made of this user's password: none is known.
    pub fn can_learn(&self, user: &User) -> bool {
        let wanted = match self.scram {
            ScramUse::Auto => is_costly(user),
            ScramUse::Always => true,
            ScramUse::Never => false,
        };
        wanted && self.learned.is_some() && self.verifier(user).is_none()
    }

    /// Makes a verifier for SCRAM of a password that verified. Takes some milliseconds.
    ///
    /// # Errors
    /// If it can't be kept.
    pub fn learn(&self, user: &User, password: &[u8]) -> std::io::Result<()> {
        match &self.learned {
            Some(learned) => {
                let salt = self.salt(&user.name, SALT_BYTES);
                let verifier = Verifier::derive(password, &salt, ITERATIONS);
                learned.keep(&user.account, &user.stored, &verifier)
            }
            None => Ok(()),
        }
    }

    fn verifier(&self, user: &User) -> Option<Verifier> {
        if let Ok((Scheme::ScramSha256, text)) = password::split(&user.stored) {
            return Verifier::parse(text);
        }
        let text = user.verifier.as_ref();
        text.and_then(|text| Verifier::parse_beside(text, &user.stored))
            .or_else(|| self.learned.as_ref()?.find(&user.account, &user.stored))
    }

    /// Salt and iterations of a name for which the directory has none.
    fn made_up(&self, name: &str, is_nobody: bool) -> (Box<[u8]>, u32) {
        let decoy = self.users.decoy(name).filter(|_| is_nobody);
        let like = decoy.and_then(|user| self.verifier(&user));
        let shape = like.map(|like| (like.salt.len(), like.iterations));
        let (bytes, iterations) = shape.unwrap_or((SALT_BYTES, ITERATIONS));
        (self.salt(name, bytes), iterations)
    }

    /// The salt of a name for which the directory has none. That of a learned verifier is the same,
    /// so nobody can tell from it whether there is one.
    fn salt(&self, name: &str, bytes: usize) -> Box<[u8]> {
        let name = super::canonical(name).unwrap_or_else(|_| name.into());
        let mut salt = mac(&*self.secret, format!("salt {name}").as_bytes()).to_vec();
        while salt.len() < bytes {
            let more = mac(&*self.secret, &salt);
            salt.extend_from_slice(&*more);
        }
        salt.truncate(bytes);
        salt.into()
    }
}

/// Names with commas or blanks between them.
fn listed(names: &str) -> Result<Vec<Box<str>>, String> {
    let names = names.split([',', ' ']).filter(|name| !name.is_empty());
    names
        .map(|name| super::canonical(name).map_err(|why| format!("{name}: {why}")))
        .collect()
}

/// Whether checking a password against the hash takes longer than against a verifier.
fn is_costly(user: &User) -> bool {
    password::split(&user.stored).is_ok_and(|(scheme, _)| scheme.is_costly())
}
