//! The model of one mailbox: what must be in it, what may be, and since when that is certain.
//!
//! Every change is noted twice, when it is sent and when it is answered, because in between either
//! state may be seen. What was sent over a connection that broke may happen for a while
//! ([`LOST_NS`]). Strict checks are made only where nothing changed while they looked: a change
//! moves `version` when it begins and when it ends.

use std::collections::VecDeque;

use super::faults::{Kind, Wrong};
use super::view::{DELETED, flag_list};

/// How long a command may still take effect after its connection broke.
pub const LOST_NS: u64 = 10_000_000_000;
/// How long it is remembered what is gone: longer than any command may take.
const GONE_NS: u64 = 60_000_000_000;
/// Additions whose times are kept.
const ADDS_MAX: usize = 8;

/// A message whose UID and name are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub uid: u32,
    pub flags: u8,
    /// Flags that may be set or not.
    pub doubt: u8,
    /// It may be gone.
    pub leaving: bool,
    pub id: u64,
}

/// How far an addition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Begun,
    Durable,
    Lost,
}

/// A message whose UID is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub id: u64,
    pub stage: Stage,
}

#[derive(Clone, Copy, Debug)]
struct Gone {
    uid: u32,
    id: u64,
    at_ns: u64,
}

/// When a message was sent and when it was durable; 0 as long as it isn't.
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// Its number among the mailbox's additions, from 1.
    pub number: u32,
    /// Its name.
    pub id: u64,
    /// The end of its data.
    pub data_ns: u64,
    /// The 250 or OK.
    pub durable_ns: u64,
}

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was answered with success.
    Done,
    /// The server said that its message is gone.
    Gone,
    /// Nobody knows.
    Lost,
}

/// A mailbox at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    version: u32,
    steady: bool,
}

/// The model.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// By UID.
    pub(super) messages: Vec<Message>,
    pub(super) arrivals: Vec<Arrival>,
    gone: VecDeque<Gone>,
    version: u32,
    /// Changes under way.
    busy: u16,
    /// EXPUNGEs and CLOSEs under way.
    expunging: u16,
    /// Until then something lost may still happen.
    pub(super) murky_until_ns: u64,
    expunge_until_ns: u64,
    pub(super) validity: u32,
    /// Nothing new may have this UID or a lower one.
    pub(super) floor: u32,
    /// The highest UID ever seen.
    pub(super) highest: u32,
    adds: VecDeque<Add>,
    /// Additions begun.
    pub added: u32,
    /// Additions lost and expunges: after one, counts of events don't tell which addition is meant.
    pub disturbed: u32,
}

impl Mailbox {
    /// The mailbox now.
    pub fn stamp(&self, now_ns: u64) -> Stamp {
        Stamp {
            version: self.version,
            steady: self.busy == 0 && now_ns >= self.murky_until_ns,
        }
    }

    /// Whether nothing can have changed since.
    pub fn is_steady_since(&self, stamp: Stamp) -> bool {
        stamp.steady && self.busy == 0 && self.version == stamp.version
    }

    /// Whether no change is under way.
    pub fn is_quiet(&self, now_ns: u64) -> bool {
        self.stamp(now_ns).steady
    }

    /// Whether every message is known to be there, with its flags.
    pub fn is_certain(&self) -> bool {
        let sure = |message: &Message| message.doubt == 0 && !message.leaving;
        let durable = |arrival: &Arrival| arrival.stage == Stage::Durable;
        self.messages.iter().all(sure) && self.arrivals.iter().all(durable)
    }

    /// Messages that may be there.
    pub fn count(&self) -> usize {
        self.messages.len() + self.arrivals.len()
    }

    /// Messages without `\Seen`, if all are certain.
    pub fn unseen(&self) -> usize {
        let seen = |message: &&Message| message.flags & super::view::SEEN != 0;
        self.count() - self.messages.iter().filter(seen).count()
    }

    /// Whether a message's UID and name are known and it may be there.
    pub fn has(&self, uid: u32) -> bool {
        self.find(uid).is_ok()
    }

    /// Whether a message is known, there or gone.
    pub fn knows(&self, uid: u32) -> bool {
        self.has(uid) || self.gone.iter().any(|gone| gone.uid == uid)
    }

