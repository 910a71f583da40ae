//! What the server has said, and what therefore must be true for ever. No input or output here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A message as a snapshot shows it.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its UID.
    pub uid: u64,
    /// Its mod-sequence.
    pub modseq: u64,
    /// Whether `\Flagged` is set.
    pub flagged: bool,
    /// Its subject, which names it.
    pub id: String,
}

/// A mailbox as one session saw it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// UIDVALIDITY.
    pub uid_validity: u64,
    /// UIDNEXT.
    pub uid_next: u64,
    /// HIGHESTMODSEQ (RFC 7162 §3.1.2.1).
    pub highest_modseq: u64,
    /// The messages in the order of their numbers.
    pub messages: Vec<Message>,
}

/// One delivery: to whom, and what.
pub type Delivery = (String, String);

/// The promises about every mailbox.
pub struct Ledger {
    accounts: BTreeMap<String, Account>,
    accepted: u64,
    in_doubt: u64,
    kept_in_doubt: u64,
}

/// The promises about one mailbox.
#[derive(Default)]
struct Account {
    uid_validity: Option<u64>,
    uid_next: u64,
    highest_modseq: u64,
    /// Every UID ever seen: whose it is, and the newest mod-sequence it was seen with.
    uids: BTreeMap<u64, (String, u64)>,
    /// The UID that each message was first seen with.
    ids: HashMap<String, u64>,
    flagged: BTreeSet<u64>,
    expunged: BTreeSet<u64>,
    /// Asked to be expunged, without an answer.
    leaving: BTreeSet<u64>,
    accepted: BTreeSet<String>,
    in_doubt: BTreeSet<String>,
    read: BTreeSet<u64>,
}

impl Ledger {
    /// Nothing is promised yet.
    pub fn new(users: &[String]) -> Ledger {
        let accounts = users
            .iter()
            .map(|user| (user.clone(), Account::default()))
            .collect();
        Ledger {
            accounts,
            accepted: 0,
            in_doubt: 0,
            kept_in_doubt: 0,
        }
    }

    /// Everybody with a mailbox.
    pub fn users(&self) -> Vec<String> {
        self.accounts.keys().cloned().collect()
    }

    /// Notes what was answered with 250, and what got no answer.
    pub fn promise(&mut self, accepted: Vec<Delivery>, in_doubt: Vec<Delivery>) {
        self.accepted += accepted.len() as u64;
        self.in_doubt += in_doubt.len() as u64;
        for (user, id) in accepted {
            self.account(&user).accepted.insert(id);
        }
        for (user, id) in in_doubt {
            self.account(&user).in_doubt.insert(id);
        }
    }

    /// Notes that a flag was set and answered OK.
    pub fn flagged(&mut self, user: &str, uid: u64) {
        self.account(user).flagged.insert(uid);
    }

    /// Notes that a message is about to be expunged.
    pub fn leaving(&mut self, user: &str, uid: u64) {
        self.account(user).leaving.insert(uid);
    }

    /// Notes that the expunge was answered OK.
    pub fn expunged(&mut self, user: &str, uid: u64) {
        self.account(user).expunged.insert(uid);
    }

    /// The messages of a snapshot whose text nobody has read yet; they count as read from now on.
    pub fn unread(&mut self, user: &str, snapshot: &Snapshot) -> Vec<u64> {
        let account = self.account(user);
        let uids = snapshot.messages.iter().map(|message| message.uid);
        uids.filter(|uid| account.read.insert(*uid)).collect()
    }

    /// Takes in what a session saw at any time, and tells what contradicts earlier sights.
    pub fn observe(&mut self, user: &str, snapshot: &Snapshot) -> Vec<String> {
        let account = self.account(user);
        let mut complaints = account.observe_counters(snapshot);
        complaints.extend(account.observe_messages(snapshot));
        complaints
            .into_iter()
            .map(|complaint| format!("{user}: {complaint}"))
            .collect()
    }

    /// Takes in a snapshot of a quiet mailbox, and tells every promise that it breaks.
    pub fn settle(&mut self, user: &str, snapshot: &Snapshot) -> Vec<String> {
        let mut complaints = self.observe(user, snapshot);
        let account = self.account(user);
        let doubted = account.in_doubt.len();
        complaints.extend(
            account
                .settle(snapshot)
                .into_iter()
                .map(|c| format!("{user}: {c}")),
        );
        // What was in doubt and is there stands in `accepted` now; the rest never comes.
        let kept = doubted - account.in_doubt.len();
        account.in_doubt.clear();
        self.kept_in_doubt += kept as u64;
        complaints
    }

