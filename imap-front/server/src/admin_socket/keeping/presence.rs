//! Which messages a mailbox has already: those with the same bytes. Each counts once, as there may
//! be several of the same. Each message is read once for its bytes and once for its Message-ID,
//! however many have its size.

use std::collections::BTreeSet;

use ahash::{AHashMap, AHashSet};
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
    by_size: AHashMap<u64, Alike>,
}

/// Messages of one size.
#[derive(Default)]
struct Alike {
    /// UIDs and numbers of bodies.
    all: Vec<(Uid, u64)>,
    /// Those that were found.
    taken: AHashSet<Uid>,
    /// By the checksums of their bytes, once they are needed.
    by_sum: Option<Marked>,
    /// By the checksums of their Message-IDs, once they are needed.
    by_id: Option<Marked>,
}

/// Messages by what tells them apart.
type Marked = AHashMap<u128, BTreeSet<Uid>>;

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
        let mut by_size: AHashMap<u64, Alike> = AHashMap::default();
        let mut next = Uid(1);
        loop {
            let some = frozen.messages(mailbox, next, SLICE)?;
            let Some(last) = some.last() else {
                break;
            };
            next = Uid(last.uid.0.saturating_add(1));
            for message in some {
                let alike = by_size.entry(message.size).or_default();
                alike.all.push((message.uid, message.body));
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
        let Some(alike) = self.by_size.get_mut(&size) else {
            return Ok(false);
        };
        let frozen = &self.frozen;
        alike.take(
            |it| &mut it.by_sum,
            (sum, uid),
            |body| checksum_of(frozen, size, body).map(Some),
        )
    }

    /// As [`Presence::take`], by Message-ID instead of all bytes.
    pub fn take_like(&mut self, size: u64, id: &str, uid: Option<Uid>) -> Result<bool, Failed> {
        let Some(alike) = self.by_size.get_mut(&size) else {
            return Ok(false);
        };
        let frozen = &self.frozen;
        let sum = checksum(id.as_bytes());
        alike.take(
            |it| &mut it.by_id,
            (sum, uid),
            |body| {
                let start = frozen.bytes(&of_body(size, body), 0)?;
                Ok(message_id(&start).map(|id| checksum(id.as_bytes())))
            },
        )
    }
}

impl Alike {
    /// Takes out a message with a mark, if there is one.
    fn take(
        &mut self,
        marked: impl Fn(&mut Self) -> &mut Option<Marked>,
        (mark, uid): (u128, Option<Uid>),
        mark_of: impl Fn(u64) -> Result<Option<u128>, Failed>,
    ) -> Result<bool, Failed> {
        if marked(self).is_none() {
            let mut all = Marked::default();
            for (uid, body) in &self.all {
                if let Some(mark) = mark_of(*body)? {
                    all.entry(mark).or_default().insert(*uid);
                }
            }
            *marked(self) = Some(all);
        }
        loop {
            let there = marked(self).as_mut().and_then(|all| all.get_mut(&mark));
            let Some(there) = there else {
                return Ok(false);
            };
            let same = uid.filter(|uid| there.remove(uid));
            let Some(found) = same.or_else(|| there.pop_first()) else {
                return Ok(false);
            };
            // It may have been taken by its other mark.
            if self.taken.insert(found) {
                return Ok(true);
            }
        }
    }
}

fn checksum_of(frozen: &Frozen, size: u64, body: u64) -> Result<u128, Failed> {
    let message = of_body(size, body);
    let (mut sum, mut at) = (Xxh3Default::new(), 0);
    while at < size {
        let bytes = frozen.bytes(&message, at)?;
        sum.update(&bytes);
        at += bytes.len() as u64;
    }
    Ok(sum.digest128())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn each_message_is_read_once() {
        const ALL: u32 = 20_000;
        let mut alike = Alike {
            all: (1..=ALL).map(|uid| (Uid(uid), uid.into())).collect(),
            ..Alike::default()
        };
        fn by_sum(it: &mut Alike) -> &mut Option<Marked> {
            &mut it.by_sum
        }
        fn by_id(it: &mut Alike) -> &mut Option<Marked> {
            &mut it.by_id
        }
        let reads = Cell::new(0);
        let mut take = |mark: u128, uid: Option<u32>| {
            let mark_of = |body: u64| {
                reads.set(reads.get() + 1);
                Ok(Some(u128::from(body % 100)))
            };
            let taken = alike.take(by_sum, (mark, uid.map(Uid)), mark_of);
            taken.map_err(|Failed(why)| why).expect("it is read")
        };
        assert!(!take(100, None));
        // The one with the same UID if it is there.
        assert!(take(5, Some(205)) && take(5, None));
        for _ in 2..ALL / 100 {
            assert!(take(5, Some(205)));
        }
        assert!(!take(5, None) && take(6, None));
        assert_eq!(reads.get(), ALL);
        // What was taken by one mark is not there by the other.
        let mut ids = 0;
        while alike
            .take(by_id, (7, None), |_| Ok(Some(7)))
            .map_err(|Failed(why)| why)
            .expect("it is read")
        {
            ids += 1;
        }
        assert_eq!(ids, ALL - ALL / 100 - 1);
    }
}