    /// The flags that a message certainly or possibly has.
    pub fn flags(&self, uid: u32) -> Option<u8> {
        let place = self.find(uid).ok()?;
        Some(self.messages[place].flags | self.messages[place].doubt)
    }

    /// The highest UID seen so far.
    pub fn highest(&self) -> u32 {
        self.highest
    }

    pub(super) fn find(&self, uid: u32) -> Result<usize, usize> {
        self.messages.binary_search_by_key(&uid, |m| m.uid)
    }

    fn begin(&mut self) {
        self.version = self.version.wrapping_add(1);
        self.busy += 1;
    }

    fn end(&mut self, end: End, now_ns: u64) {
        self.version = self.version.wrapping_add(1);
        self.busy -= 1;
        if end == End::Lost {
            self.murky_until_ns = now_ns + LOST_NS;
        }
    }

    /// A message is on its way.
    pub fn adding(&mut self, id: u64) {
        self.begin();
        self.added += 1;
        self.arrivals.push(Arrival {
            id,
            stage: Stage::Begun,
        });
        if self.adds.len() == ADDS_MAX {
            self.adds.pop_front();
        }
        self.adds.push_back(Add {
            number: self.added,
            id,
            data_ns: 0,
            durable_ns: 0,
        });
    }

    /// Its data has been sent.
    pub fn add_sent(&mut self, id: u64, now_ns: u64) {
        if let Some(add) = self.adds.iter_mut().rfind(|add| add.id == id) {
            add.data_ns = now_ns;
        }
    }

    /// It was answered, or nobody knows. Gives when its data was sent, if that is kept.
    pub fn add_ended(&mut self, id: u64, end: End, now_ns: u64) -> Option<u64> {
        self.end(end, now_ns);
        let stage = if end == End::Done {
            Stage::Durable
        } else {
            self.disturbed += 1;
            Stage::Lost
        };
        if let Some(arrival) = self.arrivals.iter_mut().find(|arrival| arrival.id == id) {
            arrival.stage = stage;
        }
        let add = self.adds.iter_mut().rfind(|add| add.id == id)?;
        if end == End::Done {
            add.durable_ns = now_ns;
        }
        (add.data_ns > 0).then_some(add.data_ns)
    }

    /// An addition by its number, if it is kept.
    pub fn add(&self, number: u32) -> Option<&Add> {
        self.adds.iter().find(|add| add.number == number)
    }

    /// A flag of a message is being stored.
    pub fn storing(&mut self, uid: u32, flag: u8, set: bool, now_ns: u64) {
        self.begin();
        let expunging = self.may_expunge(now_ns);
        if let Ok(place) = self.find(uid) {
            let message = &mut self.messages[place];
            if (message.flags & flag != 0) != set {
                message.doubt |= flag;
            }
            message.leaving |= flag == DELETED && expunging;
        }
    }

    /// That was answered, or nobody knows.
    ///
    /// # Errors
    /// If the server says that a message is gone which nobody expunged.
    pub fn stored(
        &mut self,
        (uid, flag, set): (u32, u8, bool),
        end: End,
        now_ns: u64,
    ) -> Result<(), Wrong> {
        self.end(end, now_ns);
        let murky = now_ns < self.murky_until_ns;
        let Ok(place) = self.find(uid) else {
            return Ok(());
        };
        let message = &mut self.messages[place];
        match end {
            End::Done => {
                message.flags = if set {
                    message.flags | flag
                } else {
                    message.flags & !flag
                };
                if !murky {
                    message.doubt &= !flag;
                }
            }
            End::Gone if !message.leaving => {
                let text = format!("UID {uid} is gone by EXPUNGEISSUED, but nobody expunged it");
                return Err(Wrong::new(Kind::Lost, text));
            }
            End::Gone | End::Lost => {}
        }
        Ok(())
    }

    /// EXPUNGE or CLOSE is sent. Gives the messages that must be gone when it succeeds.
    pub fn expunging(&mut self) -> Vec<u32> {
        self.begin();
        self.expunging += 1;
        self.disturbed += 1;
        let mut doomed = Vec::new();
        for message in &mut self.messages {
            if (message.flags | message.doubt) & DELETED != 0 {
                message.leaving = true;
                if message.doubt & DELETED == 0 {
                    doomed.push(message.uid);
                }
            }
        }
        doomed
    }

