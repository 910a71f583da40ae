//! Users, names and mailboxes as plain values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mail::metadata::Entry;
use mail::mime::preview;
use mail::{
    AccessKey, Acl, Change, EmailId, Flags, InternalDate, MailboxId, MailboxName, ModSeq,
    NameChanges, Namespaces, SpoolId, SystemFlag, ThreadId, Uid, UidValidity, UserId,
};
use mail::{QuotaLimits, SpecialUse};

/// Of a mailbox, or of the server; of a user, or of all; an entry's name in lower case.
pub(crate) type Key = (Option<MailboxId>, Option<UserId>, String);
pub(crate) type Entries = BTreeMap<Key, Entry>;

#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub namespaces: Namespaces,
    pub users: BTreeMap<Box<str>, UserId>,
    pub accounts: BTreeMap<UserId, Account>,
    pub mailboxes: BTreeMap<MailboxId, Arc<Mailbox>>,
    pub spools: BTreeMap<SpoolId, BytesMut>,
    pub metadata: Entries,
    /// By which URLs are signed, and how often one was made.
    pub keys: BTreeMap<(MailboxId, UserId), AccessKey>,
    pub keys_made: u64,
    pub last_mailbox: u64,
    pub last_uid_validity: u32,
    /// Bodies and uploads count together.
    pub last_body: u64,
    /// What messages are saved at.
    pub now: InternalDate,
    /// What became of names, and was not announced.
    pub name_changes: NameChanges,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub names: BTreeMap<MailboxName, Name>,
    pub subscribed: BTreeSet<MailboxName>,
    pub bytes: u64,
    pub messages: u64,
    /// By SETQUOTA.
    pub limits: Option<QuotaLimits>,
}

impl Account {
    /// Mailboxes, and subscriptions to what is not there.
    pub fn count(&self) -> usize {
        let bare = |name: &&MailboxName| !self.names.contains_key(*name);
        self.names.len() + self.subscribed.iter().filter(bare).count()
    }
}

/// A name that exists.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    /// None: `\Noselect`.
    pub mailbox: Option<MailboxId>,
    pub special_use: Option<SpecialUse>,
}

#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    pub user: UserId,
    pub uid_validity: UidValidity,
    pub uid_next: Uid,
    pub modseq: ModSeq,
    pub recent_from: Uid,
    pub keywords: Vec<Arc<str>>,
    /// When that list last got a new one.
    pub keywords_at: ModSeq,
    pub messages: BTreeMap<Uid, Message>,
    pub expunged: Vec<Expunged>,
    /// Who may do what, and since when that is so.
    pub acl: Acl,
    pub acl_at: ModSeq,
    /// When somebody last gave up their key for it, and who; see [`mail::Change::SEVERAL`].
    pub key_reset: Option<(ModSeq, UserId)>,
    /// What was expunged can still be read.
    pub kept: BTreeMap<Uid, Message>,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub created: ModSeq,
    pub modseq: ModSeq,
    pub flags: Arc<Flags>,
    pub date: InternalDate,
    pub saved: InternalDate,
    pub email: EmailId,
    pub bytes: Bytes,
    pub submitter: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Expunged {
    pub uid: Uid,
    pub created: ModSeq,
    pub gone: ModSeq,
}

impl State {
    pub fn name(&self, user: UserId, name: &MailboxName) -> Option<&Name> {
        self.accounts.get(&user)?.names.get(name)
    }

    /// The mailbox of a name that can be selected.
    pub fn named(&self, user: UserId, name: &MailboxName) -> Option<MailboxId> {
        self.name(user, name)?.mailbox
    }

    pub fn account(&mut self, user: UserId) -> &mut Account {
        self.accounts.entry(user).or_default()
    }

    pub fn mailbox(&self, id: MailboxId) -> Option<&Mailbox> {
        self.mailboxes.get(&id).map(|mailbox| &**mailbox)
    }

    /// A mailbox that is known to exist, to be changed.
    pub fn changing(&mut self, id: MailboxId) -> &mut Mailbox {
        Arc::make_mut(
            self.mailboxes
                .get_mut(&id)
                .expect("the caller has looked it up"),
        )
    }

    pub fn next_body(&mut self) -> u64 {
        self.last_body += 1;
        self.last_body
    }
}

