//! Sessions that the server ends, and messages that it refuses before the host has seen all of
//! them: what the host's log is told.

use super::{Session, State};
use crate::http::is_request;
use crate::lmtp::action::{Action, Undelivered};
use crate::lmtp::reply;

/// Why a session was ended whose client would have gone on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Too many commands in a row could not be understood.
    Errors,
    /// Its transaction took longer than it may.
    Overdue,
    /// There was no memory for what the client sent.
    NoMemory,
    /// Something came behind STARTTLS, before the handshake.
    BehindStartTls,
    /// The client sent an HTTP request instead of a command.
    Http,
}

impl Session {
    /// Why the session was ended, if its client would have gone on.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// The client said nothing for too long.
    pub fn handle_timeout(&mut self) {
        self.end(reply::TIMED_OUT);
    }

    /// The transaction takes longer than it may.
    pub fn handle_overdue(&mut self) {
        self.end_for(Ending::Overdue);
    }

    /// There is no memory for what the client sends.
    pub fn handle_no_memory(&mut self) {
        self.end_for(Ending::NoMemory);
    }

    pub(super) fn end_for(&mut self, ending: Ending) {
        if matches!(self.state, State::Closing | State::Closed) {
            return;
        }
        self.ending = Some(ending);
        self.end(match ending {
            Ending::Errors => reply::TOO_MANY_ERRORS,
            Ending::Overdue => reply::OVERDUE,
            Ending::NoMemory => reply::NO_MEMORY,
            Ending::BehindStartTls => reply::BEHIND_START_TLS,
            Ending::Http => reply::NO_WEB_SERVER,
        });
    }

    /// Ends the session if the next line, up to there, is of HTTP: those behind it may be
    /// commands, and come from whoever leads the browser.
    pub(super) fn ends_with_http(&mut self, end: usize) -> bool {
        let is_http = !self.skipping && is_request(&self.input[..end]);
        if is_http {
            self.end_for(Ending::Http);
        }
        is_http
    }

    /// The host is told of a message that is complete and refused; its transaction is there still.
    pub(super) fn undelivered(&mut self) -> Option<Action> {
        let transaction = self.transaction.as_ref()?;
        Some(Action::Undelivered(Undelivered {
            refusal: transaction.text.refused.clone()?,
            return_path: transaction.mail.sender.clone(),
            size: transaction.text.received,
        }))
    }

    /// Each recipient of that message is told (RFC 2033 §4.2).
    pub(super) fn refuse_text(&mut self) {
        self.state = State::Command;
        let Some(transaction) = self.transaction.take() else {
            return;
        };
        if let Some(refusal) = &transaction.text.refused {
            let line = reply::undelivered(refusal, self.config.over_quota);
            (0..transaction.recipients.len()).for_each(|_| self.say(line));
        }
    }
}
