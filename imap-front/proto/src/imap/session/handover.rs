//! Sessions on their way to another process: those that can be packed away, and those that have not
//! logged in yet.

use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::{Session, Work};
use crate::imap::config::{Channel, SessionConfig};
use crate::imap::handover::take_language;
use crate::plain::{put_text, take_bool, take_text};

impl Session {
    /// Whether it can go to another process: nothing is under way, and its client was told all
    /// that it is owed.
    pub fn rests(&self) -> bool {
        match self.user {
            Some(_) => self.park().is_some(),
            None => {
                let is_ready = matches!(self.work, Work::Ready) && self.output.is_drained();
                let waits = !self.receiver.is_empty() || !self.actions.is_empty();
                is_ready && !waits && !self.closing && !self.greets_later
            }
        }
    }

    /// Appends what there is of a session before login, which rests.
    pub fn hand_over_stranger(&self, output: &mut Vec<u8>) {
        let channel = self.channel.as_deref();
        let binding = channel.and_then(|channel| channel.binding);
        for bit in [
            self.cleartext,
            self.starttls,
            self.trusted,
            channel.is_some(),
            binding.is_some(),
        ] {
            output.put_u8(u8::from(bit));
        }
        output.put_u8(self.language.number());
        output.put_u8(self.failures);
        output.put_u32(self.commands);
        output.put_slice(&binding.unwrap_or_default());
        put_text(output, channel.and_then(|channel| channel.name.as_deref()));
    }

    /// Takes a session before login that another process has given away; none if these are not its
    /// bytes.
    pub fn taken_over_stranger(config: Arc<SessionConfig>, input: &mut &[u8]) -> Option<Self> {
        let mut session = Self::quiet(config, take_bool(input)?);
        session.starttls = take_bool(input)?;
        session.trusted = take_bool(input)?;
        let (has_channel, has_binding) = (take_bool(input)?, take_bool(input)?);
        session.language = take_language(input)?;
        session.failures = input.try_get_u8().ok()?;
        session.commands = input.try_get_u32().ok()?;
        let mut binding = [0; 32];
        input.try_copy_to_slice(&mut binding).ok()?;
        let name = take_text(input)?;
        if !has_channel && (has_binding || name.is_some()) {
            return None;
        }
        let binding = has_binding.then_some(binding);
        let channel = Channel {
            binding,
            name,
            // Why there is none is not handed over: EXTERNAL is not offered any more then.
            name_fault: None,
        };
        session.channel = has_channel.then(|| Box::new(channel));
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::action::Action;

    fn said(session: &mut Session) -> String {
        let mut said = String::new();
        while let Some(action) = session.poll_action() {
            if let Action::Send(bytes) = action {
                said.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        session.handle_drained();
        said
    }

    #[test]
    fn a_stranger_goes_on_where_they_were() {
        let config = Arc::new(SessionConfig::default());
        let mut session = Session::before_handshake(config.clone());
        assert!(!session.rests(), "the handshake is under way");
        session.handle_channel(Channel {
            binding: Some([7; 32]),
            name: Some("ann".into()),
            name_fault: None,
        });
        assert!(said(&mut session).starts_with("* OK "));
        session.handle_input(b"a NOOP\r\nb NO");
        said(&mut session);
        assert!(!session.rests(), "a command has begun");
        session.handle_input(b"OP\r\n");
        assert!(!session.rests(), "an answer has not left");
        said(&mut session);
        assert!(session.rests());
        let mut bytes = Vec::new();
        session.handle_input(b"x LANGUAGE fr\r\n");
        said(&mut session);
        session.hand_over_stranger(&mut bytes);
        for length in 0..bytes.len() {
            let mut short = &bytes[..length];
            assert!(Session::taken_over_stranger(config.clone(), &mut short).is_none());
        }
        let mut left = &bytes[..];
        let mut other = Session::taken_over_stranger(config, &mut left).expect("its bytes");
        assert!(left.is_empty() && other.rests());
        assert_eq!(said(&mut other), "", "it has been greeted");
        for session in [&mut session, &mut other] {
            session.handle_input(b"c CAPABILITY\r\n");
        }
        assert_eq!(said(&mut other), said(&mut session));
    }
}
