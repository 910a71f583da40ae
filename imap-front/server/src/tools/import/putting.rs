//! A mailbox of elsewhere, put into the store.

use std::ops::RangeInclusive;
use std::sync::Arc;

use admin::tools::ask::AskError;
use archive::backup::record::{MessageRecord, PIECE_BYTES_MAX, Record};
use archive::elsewhere::Message;
use archive::elsewhere::names::creatable;
use bytes::Bytes;
use mail::sort::keys;
use mail::{InternalDate, ModSeq, Uid, UidValidity};
use serde_json::json;

use super::super::{Connection, append_record};
use super::{ImportError, Sums};

/// Bytes of messages that are sent at a time, if one alone is not larger, and how many messages.
const SENT_BYTES: usize = 1 << 20;
const SENT_MESSAGES: usize = 512;
/// Bytes of a message in which its header is looked for.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// Times that INTERNALDATE can tell: its years have four digits.
const TIMES: RangeInclusive<i64> = -62_135_596_800..=253_402_214_399;

/// What a mailbox is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Theirs {
    pub name: String,
    pub uid_validity: Option<UidValidity>,
    pub uid_next: Uid,
    pub keywords: Vec<Arc<str>>,
}

/// A mailbox that is being filled.
pub(super) struct Putting<'a> {
    connection: &'a mut Connection,
    account: String,
    name: String,
    id: u64,
    pub is_new: bool,
    /// UIDs mean the same in the mailbox that is there.
    pub same_uids: bool,
    uid_next: Uid,
    sending: Vec<u8>,
    waiting: usize,
    is_abandoned: bool,
    pub sums: Sums,
    /// What went wrong with some messages.
    pub complaints: Vec<String>,
}

impl<'a> Putting<'a> {
    /// Makes the mailbox, or takes the one that is there.
    pub fn begin(
        connection: &'a mut Connection,
        account: &str,
        theirs: &Theirs,
    ) -> Result<Self, ImportError> {
        let name = creatable(&theirs.name).as_str().to_owned();
        let keywords: Vec<&str> = theirs.keywords.iter().map(|it| &**it).collect();
        let line = connection.ask_line(
            &json!({
                "ask": "put-mailbox",
                "account": account,
                "name": name,
                "uidvalidity": theirs.uid_validity.map(|it| it.0),
                "keywords": keywords,
            }),
            &[],
        )?;
        let there = line["uidvalidity"].as_u64();
        Ok(Self {
            connection,
            account: account.to_owned(),
            name,
            id: line["mailbox"].as_u64().unwrap_or(0),
            is_new: line["new"].as_bool().unwrap_or(false),
            same_uids: there.is_some() && there == theirs.uid_validity.map(|it| u64::from(it.0)),
            uid_next: theirs.uid_next,
            sending: vec![],
            waiting: 0,
            is_abandoned: false,
            sums: Sums::default(),
            complaints: vec![],
        })
    }

    /// Which of some messages are not there, told by their UIDs, sizes and Message-IDs.
    pub fn missing(
        &mut self,
        messages: &[(Uid, u64, Option<String>)],
    ) -> Result<Vec<Uid>, ImportError> {
        let list: Vec<_> = messages
            .iter()
            .map(|(uid, size, id)| json!([uid.0, size, id]))
            .collect();
        let question = json!({
            "ask": "put-have",
            "mailbox": self.id,
            "sameuids": self.same_uids,
            "list": list,
        });
        let line = self.connection.ask_line(&question, &[])?;
        let missing = line["missing"].as_array().into_iter().flatten();
        let uid = |value: &serde_json::Value| {
            let uid = value.as_u64().and_then(|uid| u32::try_from(uid).ok());
            uid.map(Uid)
        };
        let missing: Vec<Uid> = missing.filter_map(uid).collect();
        self.sums.present += (messages.len() - missing.len()) as u64;
        Ok(missing)
    }

