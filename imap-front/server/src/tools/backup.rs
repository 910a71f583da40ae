//! `imsbackup`: the store as of one commit, into a file.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use admin::Base;
use admin::command::{DONE, complain};
use archive::backup::file::{BackupError, Compression, Reader, Writer};
use archive::backup::record::{
    Content, Header, MailboxRecord, NameRecord, Record, Scope, Totals, UserRecord,
};
use mail::MailboxName;
use serde_json::json;

use super::{Connection, Told, account, report};
use crate::arguments::imsbackup::Arguments;

/// Makes a backup.
///
/// # Errors
/// If the store can't be read, the file can't be written, or the backup that this one is to add to
/// is not what it should be.
pub fn run(base: &Base, arguments: &Arguments, out: &mut dyn Write) -> Result<u8, Box<dyn Error>> {
    let scope = match (&arguments.user, &arguments.mailbox) {
        (None, _) => Scope::All,
        (Some(user), None) => Scope::Account(account(base, user)?),
        (Some(user), Some(name)) => {
            let name = MailboxName::new(name).as_str().to_owned();
            Scope::Mailbox(account(base, user)?, name)
        }
    };
    let before = arguments.since.as_deref().map(Before::open).transpose()?;
    let path = &arguments.file;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| format!("can't make {}: {error}", path.display()))?;
    let done = Connection::open(base).and_then(|mut connection| {
        let compression = match arguments.no_compression {
            true => Compression::None,
            false => Compression::Zstd,
        };
        Backup::begin(&mut connection, scope, before, (file, compression))?.run()
    });
    let (header, totals, bytes) = match done {
        Ok(done) => done,
        Err(error) => {
            if let Err(cause) = std::fs::remove_file(path) {
                let path = path.display();
                complain(format_args!(
                    "imsbackup: {path} is not whole: remove it ({cause})"
                ));
            }
            return Err(error);
        }
    };
    tell(arguments, (&header, &totals, bytes), out)?;
    Ok(DONE)
}

fn tell(
    arguments: &Arguments,
    (header, totals, bytes): (&Header, &Totals, u64),
    out: &mut dyn Write,
) -> io::Result<()> {
    if arguments.json {
        return writeln!(
            out,
            "{}",
            json!({
                "file": arguments.file.display().to_string(),
                "id": format!("{:032x}", header.id),
                "commit": header.commit,
                "since": header.since,
                "users": totals.users,
                "mailboxes": totals.mailboxes,
                "messages": totals.messages,
                "messagebytes": totals.bytes,
                "flags": totals.flags,
                "gone": totals.gone,
                "filebytes": bytes,
            })
        );
    }
    let of = |count, one| report::count(count, one);
    write!(
        out,
        "{}, {}, {} of {} in {}; as of commit {}",
        of(totals.users, "user"),
        of(totals.mailboxes, "mailbox"),
        of(totals.messages, "message"),
        report::bytes(totals.bytes),
        report::bytes(bytes),
        header.commit,
    )?;
    if header.adds_to != 0 {
        write!(
            out,
            ", since commit {}: {} with other flags, {} gone",
            header.since,
            of(totals.flags, "message"),
            totals.gone
        )?;
    }
    writeln!(out)
}

/// What the backup before has of a mailbox.
type Figures = (mail::UidValidity, mail::Uid, mail::ModSeq);

/// The backup to which another one adds.
struct Before {
    path: String,
    reader: Reader<File>,
    next: Option<Record>,
}

