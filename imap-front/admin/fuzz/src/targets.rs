//! What is promised for any bytes whatsoever.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use admin::config::{self, Config, Kind};
use admin::password::{self, Scheme};
use admin::users::{self, LINE_BYTES_MAX};
use admin::{Base, Users};

/// A folder of this thread's own; it goes with the thread.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ensign-fuzz-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(path.join("config")).expect("a folder for inputs");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The bytes as a file of a base directory.
fn with_file<T>(name: &str, data: &[u8], look: impl FnOnce(&Base, &Path) -> T) -> T {
    thread_local! {
        static FOLDER: RefCell<Option<Folder>> = const { RefCell::new(None) };
    }
    FOLDER.with_borrow_mut(|folder| {
        let root = &folder.get_or_insert_with(Folder::new).0;
        let path = root.join("config").join(name);
        std::fs::write(&path, data).expect("an input can be written");
        look(&Base::new(root.clone()), &path)
    })
}

/// `msg.conf`: it is read or refused with a reason; what was read can be asked for, every option,
/// and written again.
pub fn msg_conf(data: &[u8]) {
    with_file("msg.conf", data, |base, path| {
        let config = match Config::load_from(base, path) {
            Ok(config) => config,
            Err(error) => return assert!(!error.to_string().is_empty()),
        };
        for option in config::options() {
            let value = config.value(option.name);
            if !matches!(option.kind, Kind::Text) && !value.is_empty() {
                assert!(option.kind.check(value).is_ok(), "{} {value}", option.name);
            }
        }
        let _ = (config.imap_address(), config.lmtp_address());
        for plug_in in config.plug_ins() {
            let _ = config.event_key(&plug_in);
        }
        let set = assignments(path);
        let lines = set
            .iter()
            .map(|(name, value)| format!("{name} = {}\n", config::quoted(value)));
        std::fs::write(path, lines.collect::<String>()).expect("an input can be written");
        assert_eq!(assignments(path), set);
    });
}

fn assignments(path: &Path) -> Vec<(String, String)> {
    let edits = config::parse_import(path).expect("it was read before");
    edits
        .into_iter()
        .filter_map(|edit| match edit {
            config::ConfigEdit::Set(name, value) => Some((name, value)),
            config::ConfigEdit::Delete(_) => None,
        })
        .collect()
}

/// The users file: it is read or refused with a reason; whoever is in it is found, in any case.
pub fn users(data: &[u8]) {
    with_file("users", data, |_, path| {
        let users = match Users::open(path) {
            Ok(users) => users,
            Err(error) => return assert!(!error.to_string().is_empty()),
        };
        let mut found = 0;
        for line in data.split(|&b| b == b'\n') {
            let name = line.split(|&b| b == b':').next().unwrap_or_default();
            let Ok(name) = std::str::from_utf8(name) else {
                continue;
            };
            if line.len() > LINE_BYTES_MAX {
                continue;
            }
            if let Some(user) = users.find(&name.to_uppercase()).expect("a readable file") {
                found += usize::from(*user.name == *name);
                assert!(password::check_stored(&user.stored).is_ok());
            }
        }
        assert!(found >= users.count(), "{found} of {} users", users.count());
    });
}

/// A stored password: what is taken can be verified against, and nobody has the empty one by
/// chance. Costly hashes are only looked at.
pub fn password(data: &[u8]) {
    let (stored, password) = match data.iter().position(|&b| b == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &b""[..]),
    };
    let Ok(stored) = std::str::from_utf8(stored) else {
        return;
    };
    let scheme = password::check_stored(stored);
    if let Ok(scheme) = scheme {
        assert_eq!(
            password::split(stored).map(|(scheme, _)| scheme),
            Ok(scheme)
        );
    }
    if let (Err(error), Ok((scheme, _))) = (&scheme, password::split(stored)) {
        // Nothing of the hash is told: it is the same for each.
        let other = password::check_stored(&format!("{{{}}}!", scheme.name()));
        assert_eq!(other.as_ref(), Err(error));
    }
    if scheme == Ok(Scheme::Ssha256) {
        let _ = password::verify(stored, password);
    }
    if let Ok(name) = std::str::from_utf8(password)
        && let Ok(canonical) = users::canonical(name)
    {
        assert_eq!(users::canonical(&canonical).as_ref(), Ok(&canonical));
    }
}
