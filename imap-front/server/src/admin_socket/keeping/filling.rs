//! What restores and imports put into the store.

use bytes::Bytes;
use mail::metadata::{Entry, EntryName};
use mail::{Body, MailboxId, MailboxName, Refusal, Reply, Request, SpoolId, Uid};
use serde_json::json;
use store::put::{NewMailbox, Placing, Put, PutDone, PutEntry, PutMessage, PutName, SetLimits};
use xxhash_rust::xxh3::Xxh3Default;

use archive::backup::checks;
use archive::backup::record::{MessageRecord, Record};

use super::super::{Failed, Tool, note_act};
use super::asked::{Have, Mailbox, Messages, Name};
use super::presence::{Presence, checksum};
use super::{Keeper, Waiting, receive};

/// Messages that are put by one operation, and their bytes.
const BATCH_MAX: usize = 128;
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Larger messages are given to the store in pieces.
const INLINE_BYTES_MAX: u64 = 256 << 10;

/// How far some messages have come.
struct Filling<'a> {
    keeper: &'a Keeper,
    of: Messages,
    batch: Vec<PutMessage>,
    batch_bytes: usize,
    /// The batch before, which is being committed.
    before: Option<(Waiting, Vec<PutMessage>)>,
    added: u64,
    present: u64,
    without_keywords: u64,
    /// UIDs, and why they were refused.
    refused: Vec<(Uid, String)>,
}

impl Keeper {
    pub(super) fn put_user(
        &self,
        account: &str,
        limits: Option<SetLimits>,
        tool: &mut Tool,
    ) -> Result<u64, Failed> {
        let is_new = self.store.user(account)?.is_none();
        let name = self.users.name_of(account);
        // Whose mail nobody can read is told of.
        let theirs = self.users.find(&name)?;
        let logs_in = theirs.is_some_and(|user| &*user.account == account);
        let user = self.user(account)?;
        if let Some(limits) = limits {
            self.put(Put::Limits(user, limits))?;
        }
        note_act("put", account, None, tool.uid);
        tool.say(&json!({ "new": is_new, "logsin": logs_in }))?;
        Ok(1)
    }

