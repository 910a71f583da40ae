//! Messages that come, and what is wanted of those that are there.

use bytes::Bytes;

use crate::{Flags, InternalDate, MailboxName, SpoolId};

/// A message's bytes: in hand, or uploaded before.
#[derive(Clone, Debug)]
pub enum Body {
    /// All of it.
    Inline(Bytes),
    /// An upload, complete.
    Spooled(SpoolId),
}

impl Body {
    /// What it takes in memory, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Inline(bytes) => bytes.len(),
            Self::Spooled(_) => 0,
        }
    }
}

/// One of several messages that are appended.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Its flags.
    pub flags: Flags,
    /// Its internal date; now if none.
    pub date: Option<InternalDate>,
    /// The message.
    pub body: Body,
}

/// One recipient of a delivery. The user is known to exist; the store makes the INBOX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The user's name.
    pub user: Box<str>,
    /// The folder asked for by `user+Folder`; INBOX if it doesn't exist.
    pub folder: MailboxName,
}

/// What to read of each message besides UID, flags, mod-sequence, date and size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// Its MIME structure and envelope.
    pub structure: bool,
    /// Its bytes, if they are few enough to come along; else the asker reads them piece by piece.
    pub bytes: bool,
    /// Its header. One longer than [`crate::mime::header::WHOLE_MAX`] does not come: instead of it
    /// the structure and the bytes do, as if these were wanted.
    pub header: bool,
    /// Who submitted it, as far as that is known for certain.
    pub submitter: bool,
    /// Its thread.
    pub thread: bool,
    /// The beginning of its text; its structure, too.
    pub preview: bool,
}
