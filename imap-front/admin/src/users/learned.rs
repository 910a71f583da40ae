//! Verifiers for SCRAM that the server made itself, when a user whose entry has a hash only logged
//! in with the password. The server can't write the directory, so they lie in `data/`.
//!
//! A file of records of the same size, behind a header with a secret of this installation. A record
//! holds for one account and one stored hash, both named by a MAC; one that was torn or changed is
//! as good as none, and is made again at a login. Nothing is lost with the file but time.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ahash::RandomState;
use argon2::password_hash::rand_core::{OsRng, RngCore};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::password::scram::{KEY_BYTES, Key, SALT_BYTES, Verifier, mac};

const MAGIC: &[u8; 8] = b"scram-1\n";
const HEADER_BYTES: usize = MAGIC.len() + KEY_BYTES;
/// MACs that name account and hash, salt, iterations, two keys, a MAC of all that, and padding.
const RECORD_BYTES: usize = 128;
const NAME_BYTES: usize = 16;
const CHECK_BYTES: usize = 8;
/// Where a record's own MAC begins.
const CHECK_AT: usize = 2 * NAME_BYTES + SALT_BYTES + 4 + 2 * KEY_BYTES;
/// With more records than this, and twice as many as there are users, all are forgotten.
const RECORDS_KEPT: usize = 1024;

/// What was learned.
pub struct Learned {
    file: File,
    secret: Key,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The record of an account, by the first bytes of its name's MAC.
    places: HashMap<u64, u32, RandomState>,
    records: u32,
}

impl Learned {
    /// Opens or makes the file, of an installation with so many users.
    ///
    /// # Errors
    /// If it can't be read or written.
    pub fn open(path: &Path, users: usize) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o600).open(path)?;
        let mut header = Zeroizing::new([0; HEADER_BYTES]);
        let sound = file.read_exact_at(&mut *header, 0).is_ok() && header.starts_with(MAGIC);
        if !sound {
            header[..MAGIC.len()].copy_from_slice(MAGIC);
            OsRng.fill_bytes(&mut header[MAGIC.len()..]);
            file.set_len(0)?;
            file.write_all_at(&*header, 0)?;
        }
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        secret.copy_from_slice(&header[MAGIC.len()..]);
        let records = (file.metadata()?.len() as usize - HEADER_BYTES) / RECORD_BYTES;
        if records > RECORDS_KEPT.max(2 * users) {
            file.set_len(HEADER_BYTES as u64)?;
        }
        let learned = Self {
            file,
            secret,
            known: Mutex::default(),
        };
        learned.index()?;
        Ok(learned)
    }

    fn index(&self) -> io::Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reader = BufReader::new(&self.file);
        io::copy(
            &mut reader.by_ref().take(HEADER_BYTES as u64),
            &mut io::sink(),
        )?;
        let mut record = Zeroizing::new([0; RECORD_BYTES]);
        while reader.read_exact(&mut *record).is_ok() {
            if self.is_sound(&record) {
                let at = known.records;
                known.places.insert(place(&record[..]), at);
            }
            known.records += 1;
        }
        Ok(())
    }

    /// What does not change as long as this installation lives, and nobody else knows.
    pub fn secret(&self) -> &Key {
        &self.secret
    }

    /// The verifier that was made of the password of this account whose hash this is.
    pub fn find(&self, account: &str, stored: &str) -> Option<Verifier> {
        let names = self.names(account, stored);
        let at = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            *known.places.get(&place(&names))?
        };
        let mut record = Zeroizing::new([0; RECORD_BYTES]);
        self.file.read_exact_at(&mut *record, offset(at)).ok()?;
        let same: bool = record[..names.len()].ct_eq(&names).into();
        (same && self.is_sound(&record)).then(|| read(&record))
    }

    /// Keeps a verifier, in the place of an earlier one of the account.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn keep(&self, account: &str, stored: &str, verifier: &Verifier) -> io::Result<()> {
        let names = self.names(account, stored);
        let mut record = Zeroizing::new([0; RECORD_BYTES]);
        let iterations = verifier.iterations.to_le_bytes();
        let parts: [&[u8]; 5] = [
            &names,
            &verifier.salt,
            &iterations,
            &*verifier.stored_key,
            &*verifier.server_key,
        ];
        let mut end = 0;
        for part in parts {
            record[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        debug_assert_eq!(end, CHECK_AT);
        let check = mac(&*self.secret, &record[..CHECK_AT]);
        record[CHECK_AT..CHECK_AT + CHECK_BYTES].copy_from_slice(&check[..CHECK_BYTES]);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let place = place(&names);
        let at = known.places.get(&place).copied().unwrap_or(known.records);
        self.file.write_all_at(&*record, offset(at))?;
        known.places.insert(place, at);
        known.records = known.records.max(at + 1);
        Ok(())
    }

    /// How many accounts it knows.
    pub fn count(&self) -> usize {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.places.len()
    }

    fn names(&self, account: &str, stored: &str) -> [u8; 2 * NAME_BYTES] {
        let mut names = [0; 2 * NAME_BYTES];
        let account = mac(&*self.secret, format!("account {account}").as_bytes());
        let hash = Zeroizing::new(format!("hash {stored}"));
        let hash = mac(&*self.secret, hash.as_bytes());
        names[..NAME_BYTES].copy_from_slice(&account[..NAME_BYTES]);
        names[NAME_BYTES..].copy_from_slice(&hash[..NAME_BYTES]);
        names
    }

    fn is_sound(&self, record: &[u8; RECORD_BYTES]) -> bool {
        let check = mac(&*self.secret, &record[..CHECK_AT]);
        check[..CHECK_BYTES]
            .ct_eq(&record[CHECK_AT..CHECK_AT + CHECK_BYTES])
            .into()
    }
}

