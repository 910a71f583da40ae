//! A browser at a deliverer's door.

use super::Session;
use crate::http::is_request;
use crate::lmtp::reply;

impl Session {
    /// Whether it ends because the client sent an HTTP request instead of a command.
    pub fn speaks_http(&self) -> bool {
        self.http
    }

    /// Ends the session if the next line, up to there, is of HTTP: those behind it may be
    /// commands, and come from whoever leads the browser.
    pub(super) fn ends_with_http(&mut self, end: usize) -> bool {
        self.http = !self.skipping && is_request(&self.input[..end]);
        if self.http {
            self.end(reply::NO_WEB_SERVER);
        }
        self.http
    }
}
