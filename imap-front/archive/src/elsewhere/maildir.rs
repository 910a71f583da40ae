//! Maildir, as Dovecot keeps it: folders as Maildir++ or as directories (`LAYOUT=fs`), UIDs in
//! `dovecot-uidlist`, keywords in `dovecot-keywords`, subscriptions in `subscriptions`.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use mail::{Flags, InternalDate, SystemFlag, Uid, UidValidity};
use proto::imap::mutf7;
use rustix::fs::OFlags;

use super::{Message, is_keyword, with_crlf};

/// How folders lie within a Maildir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `.Work.2026`, all in one directory.
    PlusPlus,
    /// `Work/2026`.
    Fs,
}

/// A folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its name, with slashes between levels.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What is in a folder.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// UIDVALIDITY, if it is known.
    pub uid_validity: Option<UidValidity>,
    /// UIDNEXT, if it is known.
    pub uid_next: Uid,
    /// Its keywords.
    pub keywords: Vec<Arc<str>>,
    /// Its messages, those with UIDs by them and then the others by the names of their files.
    pub messages: Vec<Entry>,
}

/// A message in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its UID, if it is known.
    pub uid: Option<Uid>,
    /// Its file.
    pub path: PathBuf,
    /// Its flags.
    pub flags: Flags,
}

/// Which layout a Maildir has: directories of its own kind below mean `LAYOUT=fs`.
///
/// # Errors
/// If it can't be read.
pub fn layout(root: &Path) -> io::Result<Layout> {
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_own = matches!(&*name, "cur" | "new" | "tmp");
        if !is_own && !name.starts_with('.') && is_maildir(&path) {
            return Ok(Layout::Fs);
        }
    }
    Ok(Layout::PlusPlus)
}

fn is_maildir(path: &Path) -> bool {
    is_folder(path) && is_folder(&path.join("cur"))
}

/// Whether it is a folder, and not a link to one.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.is_dir())
}

/// Opens a file, and nothing else that may be there: who imports may read more than whose mail it
/// is, who may have put a link there.
fn open(path: &Path) -> io::Result<fs::File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        let what = "it is no file, or too large";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(file)
}

/// All folders, the INBOX first.
///
/// # Errors
/// If they can't be read.
pub fn folders(root: &Path, layout: Layout) -> io::Result<Vec<Folder>> {
    let mut found = vec![];
    // The administrator may have linked to the whole.
    if is_folder(&root.join("cur")) {
        found.push(Folder {
            name: "INBOX".into(),
            path: root.to_owned(),
        });
    }
    match layout {
        Layout::PlusPlus => {
            for entry in fs::read_dir(root)? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if let Some(name) = name.strip_prefix('.')
                    && !name.is_empty()
                    && is_maildir(&path)
                {
                    let name = decoded(name, '.');
                    found.push(Folder { name, path });
                }
            }
        }
        Layout::Fs => directories(root, "", &mut found)?,
    }
    found.sort_by(|a, b| (a.name != "INBOX", &a.name).cmp(&(b.name != "INBOX", &b.name)));
    Ok(found)
}

/// Bytes of a file: of a message, or of what Dovecot keeps beside them.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// How deep directories of folders are looked at.
const DEPTH_MAX: usize = 64;

fn directories(folder: &Path, above: &str, found: &mut Vec<Folder>) -> io::Result<()> {
    if above.split('/').count() > DEPTH_MAX {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let is_own = matches!(&*name, "cur" | "new" | "tmp");
        if is_own || name.starts_with('.') || !entry.file_type()?.is_dir() {
            continue;
        }
        let level = decoded(&name, '/');
        let full = match above {
            "" => level,
            above => format!("{above}/{level}"),
        };
        if is_maildir(&path) {
            found.push(Folder {
                name: full.clone(),
                path: path.clone(),
            });
        }
        directories(&path, &full, found)?;
    }
    Ok(())
}

