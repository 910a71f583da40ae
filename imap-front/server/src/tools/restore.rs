//! `imsrestore`: what backups hold, into the store.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;

use admin::Base;
use admin::command::{DONE, FAILED, complain};
use admin::tools::ask::AskError;
use archive::backup::chain::{Chain, ChainError, Sink, verify};
use archive::backup::record::{
    MailboxRecord, MessageRecord, NameRecord, Record, Scope, UserRecord,
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Connection, account, append_record, known_account, report};
use crate::arguments::imsrestore::Arguments;

/// Bytes of messages that are sent at a time, if one alone is not larger, and how many messages.
const SENT_BYTES: usize = 1 << 20;
const SENT_MESSAGES: usize = 512;
/// What UIDNEXT and HIGHESTMODSEQ are raised by if mail came after the backup: clients have seen
/// UIDs that it doesn't know.
const AFTER_LOSS: u32 = 1 << 20;

/// Checks backups, and restores what they hold.
///
/// # Errors
/// If a backup is damaged, or the store can't be written.
pub fn run(base: &Base, arguments: &Arguments, out: &mut dyn Write) -> Result<u8, Box<dyn Error>> {
    let chain = Chain::new(&arguments.files)?;
    // All of it before anything of it is restored.
    for path in &arguments.files {
        let (header, totals) = verify(path)?;
        if arguments.verify {
            let scope = match &header.scope {
                Scope::All => "all users".to_owned(),
                Scope::Account(account) => account.clone(),
                Scope::Mailbox(account, name) => format!("{account}, {name}"),
            };
            writeln!(
                out,
                "{}: whole; of {scope}, as of commit {}: {}, {}, {} of {}",
                path.display(),
                header.commit,
                report::count(totals.users, "user"),
                report::count(totals.mailboxes, "mailbox"),
                report::count(totals.messages, "message"),
                report::bytes(totals.bytes),
            )?;
        }
    }
    if arguments.verify {
        return Ok(DONE);
    }
    let wanted = arguments.user.as_deref().map(|name| account(base, name));
    let to = arguments.to.as_deref();
    let to = to.map(|name| known_account(base, name));
    let mut restore = Restore {
        wanted: wanted.transpose()?,
        to: to.transpose()?,
        connection: Connection::open(base)?,
        arguments,
        out,
        account: String::new(),
        targets: BTreeMap::new(),
        current: None,
        sending: vec![],
        waiting: 0,
        sums: Sums::default(),
    };
    chain.read(&mut restore)?;
    restore.finish()
}

/// Where a mailbox of a backup goes.
struct Target {
    name: NameRecord,
    mailbox: MailboxRecord,
    /// The mailbox in the store.
    id: u64,
    /// It is made as it was, and gets its name at the end.
    is_new: bool,
    same_uids: bool,
    added: u64,
    present: u64,
}

#[derive(Default)]
struct Sums {
    users: u64,
    /// Mailboxes that are as they were.
    kept: u64,
    /// Mailboxes that were there, to which what was missing was added.
    added_to: u64,
    added: u64,
    present: u64,
    failed: u64,
}

struct Restore<'a> {
    connection: Connection,
    arguments: &'a Arguments,
    out: &'a mut dyn Write,
    wanted: Option<String>,
    to: Option<String>,
    /// The account whose turn it is, in the store.
    account: String,
    /// By their numbers in the backup.
    targets: BTreeMap<u64, Target>,
    current: Option<u64>,
    /// Records of whole messages, but for the last.
    sending: Vec<u8>,
    waiting: usize,
    sums: Sums,
}

