//! Users, names and mailboxes, and how they belong together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow::Continue;

use mail::{InternalDate, MailboxId, Uid, UidValidity, UserId};

use super::{Finding, Repair, Summary};
use crate::key_scan::KeyScan;
use crate::kv::Space;
use crate::logic::{Block, keys};
use crate::rows::{Account, Mailbox, Name, u64_row};

/// Behind all keys of rows.
const END: &[u8] = &[0xff; 9];

/// What was read so far, and what is to be written.
pub(super) struct Survey<'a> {
    pub rows: &'a dyn KeyScan,
    pub summary: Summary,
    pub repair: Repair,
    now: InternalDate,
    /// Whose numbers bodies get.
    block: Block,
    accounts: BTreeMap<UserId, Account>,
    /// Rows of names of each user.
    name_counts: BTreeMap<UserId, u32>,
    /// Of each mailbox: whose, and its name.
    names: BTreeMap<MailboxId, (UserId, String)>,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    /// What each user's mailboxes hold: bytes and messages.
    used: BTreeMap<UserId, (u64, u64)>,
    /// What each user's entries of metadata cost, in bytes.
    metadata: BTreeMap<UserId, u64>,
    /// Of each body that messages use: by how many.
    pub bodies: BTreeMap<u64, u64>,
    /// The highest number in use of each counter.
    pub highest: BTreeMap<&'static str, u64>,
    /// Operations in several slices are under way: what they have not finished is no fault.
    pub is_underway: bool,
    /// Keyspaces that can't be read to their end: nothing is concluded from what they lack.
    pub unread: BTreeSet<&'static str>,
}

impl<'a> Survey<'a> {
    pub fn new(rows: &'a dyn KeyScan, block: Block, now: InternalDate) -> Self {
        Self {
            rows,
            summary: Summary::default(),
            repair: Repair::default(),
            now,
            block,
            accounts: BTreeMap::new(),
            name_counts: BTreeMap::new(),
            names: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            used: BTreeMap::new(),
            metadata: BTreeMap::new(),
            bodies: BTreeMap::new(),
            highest: BTreeMap::new(),
            is_underway: false,
            unread: BTreeSet::new(),
        }
    }

    /// Reads users, mailboxes and their names.
    pub fn read(&mut self) {
        self.look_for_tasks();
        self.read_users();
        self.read_mailboxes();
        self.read_names();
        self.name_the_nameless();
    }

    /// Gives what is wrong, and the rows that mend it.
    pub fn done(mut self) -> (Summary, Repair) {
        self.check_counters();
        self.summary.users = self.accounts.len();
        self.summary.mailboxes = self.mailboxes.len();
        (self.summary, self.repair)
    }

    /// Visits all rows of a keyspace that can be read.
    pub fn each(&mut self, space: Space, mut visit: impl FnMut(&mut Self, &[u8], &[u8])) {
        let rows = self.rows;
        let outcome = rows.scan(space, &[], END, false, &mut |key, row| {
            visit(self, key, row);
            Continue(())
        });
        if let Err(error) = outcome {
            self.unreadable(space, &error);
        }
    }

    pub fn unreadable(&mut self, space: Space, error: &crate::Error) {
        self.unread.insert(space.name());
        self.find(
            None,
            None,
            true,
            format!(
                "the {} can't be read to their end ({error}): restore a backup",
                space.name()
            ),
        );
    }

    pub fn find(
        &mut self,
        mailbox: Option<MailboxId>,
        uid: Option<Uid>,
        is_lost: bool,
        what: impl Into<String>,
    ) {
        let of_mailbox = mailbox.and_then(|id| self.names.get(&id));
        let user = of_mailbox.map(|(user, _)| self.user_name(*user));
        let name = of_mailbox.map(|(_, name)| name.clone());
        let number = |id: MailboxId| format!("mailbox number {}", id.0);
        self.summary.findings.push(Finding {
            user,
            mailbox: name.or(mailbox.map(number)),
            uid,
            what: what.into(),
            is_lost,
        });
    }

    fn find_of(&mut self, user: UserId, what: impl Into<String>) {
        let finding = Finding {
            user: Some(self.user_name(user)),
            mailbox: None,
            uid: None,
            what: what.into(),
            is_lost: false,
        };
        self.summary.findings.push(finding);
    }

    fn user_name(&self, user: UserId) -> String {
        match self.accounts.get(&user) {
            Some(account) => account.name.clone(),
            None => format!("user number {}", user.0),
        }
    }

