//! Maildir, as Dovecot keeps it: folders as Maildir++ or as directories (`LAYOUT=fs`), UIDs in
//! `dovecot-uidlist`, keywords in `dovecot-keywords`, subscriptions in `subscriptions`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use mail::mime::with_crlf;
use mail::{Flags, InternalDate, SystemFlag, Uid, UidValidity};
use proto::imap::mutf7;

use super::beneath::FILE_BYTES_MAX;
use super::{Message, is_keyword};

pub use super::beneath::Root;

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
    /// Where it is, beneath the root.
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
    /// Its messages, those with UIDs by them and then the others as they came.
    pub messages: Vec<Entry>,
}

/// A message in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its UID, if it is known.
    pub uid: Option<Uid>,
    /// Its file, beneath the root.
    pub path: PathBuf,
    /// Its flags.
    pub flags: Flags,
}

/// Which layout a Maildir has: directories of its own kind below mean `LAYOUT=fs`.
///
/// # Errors
/// If it can't be read.
pub fn layout(root: &Root) -> io::Result<Layout> {
    let mut layout = Layout::PlusPlus;
    root.list(Path::new(""), |found| {
        if !is_own(&found.name) && !found.name.starts_with('.') && is_maildir(root, &found.path) {
            layout = Layout::Fs;
        }
        Ok(())
    })?;
    Ok(layout)
}

fn is_own(name: &str) -> bool {
    matches!(name, "cur" | "new" | "tmp")
}

fn is_maildir(root: &Root, path: &Path) -> bool {
    root.is_folder(&path.join("cur"))
}

/// All folders, the INBOX first.
///
/// # Errors
/// If they can't be read.
pub fn folders(root: &Root, layout: Layout) -> io::Result<Vec<Folder>> {
    let mut found = vec![];
    if is_maildir(root, Path::new("")) {
        found.push(Folder {
            name: "INBOX".into(),
            path: PathBuf::new(),
        });
    }
    match layout {
        Layout::PlusPlus => root.list(Path::new(""), |entry| {
            if let Some(name) = entry.name.strip_prefix('.')
                && !name.is_empty()
                && is_maildir(root, &entry.path)
            {
                let name = decoded(name, '.');
                let path = entry.path;
                found.push(Folder { name, path });
            }
            Ok(())
        })?,
        Layout::Fs => directories(root, (Path::new(""), ""), 0, &mut found)?,
    }
    found.sort_by(|a, b| (a.name != "INBOX", &a.name).cmp(&(b.name != "INBOX", &b.name)));
    Ok(found)
}

/// How deep directories of folders are looked at.
const DEPTH_MAX: usize = 64;