    /// Puts a message.
    pub fn message(&mut self, message: Message) -> Result<(), ImportError> {
        if self.sending.len() >= SENT_BYTES || self.waiting >= SENT_MESSAGES {
            self.send()?;
        }
        self.waiting += 1;
        let date = message.date.unwrap_or_else(|| sent(&message.bytes));
        let date = InternalDate {
            unix_s: date.unix_s.clamp(*TIMES.start(), *TIMES.end()),
            ..date
        };
        let bytes = Bytes::from(message.bytes);
        let first = bytes.slice(..bytes.len().min(PIECE_BYTES_MAX));
        let mut at = first.len();
        let record = MessageRecord {
            uid: message.uid.unwrap_or_default(),
            modseq: ModSeq(0),
            created: ModSeq(0),
            flags: message.flags,
            date,
            saved_s: 0,
            submitter: None,
            size: bytes.len() as u64,
            first,
            body: 0,
        };
        append_record(&Record::Message(record), &mut self.sending);
        while at < bytes.len() {
            let end = (at + PIECE_BYTES_MAX).min(bytes.len());
            append_record(&Record::Piece(bytes.slice(at..end)), &mut self.sending);
            at = end;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), ImportError> {
        let records = std::mem::take(&mut self.sending);
        self.waiting = 0;
        if records.is_empty() {
            return Ok(());
        }
        let question = json!({
            "ask": "put-messages",
            "mailbox": self.id,
            "new": self.is_new,
            "sameuids": self.same_uids,
            "bytes": records.len(),
        });
        let line = self.connection.ask_line(&question, &records)?;
        let number = |name: &str| line[name].as_u64().unwrap_or(0);
        self.sums.added += number("added");
        self.sums.present += number("present");
        if number("withoutkeywords") > 0 {
            let count = number("withoutkeywords");
            let what = format!("{count} messages lack keywords: see store.maxkeywords");
            self.complaints.push(what);
        }
        for refused in line["refused"].as_array().into_iter().flatten() {
            let why = refused[1].as_str().unwrap_or_default();
            let what = match refused[0].as_u64() {
                Some(0) | None => format!("a message: {why}"),
                Some(uid) => format!("UID {uid}: {why}"),
            };
            self.failed(1, what);
        }
        Ok(())
    }

    /// Something was not imported.
    pub fn failed(&mut self, messages: u64, what: String) {
        self.sums.failed += messages;
        self.complaints.push(what);
    }

    /// Puts what waits, and gives the mailbox its name if it has none yet; or takes it back, if it
    /// was not filled. An error is one that ends all.
    pub fn finish(
        mut self,
        filled: Result<(), ImportError>,
        is_subscribed: bool,
        special_use: Option<&str>,
    ) -> Result<Done, ImportError> {
        let filled = filled.and_then(|()| self.send());
        let done = filled.and_then(|()| self.place(is_subscribed, special_use));
        if let Err(error) = done {
            if error.ends_all() {
                return Err(error);
            }
            if self.is_new {
                self.abandon()?;
            }
            self.failed(1, error.to_string());
        }
        Ok(Done {
            name: self.name,
            kept: self.is_new && !self.is_abandoned,
            sums: self.sums,
            complaints: self.complaints,
        })
    }

    /// None of a mailbox that had no name yet is imported.
    fn abandon(&mut self) -> Result<(), ImportError> {
        self.is_abandoned = true;
        self.sums.failed += std::mem::take(&mut self.sums.added);
        let question = json!({ "ask": "put-abandon", "mailbox": self.id });
        match self.connection.ask_line(&question, &[]) {
            // It is gone already.
            Ok(_) | Err(AskError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn place(&mut self, is_subscribed: bool, special_use: Option<&str>) -> Result<(), ImportError> {
        if self.is_new {
            let question = json!({
                "ask": "put-place",
                "mailbox": self.id,
                "uidnext": self.uid_next.0,
                "modseq": 1,
                "recentfrom": u32::MAX,
            });
            let line = self.connection.ask_line(&question, &[])?;
            if line["placed"] != json!(true) {
                self.abandon()?;
                let what = "mail came while it was being imported, and none of it is: import it \
                            again, and what is missing is added";
                self.complaints.push(what.into());
            }
        }
        let question = json!({
            "ask": "put-name",
            "account": self.account,
            "name": self.name,
            "exists": true,
            "subscribed": is_subscribed,
            "use": special_use,
        });
        self.connection.ask_line(&question, &[])?;
        Ok(())
    }
}

/// What became of a mailbox.
#[derive(Default)]
pub(super) struct Done {
    /// What it is called here.
    pub name: String,
    /// It has the UIDs that it has elsewhere.
    pub kept: bool,
    pub sums: Sums,
    pub complaints: Vec<String>,
}

impl Done {
    /// Nothing of a mailbox, as it could not be begun; an error is one that ends all.
    pub fn or_not(name: &str, done: Result<Self, ImportError>) -> Result<Self, ImportError> {
        match done {
            Err(error) if !error.ends_all() => Ok(Self {
                name: name.to_owned(),
                sums: Sums {
                    failed: 1,
                    ..Sums::default()
                },
                complaints: vec![error.to_string()],
                ..Self::default()
            }),
            done => done,
        }
    }
}

/// When a message says that it was sent.
fn sent(message: &[u8]) -> InternalDate {
    let header = &message[..message.len().min(HEADER_BYTES_MAX)];
    let row = keys::of_header(header);
    InternalDate {
        unix_s: keys::SortKeys::read(&row)
            .and_then(|it| it.sent_s)
            .unwrap_or(0),
        zone_min: 0,
    }
}
