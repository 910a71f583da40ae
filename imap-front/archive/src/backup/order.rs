//! Which record may follow which.

use mail::Uid;

use super::record::{Content, PIECE_BYTES_MAX, Record};

/// How far a backup was read, as far as that says what may follow.
#[derive(Clone, Debug, Default)]
pub struct Order {
    has_begun: bool,
    /// The user whose turn it is: number and account.
    user: Option<(u64, String)>,
    name: Option<String>,
    /// What may follow of a mailbox.
    mailbox: Option<Content>,
    /// The UID of the last message.
    last: Uid,
    /// Bytes of the last message that are still to come.
    missing: u64,
}

impl Order {
    /// The account and the name whose turn it is.
    pub fn place(&self) -> (Option<String>, Option<String>) {
        let account = self.user.as_ref().map(|(_, account)| account.clone());
        (account, self.name.clone())
    }

    /// The next record.
    ///
    /// # Errors
    /// Why it can't follow.
    pub fn follow(&mut self, record: &Record) -> Result<(), &'static str> {
        if !self.has_begun {
            self.has_begun = true;
            return match record {
                Record::Header(_) => Ok(()),
                _ => Err("it does not begin with what it is"),
            };
        }
        if !matches!(record, Record::Piece(_)) && self.missing > 0 {
            return Err("a message is shorter than it says that it is");
        }
        match record {
            Record::Header(_) => return Err("it begins twice"),
            Record::User(user) => {
                let ascends = |(last, _): &(u64, String)| *last < user.number;
                if !self.user.as_ref().is_none_or(ascends) {
                    return Err("users are not in their order");
                }
                self.user = Some((user.number, user.account.clone()));
                (self.name, self.mailbox) = (None, None);
            }
            Record::Name(name) => {
                if self.user.is_none() {
                    return Err("a name is nobody's");
                }
                self.name = Some(name.name.clone());
                self.mailbox = name.mailbox.as_ref().map(|mailbox| mailbox.content);
                self.last = Uid(0);
            }
            Record::Message(message) => {
                if self.mailbox.is_none() {
                    return Err("a message is in no mailbox");
                }
                if message.uid <= self.last || message.uid.0 == u32::MAX {
                    return Err("messages are not in the order of their UIDs");
                }
                self.last = message.uid;
                let first = message.first.len();
                if first > PIECE_BYTES_MAX {
                    return Err("a piece of a message is longer than any may be");
                }
                let missing = message.size.checked_sub(first as u64);
                self.missing = missing.ok_or("a message is longer than it says that it is")?;
            }
            Record::Piece(bytes) => {
                if bytes.is_empty() || bytes.len() > PIECE_BYTES_MAX {
                    return Err("a piece of a message has a length that none may have");
                }
                let missing = self.missing.checked_sub(bytes.len() as u64);
                self.missing = missing.ok_or("a message is longer than it says that it is")?;
            }
            Record::Flags(_) | Record::Gone(_) => {
                if self.mailbox != Some(Content::Since) {
                    return Err("there is nothing before of which it says what happened");
                }
            }
            Record::End(_) | Record::Unknown(_) => {}
        }
        Ok(())
    }
}