impl Before {
    fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        let shown = path.display().to_string();
        let failed = |error: &dyn Error| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(|error| failed(&error))?;
        let mut reader = Reader::new(file).map_err(|error| failed(&error))?;
        let next = reader.next().map_err(|error| failed(&error))?;
        Ok(Self {
            path: shown,
            reader,
            next,
        })
    }

    fn advance(&mut self) -> Result<(), Box<dyn Error>> {
        let failed = |error: BackupError| format!("{}: {error}", self.path);
        self.next = self.reader.next().map_err(failed)?;
        Ok(())
    }

    /// The mailboxes of a user, whom only users with lower numbers were asked for before.
    fn mailboxes(&mut self, number: u64) -> Result<BTreeMap<u64, Figures>, Box<dyn Error>> {
        let mut found = BTreeMap::new();
        let mut is_it = false;
        loop {
            match &self.next {
                None => return Ok(found),
                Some(Record::User(user)) => {
                    if user.number > number || is_it {
                        return Ok(found);
                    }
                    is_it = user.number == number;
                }
                Some(Record::Name(NameRecord {
                    mailbox: Some(it), ..
                })) if is_it => {
                    found.insert(it.id, (it.uid_validity, it.uid_next, it.modseq));
                }
                Some(_) => {}
            }
            self.advance()?;
        }
    }

    /// Reads what is left: it has to be whole.
    fn finish(&mut self) -> Result<(), Box<dyn Error>> {
        while self.next.is_some() {
            self.advance()?;
        }
        Ok(())
    }
}

/// A backup that is being made.
struct Backup<'a> {
    connection: &'a mut Connection,
    writer: Writer<BufWriter<File>>,
    before: Option<Before>,
    header: Header,
}

impl<'a> Backup<'a> {
    fn begin(
        connection: &'a mut Connection,
        scope: Scope,
        before: Option<Before>,
        (file, compression): (File, Compression),
    ) -> Result<Self, Box<dyn Error>> {
        let mut question = json!({ "ask": "freeze", "backup": true });
        if let Some(before) = &before {
            question["since"] = format!("{:032x}", before.reader.header().id).into();
        }
        let line = connection.ask_line(&question, &[])?;
        let mark = |name: &str| {
            let text = line[name].as_str().unwrap_or_default();
            u128::from_str_radix(text, 16).map_err(|_| format!("the server gave no {name}"))
        };
        let commit = line["commit"].as_u64().unwrap_or(0);
        let mut header = Header {
            id: mark("id")?,
            adds_to: 0,
            store: mark("identity")?,
            commit,
            since: 0,
            made_s: now_s(),
            scope,
            program: env!("CARGO_PKG_VERSION").into(),
        };
        if let Some(before) = &before {
            let last = before.reader.header();
            let path = &before.path;
            if last.store != header.store || last.commit > commit {
                return Err(format!(
                    "{path} is a backup of another store, or of this one before it was restored: \
                     make a whole one"
                )
                .into());
            }
            if line["since"].as_u64() != Some(last.commit) {
                return Err(format!(
                    "{path} is of what this store does not know (any more): it went back behind \
                     that backup, or the backup is very old: make a whole one"
                )
                .into());
            }
            if !last.scope.is_same(&header.scope) {
                return Err(format!("{path} is of other users or mailboxes").into());
            }
            (header.adds_to, header.since) = (last.id, last.commit);
        }
        let writer = Writer::new(BufWriter::new(file), compression, header.clone())?;
        Ok(Self {
            connection,
            writer,
            before,
            header,
        })
    }

    /// Gives what it is, what is in it, and how large the file is.
    fn run(mut self) -> Result<(Header, Totals, u64), Box<dyn Error>> {
        match self.header.scope.clone() {
            Scope::All => {
                let writer = &mut self.writer;
                let question = json!({ "ask": "frozen-server" });
                self.connection.ask(&question, &[], |told| match told {
                    Told::Record(record) => writer.write(&record),
                    Told::Line(_) => Ok(()),
                })?;
                let mut after = 0;
                while let Some(number) = self.user(&json!({ "after": after }), None)? {
                    after = number;
                }
            }
            Scope::Account(account) => {
                let found = self.user(&json!({ "account": account }), None)?;
                found.ok_or_else(|| format!("the store has no mail of {account}"))?;
            }
            Scope::Mailbox(account, name) => {
                let name = MailboxName::new(&name);
                let found = self.user(&json!({ "account": account }), Some(&name))?;
                found.ok_or_else(|| format!("the store has no mail of {account}"))?;
                if self.writer.totals().mailboxes == 0 {
                    return Err(format!("{account} has no mailbox {:?}", name.as_str()).into());
                }
            }
        }
        if let Some(before) = &mut self.before {
            before.finish()?;
        }
        let (totals, bytes, mut to) = self.writer.finish()?;
        to.flush()?;
        let file = to.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok((self.header, totals, bytes))
    }

