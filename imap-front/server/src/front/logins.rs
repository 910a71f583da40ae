//! Who is logged in from where, for those who are told of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use ahash::RandomState;
use engine::event::SessionId;
use mail::UserId;
use reactor::sparse::Sparse;

use super::deadlines::seconds;
use crate::notify::{Queue, ServerEvent};

/// Sessions of one shard that have logged in. Parked sessions are many, so one takes eight bytes,
/// in the place of its slot; whose it is stands in its row.
#[derive(Default)]
pub struct Logins {
    /// Who is told; nobody if there is none.
    queue: Option<Queue>,
    slots: Sparse<Slot>,
    /// Addresses that don't fit into a slot.
    large: HashMap<u32, IpAddr, RandomState>,
}

/// One session; all 0 if it has not logged in.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Slot {
    /// When it logged in: seconds on the reactor's clock, 1 at least.
    at_s: u32,
    /// Its address of IPv4, or one of those below.
    client: u32,
}

const _: () = assert!(size_of::<Slot>() == 8);

/// The address is among the large ones.
const LARGE: u32 = u32::MAX - 1;
/// There is no address: it is this host.
const NONE: u32 = u32::MAX;

/// When a session logged in, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Came {
    /// Seconds on the reactor's clock, 1 at least.
    pub at_s: u32,
    /// The client's address, if it is known.
    pub client: Option<IpAddr>,
}

impl Logins {
    /// Reports to a queue, if there is one.
    pub fn new(queue: Option<Queue>) -> Self {
        Self {
            queue,
            ..Self::default()
        }
    }

    /// Whether somebody is told of logins.
    pub(super) fn are_reported(&self) -> bool {
        self.queue.is_some()
    }

    /// A session has logged in.
    pub(super) fn came(
        &mut self,
        id: SessionId,
        now_ns: u64,
        user: UserId,
        client: Option<IpAddr>,
    ) {
        let at_s = seconds(now_ns).max(1);
        self.note(id.slot, Came { at_s, client });
        if let (Some(queue), Some(client)) = (&self.queue, client) {
            queue.report(ServerEvent::Login { user, client });
        }
    }

    /// A session came from another process, where it had logged in.
    pub(super) fn restore(&mut self, id: SessionId, came: Came) {
        self.note(id.slot, came);
    }

    /// A session that came from another process is still that one's: nobody has left.
    pub(super) fn forget(&mut self, id: SessionId) {
        self.slots.set(id.slot as usize, Slot::default());
        self.large.remove(&id.slot);
    }

    fn note(&mut self, slot: u32, came: Came) {
        let place = match came.client.map(|client| client.to_canonical()) {
            None => NONE,
            Some(IpAddr::V4(client)) if client.to_bits() < LARGE => client.to_bits(),
            Some(client) => {
                self.large.insert(slot, client);
                LARGE
            }
        };
        let at_s = came.at_s;
        let client = place;
        self.slots.set(slot as usize, Slot { at_s, client });
    }

    /// A session of a user is gone. Gives how it came, if it had logged in.
    pub(super) fn left(&mut self, id: SessionId, user: UserId) -> Option<Came> {
        let came = self.came_of(id)?;
        self.forget(id);
        if let (Some(queue), Some(client)) = (&self.queue, came.client) {
            queue.report(ServerEvent::Logout { user, client });
        }
        Some(came)
    }

    /// How a session came that has logged in.
    pub(super) fn came_of(&self, id: SessionId) -> Option<Came> {
        let Slot { at_s, client } = self.slots.get(id.slot as usize);
        let client = match client {
            _ if at_s == 0 => return None,
            NONE => None,
            LARGE => self.large.get(&id.slot).copied(),
            bits => Some(Ipv4Addr::from_bits(bits).into()),
        };
        Some(Came { at_s, client })
    }
}

#[cfg(test)]
mod tests {
    use engine::event::ShardId;

    use super::*;

    #[test]
    fn each_session_is_reported_as_it_came() {
        let (queue, events) = Queue::new();
        let mut logins = Logins::new(Some(queue));
        let session = |slot| SessionId {
            shard: ShardId(0),
            generation: 1,
            slot,
        };
        let all = [
            (UserId(7), IpAddr::from([192, 0, 2, 1])),
            (UserId(1 << 40), IpAddr::from([255, 255, 255, 255])),
            (UserId(9), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])),
        ];
        for (slot, (user, client)) in (3..).zip(all) {
            logins.came(
                session(slot),
                u64::from(slot) * 1_000_000_000,
                user,
                Some(client),
            );
        }
        logins.came(session(99), 0, UserId(5), None);
        assert_eq!(logins.left(session(0), UserId(7)), None);
        for (slot, (user, client)) in (3..).zip(all) {
            let came = Came {
                at_s: slot,
                client: Some(client),
            };
            assert_eq!(logins.left(session(slot), user), Some(came));
            assert_eq!(logins.left(session(slot), user), None);
        }
        let here = Came {
            at_s: 1,
            client: None,
        };
        assert_eq!(logins.left(session(99), UserId(5)), Some(here));
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
