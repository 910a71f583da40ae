//! Records in a file, so that damage is found and told.
//!
//! Twelve bytes say what the file is; then come the records, compressed as one stream or not, each
//! with its length, its kind and a checksum that depends on how many came before; then a mark and
//! the checksum of the whole file.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

use bytes::Bytes;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64_with_seed};
use zstd::stream::{read, write};

use super::order::Order;
use super::record::{Header, RECORD_BYTES_MAX, Record, Totals};

const MAGIC: &[u8; 8] = b"ENSIGNBK";
const END_MAGIC: &[u8; 8] = b"ENSBKEND";
const VERSION: u16 = 1;
/// How hard it is tried to compress.
const LEVEL: i32 = 3;
/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// Whether, and how, records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// By Zstandard.
    #[default]
    Zstd,
}

/// Where in a backup something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// Bytes of the file read so far.
    pub byte: u64,
    /// Records read so far.
    pub record: u64,
    /// The account whose turn it is.
    pub account: Option<String>,
    /// The name whose turn it is.
    pub name: Option<String>,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "before byte {}, after {} records",
            self.byte, self.record
        )?;
        if let Some(account) = &self.account {
            write!(f, ", in what is of {account:?}")?;
        }
        if let Some(name) = &self.name {
            write!(f, ", mailbox {name:?}")?;
        }
        Ok(())
    }
}

/// Why a backup can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It is something else.
    #[error("it is not a backup")]
    NotABackup,
    /// It was made by a newer program.
    #[error(
        "it is of version {0} of the format, and this program reads {VERSION}: use a newer one"
    )]
    Version(u16),
    /// It is not as it was written.
    #[error("it is damaged {at}: {what}")]
    Damaged {
        /// Where.
        at: Box<At>,
        /// What is wrong.
        what: String,
    },
    /// It ends too early.
    #[error("it is cut off {at}")]
    CutOff {
        /// Where.
        at: Box<At>,
    },
    /// It can't be read.
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
}

/// Bytes are counted, and their checksum made, as they pass.
struct Hashing<T> {
    inner: T,
    hash: Xxh3Default,
    bytes: u64,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            hash: Xxh3Default::new(),
            bytes: 0,
        }
    }

    fn note(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.note(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: BufRead> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.note(&into[..read]);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Hashing<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if let Ok(bytes) = self.inner.fill_buf() {
            let count = count.min(bytes.len());
            self.hash.update(&bytes[..count]);
            self.bytes += count as u64;
        }
        self.inner.consume(count);
    }
}

/// The checksum of a record that is the so many-th.
fn check(number: u64, kind: u8, payload: &[u8]) -> u64 {
    xxh3_64_with_seed(payload, number << 8 | u64::from(kind))
}

enum Packer<W: Write> {
    Plain(Hashing<W>),
    Zstd(write::Encoder<'static, Hashing<W>>),
}

/// Writes a backup.
pub struct Writer<W: Write> {
    packer: Packer<W>,
    records: u64,
    totals: Totals,
    order: Order,
}

impl<W: Write> Writer<W> {
    /// Begins.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn new(to: W, compression: Compression, header: Header) -> io::Result<Self> {
        let mut to = Hashing::new(to);
        to.write_all(MAGIC)?;
        to.write_all(&VERSION.to_le_bytes())?;
        let packer = match compression {
            Compression::None => {
                to.write_all(&[0, 0])?;
                Packer::Plain(to)
            }
            Compression::Zstd => {
                to.write_all(&[1, 0])?;
                Packer::Zstd(write::Encoder::new(to, LEVEL)?)
            }
        };
        let mut writer = Self {
            packer,
            records: 0,
            totals: Totals::default(),
            order: Order::default(),
        };
        writer.write(&Record::Header(header))?;
        Ok(writer)
    }