    /// Writes a user, as far as that is wanted. Gives their number.
    fn user(
        &mut self,
        which: &serde_json::Value,
        only: Option<&MailboxName>,
    ) -> Result<Option<u64>, Box<dyn Error>> {
        let mut question = which.clone();
        question["ask"] = "frozen-user".into();
        let (mut user, mut besides) = (None, Vec::new());
        let mut names: Vec<(NameRecord, Vec<Record>)> = Vec::new();
        self.connection.ask(&question, &[], |told| {
            match told {
                Told::Record(Record::User(found)) => user = Some(found),
                Told::Record(Record::Name(name)) => names.push((name, vec![])),
                Told::Record(more) => match names.last_mut() {
                    Some((_, entries)) => entries.push(more),
                    None => besides.push(more),
                },
                Told::Line(_) => {}
            }
            Ok(())
        })?;
        let Some(user): Option<UserRecord> = user else {
            return Ok(None);
        };
        let number = user.number;
        let before = match &mut self.before {
            Some(before) => before.mailboxes(number)?,
            None => BTreeMap::new(),
        };
        self.writer.write(&Record::User(user))?;
        // What one has besides is no part of one mailbox.
        for record in besides.iter().filter(|_| only.is_none()) {
            self.writer.write(record)?;
        }
        for (name, entries) in names {
            if only.is_none_or(|only| *only == MailboxName::new(&name.name)) {
                self.name(name, &entries, &before)?;
            }
        }
        Ok(Some(number))
    }

    fn name(
        &mut self,
        mut name: NameRecord,
        entries: &[Record],
        before: &BTreeMap<u64, Figures>,
    ) -> Result<(), Box<dyn Error>> {
        let writer = &mut self.writer;
        let mut write = |name: NameRecord| {
            writer.write(&Record::Name(name))?;
            entries.iter().try_for_each(|entry| writer.write(entry))
        };
        let Some(mailbox) = &mut name.mailbox else {
            return Ok(write(name)?);
        };
        let since = before.get(&mailbox.id).filter(|it| adds_to(mailbox, it));
        if since.is_some_and(|(_, next, modseq)| (*next, *modseq) == state(mailbox)) {
            mailbox.content = Content::Since;
            return Ok(write(name)?);
        }
        let mut question = json!({ "ask": "frozen-messages", "mailbox": mailbox.id });
        if let Some((_, next, modseq)) = since {
            question["since"] = modseq.0.into();
            question["uidnext"] = next.0.into();
        }
        let writer = &mut self.writer;
        self.connection.ask(&question, &[], |told| match told {
            Told::Line(line) => {
                if let (Some(mailbox), Some("since")) =
                    (&mut name.mailbox, line["content"].as_str())
                {
                    mailbox.content = Content::Since;
                }
                writer.write(&Record::Name(name.clone()))?;
                entries.iter().try_for_each(|entry| writer.write(entry))
            }
            Told::Record(record) => writer.write(&record),
        })?;
        Ok(())
    }
}

/// Whether a mailbox is the one that the backup before has.
fn adds_to(mailbox: &MailboxRecord, (validity, next, modseq): &Figures) -> bool {
    mailbox.uid_validity == *validity && mailbox.uid_next >= *next && mailbox.modseq >= *modseq
}

fn state(mailbox: &MailboxRecord) -> (mail::Uid, mail::ModSeq) {
    (mailbox.uid_next, mailbox.modseq)
}

#[expect(clippy::disallowed_methods, reason = "a backup says when it was made")]
fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
