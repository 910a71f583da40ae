//! Backups and those that add to them, read as one.

use mail::{Flags, ModSeq, UidValidity};

use super::*;
use crate::backup::file::{Compression, Writer};
use crate::backup::record::MailboxRecord;

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
            uid_validity: UidValidity(1),
            uid_next: Uid(10),
            modseq: ModSeq(9),
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

fn entry(value: &'static str) -> Record {
    Record::Entry(EntryRecord {
        account: None,
        name: "/shared/comment".into(),
        value: Bytes::from_static(value.as_bytes()),
    })
}

fn values(entries: &[EntryRecord]) -> impl Iterator<Item = String> {
    let value = |it: &EntryRecord| format!("={}", String::from_utf8_lossy(&it.value));
    entries.iter().map(value)
}

#[derive(Default)]
struct Said(Vec<String>);

impl Sink for Said {
    type Error = ChainError;
    fn server(&mut self, entries: &[EntryRecord]) -> Result<(), ChainError> {
        self.0.extend(values(entries));
        Ok(())
    }
    fn user(&mut self, user: &UserRecord, besides: &Besides) -> Result<bool, ChainError> {
        self.0.push(user.account.clone());
        self.0.extend(values(&besides.entries));
        let limits = besides.limits.and_then(|it| it.limits[0]);
        self.0.extend(limits.map(|limit| format!("<{limit}")));
        Ok(true)
    }
    fn name(&mut self, name: &NameRecord, entries: &[EntryRecord]) -> Result<bool, ChainError> {
        self.0.push(name.name.clone());
        self.0.extend(values(entries));
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
    let limit = |bytes| {
        Record::Limits(LimitsRecord {
            limits: [Some(bytes), None, None],
            ..LimitsRecord::default()
        })
    };
    let mut first = vec![
        entry("s"),
        user(1),
        limit(7),
        entry("u"),
        name("A", 1, whole),
    ];
    first.push(entry("a"));
    for uid in [1, 2, 3] {
        first.extend([message(uid), piece()]);
    }
    first.extend([name("B", 2, whole), message(1), piece()]);
    first.extend([user(2), name("X", 3, whole), message(1), piece()]);
    first.extend([user(3), name("Y", 4, whole)]);
    let first = file(folder, (1, 0), first);
    assert_eq!(
        read(std::slice::from_ref(&first)),
        "=s u1 =u <7 A =a 1:0 2:0 3:0 B 1:0 . u2 X 1:0 . u3 Y ."
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
        entry("t"),
        user(1),
        limit(8),
        name("A2", 1, since),
        entry("b"),
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
        "=t u1 <8 N A2 =b 1:1 3:0 A2 =b 4:0 . u3 Y Y 7:0 ."
    );
    assert_eq!(
        read(&[first.clone(), second.clone(), third.clone()]),
        "u1 A2 1:3 3:0 A2 A2 5:0 . u3 Y 9:0 ."
    );
    assert!(Chain::new(&[first.clone(), third]).is_err());
    assert!(Chain::new(std::slice::from_ref(&second)).is_err());
    assert!(verify(&first).is_ok());
}
