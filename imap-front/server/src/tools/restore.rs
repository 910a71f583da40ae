//! `imsrestore`: what backups hold, into the store.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::Write;

use admin::Base;
use admin::command::{DONE, FAILED, complain};
use admin::tools::ask::AskError;
use archive::backup::besides::EntryRecord;
use archive::backup::chain::{Besides, Chain, ChainError, Sink, Verified, verify};
use archive::backup::record::{
    MailboxRecord, MessageRecord, NameRecord, Record, Scope, UserRecord,
};
use bytes::Bytes;
use mail::MailboxName;
use serde_json::{Value, json};

use super::{Connection, account, append_record, known_account, report};
use crate::arguments::imsrestore::Arguments;

/// Bytes of messages that are sent at a time, if one alone is not larger, and how many messages.
const SENT_BYTES: usize = 1 << 20;
const SENT_MESSAGES: usize = 512;
/// What UIDNEXT and HIGHESTMODSEQ are raised by if mail came after the backup: clients have seen
/// UIDs and mod-sequences that it doesn't know.
const RAISED_BY: u32 = 1 << 20;

/// Checks backups, and restores what they hold.
///
/// # Errors
/// If a backup is damaged, or the store can't be written.
pub fn run(base: &Base, arguments: &Arguments, out: &mut dyn Write) -> Result<u8, Box<dyn Error>> {
    let chain = Chain::new(&arguments.files)?;
    // All of it before anything of it is restored.
    for path in &arguments.files {
        let Verified { header, totals } = verify(path)?;
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
    let (wanted, to) = (wanted.transpose()?, to.transpose()?);
    let mut connection = Connection::open(base)?;
    let line = connection.ask_line(&json!({ "ask": "identity" }), &[])?;
    let identity = u128::from_str_radix(line["identity"].as_str().unwrap_or_default(), 16);
    let is_same = identity == Ok(chain.header().store);
    let mut restore = Restore {
        wanted,
        to,
        mailbox: arguments.mailbox.as_deref().map(MailboxName::new),
        connection,
        arguments,
        raised_by: if is_same || arguments.after_loss {
            RAISED_BY
        } else {
            0
        },
        out,
        account: String::new(),
        was: String::new(),
        targets: BTreeMap::new(),
        refused: BTreeSet::new(),
        current: None,
        sending: vec![],
        waiting: 0,
        sums: Sums::default(),
    };
    if is_same && !arguments.after_loss && !arguments.json {
        writeln!(
            restore.out,
            "This is the store that was backed up, and mail may have come since: UIDNEXT and \
             HIGHESTMODSEQ of each mailbox that is made again go up by {RAISED_BY}."
        )?;
    }
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
    /// Messages, mailboxes and users that were refused.
    failed: u64,
    /// Mailboxes of the name that is meant.
    named: u64,
}

struct Restore<'a> {
    connection: Connection,
    arguments: &'a Arguments,
    /// What UIDNEXT and HIGHESTMODSEQ of mailboxes that are made go up by.
    raised_by: u32,
    out: &'a mut dyn Write,
    wanted: Option<String>,
    to: Option<String>,
    /// Only mailboxes of that name.
    mailbox: Option<MailboxName>,
    /// The account whose turn it is, in the store, and in the backup.
    account: String,
    was: String,
    /// By their numbers in the backup.
    targets: BTreeMap<u64, Target>,
    /// Mailboxes of the backup that could not be restored.
    refused: BTreeSet<u64>,
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
}

