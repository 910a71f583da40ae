//! A backup and those that add to it, read as one: what was there at the last of them.
//!
//! All files have users in the same order. For each user the later files are read once to learn
//! what went and what changed, and then all from the first to the last, leaving that out. So no
//! more is kept in memory than what changed of one user.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use mail::{Uid, UidRanges};

use super::file::{BackupError, Reader};
use super::record::{
    Content, FlagsRecord, Header, MessageRecord, NameRecord, Record, Totals, UserRecord,
};

/// Why backups can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// One of them can't.
    #[error("{}: {error}", path.display())]
    Backup {
        /// Which.
        path: PathBuf,
        /// Why.
        error: BackupError,
    },
    /// They don't belong together.
    #[error("{}: {what}", path.display())]
    Apart {
        /// Which.
        path: PathBuf,
        /// Why.
        what: String,
    },
}

/// Takes what backups hold.
pub trait Sink {
    /// Why it can't be taken.
    type Error: From<ChainError>;

    /// A user; what follows is theirs, unless it says that it is not wanted.
    ///
    /// # Errors
    /// If that can't be taken.
    fn user(&mut self, user: &UserRecord) -> Result<bool, Self::Error>;

    /// A name; the messages that follow are in its mailbox, unless it says that they are not
    /// wanted. It comes again if there are more.
    ///
    /// # Errors
    /// If that can't be taken.
    fn name(&mut self, name: &NameRecord) -> Result<bool, Self::Error>;

    /// A message, with its first bytes.
    ///
    /// # Errors
    /// If that can't be taken.
    fn message(&mut self, message: MessageRecord) -> Result<(), Self::Error>;

    /// More bytes of the message before.
    ///
    /// # Errors
    /// If that can't be taken.
    fn piece(&mut self, bytes: Bytes) -> Result<(), Self::Error>;

    /// That was all of the user's.
    ///
    /// # Errors
    /// If that can't be taken.
    fn end_user(&mut self) -> Result<(), Self::Error>;
}

/// Reads a whole backup and checks it. Gives what it is and how much it holds.
///
/// # Errors
/// If it is damaged or can't be read.
pub fn verify(path: &Path) -> Result<(Header, Totals), ChainError> {
    let mut cursor = Cursor::open(path)?;
    while cursor.next()?.is_some() {}
    Ok((cursor.reader.header().clone(), *cursor.reader.totals()))
}

/// A file, and the record in it that is next.
struct Cursor {
    path: PathBuf,
    reader: Reader<File>,
    next: Option<Record>,
}

impl Cursor {
    fn open(path: &Path) -> Result<Self, ChainError> {
        let failed = |error| ChainError::Backup {
            path: path.to_owned(),
            error,
        };
        let file = File::open(path).map_err(|error| failed(error.into()))?;
        let mut reader = Reader::new(file).map_err(failed)?;
        let next = reader.next().map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            reader,
            next,
        })
    }

    /// Takes the next record.
    fn next(&mut self) -> Result<Option<Record>, ChainError> {
        let next = match self.next {
            None => None,
            Some(_) => self.reader.next().map_err(|error| ChainError::Backup {
                path: self.path.clone(),
                error,
            })?,
        };
        Ok(std::mem::replace(&mut self.next, next))
    }

    /// Takes the next record if it is of the user whose turn it is.
    fn next_of_user(&mut self) -> Result<Option<Record>, ChainError> {
        match self.next {
            Some(Record::User(_)) | None => Ok(None),
            Some(_) => self.next(),
        }
    }

    /// Goes on to a user. True if they are there.
    fn go_to(&mut self, number: u64) -> Result<bool, ChainError> {
        loop {
            match &self.next {
                None => return Ok(false),
                Some(Record::User(user)) if user.number > number => return Ok(false),
                Some(Record::User(user)) if user.number == number => {
                    self.next()?;
                    return Ok(true);
                }
                Some(_) => drop(self.next()?),
            }
        }
    }
}

