//! Deliverers between two messages that go to another process, or come from one.

use std::net::IpAddr;

use bytes::{Buf, BufMut};
use engine::event::SessionId;
use proto::lmtp::Session;

use super::session::LmtpSession;
use super::shard::LmtpShard;

impl LmtpSession {
    /// Whether it can go as it is.
    pub(crate) fn rests(&self) -> bool {
        self.is_quiet() && self.machine.rests()
    }

    /// Whether its message is on its way to the disk.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.is_kept_waiting()
    }

    /// Writes it down; false if it can't go.
    pub(crate) fn hand_over(&self, output: &mut Vec<u8>) -> bool {
        output.put_u64(self.heard_ns);
        self.machine.hand_over(output);
        self.rests()
    }
}

impl LmtpShard {
    /// A session that another process has written down, which takes a place; none if these are not
    /// its bytes.
    pub(crate) fn take_over(
        &mut self,
        id: SessionId,
        mut bytes: &[u8],
    ) -> Option<Box<LmtpSession>> {
        let input = &mut bytes;
        let heard_ns = input.try_get_u64().ok()?;
        let settings = self.current_settings();
        let machine = Session::taken_over(settings.session.clone(), input)?;
        if !input.is_empty() {
            return None;
        }
        let address = machine.peer().and_then(|peer| peer.parse::<IpAddr>().ok());
        let trusted = address.is_some_and(|address| settings.submitters.contain(address));
        let session = LmtpSession::with_machine(machine, settings, (trusted, heard_ns));
        self.seat(id, address, heard_ns);
        Some(Box::new(session))
    }
}
