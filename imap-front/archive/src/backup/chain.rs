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

use super::besides::{EntryRecord, LimitsRecord};
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

/// What a user has besides mailboxes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Besides {
    /// Limits that were set by SETQUOTA.
    pub limits: Option<LimitsRecord>,
    /// Metadata of the server that is the user's.
    pub entries: Vec<EntryRecord>,
    /// What clients know the mailbox of the name before by; 0 if that is not known.
    object: u64,
}

/// Takes what backups hold.
pub trait Sink {
    /// Why it can't be taken.
    type Error: From<ChainError>;

    /// Metadata of the server that all share.
    ///
    /// # Errors
    /// If that can't be taken.
    fn server(&mut self, entries: &[EntryRecord]) -> Result<(), Self::Error>;

    /// A user; what follows is theirs, unless it says that it is not wanted.
    ///
    /// # Errors
    /// If that can't be taken.
    fn user(&mut self, user: &UserRecord, besides: &Besides) -> Result<bool, Self::Error>;

    /// A name, and metadata of its mailbox; the messages that follow are in that, unless it says
    /// that they are not wanted. It comes again if there are more.
    ///
    /// # Errors
    /// If that can't be taken.
    fn name(&mut self, name: &NameRecord, entries: &[EntryRecord]) -> Result<bool, Self::Error>;

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

/// A whole backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// What it is.
    pub header: Header,
    /// How much it holds.
    pub totals: Totals,
}

/// Reads a whole backup and checks it.
///
/// # Errors
/// If it is damaged or can't be read.
pub fn verify(path: &Path) -> Result<Verified, ChainError> {
    let mut cursor = Cursor::open(path)?;
    while cursor.next()?.is_some() {}
    Ok(Verified {
        header: cursor.reader.header().clone(),
        totals: *cursor.reader.totals(),
    })
}

/// Bytes of metadata that are held at a time, and what an entry takes besides its own.
const ENTRIES_BYTES_MAX: usize = 256 << 20;
const ENTRY_BYTES: usize = 100;

/// A file, and the record in it that is next.
struct Cursor {
    path: PathBuf,
    reader: Reader<File>,
    next: Option<Record>,
    /// The number of the body of the message that follows.
    body: u64,
}

impl Cursor {
    fn open(path: &Path) -> Result<Self, ChainError> {
        let failed = |error| ChainError::Backup {
            path: path.to_owned(),
            error,
        };
        let file = File::open(path).map_err(|error| failed(error.into()))?;
        let mut cursor = Self {
            path: path.to_owned(),
            reader: Reader::new(file).map_err(failed)?,
            next: None,
            body: 0,
        };
        cursor.next = cursor.read()?;
        Ok(cursor)
    }

    /// Reads the next record; what a record of its own tells of a message's body is in the
    /// message's.
    fn read(&mut self) -> Result<Option<Record>, ChainError> {
        loop {
            let record = self.reader.next().map_err(|error| ChainError::Backup {
                path: self.path.clone(),
                error,
            })?;
            match record {
                Some(Record::Body(body)) => self.body = body,
                Some(Record::Message(mut message)) => {
                    message.body = std::mem::take(&mut self.body);
                    return Ok(Some(Record::Message(message)));
                }
                record => return Ok(record),
            }
        }
    }

    /// Takes the next record.
    fn next(&mut self) -> Result<Option<Record>, ChainError> {
        let next = match self.next {
            None => None,
            Some(_) => self.read()?,
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

    /// Takes what comes before names and messages.
    fn besides(&mut self) -> Result<Besides, ChainError> {
        let (mut besides, mut bytes) = (Besides::default(), 0);
        while let Some(
            Record::Limits(_) | Record::Entry(_) | Record::Object(_) | Record::Unknown(_),
        ) = self.next
        {
            match self.next()? {
                Some(Record::Object(object)) => besides.object = object,
                Some(Record::Limits(limits)) => besides.limits = Some(limits),
                Some(Record::Entry(entry)) => {
                    bytes += ENTRY_BYTES + entry.name.len() + entry.value.len();
                    if bytes > ENTRIES_BYTES_MAX {
                        return Err(ChainError::Apart {
                            path: self.path.clone(),
                            what: "it has more metadata in one place than there may be".into(),
                        });
                    }
                    besides.entries.push(entry);
                }
                _ => {}
            }
        }
        Ok(besides)
    }

    /// Takes what records of their own tell of a name's mailbox: its identifier, which goes to the
    /// name, and its metadata.
    fn rest_of(&mut self, name: &mut NameRecord) -> Result<Vec<EntryRecord>, ChainError> {
        let besides = self.besides()?;
        if let Some(mailbox) = &mut name.mailbox {
            mailbox.object = besides.object;
        }
        Ok(besides.entries)
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
    besides: Besides,
    names: Vec<(NameRecord, Vec<EntryRecord>)>,
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
                Some(last) if header.store != last.store || !header.scope.is_same(&last.scope) => {
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
        if let Some(newest) = later.last_mut() {
            sink.server(&newest.besides()?.entries)?;
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
            if !sink.user(&user, &plan.besides)? {
                continue;
            }
            for (name, entries) in &plan.names {
                if name.mailbox.is_none() {
                    sink.name(name, entries)?;
                }
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
    sink.server(&file.besides()?.entries)?;
    while let Some(record) = file.next()? {
        let Record::User(user) = record else {
            continue;
        };
        let is_wanted = sink.user(&user, &file.besides()?)?;
        let mut takes = false;
        while let Some(record) = file.next_of_user()? {
            match record {
                _ if !is_wanted => {}
                Record::Name(mut name) => {
                    let entries = file.rest_of(&mut name)?;
                    takes = sink.name(&name, &entries)?;
                }
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
        self.besides = file.besides()?;
        self.names.clear();
        let mut before = std::mem::take(&mut self.mailboxes);
        let mut mailbox = None;
        while let Some(record) = file.next_of_user()? {
            match record {
                Record::Name(mut name) => {
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
                    let entries = file.rest_of(&mut name)?;
                    self.names.push((name, entries));
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
                    if let Some((place, _)) = later {
                        let (name, entries) = &self.names[*place];
                        if !sink.name(name, entries)? {
                            later = None;
                        }
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
mod tests;