impl Restore<'_> {
    /// Asks; what is refused is named, and the rest goes on.
    fn ask(
        &mut self,
        mailbox: &str,
        question: &Value,
        records: &[u8],
    ) -> Result<Option<Value>, RestoreError> {
        match self.connection.ask_line(question, records) {
            Ok(line) => Ok(Some(line)),
            Err(AskError::Refused(why)) => {
                self.failed(mailbox, &why);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A mailbox can't be restored: one that was to be made is not.
    fn give_up(&mut self, mailbox: u64) -> Result<(), RestoreError> {
        self.refused.insert(mailbox);
        self.current = None;
        let Some(target) = self.targets.remove(&mailbox).filter(|target| target.is_new) else {
            return Ok(());
        };
        let question = json!({ "ask": "put-abandon", "mailbox": target.id });
        match self.connection.ask_line(&question, &[]) {
            // It may be gone already.
            Ok(_) | Err(AskError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn failed(&mut self, mailbox: &str, why: &str) {
        self.sums.failed += 1;
        let account = &self.account;
        complain(format_args!("imsrestore: {account}, {mailbox}: {why}"));
    }

    /// Sends what is waiting: whole messages of the current mailbox.
    fn send(&mut self) -> Result<(), RestoreError> {
        let records = std::mem::take(&mut self.sending);
        self.waiting = 0;
        let Some(mailbox) = self.current.filter(|_| !records.is_empty()) else {
            return Ok(());
        };
        let Some(target) = self.targets.get(&mailbox) else {
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
        let Some(line) = self.ask(&name, &question, &records)? else {
            // What is refused of one message is in the answer: this is the mailbox, or the store.
            return self.give_up(mailbox);
        };
        let number = |name: &str| line[name].as_u64().unwrap_or(0);
        if let Some(target) = self.targets.get_mut(&mailbox) {
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

    /// Finds out where a mailbox goes, the first time. False if it can't be restored.
    fn target(
        &mut self,
        name: &NameRecord,
        mailbox: &MailboxRecord,
        entries: &[EntryRecord],
    ) -> Result<bool, RestoreError> {
        if self.targets.contains_key(&mailbox.id) {
            return Ok(true);
        }
        if self.refused.contains(&mailbox.id) {
            return Ok(false);
        }
        let keywords: Vec<&str> = mailbox.keywords.iter().map(|it| &**it).collect();
        let question = json!({
            "ask": "put-mailbox",
            "account": self.account,
            "name": name.name,
            "uidvalidity": mailbox.uid_validity.0,
            "uidnext": mailbox.uid_next.0.saturating_add(self.raised_by),
            "keywords": keywords,
            "object": Some(mailbox.object).filter(|it| *it != 0),
        });
        let Some(line) = self.ask(&name.name, &question, &[])? else {
            self.refused.insert(mailbox.id);
            return Ok(false);
        };
        let target = Target {
            name: name.clone(),
            mailbox: mailbox.clone(),
            id: line["mailbox"].as_u64().unwrap_or(0),
            is_new: line["new"].as_bool().unwrap_or(false),
            same_uids: line["uidvalidity"].as_u64() == Some(mailbox.uid_validity.0.into()),
            added: 0,
            present: 0,
        };
        let made = target.is_new.then_some(target.id);
        self.targets.insert(mailbox.id, target);
        if made.is_some() && !self.put_entries(&name.name, made, entries)? {
            self.give_up(mailbox.id)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Puts metadata of a mailbox that is being made, or of the server. False if it is refused.
    fn put_entries(
        &mut self,
        name: &str,
        mailbox: Option<u64>,
        entries: &[EntryRecord],
    ) -> Result<bool, RestoreError> {
        let (mut rest, mut is_put) = (entries, true);
        while !rest.is_empty() {
            let mut records = vec![];
            while let Some((entry, after)) = rest.split_first()
                && records.len() < SENT_BYTES
            {
                let mut entry = entry.clone();
                // What was private to whose mail it was is private to who gets it.
                if entry.account.as_ref() == Some(&self.was) {
                    entry.account = Some(self.account.clone());
                }
                append_record(&Record::Entry(entry), &mut records);
                rest = after;
            }
            let question = json!({
                "ask": "put-entries",
                "mailbox": mailbox,
                "bytes": records.len(),
            });
            is_put &= self.ask(name, &question, &records)?.is_some();
        }
        Ok(is_put)
    }

    /// Gives a mailbox its name. False if it can't have it any more.
    fn place(&mut self, target: &Target) -> Result<bool, RestoreError> {
        let mailbox = &target.mailbox;
        let more = self.raised_by;
        let acl: Vec<Value> = mailbox
            .acl
            .iter()
            .map(|it| json!([it.account, it.negative, it.rights.bits()]))
            .collect();
        let question = json!({
            "ask": "put-place",
            "mailbox": target.id,
            "uidnext": mailbox.uid_next.0.saturating_add(more),
            "modseq": mailbox.modseq.0.saturating_add(more.into()),
            "recentfrom": mailbox.recent_from.0,
            "aclat": mailbox.acl_at.0,
            "acl": acl,
        });
        let name = &target.name.name;
        let is_placed = match self.ask(name, &question, &[])? {
            Some(line) if line["placed"] == json!(true) => true,
            Some(_) => {
                let why = "mail came while it was being restored, and none of it is: restore it \
                           again, and what is missing is added";
                self.failed(name, why);
                false
            }
            None => false,
        };
        if !is_placed {
            let question = json!({ "ask": "put-abandon", "mailbox": target.id });
            self.ask(name, &question, &[])?;
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
        self.ask(&name.name, &question, &[])?;
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
                "raisedby": self.raised_by,
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
        let lacks_mailbox = sums.users > 0 && self.mailbox.is_some() && sums.named == 0;
        if lacks_mailbox {
            complain("imsrestore: the backup has no mailbox of that name");
        }
        Ok(match sums.users == 0 || sums.failed > 0 || lacks_mailbox {
            true => FAILED,
            false => DONE,
        })
    }
}

impl Sink for Restore<'_> {
    type Error = RestoreError;

    fn server(&mut self, entries: &[EntryRecord]) -> Result<(), RestoreError> {
        match &self.wanted {
            Some(_) => Ok(()),
            None => self.put_entries("the server", None, entries).map(drop),
        }
    }

    fn user(&mut self, user: &UserRecord, besides: &Besides) -> Result<bool, RestoreError> {
        if self.wanted.as_ref().is_some_and(|it| *it != user.account) {
            return Ok(false);
        }
        self.account = self.to.clone().unwrap_or_else(|| user.account.clone());
        self.was.clone_from(&user.account);
        let mut question = json!({ "ask": "put-user", "account": self.account });
        // Somebody else, or who gets one mailbox, has their own limits.
        let is_whole = self.to.is_none() && self.mailbox.is_none();
        if let Some(limits) = besides.limits.filter(|_| is_whole) {
            let ([bytes, messages, mailboxes], [told, also]) = (limits.limits, limits.instead_of);
            question["limits"] = json!([bytes, messages, mailboxes, told, also]);
        }
        let Some(line) = self.ask("all mailboxes", &question, &[])? else {
            return Ok(false);
        };
        if line["logsin"] == json!(false) {
            let account = &self.account;
            complain(format_args!(
                "imsrestore: no user of config/users has the account {account}: nobody can read \
                 its mail until one has"
            ));
        }
        self.sums.users += 1;
        if is_whole {
            self.put_entries("the server", None, &besides.entries)?;
        }
        Ok(true)
    }

    fn name(&mut self, name: &NameRecord, entries: &[EntryRecord]) -> Result<bool, RestoreError> {
        self.send()?;
        self.current = None;
        let is_meant = |wanted: &MailboxName| *wanted == MailboxName::new(&name.name);
        if !self.mailbox.as_ref().is_none_or(is_meant) {
            return Ok(false);
        }
        self.sums.named += 1;
        let Some(mailbox) = &name.mailbox else {
            self.put_name(name)?;
            return Ok(false);
        };
        let is_wanted = self.target(name, mailbox, entries)?;
        self.current = Some(mailbox.id).filter(|_| is_wanted);
        Ok(is_wanted)
    }

    fn message(&mut self, message: MessageRecord) -> Result<(), RestoreError> {
        if self.sending.len() >= SENT_BYTES || self.waiting >= SENT_MESSAGES {
            self.send()?;
        }
        if self.current.is_none() {
            return Ok(());
        }
        self.waiting += 1;
        if message.body != 0 {
            append_record(&Record::Body(message.body), &mut self.sending);
        }
        append_record(&Record::Message(message), &mut self.sending);
        Ok(())
    }

    fn piece(&mut self, bytes: Bytes) -> Result<(), RestoreError> {
        if self.current.is_none() {
            return Ok(());
        }
        append_record(&Record::Piece(bytes), &mut self.sending);
        Ok(())
    }

    fn end_user(&mut self) -> Result<(), RestoreError> {
        self.send()?;
        self.current = None;
        self.refused.clear();
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