/// Why a restore ended.
#[derive(Debug, thiserror::Error)]
enum RestoreError {
    #[error(transparent)]
    Backup(#[from] ChainError),
    #[error(transparent)]
    Asked(#[from] AskError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{mailbox:?} of {account}: {error}")]
    Mailbox {
        account: String,
        mailbox: String,
        error: AskError,
    },
}

impl Restore<'_> {
    fn failed(&mut self, mailbox: &str, why: &str) {
        self.sums.failed += 1;
        let account = &self.account;
        complain(format_args!("imsrestore: {account}, {mailbox}: {why}"));
    }

    /// Sends what is waiting: whole messages of the current mailbox.
    fn send(&mut self) -> Result<(), RestoreError> {
        let records = std::mem::take(&mut self.sending);
        self.waiting = 0;
        let current = self.current.and_then(|id| self.targets.get(&id));
        let Some(target) = current.filter(|_| !records.is_empty()) else {
            return Ok(());
        };
        let question = json!({
            "ask": "put-messages",
            "mailbox": target.id,
            "new": target.is_new,
            "sameuids": target.same_uids,
            "bytes": records.len(),
        });
        let name = target.name.name.clone();
        let asked = self.connection.ask_line(&question, &records);
        let line = asked.map_err(|error| RestoreError::Mailbox {
            account: self.account.clone(),
            mailbox: name.clone(),
            error,
        })?;
        let number = |name: &str| line[name].as_u64().unwrap_or(0);
        if let Some(target) = self.current.and_then(|id| self.targets.get_mut(&id)) {
            target.added += number("added");
            target.present += number("present");
        }
        for refused in line["refused"].as_array().into_iter().flatten() {
            let why = refused[1].as_str().unwrap_or_default();
            self.failed(&name, &format!("UID {}: {why}", refused[0]));
        }
        if number("withoutkeywords") > 0 {
            let count = number("withoutkeywords");
            let why = format!("{count} messages lack keywords: see store.maxkeywords");
            self.failed(&name, &why);
        }
        Ok(())
    }

    /// Where a mailbox goes; asks for it the first time.
    fn target(&mut self, name: &NameRecord, mailbox: &MailboxRecord) -> Result<(), RestoreError> {
        if self.targets.contains_key(&mailbox.id) {
            return Ok(());
        }
        let keywords: Vec<&str> = mailbox.keywords.iter().map(|it| &**it).collect();
        let line = self.connection.ask_line(
            &json!({
                "ask": "put-mailbox",
                "account": self.account,
                "name": name.name,
                "uidvalidity": mailbox.uid_validity.0,
                "keywords": keywords,
            }),
            &[],
        )?;
        let target = Target {
            name: name.clone(),
            mailbox: mailbox.clone(),
            id: line["mailbox"].as_u64().unwrap_or(0),
            is_new: line["new"].as_bool().unwrap_or(false),
            same_uids: line["uidvalidity"].as_u64() == Some(mailbox.uid_validity.0.into()),
            added: 0,
            present: 0,
        };
        self.targets.insert(mailbox.id, target);
        Ok(())
    }

    /// Gives a mailbox its name. False if it can't have it any more.
    fn place(&mut self, target: &Target) -> Result<bool, RestoreError> {
        let mailbox = &target.mailbox;
        let more = if self.arguments.after_loss {
            AFTER_LOSS
        } else {
            0
        };
        let acl: Vec<Value> = mailbox
            .acl
            .iter()
            .map(|it| json!([it.account, it.negative, it.rights.bits()]))
            .collect();
        let line = self.connection.ask_line(
            &json!({
                "ask": "put-place",
                "mailbox": target.id,
                "uidnext": mailbox.uid_next.0.saturating_add(more),
                "modseq": mailbox.modseq.0 + u64::from(more),
                "recentfrom": mailbox.recent_from.0,
                "aclat": mailbox.acl_at.0,
                "acl": acl,
            }),
            &[],
        )?;
        let is_placed = line["placed"].as_bool().unwrap_or(false);
        if !is_placed {
            let question = json!({ "ask": "put-abandon", "mailbox": target.id });
            self.connection.ask_line(&question, &[])?;
            let why = "mail came while it was being restored, and none of it is: restore it \
                       again, and what is missing is added";
            self.failed(&target.name.name, why);
        }
        Ok(is_placed)
    }

    fn put_name(&mut self, name: &NameRecord) -> Result<(), RestoreError> {
        let special_use = name.special_use.map(|it| format!("\\{it:?}"));
        let question = json!({
            "ask": "put-name",
            "account": self.account,
            "name": name.name,
            "exists": name.exists,
            "subscribed": name.subscribed,
            "use": special_use,
        });
        self.connection.ask_line(&question, &[])?;
        Ok(())
    }

    fn told(&mut self, target: &Target) -> Result<(), RestoreError> {
        let name = &target.name.name;
        if self.arguments.json {
            let line = json!({
                "account": self.account,
                "mailbox": name,
                "kept": target.is_new,
                "added": target.added,
                "present": target.present,
            });
            writeln!(self.out, "{line}")?;
        } else if !target.is_new && target.added > 0 {
            writeln!(
                self.out,
                "{}, {name}: it was there; {} added with new UIDs, {} there already",
                self.account,
                report::count(target.added, "message"),
                target.present
            )?;
        }
        Ok(())
    }

    fn finish(self) -> Result<u8, Box<dyn Error>> {
        let sums = &self.sums;
        if self.arguments.json {
            let line = json!({
                "users": sums.users,
                "kept": sums.kept,
                "addedto": sums.added_to,
                "added": sums.added,
                "present": sums.present,
                "failed": sums.failed,
            });
            writeln!(self.out, "{line}")?;
        } else {
            writeln!(
                self.out,
                "{}: {} as they were, {} to which what was missing was added; {} restored, {} \
                 there already",
                report::count(sums.users, "user"),
                report::count(sums.kept, "mailbox"),
                report::count(sums.added_to, "mailbox"),
                report::count(sums.added, "message"),
                sums.present,
            )?;
        }
        if sums.users == 0 {
            complain("imsrestore: the backup has nobody of that name");
        }
        Ok(match sums.users == 0 || sums.failed > 0 {
            true => FAILED,
            false => DONE,
        })
    }
}

impl Sink for Restore<'_> {
    type Error = RestoreError;