    /// A line for people.
    pub fn summary(&self) -> String {
        format!(
            "{} deliveries accepted and kept; {} without an answer, of which {} were kept",
            self.accepted, self.in_doubt, self.kept_in_doubt
        )
    }

    fn account(&mut self, user: &str) -> &mut Account {
        self.accounts
            .get_mut(user)
            .expect("only users of the ledger are asked for")
    }
}

impl Account {
    fn observe_counters(&mut self, snapshot: &Snapshot) -> Vec<String> {
        let mut complaints = Vec::new();
        let validity = *self.uid_validity.get_or_insert(snapshot.uid_validity);
        if validity != snapshot.uid_validity {
            complaints.push(format!(
                "UIDVALIDITY {validity} became {}",
                snapshot.uid_validity
            ));
        }
        for (name, before, now) in [
            ("UIDNEXT", &mut self.uid_next, snapshot.uid_next),
            (
                "HIGHESTMODSEQ",
                &mut self.highest_modseq,
                snapshot.highest_modseq,
            ),
        ] {
            if now < *before {
                complaints.push(format!("{name} went back from {before} to {now}"));
            }
            *before = now.max(*before);
        }
        complaints
    }

    fn observe_messages(&mut self, snapshot: &Snapshot) -> Vec<String> {
        let mut complaints = Vec::new();
        let newest_before = self.uids.last_key_value().map_or(0, |(uid, _)| *uid);
        let mut last = 0;
        for Message {
            uid, modseq, id, ..
        } in &snapshot.messages
        {
            if *uid <= last {
                complaints.push(format!("UID {uid} stands after UID {last}"));
            }
            last = *uid;
            if self.expunged.contains(uid) {
                complaints.push(format!("UID {uid} was expunged and is back"));
            }
            match self.uids.get_mut(uid) {
                Some((known, _)) if known != id => {
                    complaints.push(format!("UID {uid} was {known} and is {id}"));
                }
                Some((_, seen)) if *modseq < *seen => {
                    complaints.push(format!("UID {uid}: MODSEQ {seen} went back to {modseq}"));
                }
                Some((_, seen)) => *seen = *modseq,
                None if *uid < newest_before => {
                    complaints.push(format!("UID {uid} is new below UID {newest_before}"));
                }
                None => drop(self.uids.insert(*uid, (id.clone(), *modseq))),
            }
            let first = *self.ids.entry(id.clone()).or_insert(*uid);
            if first != *uid {
                complaints.push(format!("{id} had UID {first} and has UID {uid}"));
            }
        }
        complaints
    }

    fn settle(&mut self, snapshot: &Snapshot) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut copies: HashMap<&str, u32> = HashMap::new();
        let present: BTreeMap<u64, &Message> = snapshot
            .messages
            .iter()
            .map(|message| (message.uid, message))
            .collect();
        for Message {
            uid, modseq, id, ..
        } in &snapshot.messages
        {
            *copies.entry(id).or_default() += 1;
            if *uid >= snapshot.uid_next || *modseq > snapshot.highest_modseq {
                complaints.push(format!(
                    "UID {uid}, MODSEQ {modseq} is beyond the mailbox's own"
                ));
            }
            if self.in_doubt.remove(id) {
                self.accepted.insert(id.clone());
            } else if !self.accepted.contains(id) {
                complaints.push(format!("UID {uid} is {id:?}, which nobody delivered"));
            }
        }
        for (id, copies) in copies.iter().filter(|(_, copies)| **copies > 1) {
            complaints.push(format!("{id} is there {copies} times"));
        }
        // A message whose removal was asked for may be gone without an answer, or have stayed.
        let leaving = std::mem::take(&mut self.leaving);
        self.expunged
            .extend(leaving.into_iter().filter(|uid| !present.contains_key(uid)));
        let removed: BTreeSet<&String> = self
            .expunged
            .iter()
            .filter_map(|uid| Some(&self.uids.get(uid)?.0))
            .collect();
        for id in self
            .accepted
            .iter()
            .filter(|id| !copies.contains_key(id.as_str()))
        {
            if !removed.contains(id) {
                complaints.push(format!("{id} was accepted and is not there"));
            }
        }
        for uid in &self.flagged {
            if present.get(uid).is_some_and(|message| !message.flagged) {
                complaints.push(format!("UID {uid} has lost its flag"));
            }
        }
        complaints
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
