//! Sessions that the server ends before login, for what their clients said.

use super::Session;

/// Why a session was ended whose client would have gone on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Too many commands before login.
    Commands,
    /// The client sent an HTTP request instead of a command.
    Http,
    /// Something came behind STARTTLS, before the handshake.
    BehindStartTls,
}

impl Session {
    /// Why the session was ended, if it was for what was said before login.
    pub fn ended_for(&self) -> Option<Ending> {
        self.ending
    }

    /// Whether the client has given more commands before login than it may.
    pub fn exceeds_commands(&self) -> bool {
        let max = self.config.prelogin_commands_max;
        max > 0 && self.commands > max
    }

    pub(super) fn end_for(&mut self, ending: Ending) {
        self.ending = Some(ending);
        self.bye(match ending {
            Ending::Commands => "[LIMIT] Too many commands before login",
            Ending::Http => "This is IMAP, and no web server",
            Ending::BehindStartTls => "Nothing may follow STARTTLS before the handshake",
        });
    }
}