    /// Whether the number of a body is one of those that this store gives.
    pub fn gives(&self, number: u64) -> bool {
        self.block.has(number)
    }

    pub fn uses_body(&mut self, number: u64) {
        if self.gives(number) {
            self.uses("body", number);
        }
    }

    pub fn uses(&mut self, counter: &'static str, number: u64) {
        let highest = self.highest.entry(counter).or_default();
        *highest = number.max(*highest);
    }

    pub fn mailboxes(&self) -> Vec<(MailboxId, Mailbox)> {
        let mailboxes = self.mailboxes.iter();
        mailboxes.map(|(id, row)| (*id, row.clone())).collect()
    }

    /// Counts what a mailbox holds to its user.
    pub fn charge(&mut self, user: UserId, bytes: u64, messages: u64) {
        let used = self.used.entry(user).or_default();
        used.0 += bytes;
        used.1 += messages;
        self.summary.bytes += bytes;
        self.summary.messages += messages;
    }

    /// A mailbox that is there, and its name, if that is known.
    pub fn mailbox(&self, id: MailboxId) -> Option<(&Mailbox, Option<&str>)> {
        let name = self.names.get(&id).map(|(_, name)| &**name);
        Some((self.mailboxes.get(&id)?, name))
    }

    /// Counts an entry of metadata to its user.
    pub fn charge_metadata(&mut self, user: UserId, cost: u64) {
        *self.metadata.entry(user).or_default() += cost;
    }

    /// A UIDVALIDITY that was never used.
    pub fn new_uid_validity(&mut self) -> UidValidity {
        let now = u64::try_from(self.now.unix_s).unwrap_or(0);
        let stored = self.counter("uid_validity");
        let highest = self.highest.get("uid_validity").copied().unwrap_or(0);
        let next = now.max(stored + 1).max(highest + 1);
        self.uses("uid_validity", next);
        UidValidity(next as u32)
    }

    fn counter(&self, name: &str) -> u64 {
        let row = self.rows.get(Space::Meta, name.as_bytes());
        let row = row.ok().flatten();
        row.and_then(|row| u64_row(&row).ok()).unwrap_or(0)
    }

    fn look_for_tasks(&mut self) {
        let mut is_underway = false;
        self.each(Space::Tasks, |_, _, _| is_underway = true);
        self.is_underway = is_underway;
    }

    fn read_users(&mut self) {
        self.each(Space::Accounts, |survey, key, row| {
            let Some(user) = number(key).map(UserId) else {
                return survey.drop_row(Space::Accounts, key);
            };
            match Account::decode(row) {
                Ok(account) => drop(survey.accounts.insert(user, account)),
                Err(_) => survey.drop_row(Space::Accounts, key),
            }
        });
        let mut known = BTreeSet::new();
        self.each(Space::Users, |survey, key, row| {
            let name = String::from_utf8_lossy(key).into_owned();
            let Ok(user) = u64_row(row).map(UserId) else {
                return survey.drop_row(Space::Users, key);
            };
            known.insert(user);
            if survey.accounts.get(&user).is_none_or(|it| it.name != name) {
                let account = Account {
                    name,
                    ..survey.accounts.remove(&user).unwrap_or_default()
                };
                survey.accounts.insert(user, account);
                survey.find_of(user, "has no figures of its own; they are counted again");
            }
        });
        for (user, account) in self.accounts.clone() {
            self.uses("user", user.0);
            if !known.contains(&user) && !self.unread.contains(Space::Users.name()) {
                self.find_of(user, "is not found by name; the name is entered again");
                let key = account.name.into_bytes();
                self.repair.put(Space::Users, key, keys::number(user.0));
            }
        }
    }

    pub fn drop_row(&mut self, space: Space, key: &[u8]) {
        let what = format!("a row of the {} can't be read; it is dropped", space.name());
        self.find(None, None, true, what);
        self.repair.delete(space, key.to_vec());
    }

    fn read_mailboxes(&mut self) {
        self.each(Space::Mailboxes, |survey, key, row| {
            match (number(key).map(MailboxId), Mailbox::decode(row)) {
                (Some(id), Ok(row)) => {
                    survey.is_underway |= row.staging.is_some();
                    survey.uses("mailbox", id.0);
                    survey.uses("uid_validity", u64::from(row.uid_validity.0));
                    survey.mailboxes.insert(id, row);
                }
                _ => survey.drop_row(Space::Mailboxes, key),
            }
        });
    }