/// What later backups say of a mailbox.
#[derive(Default)]
struct Later {
    /// The first file whose messages count.
    base: usize,
    /// What each file says that has gone.
    gone: Vec<(usize, UidRanges)>,
    /// Flags, and the last file that says them.
    flags: BTreeMap<Uid, (usize, FlagsRecord)>,
}

impl Later {
    /// A message of a file as it is in the end; none if it is not there any more.
    fn finish(&self, file: usize, mut message: MessageRecord) -> Option<MessageRecord> {
        let uid = message.uid;
        if self
            .gone
            .iter()
            .any(|(at, gone)| *at > file && gone.contains(uid))
        {
            return None;
        }
        if let Some((at, changed)) = self.flags.get(&uid)
            && *at > file
        {
            message.flags = changed.flags.clone();
            message.modseq = changed.modseq;
        }
        Some(message)
    }
}

/// A user, as the last backup has them.
#[derive(Default)]
struct Plan {
    names: Vec<NameRecord>,
    /// By the number of their mailbox: the place of its name, and what is known of it.
    mailboxes: BTreeMap<u64, (usize, Later)>,
}

/// A backup and those that add to it.
pub struct Chain {
    paths: Vec<PathBuf>,
    /// What the last of them is.
    header: Header,
}

impl Chain {
    /// Looks at files, the one that stands alone first, and whether each adds to the one before.
    ///
    /// # Errors
    /// If one is no backup, or they don't belong together.
    pub fn new(paths: &[PathBuf]) -> Result<Self, ChainError> {
        let mut last: Option<Header> = None;
        for path in paths {
            let header = Cursor::open(path)?.reader.header().clone();
            let apart = |what: &str| ChainError::Apart {
                path: path.clone(),
                what: what.to_owned(),
            };
            match &last {
                None if header.adds_to != 0 => {
                    let what = "it only adds to another backup: name that one before it";
                    return Err(apart(what));
                }
                Some(last) if header.adds_to != last.id => {
                    return Err(apart("it does not add to the backup before it"));
                }
                Some(last) if header.store != last.store || header.scope != last.scope => {
                    return Err(apart("it is of something else than the backup before it"));
                }
                _ => {}
            }
            last = Some(header);
        }
        Ok(Self {
            paths: paths.to_vec(),
            header: last.unwrap_or_default(),
        })
    }

    /// What the last of them is.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Gives all that they hold.
    ///
    /// # Errors
    /// If one is damaged or can't be read, or what the sink says.
    pub fn read<S: Sink>(&self, sink: &mut S) -> Result<(), S::Error> {
        let open = |path: &PathBuf| Cursor::open(path);
        let all: Result<Vec<_>, _> = self.paths.iter().map(open).collect();
        let mut files = all?;
        let later: Result<Vec<_>, _> = self.paths.iter().skip(1).map(open).collect();
        let mut later = later?;
        if later.is_empty() {
            return match files.first_mut() {
                Some(file) => read_alone(file, sink),
                None => Ok(()),
            };
        }
        loop {
            let newest = later.last_mut().expect("there are some");
            let Some(next) = &newest.next else {
                return Ok(());
            };
            let Record::User(user) = next.clone() else {
                newest.next()?;
                continue;
            };
            let mut plan = Plan::default();
            for (number, file) in (1..).zip(&mut later) {
                if file.go_to(user.number)? {
                    plan.learn(number, file)?;
                }
            }
            if !sink.user(&user)? {
                continue;
            }
            for name in plan.names.iter().filter(|name| name.mailbox.is_none()) {
                sink.name(name)?;
            }
            for (number, file) in files.iter_mut().enumerate() {
                if file.go_to(user.number)? {
                    plan.carry_out(number, file, sink)?;
                }
            }
            sink.end_user()?;
        }
    }
}