    /// Writes a record.
    ///
    /// # Errors
    /// If it can't be written, or is none that could be read again.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        if let Err(what) = self.order.follow(record) {
            let (account, name) = self.order.place();
            let (account, name) = (account.unwrap_or_default(), name.unwrap_or_default());
            let what = format!("what the store has of {account:?}, {name:?}, is damaged: {what}");
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        count(&mut self.totals, record);
        let payload = record.encode();
        if payload.len() > RECORD_BYTES_MAX {
            let what = "a record is longer than any may be";
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        let kind = record.kind();
        let check = check(self.records, kind, &payload);
        self.records += 1;
        let to: &mut dyn Write = match &mut self.packer {
            Packer::Plain(to) => to,
            Packer::Zstd(to) => to,
        };
        to.write_all(&(payload.len() as u32).to_le_bytes())?;
        to.write_all(&[kind])?;
        to.write_all(&payload)?;
        to.write_all(&check.to_le_bytes())
    }

    /// What was written so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Ends it. Gives what was written, and where to; it is not synced.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn finish(mut self) -> io::Result<(Totals, u64, W)> {
        let totals = self.totals;
        self.write(&Record::End(totals))?;
        let mut to = match self.packer {
            Packer::Plain(to) => to,
            Packer::Zstd(to) => to.finish()?,
        };
        let hash = to.hash.digest128();
        to.write_all(END_MAGIC)?;
        to.write_all(&hash.to_le_bytes())?;
        to.flush()?;
        Ok((totals, to.bytes, to.inner))
    }
}

/// Counts a record.
pub(super) fn count(totals: &mut Totals, record: &Record) {
    match record {
        Record::User(_) => totals.users += 1,
        Record::Name(name) => totals.mailboxes += u64::from(name.mailbox.is_some()),
        Record::Message(message) => {
            totals.messages += 1;
            totals.bytes += message.size;
        }
        Record::Flags(_) => totals.flags += 1,
        Record::Gone(ranges) => {
            let count = |(first, last): &(mail::Uid, mail::Uid)| {
                u64::from(last.0.saturating_sub(first.0)) + 1
            };
            totals.gone += ranges.iter().map(count).sum::<u64>();
        }
        _ => {}
    }
}

