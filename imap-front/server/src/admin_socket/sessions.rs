//! Who is connected.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ahash::RandomState;
use crossbeam_channel::bounded;
use engine::event::ShardId;
use mail::{MailboxId, UserId};
use serde_json::{Value, json};

use super::asked::Meant;
use super::{Asking, Failed, Tool, note_act};
use crate::front::{Filter, Found, SLOTS_A_VISIT, SessionFacts, State, Visit};
use crate::lines::{Directory, Names, SessionName};

/// Slots in which sessions are ended in one turn of a shard.
const SLOTS_A_KICK: u32 = 128;
/// How long a shard may take to look at a slice.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Users and mailboxes whose names are kept during a listing.
const NAMES_MAX: usize = 4096;

impl Asking {
    /// Tells who is connected, and ends their sessions if that is wanted. What comes while it is at
    /// work may be missed.
    pub(super) fn sessions(&self, who: &Meant, kick: bool, tool: &mut Tool) -> Result<u64, Failed> {
        let Some(filter) = self.filter(who)? else {
            // The user never came.
            return Ok(0);
        };
        let mut names = UserNames::new(self.directory());
        let mut count = 0;
        let mut take = |found: Found| -> Result<(), Failed> {
            count += found.sessions.len() as u64;
            for facts in &found.sessions {
                tool.say(&names.described(facts))?;
            }
            Ok(())
        };
        let step = if kick { SLOTS_A_KICK } else { SLOTS_A_VISIT };
        if let Some(id) = filter.session {
            if id.shard.0 < self.handle.shards() {
                take(self.look(id.shard, (&filter, kick), id.slot..id.slot + 1)?)?;
            }
        } else {
            for shard in (0..self.handle.shards()).map(ShardId) {
                let mut from = 0;
                loop {
                    let found = self.look(shard, (&filter, kick), from..from + step)?;
                    let slots = found.slots;
                    take(found)?;
                    from += step;
                    if from >= slots {
                        break;
                    }
                }
            }
        }
        if kick {
            let session = who.session.map(|name| name.to_string());
            let of = [who.user.clone(), who.address.clone(), session];
            let of: Vec<String> = of.into_iter().flatten().collect();
            note_act("kick", &of.join(" "), None, tool.uid);
        }
        Ok(count)
    }

    /// Which sessions are meant; none if there can be none.
    fn filter(&self, who: &Meant) -> Result<Option<Filter>, Failed> {
        let mut filter = Filter {
            session: who.session.map(|name| name.0),
            ..Filter::default()
        };
        if let Some(name) = &who.user {
            match self.store.user(&self.account(name)?)? {
                Some(user) => filter.user = Some(user),
                None => return Ok(None),
            }
        }
        filter.client = match who.address.as_deref() {
            None => None,
            Some("local") => Some(None),
            Some(text) => {
                let wrong = |_| Failed(format!("{text:?} is no address"));
                let address: IpAddr = text.parse().map_err(wrong)?;
                Some(Some(address.to_canonical()).filter(|it| !it.is_loopback()))
            }
        };
        Ok(Some(filter))
    }

    /// Has a shard look at some of its slots.
    fn look(
        &self,
        shard: ShardId,
        (filter, kick): (&Filter, bool),
        slots: std::ops::Range<u32>,
    ) -> Result<Found, Failed> {
        let (answer, found) = bounded(1);
        let visit = Visit {
            filter: filter.clone(),
            kick,
            slots,
            answer,
        };
        if !self.visits.ask(shard, visit) {
            return Err(Failed("the server is busy, try again".into()));
        }
        self.handle.visit(shard);
        let late = |_| Failed("a shard does not answer, try again".into());
        found.recv_timeout(ANSWER_WITHIN).map_err(late)
    }
}

/// Names of users, looked up once each.
struct UserNames {
    directory: Directory,
    known: HashMap<UserId, Box<str>, RandomState>,
    /// The store looks through all of a user's names for one mailbox.
    mailboxes: HashMap<MailboxId, Option<(UserId, Box<str>)>, RandomState>,
}

impl UserNames {
    fn new(directory: Directory) -> Self {
        Self {
            directory,
            known: HashMap::default(),
            mailboxes: HashMap::default(),
        }
    }

    fn user(&mut self, user: UserId) -> Option<Box<str>> {
        if let Some(name) = self.known.get(&user) {
            return Some(name.clone());
        }
        let name = self.directory.user(user)?;
        if self.known.len() >= NAMES_MAX {
            self.known.clear();
        }
        self.known.insert(user, name.clone());
        Some(name)
    }

    /// Whose a mailbox is, and its name there; none if it is gone.
    fn mailbox(&mut self, mailbox: MailboxId) -> Option<(UserId, Box<str>)> {
        if self.mailboxes.len() >= NAMES_MAX {
            self.mailboxes.clear();
        }
        let store = &self.directory.store;
        let look = || {
            let (owner, name) = store.name_of(mailbox).ok()??;
            Some((owner, name.as_str().into()))
        };
        let name = self.mailboxes.entry(mailbox).or_insert_with(look);
        name.clone()
    }

    /// Of what is null, nothing is known.
    fn described(&mut self, facts: &SessionFacts) -> Value {
        let user = facts.user.and_then(|user| self.user(user));
        let (owner, mailbox) = facts.mailbox.and_then(|it| self.mailbox(it)).unzip();
        let owner = owner.filter(|owner| Some(*owner) != facts.user);
        let owner = owner.and_then(|owner| self.user(owner));
        json!({
            "session": SessionName(facts.id).to_string(),
            "user": user.as_deref(),
            "address": match facts.client {
                None => "local".to_owned(),
                Some(client) if client.is_unspecified() => "unknown".to_owned(),
                Some(client) => client.to_string(),
            },
            "state": match facts.state {
                State::Login => "login",
                State::Active => "active",
                State::Idle => "idle",
                State::Quiet => "quiet",
            },
            "mailbox": mailbox,
            "owner": owner,
            "seconds": facts.seconds,
            "quiet": facts.quiet_seconds,
            "received": facts.traffic.map(|it| it.received),
            "sent": facts.traffic.map(|it| it.sent),
            "commands": facts.traffic.map(|it| it.commands),
        })
    }
}
