//! What users do, and what they must find afterwards.

use std::collections::BTreeMap;

use bytes::Bytes;
use mail::request::{CopyHow, FlagChange, StoreMode, Want};
use mail::{Body, Flags, MailboxId, MailboxName, ModSeq, Reply, Request, SystemFlag, Uid, UserId};
use model::Model;

use crate::common::harm::Chance;
use crate::common::{Bench, body};

const USERS: u64 = 2;
const NAMES: [&str; 3] = ["INBOX", "a", "a/b"];
/// A message of several parts, each of them a commit that is not durable by itself.
const PARTS: [usize; 3] = [70_000, 70_000, 9_000];

/// Something a user does; what it changes is one commit that is durable in the end.
#[derive(Clone, Debug)]
pub enum Work {
    Ask(Request),
    Upload(UserId, MailboxName, Vec<Bytes>),
}

/// A message as its user sees it.
type Seen = (Flags, u64, Bytes);
/// What a user has: mailboxes by name, with the messages by UID.
pub type Contents = BTreeMap<(UserId, String), BTreeMap<Uid, Seen>>;

pub fn users() -> impl Iterator<Item = (UserId, String)> {
    (1..=USERS).map(|user| (UserId(user), format!("user{user}")))
}

fn flags(chance: &mut Chance) -> Flags {
    let mut flags = Flags::default();
    for flag in [SystemFlag::Seen, SystemFlag::Deleted, SystemFlag::Flagged] {
        if chance.below(2) == 0 {
            flags.insert(flag);
        }
    }
    flags
}

/// The mailbox of a name, and its UIDs.
fn opened(model: &mut Model, user: UserId, name: &MailboxName) -> Option<(MailboxId, Vec<Uid>)> {
    let request = Request::Open {
        user,
        name: name.clone(),
        read_only: true,
    };
    match model.handle(request).0 {
        Reply::Opened(opened) => Some((opened.mailbox, opened.uids.to_vec())),
        _ => None,
    }
}

impl Work {
    /// Something that changes what there is, whatever comes of it.
    pub fn draw(number: u64, model: &mut Model, chance: &mut Chance) -> Self {
        let user = UserId(1 + chance.below(USERS));
        let pick = |chance: &mut Chance| MailboxName::new(NAMES[chance.below(3) as usize]);
        let (name, to) = (pick(chance), pick(chance));
        let size = [60, 700, 9_000, 60_000][chance.below(4) as usize];
        let append = |name| {
            Self::Ask(Request::Append {
                user,
                name,
                flags: Flags::default(),
                date: None,
                body: Body::Inline(body(number, size)),
            })
        };
        let kind = chance.below(12);
        match kind {
            0..4 => return append(name),
            4 => {
                let parts = PARTS.iter().zip(0..);
                let parts = parts.map(|(size, part)| body(number * 10 + part, *size));
                return Self::Upload(user, name, parts.collect());
            }
            5 => {
                let special_use = None;
                return Self::Ask(Request::Create {
                    user,
                    name,
                    special_use,
                });
            }
            6 => {
                let from = name;
                return Self::Ask(Request::Rename { user, from, to });
            }
            7 => return Self::Ask(Request::Delete { user, name }),
            _ => {}
        }
        let Some((mailbox, uids)) = opened(model, user, &name) else {
            return append(MailboxName::inbox());
        };
        let since = ModSeq(u64::MAX >> 1);
        let some: Vec<Uid> = uids.into_iter().filter(|_| chance.below(2) == 0).collect();
        Self::Ask(match kind {
            8 | 9 => Request::Store {
                mailbox,
                ranges: some.into_iter().collect(),
                change: FlagChange {
                    mode: StoreMode::Replace,
                    flags: flags(chance),
                    unchanged_since: None,
                },
                since,
            },
            10 => Request::Expunge {
                mailbox,
                within: None,
                since,
            },
            _ => Request::Copy {
                mailbox,
                messages: some.into_iter().collect(),
                user,
                to,
                how: match chance.below(2) {
                    0 => CopyHow::Move,
                    _ => CopyHow::Copy,
                },
                since,
            },
        })
    }

    /// Does it in the store.
    pub fn ask(&self, bench: &Bench) {
        match self {
            Self::Ask(request) => drop(bench.ask(request.clone())),
            Self::Upload(user, name, parts) => {
                let mut spool = None;
                for chunk in parts {
                    let chunk = chunk.clone();
                    match bench.ask(Request::Spool { spool, chunk }) {
                        Reply::Spooled(id) => spool = Some(id),
                        reply => panic!("{reply:?}"),
                    }
                }
                let body = Body::Spooled(spool.expect("parts"));
                drop(bench.ask(append(*user, name, body)));
            }
        }
    }

    /// Does it in the model.
    pub fn model(&self, model: &mut Model) {
        let request = match self {
            Self::Ask(request) => request.clone(),
            Self::Upload(user, name, parts) => {
                append(*user, name, Body::Inline(parts.concat().into()))
            }
        };
        model.handle(request);
        model.sync();
    }
}

fn append(user: UserId, name: &MailboxName, body: Body) -> Request {
    Request::Append {
        user,
        name: name.clone(),
        flags: Flags::default(),
        date: None,
        body,
    }
}

/// All that users have, and how many messages or mailboxes can't be read; that was said.
pub fn contents(mut ask: impl FnMut(Request) -> Reply) -> (Contents, usize) {
    let (mut contents, mut unreadable) = (Contents::new(), 0);
    for (user, _) in users() {
        for name in NAMES {
            let request = Request::Open {
                user,
                name: MailboxName::new(name),
                read_only: true,
            };
            let opened = match ask(request) {
                Reply::Opened(opened) => opened,
                Reply::Refused(mail::Refusal::NoMailbox) => continue,
                _ => {
                    unreadable += 1;
                    continue;
                }
            };
            let mut messages = BTreeMap::new();
            for &uid in opened.uids.iter() {
                match message(&mut ask, opened.mailbox, uid) {
                    Some(seen) => drop(messages.insert(uid, seen)),
                    None => unreadable += 1,
                }
            }
            contents.insert((user, name.to_owned()), messages);
        }
    }
    (contents, unreadable)
}

fn message(ask: &mut impl FnMut(Request) -> Reply, mailbox: MailboxId, uid: Uid) -> Option<Seen> {
    let fetch = Request::Fetch {
        mailbox,
        uids: vec![uid],
        want: Want::default(),
        budget_bytes: 1,
    };
    let Reply::Fetched { mut messages, .. } = ask(fetch) else {
        return None;
    };
    let message = messages.pop()?;
    let read = Request::Read {
        mailbox,
        uid,
        range: 0..message.size,
    };
    match ask(read) {
        Reply::Piece(piece) => Some(((*message.flags).clone(), message.size, piece)),
        _ => None,
    }
}