    fn user(&mut self, user: &UserRecord) -> Result<bool, RestoreError> {
        if self.wanted.as_ref().is_some_and(|it| *it != user.account) {
            return Ok(false);
        }
        self.account = self.to.clone().unwrap_or_else(|| user.account.clone());
        let question = json!({ "ask": "put-user", "account": self.account });
        let line = self.connection.ask_line(&question, &[])?;
        if line["logsin"] == json!(false) {
            let account = &self.account;
            complain(format_args!(
                "imsrestore: no user of config/users has the account {account}: nobody can read \
                 its mail until one has"
            ));
        }
        self.sums.users += 1;
        Ok(true)
    }

    fn name(&mut self, name: &NameRecord) -> Result<bool, RestoreError> {
        self.send()?;
        self.current = None;
        let wanted = self.arguments.mailbox.as_ref();
        if wanted.is_some_and(|wanted| *wanted != name.name) {
            return Ok(false);
        }
        let Some(mailbox) = &name.mailbox else {
            self.put_name(name)?;
            return Ok(false);
        };
        self.target(name, mailbox)?;
        self.current = Some(mailbox.id);
        Ok(true)
    }

    fn message(&mut self, message: MessageRecord) -> Result<(), RestoreError> {
        if self.sending.len() >= SENT_BYTES || self.waiting >= SENT_MESSAGES {
            self.send()?;
        }
        self.waiting += 1;
        append_record(&Record::Message(message), &mut self.sending);
        Ok(())
    }

    fn piece(&mut self, bytes: Bytes) -> Result<(), RestoreError> {
        append_record(&Record::Piece(bytes), &mut self.sending);
        Ok(())
    }

    fn end_user(&mut self) -> Result<(), RestoreError> {
        self.send()?;
        self.current = None;
        let mut targets: Vec<Target> = std::mem::take(&mut self.targets).into_values().collect();
        // Those above others first.
        targets.sort_by(|a, b| a.name.name.cmp(&b.name.name));
        for target in targets {
            if target.is_new && !self.place(&target)? {
                continue;
            }
            self.put_name(&target.name)?;
            self.told(&target)?;
            match target.is_new {
                true => self.sums.kept += 1,
                false => self.sums.added_to += 1,
            }
            self.sums.added += target.added;
            self.sums.present += target.present;
        }
        Ok(())
    }
}