enum Unpacker<R: Read> {
    Plain(Box<Hashing<BufReader<R>>>),
    Zstd(Box<read::Decoder<'static, Hashing<BufReader<R>>>>),
    /// It was read to its end.
    Done,
}

/// Reads a backup, and checks it as it goes. It is whole once it has given its last record.
pub struct Reader<R: Read> {
    unpacker: Unpacker<R>,
    records: u64,
    totals: Totals,
    order: Order,
    at: At,
    header: Header,
}

impl<R: Read> Reader<R> {
    /// Begins: reads what the backup is.
    ///
    /// # Errors
    /// If it is none, or can't be read.
    pub fn new(from: R) -> Result<Self, BackupError> {
        let mut from = Hashing::new(BufReader::with_capacity(READ_BYTES, from));
        let mut first = [0; 12];
        match from.read_exact(&mut first) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(BackupError::NotABackup);
            }
            outcome => outcome?,
        }
        if &first[..8] != MAGIC {
            return Err(BackupError::NotABackup);
        }
        let version = u16::from_le_bytes([first[8], first[9]]);
        if version != VERSION {
            return Err(BackupError::Version(version));
        }
        let unpacker = match [first[10], first[11]] {
            [0, 0] => Unpacker::Plain(Box::new(from)),
            [1, 0] => {
                let decoder = read::Decoder::with_buffer(from)?.single_frame();
                Unpacker::Zstd(Box::new(decoder))
            }
            _ => {
                let what = "its compression is not known".to_owned();
                let at = Box::default();
                return Err(BackupError::Damaged { at, what });
            }
        };
        let mut reader = Self {
            unpacker,
            records: 0,
            totals: Totals::default(),
            order: Order::default(),
            at: At::default(),
            header: Header::default(),
        };
        match reader.next()? {
            Some(Record::Header(header)) => reader.header = header,
            _ => return Err(reader.damaged("it does not begin with what it is")),
        }
        Ok(reader)
    }

    /// What the backup is.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What was read so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    fn damaged(&mut self, what: impl Into<String>) -> BackupError {
        BackupError::Damaged {
            at: Box::new(self.position()),
            what: what.into(),
        }
    }

    fn position(&mut self) -> At {
        match &self.unpacker {
            Unpacker::Plain(from) => self.at.byte = from.bytes,
            Unpacker::Zstd(from) => self.at.byte = from.get_ref().bytes,
            Unpacker::Done => {}
        }
        self.at.record = self.records;
        (self.at.account, self.at.name) = self.order.place();
        self.at.clone()
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<(), BackupError> {
        let outcome = match &mut self.unpacker {
            Unpacker::Plain(from) => from.read_exact(into),
            Unpacker::Zstd(from) => from.read_exact(into),
            Unpacker::Done => Err(ErrorKind::UnexpectedEof.into()),
        };
        outcome.map_err(|error| self.failed(error))
    }

    fn failed(&mut self, error: io::Error) -> BackupError {
        let is_zstd = matches!(self.unpacker, Unpacker::Zstd(_));
        match error.kind() {
            ErrorKind::UnexpectedEof => BackupError::CutOff {
                at: Box::new(self.position()),
            },
            // What the decoder says of itself.
            ErrorKind::Other if is_zstd && error.raw_os_error().is_none() => {
                self.damaged(format!("it can't be decompressed ({error})"))
            }
            _ => BackupError::Io(error),
        }
    }

    /// The next record; none after the last, when the whole file was found to be as it was written.
    ///
    /// # Errors
    /// If it is damaged or cut off, or can't be read.
    #[expect(
        clippy::should_implement_trait,
        reason = "after an error there is no next one"
    )]
    pub fn next(&mut self) -> Result<Option<Record>, BackupError> {
        if matches!(self.unpacker, Unpacker::Done) {
            return Ok(None);
        }
        let mut start = [0; 5];
        self.fill(&mut start)?;
        let length = u32::from_le_bytes([start[0], start[1], start[2], start[3]]) as usize;
        let kind = start[4];
        if length > RECORD_BYTES_MAX {
            return Err(self.damaged("a record is longer than any may be"));
        }
        let mut payload = vec![0; length];
        self.fill(&mut payload)?;
        let mut stored = [0; 8];
        self.fill(&mut stored)?;
        if u64::from_le_bytes(stored) != check(self.records, kind, &payload) {
            return Err(self.damaged("the checksum of a record is wrong"));
        }
        let decoded = Record::decode(kind, Bytes::from(payload));
        let record = decoded.map_err(|error| self.damaged(format!("a record: {error}")))?;
        self.records += 1;
        if let Err(what) = self.order.follow(&record) {
            return Err(self.damaged(what));
        }
        if let Record::End(totals) = record {
            if totals != self.totals {
                return Err(self.damaged("it holds other than it says that it does"));
            }
            self.end()?;
            return Ok(None);
        }
        count(&mut self.totals, &record);
        Ok(Some(record))
    }

    /// Checks what follows the last record.
    fn end(&mut self) -> Result<(), BackupError> {
        let mut more = [0];
        if let Unpacker::Zstd(from) = &mut self.unpacker {
            match from.read(&mut more) {
                Ok(0) => {}
                Ok(_) => return Err(self.damaged("something follows the last record")),
                Err(error) => return Err(self.failed(error)),
            }
        }
        let mut from = match std::mem::replace(&mut self.unpacker, Unpacker::Done) {
            Unpacker::Plain(from) => *from,
            Unpacker::Zstd(from) => from.finish(),
            Unpacker::Done => return Ok(()),
        };
        let hash = from.hash.digest128();
        let mut end = [0; 24];
        let read = from.read_exact(&mut end);
        self.at.byte = from.bytes;
        if let Err(error) = read {
            return Err(self.failed(error));
        }
        if &end[..8] != END_MAGIC {
            return Err(self.damaged("the mark at its end is missing"));
        }
        if end[8..] != hash.to_le_bytes() {
            return Err(self.damaged("the checksum of the whole file is wrong"));
        }
        match from.read(&mut more) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.damaged("something follows its end")),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use mail::{ModSeq, Uid, UidValidity};
    use proptest::prelude::*;

    use super::super::record::{MailboxRecord, MessageRecord, NameRecord, UserRecord};
    use super::*;

    fn backup(compression: Compression) -> Vec<u8> {
        let mut writer = Writer::new(vec![], compression, Header::default()).unwrap();
        for number in 1..4 {
            let account = format!("user{number}");
            let user = UserRecord { number, account };
            writer.write(&Record::User(user)).unwrap();
            let name = NameRecord {
                name: "INBOX".into(),
                exists: true,
                mailbox: Some(MailboxRecord {
                    id: number,
                    uid_validity: UidValidity(1),
                    uid_next: Uid(5),
                    modseq: ModSeq(3),
                    ..MailboxRecord::default()
                }),
                ..NameRecord::default()
            };
            writer.write(&Record::Name(name)).unwrap();
            for uid in 1..5 {
                let message = MessageRecord {
                    uid: Uid(uid),
                    modseq: ModSeq(3),
                    created: ModSeq(2),
                    size: 600,
                    first: Bytes::from(vec![uid as u8; 300]),
                    ..MessageRecord::default()
                };
                writer.write(&Record::Message(message)).unwrap();
                let rest = Bytes::from(format!("{uid:300}"));
                writer.write(&Record::Piece(rest)).unwrap();
            }
        }
        writer.finish().unwrap().2
    }

    fn read(bytes: &[u8]) -> Result<(usize, Totals), BackupError> {
        let mut reader = Reader::new(bytes)?;
        let mut count = 0;
        while reader.next()?.is_some() {
            count += 1;
        }
        Ok((count, *reader.totals()))
    }

    #[test]
    fn what_is_written_is_read() {
        for compression in [Compression::None, Compression::Zstd] {
            let bytes = backup(compression);
            let (count, totals) = read(&bytes).unwrap();
            assert_eq!(count, 3 * (1 + 1 + 4 * 2));
            assert_eq!((totals.users, totals.messages), (3, 12));
            assert_eq!(totals.bytes, 12 * 600);
        }
    }

    #[test]
    fn what_is_cut_off_says_where() {
        for compression in [Compression::None, Compression::Zstd] {
            let bytes = backup(compression);
            for len in 0..bytes.len() {
                let error = read(&bytes[..len]).unwrap_err();
                assert!(
                    matches!(error, BackupError::CutOff { .. } | BackupError::NotABackup),
                    "{len}: {error}"
                );
            }
        }
        let bytes = backup(Compression::None);
        let error = read(&bytes[..bytes.len() / 2]).unwrap_err().to_string();
        assert!(error.contains("cut off before byte"), "{error}");
        assert!(error.contains("\"user2\", mailbox \"INBOX\""), "{error}");
    }

    #[test]
    fn nothing_may_follow() {
        for compression in [Compression::None, Compression::Zstd] {
            let mut bytes = backup(compression);
            bytes.push(0);
            assert!(read(&bytes).is_err());
            let twice = [backup(compression), backup(compression)].concat();
            assert!(read(&twice).is_err());
        }
        assert!(matches!(read(b"PK"), Err(BackupError::NotABackup)));
        let mut newer = backup(Compression::None);
        newer[8] = 2;
        assert!(matches!(read(&newer), Err(BackupError::Version(2))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// No bit, and no run of bytes, can be another without being found.
        #[test]
        fn damage_is_found(
            at in any::<prop::sample::Index>(),
            bits in 1..=255_u8,
            run in 1..40_usize,
            zstd in any::<bool>(),
        ) {
            let compression = if zstd { Compression::Zstd } else { Compression::None };
            let mut bytes = backup(compression);
            let at = at.index(bytes.len());
            let end = (at + run).min(bytes.len());
            bytes[at] ^= bits;
            prop_assert!(read(&bytes).is_err());
            bytes[at] ^= bits;
            let before = bytes.clone();
            bytes[at..end].fill(bits);
            prop_assert!(bytes == before || read(&bytes).is_err());
            let mut shorter = before;
            shorter.drain(at..end);
            prop_assert!(read(&shorter).is_err());
        }
    }
}