impl Mailbox {
    /// A message that is there or was.
    pub fn readable(&self, uid: Uid) -> Option<&Message> {
        self.messages.get(&uid).or_else(|| self.kept.get(&uid))
    }

    /// Begins an operation: the mod-sequence of what it changes.
    pub fn step(&mut self) -> ModSeq {
        self.modseq = ModSeq(self.modseq.0 + 1);
        self.modseq
    }

    pub fn size(&self) -> u64 {
        self.messages.values().map(Message::size).sum()
    }

    pub fn unseen(&self) -> u32 {
        self.messages
            .values()
            .filter(|m| !m.flags.has(SystemFlag::Seen))
            .count() as u32
    }

    pub fn deleted(&self) -> impl Iterator<Item = &Message> {
        let messages = self.messages.values();
        messages.filter(|message| message.flags.has(SystemFlag::Deleted))
    }

    pub fn recent(&self) -> u32 {
        self.messages.range(self.recent_from..).count() as u32
    }

    /// The number of a message that is there.
    pub fn number(&self, uid: Uid) -> u32 {
        self.messages.range(..=uid).count() as u32
    }

    /// The flags with keywords as this mailbox spells them, where it knows them.
    pub fn spelled(&self, flags: &Flags) -> Flags {
        let spelled = |word: &Arc<str>| {
            let mut known = self.keywords.iter();
            let found = known.find(|have| have.eq_ignore_ascii_case(word));
            found.unwrap_or(word).clone()
        };
        Flags::new(flags.system_bits(), flags.keywords().iter().map(spelled))
    }

    /// The flags as this mailbox spells them, its list of keywords grown by new ones; none if it
    /// may not have that many. In a full list a new one takes the place of the first that no
    /// message has, and that is not among `adopted`: those of the same operation.
    pub fn adopt(
        &mut self,
        flags: &Flags,
        keywords_max: usize,
        adopted: &mut BTreeSet<usize>,
    ) -> Option<Flags> {
        let mut spelled = Vec::new();
        for keyword in flags.keywords() {
            let is_it = |have: &Arc<str>| have.eq_ignore_ascii_case(keyword);
            let place = match self.keywords.iter().position(is_it) {
                Some(place) => place,
                None if self.keywords.len() < keywords_max => {
                    self.keywords.push(keyword.clone());
                    self.keywords.len() - 1
                }
                None => {
                    let is_free = |place: &usize| {
                        let mut messages = self.messages.values();
                        let word = &self.keywords[*place];
                        !adopted.contains(place)
                            && !messages.any(|message| message.flags.has_keyword(word))
                    };
                    let place = (0..self.keywords.len()).find(is_free)?;
                    self.keywords[place] = keyword.clone();
                    place
                }
            };
            adopted.insert(place);
            spelled.push(self.keywords[place].clone());
        }
        Some(Flags::new(flags.system_bits(), spelled))
    }

    /// Ends an operation that began with `before` as the mailbox's keywords: what has to be told if
    /// there are new ones.
    pub fn introduce(&mut self, before: &[Arc<str>], changes: &mut Vec<Change>) {
        if self.keywords != before {
            self.keywords_at = self.modseq;
            changes.insert(0, Change::Keywords(self.keywords.clone().into()));
        }
    }
}

impl Message {
    /// The same with other flags.
    pub fn with(self, flags: Flags) -> Self {
        let flags = Arc::new(flags);
        Self { flags, ..self }
    }

    /// When it came into the mailbox, as that is told: in no zone.
    pub fn saved(&self) -> Option<InternalDate> {
        let unix_s = self.saved.unix_s;
        let zone_min = 0;
        (unix_s > 0).then_some(InternalDate { unix_s, zone_min })
    }

    pub fn preview(&self) -> Box<str> {
        let structure = mail::mime::Structure::parse(&self.bytes);
        let found = preview::part(&structure).map(|(part, range)| {
            let bytes = &self.bytes[range.start as usize..range.end as usize];
            preview::of(part, bytes)
        });
        found.unwrap_or_default().into()
    }

    pub fn thread(&self) -> Option<ThreadId> {
        let keys = mail::sort::keys::of_header(&self.bytes);
        mail::sort::SortKeys::read(&keys).and_then(|keys| keys.thread())
    }

    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}