    fn read_names(&mut self) {
        self.each(Space::Names, |survey, key, row| {
            let (user, name) = key.split_at_checked(8).unwrap_or_default();
            let name = String::from_utf8_lossy(name).into_owned();
            let (Some(user), Ok(mut row)) = (number(user).map(UserId), Name::decode(row)) else {
                return survey.drop_row(Space::Names, key);
            };
            *survey.name_counts.entry(user).or_default() += 1;
            let Some(id) = row.mailbox else { return };
            survey.uses("mailbox", id.0);
            if survey.names.contains_key(&id) {
                survey.find(
                    Some(id),
                    None,
                    false,
                    format!("is named {name} too; it is not now"),
                );
                row.mailbox = None;
                return survey.repair.put(Space::Names, key.to_vec(), row.encode());
            }
            survey.names.insert(id, (user, name));
            let is_whole = !survey.unread.contains(Space::Mailboxes.name());
            if !survey.mailboxes.contains_key(&id) && is_whole {
                survey.find(Some(id), None, true, "its figures and keywords are lost");
                let uid_validity = survey.new_uid_validity();
                let row = Mailbox {
                    user,
                    uid_validity,
                    uid_next: Uid(1),
                    recent_from: Uid(1),
                    ..Mailbox::default()
                };
                survey.mailboxes.insert(id, row);
            }
        });
    }

    fn name_the_nameless(&mut self) {
        if self.is_underway || self.unread.contains(Space::Names.name()) {
            return;
        }
        let mut recovered = BTreeSet::new();
        for (id, row) in self.mailboxes() {
            if self.names.contains_key(&id) {
                continue;
            }
            let user = row.user;
            let name = format!("Recovered/{}", id.0);
            let parent = Name {
                exists: true,
                ..Name::default()
            };
            let named = Name {
                mailbox: Some(id),
                ..parent.clone()
            };
            let above = keys::name(user, "Recovered");
            if !matches!(self.rows.get(Space::Names, &above), Ok(Some(_))) {
                self.repair.put(Space::Names, above, parent.encode());
                recovered.insert(user);
            }
            *self.name_counts.entry(user).or_default() += 1;
            let key = keys::name(user, &name);
            self.repair.put(Space::Names, key, named.encode());
            self.names.insert(id, (user, name));
            self.find(Some(id), None, false, "had no name; it has this one now");
        }
        for user in recovered {
            *self.name_counts.entry(user).or_default() += 1;
        }
    }

    pub fn check_accounts(&mut self) {
        if self.is_underway || self.unread.contains(Space::Messages.name()) {
            return;
        }
        for (user, account) in self.accounts.clone() {
            let (bytes, messages) = self.used.get(&user).copied().unwrap_or_default();
            let names = self.name_counts.get(&user).copied().unwrap_or_default();
            let is_whole = !self.unread.contains(Space::Names.name());
            let counted = Account {
                bytes,
                messages,
                // Who has no count is counted when it is needed.
                names: account.names.map(|_| names).filter(|_| is_whole),
                metadata_bytes: self.metadata.get(&user).copied().unwrap_or_default(),
                ..account.clone()
            };
            let key = keys::number(user.0);
            let stored = self.rows.get(Space::Accounts, &key);
            if matches!(stored, Ok(Some(row)) if row == counted.encode()) {
                continue;
            }
            let (before, after) = (account.metadata_bytes, counted.metadata_bytes);
            if before != after {
                let what = format!("metadata counts for {before} bytes, but there are {after}");
                self.find_of(user, what);
            }
            if let (Some(before), Some(after)) = (account.names, counted.names)
                && before != after
            {
                let what = format!("{before} mailbox names are counted, but there are {after}");
                self.find_of(user, what);
            }
            if (account.bytes, account.messages) != (bytes, messages) {
                self.find_of(
                    user,
                    format!(
                        "{} messages of {} bytes count for the quota, but there are {messages} of \
                     {bytes}",
                        account.messages, account.bytes
                    ),
                );
            }
            self.repair.put(Space::Accounts, key, counted.encode());
        }
    }

    fn check_counters(&mut self) {
        for (name, highest) in self.highest.clone() {
            let stored = self.counter(name);
            if stored < highest {
                let what =
                    format!("the counter {name} stands at {stored}, but {highest} is in use");
                self.find(None, None, false, what);
                let key = name.as_bytes().to_vec();
                self.repair.put(Space::Meta, key, keys::number(highest));
            }
        }
    }
}

/// A key that is a number.
pub(super) fn number(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}