/// A name as it is on the disk, in modified UTF-7, as it is ours.
fn decoded(name: &str, separator: char) -> String {
    let levels = name.split(separator).map(|level| {
        let level = mutf7::decode(level.as_bytes()).unwrap_or_else(|_| level.to_owned());
        // What separates levels here can't be within one.
        level.replace('/', "_")
    });
    levels.collect::<Vec<_>>().join("/")
}

/// The names that are subscribed.
///
/// # Errors
/// If the file can't be read; it need not be there.
pub fn subscriptions(root: &Path, layout: Layout) -> io::Result<Vec<String>> {
    let text = match fs::read(root.join("subscriptions")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().peekable();
    let is_second = lines.peek().is_some_and(|first| *first == "V\t2");
    let separator = match (is_second, layout) {
        (true, _) => '\t',
        (false, Layout::PlusPlus) => '.',
        (false, Layout::Fs) => '/',
    };
    let names = lines
        .skip(usize::from(is_second))
        .filter(|it| !it.is_empty());
    Ok(names.map(|name| decoded(name, separator)).collect())
}

/// What is in a folder: its messages' bytes are not read yet.
///
/// # Errors
/// If it can't be read.
pub fn contents(folder: &Path) -> io::Result<Contents> {
    let mut contents = Contents {
        keywords: keywords(&folder.join("dovecot-keywords"))?,
        ..Contents::default()
    };
    let uids = uid_list(&folder.join("dovecot-uidlist"), &mut contents)?;
    for part in ["cur", "new"] {
        let part = folder.join(part);
        if !is_folder(&part) {
            continue;
        }
        for entry in fs::read_dir(part)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            let (base, letters) = name.split_once(":2,").unwrap_or((&name, ""));
            let flags = flags(letters, &contents.keywords);
            let uid = uids.get(base).copied();
            contents.messages.push(Entry { uid, path, flags });
        }
    }
    let key = |entry: &Entry| (entry.uid.is_none(), entry.uid, entry.path.clone());
    contents.messages.sort_by_cached_key(key);
    Ok(contents)
}

fn lines(path: &Path) -> io::Result<Vec<String>> {
    match open(path) {
        Ok(file) => BufReader::new(file.take(FILE_BYTES_MAX))
            .split(b'\n')
            .map(|line| line.map(|line| String::from_utf8_lossy(&line).into_owned()))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        Err(error) => Err(error),
    }
}

/// The keywords of the letters from `a` on.
fn keywords(path: &Path) -> io::Result<Vec<Arc<str>>> {
    let mut by_place: BTreeMap<usize, String> = BTreeMap::new();
    for line in lines(path)? {
        if let Some((place, word)) = line.split_once(' ')
            && let Ok(place) = place.parse::<usize>()
            && place < 26
        {
            by_place.insert(place, word.to_owned());
        }
    }
    let count = by_place.last_key_value().map_or(0, |(last, _)| last + 1);
    let word = |place| by_place.get(&place).map_or("", |word| word).into();
    Ok((0..count).map(word).collect())
}

