//! Which messages a mailbox has already: those with the same bytes. Each counts once, as there may
//! be several of the same.

use ahash::AHashMap;
use archive::elsewhere::message_id;
use mail::{MailboxId, Uid};
use store::Store;
use store::frozen::{Frozen, FrozenMessage};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use super::super::Failed;

/// Messages that are looked at in one piece.
const SLICE: usize = 1024;

/// The messages that a mailbox had when it was looked at, by their size.
pub(super) struct Presence {
    pub mailbox: MailboxId,
    frozen: Frozen,
    by_size: AHashMap<u64, Vec<(Uid, u64)>>,
}

fn of_body(size: u64, body: u64) -> FrozenMessage {
    FrozenMessage {
        size,
        body,
        ..FrozenMessage::default()
    }
}

/// The checksum of a message's bytes.
pub(super) fn checksum(bytes: &[u8]) -> u128 {
    xxh3_128(bytes)
}

impl Presence {
    /// Looks at a mailbox.
    pub fn of(store: &Store, mailbox: MailboxId) -> Result<Self, Failed> {
        let frozen = store.freeze()?;
        let mut by_size: AHashMap<u64, Vec<(Uid, u64)>> = AHashMap::default();
        let mut next = Uid(1);
        loop {
            let some = frozen.messages(mailbox, next, SLICE)?;
            let Some(last) = some.last() else {
                break;
            };
            next = Uid(last.uid.0.saturating_add(1));
            for message in some {
                let there = by_size.entry(message.size).or_default();
                there.push((message.uid, message.body));
            }
        }
        Ok(Self {
            mailbox,
            frozen,
            by_size,
        })
    }

    /// Whether one of such a size may be there.
    pub fn may_have(&self, size: u64) -> bool {
        self.by_size.contains_key(&size)
    }

    /// Whether a message is there, and takes it out if so: the one with its UID if that has the
    /// same bytes, else another.
    pub fn take(&mut self, size: u64, sum: u128, uid: Option<Uid>) -> Result<bool, Failed> {
        self.take_if(size, uid, |this, body| {
            Ok(this.checksum_of(size, body)? == sum)
        })
    }

    /// As [`Presence::take`], by Message-ID instead of all bytes.
    pub fn take_like(&mut self, size: u64, id: &str, uid: Option<Uid>) -> Result<bool, Failed> {
        self.take_if(size, uid, |this, body| {
            let message = of_body(size, body);
            let start = this.frozen.bytes(&message, 0)?;
            Ok(message_id(&start).as_deref() == Some(id))
        })
    }

    fn take_if(
        &mut self,
        size: u64,
        uid: Option<Uid>,
        is_it: impl Fn(&Self, u64) -> Result<bool, Failed>,
    ) -> Result<bool, Failed> {
        let Some(there) = self.by_size.get(&size) else {
            return Ok(false);
        };
        let mut places: Vec<usize> = (0..there.len()).collect();
        places.sort_by_key(|place| Some(there[*place].0) != uid);
        for place in places {
            if is_it(self, there[place].1)? {
                let there = self.by_size.entry(size).or_default();
                there.remove(place);
                if there.is_empty() {
                    self.by_size.remove(&size);
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn checksum_of(&self, size: u64, body: u64) -> Result<u128, Failed> {
        let message = of_body(size, body);
        let (mut sum, mut at) = (Xxh3Default::new(), 0);
        while at < size {
            let bytes = self.frozen.bytes(&message, at)?;
            sum.update(&bytes);
            at += bytes.len() as u64;
        }
        Ok(sum.digest128())
    }
}
