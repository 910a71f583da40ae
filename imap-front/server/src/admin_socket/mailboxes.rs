//! Mailboxes and messages, changed through the running server: its sessions see it at once.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::bounded;
use mail::list::{Query, joined};
use mail::namespace::Place;
use mail::request::{Body, FlagChange, StoreMode, Target};
use mail::{
    Flags, MailboxName, Refusal, Reply, Request, SpoolId, SystemFlag, Uid, UserId, list::Entry,
};
use serde_json::json;

use super::{Asking, Failed, Tool, note_act};

/// A piece of a message on its way to the store, in bytes.
const PIECE_BYTES: usize = 64 << 10;
/// How often the store is asked again while its queue is full, and how often at most.
const AGAIN: Duration = Duration::from_millis(10);
const AGAIN_MAX: usize = 500;

impl Asking {
    /// The account of a user of the directory.
    pub(super) fn account(&self, name: &str) -> Result<Box<str>, Failed> {
        let found = self.users.find(name)?;
        let unknown = || Failed(format!("there is no user {name:?}"));
        Ok(found.ok_or_else(unknown)?.account)
    }

    /// The store's user, made if that is the first time.
    fn user(&self, name: &str) -> Result<UserId, Failed> {
        let account = self.account(name)?;
        if let Some(user) = self.store.user(&account)? {
            return Ok(user);
        }
        let (sender, reply) = bounded(1);
        let completion = Box::new(move |reply| drop(sender.try_send(reply)));
        let given = self.store.ensure_user(&account, completion);
        given.map_err(|_| Failed("the store takes nothing at the moment".into()))?;
        match reply.recv()? {
            Reply::Authenticated(user) => Ok(user),
            other => Err(refused(other)),
        }
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

    fn change(&self, request: Request) -> Result<u64, Failed> {
        match self.write(request)? {
            Reply::Done | Reply::Created(_) => Ok(1),
            other => Err(refused(other)),
        }
    }

    /// A user's own mailboxes: not those that others let the user into.
    fn entries(&self, user: UserId, pattern: &str) -> Result<Vec<Entry>, Failed> {
        let patterns = joined("", pattern).into_iter().collect();
        let query = Arc::new(Query {
            patterns,
            ..Query::default()
        });
        let (mut entries, mut after) = (vec![], None);
        loop {
            let request = Request::List {
                user,
                query: query.clone(),
                after,
            };
            match self.store.read(&request) {
                Some(Reply::Listed(piece)) => {
                    let own = |it: &Entry| self.namespaces.place(&it.name) == Place::Own;
                    entries.extend(piece.entries.into_iter().filter(own));
                    after = piece.next;
                    if after.is_none() {
                        return Ok(entries);
                    }
                }
                other => return Err(refused(other.unwrap_or(Reply::Refused(Refusal::Bug)))),
            }
        }
    }

    /// A name among a user's own mailboxes.
    fn own(&self, user: &str, mailbox: &str) -> Result<MailboxName, Failed> {
        let name = MailboxName::new(mailbox);
        match self.namespaces.place(&name) {
            Place::Own => Ok(name),
            _ => Err(Failed(format!(
                "{mailbox:?} is not a mailbox of {user}'s own: name it by its owner"
            ))),
        }
    }

    /// Tells a user's mailboxes.
    pub(super) fn mailboxes(
        &self,
        name: &str,
        pattern: &str,
        tool: &mut Tool,
    ) -> Result<u64, Failed> {
        let Some(user) = self.store.user(&self.account(name)?)? else {
            // Who never came has none yet.
            return Ok(0);
        };
        let mut count = 0;
        for entry in self.entries(user, pattern)? {
            count += 1;
            let name = entry.name;
            let mut line = json!({ "mailbox": name.as_str(), "selectable": entry.selectable });
            if entry.selectable {
                let request = Request::Status {
                    user,
                    name,
                    deleted_bytes: false,
                };
                // One that is gone meanwhile has no figures.
                if let Some(Reply::Status(figures)) = self.store.read(&request) {
                    line["messages"] = figures.messages.into();
                    line["unseen"] = figures.unseen.into();
                    line["bytes"] = figures.size.into();
                    line["uidnext"] = figures.uid_next.0.into();
                    line["uidvalidity"] = figures.uid_validity.0.into();
                }
            }
            tool.say(&line)?;
        }
        Ok(count)
    }

    /// Makes a mailbox, and those above it.
    pub(super) fn create(&self, user: &str, mailbox: &str, uid: u32) -> Result<u64, Failed> {
        let request = Request::Create {
            name: self.own(user, mailbox)?,
            user: self.user(user)?,
            special_use: None,
        };
        let done = self.change(request)?;
        note_act("create", user, Some(mailbox), uid);
        Ok(done)
    }

    /// Deletes a mailbox.
    pub(super) fn delete(&self, user: &str, mailbox: &str, uid: u32) -> Result<u64, Failed> {
        let request = Request::Delete {
            name: self.own(user, mailbox)?,
            user: self.user(user)?,
        };
        let done = self.change(request)?;
        note_act("delete", user, Some(mailbox), uid);
        Ok(done)
    }

    /// Renames a mailbox and those below it.
    pub(super) fn rename(
        &self,
        user: &str,
        (from, to): (&str, &str),
        uid: u32,
    ) -> Result<u64, Failed> {
        let request = Request::Rename {
            from: self.own(user, from)?,
            to: self.own(user, to)?,
            user: self.user(user)?,
        };
        let done = self.change(request)?;
        note_act("rename", user, Some(&format!("{from} to {to}")), uid);
        Ok(done)
    }

    /// Deletes all mailboxes of a user, and the messages of the INBOX, which stays. Gives how many
    /// mailboxes were deleted or emptied. Those whose owner has taken the right to that away stay,
    /// and are named.
    pub(super) fn empty(&self, name: &str, uid: u32) -> Result<u64, Failed> {
        let user = self.user(name)?;
        let mut names: Vec<MailboxName> = self
            .entries(user, "*")?
            .into_iter()
            .map(|it| it.name)
            .collect();
        // Those below go first: what has children stays as a name.
        names.sort_by_key(|name| std::cmp::Reverse(name.as_str().len()));
        let (mut count, mut stay) = (0, vec![]);
        for name in names.into_iter().filter(|name| !name.is_inbox()) {
            let deleted = Request::Delete {
                user,
                name: name.clone(),
            };
            match self.write(deleted)? {
                // Names that only those below kept are gone with them.
                Reply::Done | Reply::Refused(Refusal::NoMailbox) => count += 1,
                Reply::Refused(Refusal::NoPermission) => stay.push(name),
                other => return Err(refused(other)),
            }
        }
        self.empty_inbox(user)?;
        if let Some(name) = stay.first() {
            let (others, name) = (stay.len() - 1, name.as_str());
            return Err(Failed(format!(
                "{name:?} and {others} others stay: their owner gave up the right to delete them; \
                 give it back (SETACL) and try again"
            )));
        }
        note_act("empty", name, None, uid);
        Ok(count + 1)
    }

    fn empty_inbox(&self, user: UserId) -> Result<(), Failed> {
        let open = Request::Open {
            user,
            name: MailboxName::inbox(),
            read_only: true,
        };
        let opened = match self.store.read(&open) {
            Some(Reply::Opened(opened)) => opened,
            other => return Err(refused(other.unwrap_or(Reply::Refused(Refusal::Bug)))),
        };
        let Some(last) = opened.uids.last() else {
            return Ok(());
        };
        let mut flags = Flags::default();
        flags.insert(SystemFlag::Deleted);
        let all = || [(Uid(1), *last)].into_iter().collect();
        let (mailbox, since) = (opened.mailbox, opened.highest_modseq);
        let change = FlagChange {
            mode: StoreMode::Add,
            flags,
            unchanged_since: None,
        };
        let (stored, expunged) = (
            Request::Store {
                mailbox,
                ranges: all(),
                change,
                since,
            },
            Request::Expunge {
                mailbox,
                within: Some(all()),
                since,
            },
        );
        for request in [stored, expunged] {
            if let reply @ Reply::Refused(_) = self.write(request)? {
                return Err(refused(reply));
            }
        }
        Ok(())
    }

    /// Delivers a message, whose bytes the tool sends now. Nothing of it stays if that fails.
    pub(super) fn deliver(
        &self,
        place: (&str, &str),
        size: u64,
        tool: &mut Tool,
    ) -> Result<u64, Failed> {
        let mut left = size;
        let delivered = self.deliver_some(place, &mut left, tool);
        tool.pass_over(left);
        delivered
    }

    /// Delivers a message, of which so many bytes are left to be read.
    fn deliver_some(
        &self,
        (name, mailbox): (&str, &str),
        left: &mut u64,
        tool: &mut Tool,
    ) -> Result<u64, Failed> {
        let size = *left;
        let max = self.message_bytes_max;
        if size > max {
            return Err(Failed(format!(
                "the message is larger than {max} bytes (store.maxmessagesize)"
            )));
        }
        let user = self.account(name)?;
        let spool = self.spool(left, tool)?;
        let target = Target {
            user,
            folder: MailboxName::new(mailbox),
        };
        let request = Request::Deliver {
            targets: vec![target],
            body: Body::Spooled(spool),
            submitter: None,
        };
        let outcome = match self.write(request) {
            Ok(Reply::Delivered(results)) => match results.into_iter().next() {
                Some(result) => result.map_err(|refusal| Failed(refusal.to_string())),
                None => Err(refused(Reply::Refused(Refusal::Bug))),
            },
            Ok(other) => Err(refused(other)),
            Err(failed) => Err(failed),
        };
        let appended = match outcome {
            Ok(appended) => appended,
            Err(failed) => {
                // The store may have looked at it; then there is nothing to forget.
                let _ = self.write(Request::Discard { spool });
                return Err(failed);
            }
        };
        let place = self.store.name_of(appended.mailbox)?;
        let mailbox = place.map(|(_, name)| name.as_str().to_owned());
        note_act("deliver", name, mailbox.as_deref(), tool.uid);
        tool.say(&json!({ "user": name, "mailbox": mailbox, "uid": appended.uid.0 }))?;
        Ok(1)
    }

    /// Takes the bytes of a message from a tool, and keeps them.
    fn spool(&self, left: &mut u64, tool: &mut Tool) -> Result<SpoolId, Failed> {
        let mut spool = None;
        loop {
            let mut piece = vec![
                0;
                usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(PIECE_BYTES)
            ];
            let read = tool.input.read_exact(&mut piece);
            let kept = match read {
                Ok(()) => {
                    *left -= piece.len() as u64;
                    let chunk = Bytes::from(piece);
                    self.write(Request::Spool { spool, chunk })
                }
                Err(error) => Err(error.into()),
            };
            match kept {
                Ok(Reply::Spooled(id)) => spool = Some(id),
                failed => {
                    if let Some(spool) = spool {
                        let _ = self.write(Request::Discard { spool });
                    }
                    return Err(failed.map_or_else(|error| error, refused));
                }
            }
            if let Some(spool) = spool.filter(|_| *left == 0) {
                return Ok(spool);
            }
        }
    }
}

fn refused(reply: Reply) -> Failed {
    match reply {
        Reply::Refused(refusal) => Failed(refusal.to_string()),
        other => Failed(format!(
            "the store gave another answer than expected: {other:?}"
        )),
    }
}