/// UIDs, by the names of files without their flags. Reads both versions.
fn uid_list(path: &Path, contents: &mut Contents) -> io::Result<HashMap<String, Uid>> {
    let mut uids = HashMap::default();
    let lines = lines(path)?;
    let Some((first, rest)) = lines.split_first() else {
        return Ok(uids);
    };
    let mut words = first.split(' ');
    let version = words.next().unwrap_or_default();
    let number = |word: &str| word.parse::<u32>().ok().filter(|it| *it != 0);
    match version {
        "1" => {
            contents.uid_validity = words.next().and_then(number).map(UidValidity);
            contents.uid_next = Uid(words.next().and_then(number).unwrap_or(1));
        }
        "3" => {
            for word in words {
                match word.split_at_checked(1) {
                    Some(("V", rest)) => contents.uid_validity = number(rest).map(UidValidity),
                    Some(("N", rest)) => contents.uid_next = Uid(number(rest).unwrap_or(1)),
                    _ => {}
                }
            }
        }
        _ => return Ok(uids),
    }
    for line in rest {
        let Some((uid, rest)) = line.split_once(' ') else {
            continue;
        };
        let Some(uid) = number(uid).filter(|it| *it != u32::MAX).map(Uid) else {
            continue;
        };
        // In version 3 fields may stand before the name, each a letter and a value.
        let name = match version {
            "3" => rest
                .strip_prefix(':')
                .or_else(|| Some(rest.split_once(" :")?.1)),
            _ => Some(rest),
        };
        if let Some(name) = name {
            let base = name.split(":2,").next().unwrap_or(name);
            uids.insert(base.to_owned(), uid);
            // What was appended to the list raises it, though its file may be gone by now.
            contents.uid_next = contents.uid_next.max(Uid(uid.0 + 1));
        }
    }
    Ok(uids)
}

fn flags(letters: &str, keywords: &[Arc<str>]) -> Flags {
    let mut flags = Flags::default();
    // Other programs put more behind a comma.
    for letter in letters.bytes().take_while(|letter| *letter != b',') {
        match letter {
            b'D' => flags.insert(SystemFlag::Draft),
            b'F' => flags.insert(SystemFlag::Flagged),
            b'R' => flags.insert(SystemFlag::Answered),
            b'S' => flags.insert(SystemFlag::Seen),
            b'T' => flags.insert(SystemFlag::Deleted),
            b'P' => flags.insert_keyword("$Forwarded".into()),
            b'a'..=b'z' => {
                let word = keywords.get(usize::from(letter - b'a'));
                if let Some(word) = word.filter(|word| is_keyword(word)) {
                    flags.insert_keyword(word.clone());
                }
            }
            _ => {}
        }
    }
    flags
}

