//! Sessions between two transactions on their way to another process.

use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::{Session, SessionConfig, State};
use crate::plain::{put_text, take_bool, take_text};

impl Session {
    /// Whether it can go to another process: no transaction and no command is under way, and its
    /// client was told all that it is owed.
    pub fn rests(&self) -> bool {
        let waits = !self.input.is_empty() || !self.output.is_empty() || self.pending.is_some();
        self.state == State::Command
            && self.transaction.is_none()
            && !waits
            && !self.skipping
            && !self.stopping
    }

    /// Appends what there is of a session that rests.
    pub fn hand_over(&self, output: &mut Vec<u8>) {
        put_text(output, self.peer.as_deref());
        put_text(output, self.client.as_deref());
        output.put_u32(self.errors);
        // The last one told of HTTP, of which nobody rests.
        for bit in [self.starttls, self.secure, false] {
            output.put_u8(u8::from(bit));
        }
    }

    /// Takes a session that another process has given away; none if these are not its bytes.
    pub fn taken_over(config: Arc<SessionConfig>, input: &mut &[u8]) -> Option<Self> {
        let mut session = Self::new(config, take_text(input)?);
        // It has been greeted.
        session.output.clear();
        session.client = take_text(input)?;
        session.errors = input.try_get_u32().ok()?;
        session.starttls = take_bool(input)?;
        session.secure = take_bool(input)?;
        take_bool(input)?;
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::super::OverQuota;
    use super::*;
    use crate::lmtp::Action;

    fn said(session: &mut Session) -> String {
        let mut said = String::new();
        while let Some(Action::Send(bytes)) = session.poll_action() {
            said.push_str(&String::from_utf8_lossy(&bytes));
        }
        said
    }

    #[test]
    fn a_deliverer_goes_on_between_two_messages() {
        let config = Arc::new(SessionConfig {
            hostname: "here".into(),
            message_bytes_max: 1000,
            recipients_max: 10,
            over_quota: OverQuota::Permanent,
        });
        let mut session = Session::new(config.clone(), Some("192.0.2.1".into()));
        assert!(!session.rests(), "its greeting has not left");
        said(&mut session);
        session.handle_input(b"LHLO there\r\n");
        said(&mut session);
        assert!(session.rests());
        let mut bytes = Vec::new();
        session.hand_over(&mut bytes);
        for length in 0..bytes.len() {
            assert!(Session::taken_over(config.clone(), &mut &bytes[..length]).is_none());
        }
        let mut other = Session::taken_over(config, &mut &bytes[..]).expect("its bytes");
        assert_eq!(other.peer(), Some("192.0.2.1"));
        assert_eq!(said(&mut other), "");
        other.handle_input(b"MAIL FROM:<a@example.org>\r\n");
        assert!(said(&mut other).starts_with("250 "), "it knows of LHLO");
        assert!(!other.rests(), "a transaction is under way");
    }
}