    pub(super) fn put_mailbox(&self, new: Mailbox, tool: &mut Tool) -> Result<u64, Failed> {
        if !checks::are_keywords(&new.keywords) {
            return Err(Failed("it has keywords that no mailbox may have".into()));
        }
        let new = NewMailbox {
            user: self.user(&new.account)?,
            name: MailboxName::new(&new.name),
            uid_validity: new.uid_validity,
            uid_next: new.uid_next,
            keywords: new.keywords,
            object: new.object,
        };
        match self.put(Put::Begin(Box::new(new)))? {
            PutDone::Begun(mailbox) => {
                tool.held.filling.push(mailbox);
                tool.say(&json!({ "mailbox": mailbox.0, "new": true }))?;
                Ok(1)
            }
            PutDone::InUse(mailbox) => {
                let there = self.store.freeze()?.mailbox(mailbox)?;
                let validity = there.map_or(0, |it| it.uid_validity.0);
                let line = json!({
                    "mailbox": mailbox.0,
                    "new": false,
                    "uidvalidity": validity,
                });
                tool.say(&line)?;
                Ok(1)
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Puts messages. Those that are refused are named, and the others are put.
    pub(super) fn put_messages(&self, of: Messages, tool: &mut Tool) -> Result<u64, Failed> {
        let mut left = of.bytes;
        let done = self.put_some(of, &mut left, tool);
        tool.pass_over(left);
        done
    }

    /// Puts messages, of which so many bytes are left to be read.
    fn put_some(&self, of: Messages, left: &mut u64, tool: &mut Tool) -> Result<u64, Failed> {
        if of.is_new && !tool.held.filling.contains(&of.mailbox) {
            return Err(Failed("no such mailbox is being filled".into()));
        }
        let mut presence = match of.is_new {
            true => None,
            false => Some(self.presence(of.mailbox, tool)?),
        };
        let mut filling = Filling {
            keeper: self,
            of,
            batch: vec![],
            batch_bytes: 0,
            before: None,
            added: 0,
            present: 0,
            without_keywords: 0,
            refused: vec![],
        };
        let mut body = 0;
        while *left > 0 {
            match receive(tool, left)? {
                Record::Body(number) => body = number,
                Record::Message(mut message) => {
                    message.body = std::mem::take(&mut body);
                    filling.message(message, left, presence.as_mut(), tool)?;
                }
                _ => return Err(Failed("only messages may follow".into())),
            }
        }
        filling.flush()?;
        filling.settle()?;
        tool.held.presence = presence;
        let refused: Vec<_> = filling
            .refused
            .iter()
            .map(|(uid, why)| json!([uid.0, why]))
            .collect();
        tool.say(&json!({
            "added": filling.added,
            "present": filling.present,
            "withoutkeywords": filling.without_keywords,
            "refused": refused,
        }))?;
        Ok(filling.added)
    }

    /// Puts metadata of a mailbox that has no name yet, or of the server.
    pub(super) fn put_entries(
        &self,
        mailbox: Option<MailboxId>,
        bytes: u64,
        tool: &mut Tool,
    ) -> Result<u64, Failed> {
        let mut left = bytes;
        let done = self.put_entries_of(mailbox, &mut left, tool);
        tool.pass_over(left);
        done
    }

    fn put_entries_of(
        &self,
        mailbox: Option<MailboxId>,
        left: &mut u64,
        tool: &mut Tool,
    ) -> Result<u64, Failed> {
        let (mut entries, mut count) = (vec![], 0);
        while *left > 0 {
            let Record::Entry(record) = receive(tool, left)? else {
                return Err(Failed("only metadata may follow".into()));
            };
            checks::entry(&record).map_err(|why| Failed(why.into()))?;
            let account = record.account.as_deref();
            entries.push(PutEntry {
                user: account.map(|account| self.user(account)).transpose()?,
                entry: Entry {
                    name: EntryName::new(record.name.as_bytes())
                        .map_err(|why| Failed(why.into()))?,
                    value: Some(record.value),
                },
            });
            count += 1;
            if entries.len() >= BATCH_MAX || *left == 0 {
                self.put(Put::Entries(mailbox, std::mem::take(&mut entries)))?;
            }
        }
        Ok(count)
    }

    /// Tells which messages a mailbox lacks. Those that it has are not asked for again.
    pub(super) fn put_have(&self, have: &Have, tool: &mut Tool) -> Result<u64, Failed> {
        let mut presence = self.presence(have.mailbox, tool)?;
        let mut missing = vec![];
        for (uid, size, id) in &have.list {
            let same = Some(*uid).filter(|_| have.same_uids);
            // Without a Message-ID all bytes have to be compared.
            let is_there = match id {
                Some(id) => presence.take_like(*size, id, same)?,
                None => false,
            };
            if !is_there {
                missing.push(uid.0);
            }
        }
        tool.held.presence = Some(presence);
        tool.say(&json!({ "missing": missing }))?;
        Ok(missing.len() as u64)
    }

    /// What there is in a mailbox, if that is not known already.
    fn presence(&self, mailbox: MailboxId, tool: &mut Tool) -> Result<Presence, Failed> {
        let known = tool.held.presence.take().filter(|it| it.mailbox == mailbox);
        known.map_or_else(|| Presence::of(&self.store, mailbox), Ok)
    }

    pub(super) fn put_place(&self, placing: Placing, tool: &mut Tool) -> Result<u64, Failed> {
        let mailbox = placing.mailbox;
        match self.put(Put::Place(Box::new(placing)))? {
            PutDone::Placed { taken_over } => {
                tool.held.filling.retain(|it| *it != mailbox);
                tool.say(&json!({ "placed": true, "takenover": taken_over }))?;
                Ok(1)
            }
            PutDone::InUse(there) => {
                tool.say(&json!({ "placed": false, "mailbox": there.0 }))?;
                Ok(0)
            }
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn put_abandon(&self, mailbox: MailboxId, tool: &mut Tool) -> Result<u64, Failed> {
        tool.held.filling.retain(|it| *it != mailbox);
        self.put(Put::Abandon(mailbox)).map(|_| 1)
    }

    pub(super) fn put_name(&self, name: Name) -> Result<u64, Failed> {
        let name = PutName {
            user: self.user(&name.account)?,
            name: MailboxName::new(&name.name),
            exists: name.exists,
            subscribed: name.subscribed,
            special_use: name.special_use,
        };
        self.put(Put::Name(Box::new(name))).map(|_| 1)
    }
}

/// Whether a refusal is of the store or the mailbox, and not of one message.
fn ends_all(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::DiskFull | Refusal::Unavailable(_) | Refusal::NoMailbox
    )
}

fn unexpected(done: &PutDone) -> Failed {
    Failed(format!(
        "the store gave another answer than expected: {done:?}"
    ))
}

impl Filling<'_> {
    /// Takes a message, and its bytes that follow.
    fn message(
        &mut self,
        message: MessageRecord,
        left: &mut u64,
        presence: Option<&mut Presence>,
        tool: &mut Tool,
    ) -> Result<(), Failed> {
        let (uid, size) = (message.uid, message.size);
        let max = self.keeper.message_bytes_max;
        let why = match checks::message(&message) {
            Err(why) => Some(why.to_owned()),
            Ok(()) if size > max => Some(format!(
                "it has {size} bytes, and store.maxmessagesize is {max}"
            )),
            Ok(()) => None,
        };
        if let Some(why) = why {
            skip(&message, left, tool)?;
            self.refused.push((uid, why));
            return Ok(());
        }
        let was = Some(message.body).filter(|it| *it != 0);
        let (body, sum) = match size <= INLINE_BYTES_MAX {
            true => inline(&message, left, tool, presence.is_some())?,
            false => self.spool((&message, was), left, tool)?,
        };
        let same = self.of.same_uids && uid != Uid(0);
        if let (Some(presence), Some(sum)) = (presence, sum)
            && presence.may_have(size)
            && presence.take(size, sum, Some(uid).filter(|_| same))?
        {
            if let Body::Spooled(spool) = body {
                self.keeper.write(Request::Discard { spool })?;
            }
            self.present += 1;
            return Ok(());
        }
        let keeps_modseqs = self.of.is_new && message.modseq.0 != 0;
        self.batch_bytes += body.bytes();
        self.batch.push(PutMessage {
            uid: Some(uid).filter(|it| it.0 != 0 && (self.of.is_new || same)),
            modseqs: keeps_modseqs.then_some((message.modseq, message.created)),
            flags: message.flags,
            date: message.date,
            saved_s: if keeps_modseqs { message.saved_s } else { 0 },
            submitter: message.submitter,
            body,
            was,
        });
        if self.batch.len() >= BATCH_MAX || self.batch_bytes >= BATCH_BYTES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    /// Gives the store what was collected, once it has what it was given before.
    fn flush(&mut self) -> Result<(), Failed> {
        self.settle()?;
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        // Bodies are shared: a copy costs little.
        let waiting = self.keeper.begin_put(self.put(batch.clone()))?;
        self.before = Some((waiting, batch));
        Ok(())
    }

    fn put(&self, messages: Vec<PutMessage>) -> Put {
        match self.of.is_new {
            true => Put::Stage(self.of.mailbox, messages),
            false => Put::Add(self.of.mailbox, messages),
        }
    }

    /// Waits for the batch before. If it was refused, its messages are tried one by one, so that
    /// only those are missing that are refused themselves.
    fn settle(&mut self) -> Result<(), Failed> {
        let Some((before, batch)) = self.before.take() else {
            return Ok(());
        };
        match before.outcome()? {
            Ok(done) => self.count(batch.len(), done),
            Err(refusal) if ends_all(&refusal) => Err(Failed(refusal.to_string())),
            Err(_) => batch
                .into_iter()
                .try_for_each(|message| self.retry(message)),
        }
    }

    fn retry(&mut self, message: PutMessage) -> Result<(), Failed> {
        let uid = message.uid.unwrap_or_default();
        let spool = match message.body {
            Body::Spooled(spool) => Some(spool),
            Body::Inline(_) => None,
        };
        let waiting = self.keeper.begin_put(self.put(vec![message]))?;
        match waiting.outcome()? {
            Ok(done) => self.count(1, done),
            Err(refusal) if ends_all(&refusal) => Err(Failed(refusal.to_string())),
            Err(refusal) => {
                self.refused.push((uid, refusal.to_string()));
                // The store may have forgotten it already.
                if let Some(spool) = spool {
                    self.keeper.write(Request::Discard { spool })?;
                }
                Ok(())
            }
        }
    }

    fn count(&mut self, messages: usize, done: PutDone) -> Result<(), Failed> {
        let PutDone::Put { without_keywords } = done else {
            return Err(unexpected(&done));
        };
        self.added += messages as u64;
        self.without_keywords += u64::from(without_keywords);
        Ok(())
    }

    /// Gives the store a large message, in pieces.
    fn spool(
        &self,
        (message, was): (&MessageRecord, Option<u64>),
        left: &mut u64,
        tool: &mut Tool,
    ) -> Result<(Body, Option<u128>), Failed> {
        let (mut sum, mut spool) = (Xxh3Default::new(), None);
        if let Some(was) = was
            && let PutDone::Spool(begun) = self.keeper.put(Put::SpoolAs(was))?
        {
            spool = begun;
        }
        let mut chunk = message.first.clone();
        let mut missing = message.size;
        loop {
            sum.update(&chunk);
            missing = missing.saturating_sub(chunk.len() as u64);
            match self.spool_some(spool, chunk)? {
                id if missing == 0 => return Ok((Body::Spooled(id), Some(sum.digest128()))),
                id => spool = Some(id),
            }
            match piece(left, tool) {
                Ok(next) => chunk = next,
                Err(failed) => {
                    if let Some(spool) = spool {
                        let _ = self.keeper.write(Request::Discard { spool });
                    }
                    return Err(failed);
                }
            }
        }
    }

    fn spool_some(&self, spool: Option<SpoolId>, chunk: Bytes) -> Result<SpoolId, Failed> {
        match self.keeper.write(Request::Spool { spool, chunk })? {
            Reply::Spooled(id) => Ok(id),
            Reply::Refused(refusal) => Err(Failed(refusal.to_string())),
            other => Err(Failed(format!("another answer than expected: {other:?}"))),
        }
    }
}

/// The next bytes of a message.
fn piece(left: &mut u64, tool: &mut Tool) -> Result<Bytes, Failed> {
    match receive(tool, left)? {
        Record::Piece(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(Failed(
            "a message is shorter than it says that it is".into(),
        )),
    }
}

fn skip(message: &MessageRecord, left: &mut u64, tool: &mut Tool) -> Result<(), Failed> {
    let mut missing = message.size.saturating_sub(message.first.len() as u64);
    while missing > 0 {
        missing = missing.saturating_sub(piece(left, tool)?.len() as u64);
    }
    Ok(())
}

/// A message that is not large, and its checksum if that is wanted.
fn inline(
    message: &MessageRecord,
    left: &mut u64,
    tool: &mut Tool,
    sums: bool,
) -> Result<(Body, Option<u128>), Failed> {
    let mut bytes = message.first.clone();
    if (bytes.len() as u64) < message.size {
        let mut whole = Vec::with_capacity(message.size as usize);
        whole.extend_from_slice(&bytes);
        while (whole.len() as u64) < message.size {
            whole.extend_from_slice(&piece(left, tool)?);
        }
        bytes = whole.into();
    }
    if bytes.len() as u64 != message.size {
        return Err(Failed("a message is longer than it says that it is".into()));
    }
    let sum = sums.then(|| checksum(&bytes));
    Ok((Body::Inline(bytes), sum))
}
