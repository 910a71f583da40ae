//! Who is logged in from where, for those who are told of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use ahash::RandomState;
use engine::event::SessionId;
use mail::UserId;
use reactor::sparse::Sparse;

use crate::notify::{Queue, ServerEvent};

/// Sessions of one shard that have logged in. Parked sessions are many, so one takes eight bytes,
/// in the place of its slot.
pub struct Logins {
    queue: Queue,
    slots: Sparse<Slot>,
    /// Those that don't fit into a slot.
    large: HashMap<u32, (UserId, IpAddr), RandomState>,
}

/// One session; all 0 if it has not logged in, or is among the large ones.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Slot {
    user: u32,
    client: u32,
}

const _: () = assert!(size_of::<Slot>() == 8);

impl Slot {
    /// None if the user's number or the client's address are too long.
    fn of(user: UserId, client: IpAddr) -> Option<Self> {
        let IpAddr::V4(client) = client.to_canonical() else {
            return None;
        };
        let user = u32::try_from(user.0).ok().filter(|user| *user != 0)?;
        let client = client.to_bits();
        Some(Self { user, client })
    }
}

impl Logins {
    /// Reports to a queue.
    pub fn new(queue: Queue) -> Self {
        Self {
            queue,
            slots: Sparse::default(),
            large: HashMap::default(),
        }
    }

    /// A session has logged in.
    pub(super) fn came(&mut self, id: SessionId, user: UserId, client: IpAddr) {
        match Slot::of(user, client) {
            Some(slot) => {
                self.slots.set(id.slot as usize, slot);
            }
            None => drop(self.large.insert(id.slot, (user, client))),
        }
        self.queue.report(ServerEvent::Login { user, client });
    }

    /// A session is gone.
    pub(super) fn left(&mut self, id: SessionId) {
        if let Some((user, client)) = self.take(id.slot) {
            self.queue.report(ServerEvent::Logout { user, client });
        }
    }

    fn take(&mut self, slot: u32) -> Option<(UserId, IpAddr)> {
        match self.slots.set(slot as usize, Slot::default()) {
            Slot { user: 0, .. } => self.large.remove(&slot),
            Slot { user, client } => {
                let client = Ipv4Addr::from_bits(client).into();
                Some((UserId(user.into()), client))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::event::ShardId;

    use super::*;

    #[test]
    fn each_session_is_reported_as_it_came() {
        let (queue, events) = Queue::new();
        let mut logins = Logins::new(queue);
        let session = |slot| SessionId {
            shard: ShardId(0),
            generation: 1,
            slot,
        };
        let all = [
            (UserId(7), IpAddr::from([192, 0, 2, 1])),
            (UserId(1 << 40), IpAddr::from([192, 0, 2, 2])),
            (UserId(9), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])),
        ];
        for (slot, (user, client)) in (3..).zip(all) {
            logins.came(session(slot), user, client);
        }
        logins.left(session(0));
        logins.left(session(99));
        for slot in [3, 3, 4, 5] {
            logins.left(session(slot));
        }
        let said: Vec<_> = events
            .try_iter()
            .map(|one| match one {
                ServerEvent::Login { user, client } => ("in", user, client),
                ServerEvent::Logout { user, client } => ("out", user, client),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = ["in", "out"].map(|what| all.map(|(user, client)| (what, user, client)));
        assert_eq!(said, expected.concat());
    }
}