/// Reads a backup that nothing adds to.
fn read_alone<S: Sink>(file: &mut Cursor, sink: &mut S) -> Result<(), S::Error> {
    while let Some(record) = file.next()? {
        let Record::User(user) = record else {
            continue;
        };
        let is_wanted = sink.user(&user)?;
        let mut takes = false;
        while let Some(record) = file.next_of_user()? {
            match record {
                _ if !is_wanted => {}
                Record::Name(name) => takes = sink.name(&name)?,
                Record::Message(message) if takes => sink.message(message)?,
                Record::Piece(bytes) if takes => sink.piece(bytes)?,
                _ => {}
            }
        }
        if is_wanted {
            sink.end_user()?;
        }
    }
    Ok(())
}

impl Plan {
    /// Learns what a later file says of the user.
    fn learn(&mut self, number: usize, file: &mut Cursor) -> Result<(), ChainError> {
        // What it says of names replaces what those before said.
        self.names.clear();
        let mut before = std::mem::take(&mut self.mailboxes);
        let mut mailbox = None;
        while let Some(record) = file.next_of_user()? {
            match record {
                Record::Name(name) => {
                    mailbox = name.mailbox.as_ref().map(|it| it.id);
                    if let Some(it) = &name.mailbox {
                        let mut later = before.remove(&it.id).unwrap_or_default().1;
                        if it.content == Content::Whole {
                            later = Later {
                                base: number,
                                ..Later::default()
                            };
                        }
                        self.mailboxes.insert(it.id, (self.names.len(), later));
                    }
                    self.names.push(name);
                }
                Record::Gone(ranges) => {
                    if let Some(later) = self.later(mailbox) {
                        later.gone.push((number, ranges.into_iter().collect()));
                    }
                }
                Record::Flags(changed) => {
                    if let Some(later) = self.later(mailbox) {
                        later.flags.insert(changed.uid, (number, changed));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn later(&mut self, mailbox: Option<u64>) -> Option<&mut Later> {
        Some(&mut self.mailboxes.get_mut(&mailbox?)?.1)
    }

    /// Gives what a file has of the user, as it is in the end.
    fn carry_out<S: Sink>(
        &self,
        number: usize,
        file: &mut Cursor,
        sink: &mut S,
    ) -> Result<(), S::Error> {
        let mut later = None;
        let mut takes = false;
        while let Some(record) = file.next_of_user()? {
            match record {
                Record::Name(name) => {
                    let id = name.mailbox.map(|it| it.id);
                    let known = id.and_then(|id| self.mailboxes.get(&id));
                    later = known.filter(|(_, later)| later.base <= number);
                    if let Some((place, _)) = later
                        && !sink.name(&self.names[*place])?
                    {
                        later = None;
                    }
                    takes = false;
                }
                Record::Message(message) => {
                    let message = later.and_then(|(_, later)| later.finish(number, message));
                    takes = message.is_some();
                    if let Some(message) = message {
                        sink.message(message)?;
                    }
                }
                Record::Piece(bytes) if takes => sink.piece(bytes)?,
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mail::{Flags, ModSeq};

    use super::super::file::{Compression, Writer};
    use super::super::record::MailboxRecord;
    use super::*;

    fn file(folder: &Path, (id, adds_to): (u128, u128), records: Vec<Record>) -> PathBuf {
        let path = folder.join(format!("{id}"));
        let header = Header {
            id,
            adds_to,
            ..Header::default()
        };
        let to = File::create(&path).unwrap();
        let mut writer = Writer::new(to, Compression::Zstd, header).unwrap();
        for record in &records {
            writer.write(record).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    fn user(number: u64) -> Record {
        Record::User(UserRecord {
            number,
            account: format!("u{number}"),
        })
    }

    fn name(name: &str, id: u64, content: Content) -> Record {
        Record::Name(NameRecord {
            name: name.into(),
            exists: true,
            mailbox: (id != 0).then(|| MailboxRecord {
                id,
                content,
                ..MailboxRecord::default()
            }),
            ..NameRecord::default()
        })
    }

    fn message(uid: u32) -> Record {
        Record::Message(MessageRecord {
            uid: Uid(uid),
            size: 2,
            first: Bytes::from_static(b"a"),
            ..MessageRecord::default()
        })
    }

    fn piece() -> Record {
        Record::Piece(Bytes::from_static(b"b"))
    }

    #[derive(Default)]
    struct Said(Vec<String>);

    impl Sink for Said {
        type Error = ChainError;
        fn user(&mut self, user: &UserRecord) -> Result<bool, ChainError> {
            self.0.push(user.account.clone());
            Ok(true)
        }
        fn name(&mut self, name: &NameRecord) -> Result<bool, ChainError> {
            self.0.push(name.name.clone());
            Ok(true)
        }
        fn message(&mut self, message: MessageRecord) -> Result<(), ChainError> {
            let flags = message.flags.system_bits();
            self.0.push(format!("{}:{flags}", message.uid.0));
            Ok(())
        }
        fn piece(&mut self, bytes: Bytes) -> Result<(), ChainError> {
            assert_eq!(&bytes[..], b"b");
            Ok(())
        }
        fn end_user(&mut self) -> Result<(), ChainError> {
            self.0.push(".".into());
            Ok(())
        }
    }

    fn read(paths: &[PathBuf]) -> String {
        let mut said = Said::default();
        Chain::new(paths).unwrap().read(&mut said).unwrap();
        said.0.join(" ")
    }

    #[test]
    fn what_later_backups_say_holds() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (whole, since) = (Content::Whole, Content::Since);
        let mut first = vec![user(1), name("A", 1, whole)];
        for uid in [1, 2, 3] {
            first.extend([message(uid), piece()]);
        }
        first.extend([name("B", 2, whole), message(1), piece()]);
        first.extend([user(2), name("X", 3, whole), message(1), piece()]);
        first.extend([user(3), name("Y", 4, whole)]);
        let first = file(folder, (1, 0), first);
        assert_eq!(
            read(std::slice::from_ref(&first)),
            "u1 A 1:0 2:0 3:0 B 1:0 . u2 X 1:0 . u3 Y ."
        );
        let flags = |uid, bits| {
            Record::Flags(FlagsRecord {
                uid: Uid(uid),
                modseq: ModSeq(9),
                flags: Flags::new(bits, []),
            })
        };
        // A message goes, one changes, one comes; B is gone; user 2 is gone; A has another name.
        let second = vec![
            user(1),
            name("A2", 1, since),
            Record::Gone(vec![(Uid(2), Uid(2))]),
            flags(1, 1),
            message(4),
            piece(),
            name("N", 0, whole),
            user(3),
            name("Y", 4, since),
            message(7),
            piece(),
        ];
        let second = file(folder, (2, 1), second);
        // What came goes, flags change again; Y is there as a whole once more.
        let third = vec![
            user(1),
            name("A2", 1, since),
            Record::Gone(vec![(Uid(4), Uid(4))]),
            flags(1, 3),
            message(5),
            piece(),
            user(3),
            name("Y", 4, whole),
            message(9),
            piece(),
        ];
        let third = file(folder, (3, 2), third);
        assert_eq!(
            read(&[first.clone(), second.clone()]),
            "u1 N A2 1:1 3:0 A2 4:0 . u3 Y Y 7:0 ."
        );
        assert_eq!(
            read(&[first.clone(), second.clone(), third.clone()]),
            "u1 A2 1:3 3:0 A2 A2 5:0 . u3 Y 9:0 ."
        );
        assert!(Chain::new(&[first.clone(), third]).is_err());
        assert!(Chain::new(std::slice::from_ref(&second)).is_err());
        assert!(verify(&first).is_ok());
    }
}
