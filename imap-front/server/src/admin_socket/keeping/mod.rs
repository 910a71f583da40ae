//! Backups, restores and imports: what tools read of the store and put into it, whether a server
//! runs or the tool itself has opened the store.
//!
//! What is more than figures goes as records of [`archive::backup::record`]: a line
//! `{"follow": N}`, and then N bytes, in which each record has its length (32 bits, little-endian)
//! and its kind before it.

mod asked;
mod expiring;
mod filling;
mod freezing;
mod presence;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use admin::Users;
use archive::backup::record::{RECORD_BYTES_MAX, Record};
use bytes::Bytes;
use crossbeam_channel::bounded;
use mail::{MailboxId, Refusal, Reply, Request, UserId};
use serde_json::json;
use store::Store;
use store::frozen::Frozen;
use store::put::{Put, PutDone};

use super::{Failed, Tool};
pub(super) use asked::Question;
use presence::Presence;

/// How often the store is asked again while its queue is full, and how often at most.
const AGAIN: Duration = Duration::from_millis(10);
const AGAIN_MAX: usize = 3000;
/// Bytes before a record: its length and its kind.
const START_BYTES: usize = 5;
/// Bytes of records that are sent at a time.
const SENT_BYTES: usize = 256 << 10;

/// What backups, restores and imports need.
pub struct Keeper {
    /// The store.
    pub store: Store,
    /// The user directory.
    pub users: Arc<Users>,
    /// The longest message, in bytes.
    pub message_bytes_max: u64,
}

/// What is kept for a tool between its questions.
#[derive(Default)]
pub(super) struct Held {
    frozen: Option<Frozen>,
    /// Mailboxes that were made and have no name yet.
    filling: Vec<MailboxId>,
    /// What there is in the mailbox that was added to last.
    presence: Option<Presence>,
}

impl Held {
    /// The tool has left: mailboxes that it has not finished are removed.
    pub fn end(&mut self, store: &Store) {
        for mailbox in self.filling.drain(..) {
            // If the store takes nothing they are removed when it is opened again.
            let _ = store.put(Put::Abandon(mailbox), Box::new(|_| {}));
        }
    }
}

impl Keeper {
    /// Answers; gives how many things were told or done.
    pub(super) fn answer(&self, question: Question, tool: &mut Tool) -> Result<u64, Failed> {
        tool.be_patient()?;
        match question {
            Question::Freeze(freeze) => self.freeze(freeze, tool),
            Question::Server => freezing::server(tool),
            Question::Identity => self.identity(tool),
            Question::User { account, after } => freezing::user(tool, account.as_deref(), after),
            Question::Usage { after } => self.usage(tool, after),
            Question::Messages { mailbox, since } => freezing::messages(tool, mailbox, since),
            Question::PutUser { account, limits } => self.put_user(&account, limits, tool),
            Question::PutEntries { mailbox, bytes } => self.put_entries(mailbox, bytes, tool),
            Question::PutMailbox(new) => self.put_mailbox(*new, tool),
            Question::PutMessages(some) => self.put_messages(some, tool),
            Question::PutHave(have) => self.put_have(&have, tool),
            Question::PutPlace(placing) => self.put_place(*placing, tool),
            Question::PutAbandon { mailbox } => self.put_abandon(mailbox, tool),
            Question::Expire(expire) => self.expire(&expire, tool),
            Question::PutName(name) => self.put_name(*name),
        }
    }

    /// The store's user of an account, made if there is none.
    fn user(&self, account: &str) -> Result<UserId, Failed> {
        if let Some(user) = self.store.user(account)? {
            return Ok(user);
        }
        let (sender, reply) = bounded(1);
        let completion = Box::new(move |reply| drop(sender.try_send(reply)));
        let given = self.store.ensure_user(account, completion);
        given.map_err(|_| Failed("the store takes nothing at the moment".into()))?;
        match reply.recv()? {
            Reply::Authenticated(user) => Ok(user),
            Reply::Refused(refusal) => Err(Failed(refusal.to_string())),
            other => Err(Failed(format!("another answer than expected: {other:?}"))),
        }
    }

    /// Has the store's writer put something; the answer comes later.
    fn begin_put(&self, put: Put) -> Result<Waiting, Failed> {
        let mut put = put;
        for _ in 0..AGAIN_MAX {
            let (sender, done) = bounded(1);
            let told = Box::new(move |outcome| drop(sender.try_send(outcome)));
            match self.store.put(put, told) {
                Ok(()) => return Ok(Waiting(done)),
                Err(back) => put = back,
            }
            if self.store.is_closed() {
                break;
            }
            std::thread::park_timeout(AGAIN);
        }
        Err(Failed("the store takes nothing at the moment".into()))
    }

    /// The same, and waits for it.
    fn put(&self, put: Put) -> Result<PutDone, Failed> {
        self.begin_put(put)?.wait()
    }

    /// Has the store's writer do something, and waits for it.
    fn write(&self, request: Request) -> Result<Reply, Failed> {
        let mut request = request;
        for _ in 0..AGAIN_MAX {
            let (sender, reply) = bounded(1);
            let completion = Box::new(move |reply| drop(sender.try_send(reply)));
            match self.store.write(request, completion) {
                Ok(()) => return Ok(reply.recv()?),
                Err((back, _)) => request = back,
            }
            if self.store.is_closed() {
                break;
            }
            std::thread::park_timeout(AGAIN);
        }
        Err(Failed("the store takes nothing at the moment".into()))
    }
}

/// Something that the writer has been given.
struct Waiting(crossbeam_channel::Receiver<Result<PutDone, Refusal>>);

impl Waiting {
    fn wait(self) -> Result<PutDone, Failed> {
        self.outcome()?
            .map_err(|refusal| Failed(refusal.to_string()))
    }

    /// What the writer has to say; an error if there is none any more.
    fn outcome(self) -> Result<Result<PutDone, Refusal>, Failed> {
        Ok(self.0.recv()?)
    }
}

/// Records on their way to a tool.
#[derive(Default)]
struct Sending(Vec<u8>);

impl Sending {
    fn add(&mut self, record: &Record, tool: &mut Tool) -> io::Result<()> {
        let payload = record.encode();
        self.0
            .extend_from_slice(&(payload.len() as u32).to_le_bytes());
        self.0.push(record.kind());
        self.0.extend_from_slice(&payload);
        match self.0.len() < SENT_BYTES {
            true => Ok(()),
            false => self.send(tool),
        }
    }

    fn send(&mut self, tool: &mut Tool) -> io::Result<()> {
        if !self.0.is_empty() {
            tool.say(&json!({ "follow": self.0.len() }))?;
            tool.output.write_all(&self.0)?;
            self.0.clear();
        }
        Ok(())
    }
}

/// The next of some records that a tool sends, of which so many bytes are left to be read.
pub(super) fn receive(tool: &mut Tool, left: &mut u64) -> Result<Record, Failed> {
    let short = || Failed("the records don't end where they should".into());
    let mut start = [0; START_BYTES];
    if *left < START_BYTES as u64 {
        return Err(short());
    }
    tool.input.read_exact(&mut start)?;
    *left -= START_BYTES as u64;
    let length = u32::from_le_bytes([start[0], start[1], start[2], start[3]]);
    if u64::from(length) > *left {
        return Err(short());
    }
    if length as usize > RECORD_BYTES_MAX {
        return Err(Failed("a record is longer than any may be".into()));
    }
    let mut payload = vec![0; length as usize];
    tool.input.read_exact(&mut payload)?;
    *left -= u64::from(length);
    Ok(Record::decode(start[4], Bytes::from(payload))?)
}