    /// It was answered, or nobody knows.
    pub fn expunged(&mut self, doomed: &[u32], end: End, now_ns: u64) {
        self.end(end, now_ns);
        self.expunging -= 1;
        self.disturbed += 1;
        if end == End::Lost {
            self.expunge_until_ns = now_ns + LOST_NS;
            return;
        }
        for uid in doomed {
            if let Ok(place) = self.find(*uid) {
                self.bury(place, now_ns);
            }
        }
    }

    fn may_expunge(&self, now_ns: u64) -> bool {
        self.expunging > 0 || now_ns < self.expunge_until_ns
    }

    /// A session was told that a message is gone.
    ///
    /// # Errors
    /// If it may not be.
    pub fn seen_expunged(&mut self, uid: u32, now_ns: u64) -> Result<(), Wrong> {
        let Ok(place) = self.find(uid) else {
            return Ok(());
        };
        let message = self.messages[place];
        self.bury(place, now_ns);
        if message.leaving {
            return Ok(());
        }
        let flags = flag_list(message.flags);
        let text = format!("UID {uid} with flags {flags} was expunged, but nobody asked for that");
        Err(Wrong::new(Kind::Expunge, text))
    }

    pub(super) fn bury(&mut self, place: usize, now_ns: u64) {
        let Message { uid, id, .. } = self.messages.remove(place);
        let old = |gone: &Gone| gone.at_ns + GONE_NS < now_ns;
        while self.gone.front().is_some_and(old) {
            self.gone.pop_front();
        }
        self.gone.push_back(Gone {
            uid,
            id,
            at_ns: now_ns,
        });
    }

    /// What was there before the run; the flags as they were told.
    pub fn adopt(&mut self, uid: u32, id: u64, flags: u8) {
        if let Err(place) = self.find(uid) {
            let message = Message {
                uid,
                flags,
                doubt: 0,
                leaving: false,
                id,
            };
            self.messages.insert(place, message);
            self.highest = self.highest.max(uid);
        }
    }

    /// A message's UID and name were told, by a command begun then.
    ///
    /// # Errors
    /// If no such message can be there.
    pub fn link(&mut self, uid: u32, id: u64, begun_ns: u64) -> Result<(), Wrong> {
        if let Ok(place) = self.find(uid) {
            return same(uid, self.messages[place].id, id);
        }
        if let Some(gone) = self.gone.iter().find(|gone| gone.uid == uid) {
            same(uid, gone.id, id)?;
            if gone.at_ns < begun_ns {
                let text = format!("UID {uid}, message {id}, is back after it was expunged");
                return Err(Wrong::new(Kind::Doubled, text));
            }
            return Ok(());
        }
        let Some(place) = self.arrivals.iter().position(|arrival| arrival.id == id) else {
            return Err(self.stranger(uid, id));
        };
        if uid <= self.floor {
            let text = format!(
                "new message {id} has UID {uid}, used or passed over before: UIDs up to {} are",
                self.floor
            );
            return Err(Wrong::new(Kind::Uid, text));
        }
        self.arrivals.swap_remove(place);
        self.adopt(uid, id, 0);
        Ok(())
    }

    fn stranger(&self, uid: u32, id: u64) -> Wrong {
        let other = self.messages.iter().find(|message| message.id == id);
        let text = match other {
            Some(other) => format!(
                "message {id} is there as UID {} and as UID {uid}",
                other.uid
            ),
            None => format!("UID {uid} is message {id}, which nobody sent or which is gone"),
        };
        Wrong::new(Kind::Doubled, text)
    }

    /// The mailbox's UIDVALIDITY was told.
    ///
    /// # Errors
    /// If it is another than before.
    pub fn check_validity(&mut self, told: u32) -> Result<(), Wrong> {
        let was = std::mem::replace(&mut self.validity, told);
        if was == 0 || was == told {
            return Ok(());
        }
        let text = format!("UIDVALIDITY {told}, was {was}");
        Err(Wrong::new(Kind::Uid, text))
    }
}

fn same(uid: u32, was: u64, id: u64) -> Result<(), Wrong> {
    if was == id {
        return Ok(());
    }
    let text = format!("UID {uid} is message {id}, was message {was}");
    Err(Wrong::new(Kind::Uid, text))
}

#[cfg(test)]
#[path = "mailbox_tests.rs"]
mod tests;