fn place(names: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&names[..8]);
    u64::from_le_bytes(first)
}

fn offset(record: u32) -> u64 {
    (HEADER_BYTES + record as usize * RECORD_BYTES) as u64
}

fn read(record: &[u8; RECORD_BYTES]) -> Verifier {
    let rest = &record[2 * NAME_BYTES..];
    let (salt, rest) = rest.split_at(SALT_BYTES);
    let (iterations, rest) = rest.split_at(4);
    let (stored, rest) = rest.split_at(KEY_BYTES);
    let key = |bytes: &[u8]| {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        key.copy_from_slice(bytes);
        key
    };
    Verifier {
        salt: salt.into(),
        iterations: iterations
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
        stored_key: key(stored),
        server_key: key(&rest[..KEY_BYTES]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifier(password: &str) -> Verifier {
        Verifier::derive(password.as_bytes(), &[7; SALT_BYTES], 4096)
    }

    #[test]
    fn what_was_learned_is_known_after_a_restart_and_holds_for_one_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scram");
        let learned = Learned::open(&path, 2).unwrap();
        assert!(learned.find("ann", "h").is_none());
        learned.keep("ann", "h", &verifier("one")).unwrap();
        learned.keep("bob", "h", &verifier("two")).unwrap();
        let secret = *learned.secret().clone();
        drop(learned);
        let learned = Learned::open(&path, 2).unwrap();
        assert_eq!(**learned.secret(), secret);
        let found = learned.find("ann", "h").unwrap();
        assert_eq!(*found.to_text(), *verifier("one").to_text());
        assert!(learned.find("ann", "other").is_none(), "another password");
        assert!(learned.find("cid", "h").is_none());
        learned.keep("ann", "other", &verifier("new")).unwrap();
        assert!(learned.find("ann", "h").is_none());
        assert!(learned.find("ann", "other").unwrap().is_of(b"new"));
        let length = std::fs::metadata(&path).unwrap().len();
        assert_eq!(length, (HEADER_BYTES + 2 * RECORD_BYTES) as u64);
    }

    #[test]
    fn a_damaged_record_is_none_and_the_file_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scram");
        let learned = Learned::open(&path, 1).unwrap();
        learned.keep("ann", "h", &verifier("one")).unwrap();
        drop(learned);
        let whole = std::fs::read(&path).unwrap();
        for at in HEADER_BYTES..HEADER_BYTES + CHECK_AT + CHECK_BYTES {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            let learned = Learned::open(&path, 1).unwrap();
            assert!(learned.find("ann", "h").is_none(), "byte {at}");
        }
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let torn = Learned::open(&path, 1).unwrap();
        assert!(torn.find("ann", "h").is_none());
        torn.keep("ann", "h", &verifier("one")).unwrap();
        assert!(torn.find("ann", "h").is_some());
        let many = [&whole[..HEADER_BYTES], &vec![0; 2000 * RECORD_BYTES]].concat();
        std::fs::write(&path, many).unwrap();
        let learned = Learned::open(&path, 5).unwrap();
        assert_eq!(learned.count(), 0);
        let length = std::fs::metadata(&path).unwrap().len();
        assert_eq!(length, HEADER_BYTES as u64);
    }
}
