//! Sessions that go to another process, or come from one: as they stand, whose they are, and how
//! they came.

use std::net::IpAddr;

use bytes::{Buf, BufMut};
use engine::event::SessionId;
use engine::protocol::{Seen, TakenOver};
use proto::imap::{Parked, Session};
use proto::plain::{put_address, put_text, take_address, take_text};

use super::logins::Came;
use super::tally::Tally;
use super::{Backend, Front, FrontSession, deadlines, network};

/// What a session is written down as.
const PARKED: u8 = 1;
const STRANGER: u8 = 2;

impl<B: Backend> Front<B> {
    /// Whether an active session can go as it is.
    pub(crate) fn rests(&self, session: &FrontSession) -> bool {
        session.machine.rests()
    }

    /// Whether one that doesn't rest waits for what is being written.
    pub(crate) fn awaits_answer(&self, session: &FrontSession) -> bool {
        session.asks_to_write
    }

    /// Writes a session down; false if it can't go.
    pub(crate) fn hand_over(
        &mut self,
        id: SessionId,
        seen: Seen<'_, FrontSession, Parked>,
        output: &mut Vec<u8>,
    ) -> bool {
        let parked = match seen {
            Seen::Parked(parked) => *parked,
            Seen::Active(session) if session.user.is_none() => {
                if !session.machine.rests() {
                    return false;
                }
                output.put_u8(STRANGER);
                output.put_u64(session.heard_ns);
                put_address(output, session.peer);
                put_text(output, session.called.as_deref());
                session.machine.hand_over_stranger(output);
                return true;
            }
            Seen::Active(session) => {
                let Some(mut parked) = session.machine.park() else {
                    return false;
                };
                parked.heard_s = deadlines::seconds(session.heard_ns);
                parked
            }
        };
        output.put_u8(PARKED);
        let came = self.logins.came_of(id);
        output.put_u32(came.map_or(0, |came| came.at_s));
        put_address(output, came.and_then(|came| came.client));
        parked.hand_over(output);
        true
    }

    /// A session that another process has written down; none if these are not its bytes.
    pub(crate) fn take_over(
        &mut self,
        id: SessionId,
        mut bytes: &[u8],
    ) -> Option<TakenOver<FrontSession, Parked>> {
        let input = &mut bytes;
        match input.try_get_u8().ok()? {
            PARKED => {
                let at_s = input.try_get_u32().ok()?;
                let client = take_address(input)?;
                let parked = Parked::taken_over(input)?;
                self.count(id, client);
                if let (Some(users), Some(client)) = (&mut self.users, client)
                    && !client.to_canonical().is_loopback()
                {
                    users.enter(id.slot, parked.user.0);
                }
                if at_s > 0 {
                    self.logins.restore(id, Came { at_s, client });
                }
                self.counts.came(true);
                if parked.idles() {
                    self.counts.idles();
                }
                input.is_empty().then_some(TakenOver::Parked(parked))
            }
            STRANGER => {
                let heard_ns = input.try_get_u64().ok()?;
                let peer = take_address(input)?;
                let called = take_text(input)?;
                let machine = Session::taken_over_stranger(self.config.clone(), input)?;
                self.count(id, peer);
                let session = FrontSession {
                    machine,
                    reading: true,
                    held_bytes: 0,
                    heard_ns,
                    user: None,
                    proved: None,
                    peer,
                    called,
                    requester: None,
                    ended: false,
                    asked: "input",
                    asks_to_write: false,
                    quiet: false,
                    idling: false,
                    at_work: None,
                    tally: Tally::default(),
                };
                self.counts.came(false);
                input.is_empty().then_some(TakenOver::Active(session))
            }
            _ => None,
        }
    }

    /// Undoes what [`Front::take_over`] has counted for a session that was packed away.
    pub(crate) fn give_up(&mut self, id: SessionId, parked: &Parked) {
        let counted = [&mut self.addresses, &mut self.users];
        for counted in counted.into_iter().flatten() {
            counted.leave(id.slot);
        }
        self.logins.forget(id);
        self.counts.went(true);
        if parked.idles() {
            self.counts.wakes();
        }
    }

    /// Counts a connection as one of its address, however many that has.
    fn count(&mut self, id: SessionId, address: Option<IpAddr>) {
        if let (Some(addresses), Some(address)) = (&mut self.addresses, address)
            && !address.to_canonical().is_loopback()
        {
            addresses.enter(id.slot, network(address));
        }
    }
}