/// Reads a message; none if its file is gone, or has another name by now.
///
/// # Errors
/// If it can't be read, or is compressed.
pub fn read(entry: &Entry) -> io::Result<Option<Message>> {
    let file = match open(&entry.path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let changed = file.metadata();
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    let packed: [&[u8]; 4] = [b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"];
    if packed.iter().any(|magic| bytes.starts_with(magic)) {
        let what = "it is compressed: have Dovecot write it plainly (doveadm sync to a Maildir \
                    without zlib)";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let since = |time: std::time::SystemTime| time.duration_since(UNIX_EPOCH).ok();
    let modified = changed.and_then(|it| it.modified()).ok().and_then(since);
    Ok(Some(Message {
        uid: entry.uid,
        flags: entry.flags.clone(),
        date: modified.map(|since| InternalDate {
            unix_s: since.as_secs() as i64,
            zone_min: 0,
        }),
        bytes: with_crlf(&bytes),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Who has the Maildir may have put links there, and who imports may read more.
    #[test]
    fn links_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        write(&outside.path().join("cur/1:2,"), "Subject: secret\r\n\r\n");
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(&root.join("cur/2:2,"), "Subject: own\r\n\r\n");
        let link = |to: &str, at: &str| {
            std::os::unix::fs::symlink(outside.path().join(to), root.join(at)).unwrap();
        };
        link("cur/1:2,", "cur/3:2,");
        link("cur", "new");
        link("", ".Whole");
        fs::create_dir(root.join(".Half")).unwrap();
        link("cur", ".Half/cur");
        let found = folders(root, Layout::PlusPlus).unwrap();
        let names: Vec<&str> = found.iter().map(|it| &*it.name).collect();
        assert_eq!(names, ["INBOX"]);
        let contents = contents(root).unwrap();
        let read: Vec<bool> = contents
            .messages
            .iter()
            .map(|it| read(it).is_ok())
            .collect();
        assert_eq!(read, [true, false]);
    }

    #[test]
    fn folders_have_their_names() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for name in [".Work.2026", ".Entw&APw-rfe", ".A&AC8-B", ".odd &- even"] {
            fs::create_dir_all(root.join(name).join("cur")).unwrap();
        }
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(root.join(part)).unwrap();
        }
        assert_eq!(layout(root).unwrap(), Layout::PlusPlus);
        let found = folders(root, Layout::PlusPlus).unwrap();
        let names: Vec<&str> = found.iter().map(|it| &*it.name).collect();
        // A slash in a name is not written so by Dovecot, and would be two levels here.
        let odd = "A&AC8-B";
        let expected = ["INBOX", odd, "Entw\u{fc}rfe", "Work/2026", "odd & even"];
        assert_eq!(names, expected);
        write(
            &root.join("subscriptions"),
            "V\t2\n\nWork\t2026\nEntw&APw-rfe\n",
        );
        let subscribed = subscriptions(root, Layout::PlusPlus).unwrap();
        assert_eq!(subscribed, ["Work/2026", "Entw\u{fc}rfe"]);
        write(&root.join("subscriptions"), "Work.2026\nINBOX\n");
        let subscribed = subscriptions(root, Layout::PlusPlus).unwrap();
        assert_eq!(subscribed, ["Work/2026", "INBOX"]);
    }

    #[test]
    fn directories_are_levels() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for name in ["", "Work", "Work/a.b", "Only/Below"] {
            fs::create_dir_all(root.join(name).join("cur")).unwrap();
        }
        assert_eq!(layout(root).unwrap(), Layout::Fs);
        let found = folders(root, Layout::Fs).unwrap();
        let names: Vec<&str> = found.iter().map(|it| &*it.name).collect();
        assert_eq!(names, ["INBOX", "Only/Below", "Work", "Work/a.b"]);
    }

    #[test]
    fn uids_and_flags_are_known() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(&root.join("dovecot-keywords"), "0 $Work\n1 later\n3 a b\n");
        write(
            &root.join("dovecot-uidlist"),
            "3 V1276 N40 G12ab\n7 W12 S11 :x.host,S=11:2,S\n9 :y.host\n30 :gone\n",
        );
        write(&root.join("cur/x.host,S=11:2,FRSabd"), "A: b\n\nx\n");
        write(&root.join("cur/y.host:2,DTP"), "A: b\r\n\r\nx\r\n");
        write(&root.join("new/z.host"), "A: c\n\n");
        let found = contents(root).unwrap();
        assert_eq!(found.uid_validity, Some(UidValidity(1276)));
        assert_eq!(found.uid_next, Uid(40));
        let uids: Vec<_> = found.messages.iter().map(|it| it.uid).collect();
        assert_eq!(uids, [Some(Uid(7)), Some(Uid(9)), None]);
        let first = &found.messages[0].flags;
        // What can be no keyword here is left out.
        assert_eq!(
            *first,
            Flags::new(1 | 2 | 8, ["$Work".into(), "later".into()])
        );
        let second = &found.messages[1].flags;
        assert_eq!(*second, Flags::new(4 | 16, ["$Forwarded".into()]));
        let message = read(&found.messages[0]).unwrap().unwrap();
        assert_eq!(message.bytes, b"A: b\r\n\r\nx\r\n");
        assert_eq!(
            read(&found.messages[1]).unwrap().unwrap().bytes,
            message.bytes
        );
        write(
            &root.join("dovecot-uidlist"),
            "1 99 12\n3 z.host\n14 gone\n",
        );
        let found = contents(root).unwrap();
        assert_eq!(found.uid_validity, Some(UidValidity(99)));
        assert_eq!(
            (found.uid_next, found.messages[0].uid),
            (Uid(15), Some(Uid(3)))
        );
        fs::remove_file(&found.messages[0].path).unwrap();
        assert_eq!(read(&found.messages[0]).unwrap(), None);
    }
}