fn directories(
    root: &Root,
    (folder, above): (&Path, &str),
    depth: usize,
    found: &mut Vec<Folder>,
) -> io::Result<()> {
    let mut below = vec![];
    root.list(folder, |entry| {
        if entry.is_folder && !is_own(&entry.name) && !entry.name.starts_with('.') {
            below.push(entry);
        }
        Ok(())
    })?;
    for entry in below {
        let level = decoded(&entry.name, '/');
        let name = match above {
            "" => level,
            above => format!("{above}/{level}"),
        };
        if is_maildir(root, &entry.path) {
            found.push(Folder {
                name: name.clone(),
                path: entry.path.clone(),
            });
        }
        if depth < DEPTH_MAX {
            directories(root, (&entry.path, &name), depth + 1, found)?;
        }
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
pub fn subscriptions(root: &Root, layout: Layout) -> io::Result<HashSet<String>> {
    let mut text = vec![];
    match root.file(Path::new("subscriptions")) {
        Ok(file) => file.take(FILE_BYTES_MAX).read_to_end(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
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
pub fn contents(root: &Root, folder: &Path) -> io::Result<Contents> {
    let mut contents = Contents {
        keywords: keywords(root, &folder.join("dovecot-keywords"))?,
        ..Contents::default()
    };
    let uids = uid_list(root, &folder.join("dovecot-uidlist"), &mut contents)?;
    for part in ["cur", "new"] {
        let part = folder.join(part);
        if !root.is_folder(&part) {
            continue;
        }
        let Contents {
            keywords, messages, ..
        } = &mut contents;
        root.list(&part, |entry| {
            let name = &*entry.name;
            if !name.starts_with('.') {
                let (base, letters) = name.split_once(":2,").unwrap_or((name, ""));
                messages.push(Entry {
                    uid: uids.get(base).copied(),
                    flags: flags(letters, keywords),
                    path: entry.path,
                });
            }
            Ok(())
        })?;
    }
    let key = |entry: &Entry| (entry.uid.is_none(), entry.uid, came(entry));
    contents.messages.sort_by_cached_key(key);
    Ok(contents)
}

/// When a message came, as its file's name has it: what has no UID yet gets one in this order, as
/// it does from Dovecot: seconds, microseconds (`.M`), and the name.
fn came(entry: &Entry) -> (u64, u64, String) {
    let name = entry.path.file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let leading = |text: &str| {
        let end = text.bytes().take_while(u8::is_ascii_digit).count();
        (text[..end].parse().unwrap_or(0), end)
    };
    let (seconds, end) = leading(&name);
    let micros = name[end..].strip_prefix(".M").map_or(0, |it| leading(it).0);
    (seconds, micros, name)
}

fn lines(root: &Root, path: &Path) -> io::Result<Vec<String>> {
    match root.file(path) {
        Ok(file) => BufReader::new(file.take(FILE_BYTES_MAX))
            .split(b'\n')
            .map(|line| line.map(|line| String::from_utf8_lossy(&line).into_owned()))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        Err(error) => Err(error),
    }
}

/// The keywords of the letters from `a` on.
fn keywords(root: &Root, path: &Path) -> io::Result<Vec<Arc<str>>> {
    let mut by_place: BTreeMap<usize, String> = BTreeMap::new();
    for line in lines(root, path)? {
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
fn uid_list(root: &Root, path: &Path, contents: &mut Contents) -> io::Result<HashMap<String, Uid>> {
    let mut uids = HashMap::default();
    let lines = lines(root, path)?;
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
pub fn read(root: &Root, entry: &Entry) -> io::Result<Option<Message>> {
    let file = match root.file(&entry.path) {
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
    use std::fs;

    use super::*;

    fn open(path: &Path) -> Root {
        Root::open(path).unwrap()
    }

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
        link("cur/1:2,", "subscriptions");
        let linked = subscriptions(&open(root), Layout::PlusPlus);
        assert!(linked.is_err(), "{linked:?}");
        // What was a folder when it was listed is a link by now.
        write(&root.join(".Soon/cur/4:2,"), "Subject: own\r\n\r\n");
        let entry = Entry {
            uid: None,
            path: ".Soon/cur/1:2,".into(),
            flags: Flags::default(),
        };
        fs::remove_dir_all(root.join(".Soon/cur")).unwrap();
        link("cur", ".Soon/cur");
        assert!(super::read(&open(root), &entry).is_err());
        assert!(
            super::contents(&open(root), Path::new(".Soon"))
                .unwrap()
                .messages
                .is_empty()
        );
        let found = folders(&open(root), Layout::PlusPlus).unwrap();
        let names: Vec<&str> = found.iter().map(|it| &*it.name).collect();
        assert_eq!(names, ["INBOX"]);
        let contents = contents(&open(root), Path::new("")).unwrap();
        let read: Vec<bool> = contents
            .messages
            .iter()
            .map(|it| super::read(&open(root), it).is_ok())
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
        assert_eq!(layout(&open(root)).unwrap(), Layout::PlusPlus);
        let found = folders(&open(root), Layout::PlusPlus).unwrap();
        let names: Vec<&str> = found.iter().map(|it| &*it.name).collect();
        // A slash in a name is not written so by Dovecot, and would be two levels here.
        let odd = "A&AC8-B";
        let expected = ["INBOX", odd, "Entw\u{fc}rfe", "Work/2026", "odd & even"];
        assert_eq!(names, expected);
        write(
            &root.join("subscriptions"),
            "V\t2\n\nWork\t2026\nEntw&APw-rfe\n",
        );
        let subscribed = subscriptions(&open(root), Layout::PlusPlus).unwrap();
        assert_eq!(
            subscribed,
            ["Work/2026", "Entw\u{fc}rfe"].map(String::from).into()
        );
        write(&root.join("subscriptions"), "Work.2026\nINBOX\n");
        let subscribed = subscriptions(&open(root), Layout::PlusPlus).unwrap();
        assert_eq!(subscribed, ["Work/2026", "INBOX"].map(String::from).into());
    }

    #[test]
    fn directories_are_levels() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for name in ["", "Work", "Work/a.b", "Only/Below"] {
            fs::create_dir_all(root.join(name).join("cur")).unwrap();
        }
        assert_eq!(layout(&open(root)).unwrap(), Layout::Fs);
        let found = folders(&open(root), Layout::Fs).unwrap();
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
        let found = contents(&open(root), Path::new("")).unwrap();
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
        let message = read(&open(root), &found.messages[0]).unwrap().unwrap();
        assert_eq!(message.bytes, b"A: b\r\n\r\nx\r\n");
        assert_eq!(
            read(&open(root), &found.messages[1])
                .unwrap()
                .unwrap()
                .bytes,
            message.bytes
        );
        write(
            &root.join("dovecot-uidlist"),
            "1 99 12\n3 z.host\n14 gone\n",
        );
        let found = contents(&open(root), Path::new("")).unwrap();
        assert_eq!(found.uid_validity, Some(UidValidity(99)));
        assert_eq!(
            (found.uid_next, found.messages[0].uid),
            (Uid(15), Some(Uid(3)))
        );
        fs::remove_file(root.join(&found.messages[0].path)).unwrap();
        assert_eq!(read(&open(root), &found.messages[0]).unwrap(), None);
    }

    /// Clients of the old server may see them before they move: UIDs must be the same.
    #[test]
    fn what_has_no_uid_is_in_the_order_of_its_coming() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let names = [
            "new/999.M7P1.host",
            "cur/1000.M9P1.host:2,S",
            "new/1000.M10P1.host",
            "cur/1000.M10P2.host:2,",
            "new/1001.other",
            "cur/odd:2,F",
        ];
        for name in names {
            write(&root.join(name), "A: b\n\n");
        }
        let found = contents(&open(root), Path::new("")).unwrap();
        let found = found.messages.iter().map(|it| it.path.to_str().unwrap());
        let expected: Vec<&str> = names[5..].iter().chain(&names[..5]).copied().collect();
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}
