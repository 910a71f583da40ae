//! How much a session keeps of what its client sends, and of what it has to say.

use super::{Session, Step, Stream, Work, append};
use crate::imap::config::Compression;

/// The end of the commands that end compression (RFC 8437 §4.1).
pub const STREAM_ENDS: &[u8] = b"UNAUTHENTICATE\r\n";

impl Session {
    /// False while as much input as the session keeps is waiting to be worked on, or what may end
    /// compression does: it isn't known yet what the rest is.
    pub fn wants_input(&self) -> bool {
        let waits = matches!(
            self.work,
            Work::Waiting(_) | Work::Placing(_) | Work::Watching { .. } | Work::Streaming(_)
        );
        let may_end_compression =
            waits && self.compression == Compression::Active && self.receiver.ends_in(STREAM_ENDS);
        self.receiver.unread() < self.unread_bytes_max() && !may_end_compression
    }

    /// Bytes that it keeps: input that waits, a message on its way to the store, a login under way,
    /// and what it has to say and has not given to its host.
    pub fn held_bytes(&self) -> usize {
        let upload = |upload: &append::Upload| upload.held_bytes();
        let work = match &self.work {
            Work::Upload(it) => upload(it),
            Work::Waiting(step) => match &**step {
                Step::Upload(it) => upload(it),
                Step::Replace(it) | Step::Catenate(it) => upload(it),
                Step::Esearch(job) | Step::EsearchSelected(job, _) => job.bytes(),
                Step::Search(searching) => searching.held_bytes(),
                Step::Urls(asking) => asking.held_bytes(),
                Step::UrlFetch(job) => job.held_bytes(),
                Step::Challenge { first, .. } => first.held_bytes(),
                _ => 0,
            },
            Work::Streaming(stream) => match &**stream {
                Stream::Esearch(job) => job.bytes(),
                Stream::UrlFetch(job) => job.held_bytes(),
                _ => 0,
            },
            Work::Sasl(exchange) => exchange.held_bytes(),
            _ => 0,
        };
        self.receiver.unread()
            + self.output.held_bytes()
            + work
            + self.saved_bytes()
            + self.contexts_bytes()
    }

    /// Whether the client has begun to hear a response of FETCH or URLFETCH whose rest is to come.
    pub(super) fn is_within_a_response(&self) -> bool {
        match &self.work {
            Work::Streaming(stream) => match &**stream {
                Stream::Fetch(job) => job.is_within_a_response(),
                Stream::UrlFetch(job) => job.is_within_a_response(),
                _ => false,
            },
            Work::Waiting(step) => match &**step {
                Step::Fetch(job) => job.is_within_a_response(),
                Step::UrlFetch(job) => job.is_within_a_response(),
                _ => false,
            },
            _ => false,
        }
    }

    /// Longest command now: until a login there is no reason for a long one.
    pub(super) fn command_bytes_max(&self) -> usize {
        let config = &self.config;
        match self.user {
            Some(_) => config.command_bytes_max,
            None => config.login_bytes_max.min(config.command_bytes_max),
        }
    }

    fn unread_bytes_max(&self) -> usize {
        match self.user {
            Some(_) => 2 * self.config.command_bytes_max,
            // The longest command and its line end.
            None => self.config.login_bytes_max + 2,
        }
    }
}
