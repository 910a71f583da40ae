//! What a session may ask, and how it is written.

use super::view::flag_list;

/// What names a message: a field that deliveries carry and that sessions fetch.
const HEAD: &str = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]";
/// What follows the number in a Message-ID.
const ID_END: &str = ".loadgen@localhost>";

/// The number in a Message-ID field, if the message is ours.
pub fn id_of(header: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(header).ok()?;
    let (_, after) = text.split_once('<')?;
    let (digits, _) = after.split_once(ID_END)?;
    digits.parse().ok()
}

/// A STORE of one flag of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// The message's number.
    pub number: u32,
    /// Its UID.
    pub uid: u32,
    /// The flag.
    pub flag: u8,
    /// Whether it is set; it is taken away otherwise.
    pub set: bool,
    /// Whether the server need not say what came of it.
    pub silent: bool,
    /// Whether the message is named by UID.
    pub by_uid: bool,
}

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `LOGIN`
    Login,
    /// `SELECT INBOX`
    Select,
    /// `FETCH n:*` with UID, flags and name.
    Sync {
        /// The first message.
        from: u32,
    },
    /// `IDLE`; DONE ends it.
    Idle,
    /// `NOOP`
    Noop,
    /// `UID FETCH 1:*` with flags, and names too.
    List {
        /// With names.
        named: bool,
    },
    /// `FETCH a:b (FLAGS)`
    Fetch {
        /// The first message.
        from: u32,
        /// The last.
        to: u32,
    },
    /// `STORE` or `UID STORE`
    Store(Store),
    /// `SEARCH` or `UID SEARCH`, for `ALL` or `UNSEEN`.
    Search {
        /// By UID.
        by_uid: bool,
        /// Only those without `\Seen`.
        unseen: bool,
    },
    /// `STATUS INBOX`
    Status,
    /// `APPEND INBOX`, with the number in the message's name.
    Append {
        /// The number.
        id: u64,
    },
    /// `EXPUNGE`
    Expunge,
    /// `CLOSE`
    Close,
    /// `UNSELECT`
    Unselect,
    /// `LOGOUT`
    Logout,
}

impl Command {
    /// Whether EXPUNGE may come before its tagged reply: not where message numbers are in use
    /// (RFC 3501 §7.4.1), and not where no mailbox is selected.
    pub fn allows_expunge(self) -> bool {
        match self {
            Self::Idle
            | Self::Noop
            | Self::List { .. }
            | Self::Status
            | Self::Append { .. }
            | Self::Expunge
            | Self::Logout => true,
            Self::Store(Store { by_uid, .. }) | Self::Search { by_uid, .. } => by_uid,
            Self::Login
            | Self::Select
            | Self::Sync { .. }
            | Self::Fetch { .. }
            | Self::Close
            | Self::Unselect => false,
        }
    }

    /// Whether its OK waits for a disk.
    pub fn is_write(self) -> bool {
        matches!(
            self,
            Self::Store(_) | Self::Append { .. } | Self::Expunge | Self::Close
        )
    }

    /// The line, and what follows it. LOGIN needs a name and has a line of its own.
    pub fn line(self, tag: u32) -> String {
        let words = match self {
            Self::Login => unreachable!("LOGIN is written by its client"),
            Self::Select => "SELECT INBOX".into(),
            Self::Sync { from } => format!("FETCH {from}:* (UID FLAGS {HEAD})"),
            Self::Idle => "IDLE".into(),
            Self::Noop => "NOOP".into(),
            Self::List { named: false } => "UID FETCH 1:* (FLAGS)".into(),
            Self::List { named: true } => format!("UID FETCH 1:* (FLAGS {HEAD})"),
            Self::Fetch { from, to } => format!("FETCH {from}:{to} (FLAGS)"),
            Self::Store(store) => {
                let (uid, number) = if store.by_uid {
                    ("UID ", store.uid)
                } else {
                    ("", store.number)
                };
                let sign = if store.set { '+' } else { '-' };
                let silent = if store.silent { ".SILENT" } else { "" };
                let flags = flag_list(store.flag);
                format!("{uid}STORE {number} {sign}FLAGS{silent} {flags}")
            }
            Self::Search { by_uid, unseen } => format!(
                "{}SEARCH {}",
                if by_uid { "UID " } else { "" },
                if unseen { "UNSEEN" } else { "ALL" }
            ),
            Self::Status => "STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)".into(),
            Self::Append { id } => {
                let message = format!(
                    "Message-ID: <{id}{ID_END}\r\nSubject: message {id}\r\n\r\nAppended.\r\n"
                );
                format!("APPEND INBOX {{{}+}}\r\n{message}", message.len())
            }
            Self::Expunge => "EXPUNGE".into(),
            Self::Close => "CLOSE".into(),
            Self::Unselect => "UNSELECT".into(),
            Self::Logout => "LOGOUT".into(),
        };
        format!("t{tag} {words}\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::view::DELETED;

    #[test]
    fn lines() {
        let store = Store {
            number: 2,
            uid: 9,
            flag: DELETED,
            set: true,
            silent: false,
            by_uid: true,
        };
        let line = Command::Store(store).line(7);
        assert_eq!(line, "t7 UID STORE 9 +FLAGS (\\Deleted)\r\n");
        let line = Command::Append { id: 5 }.line(1);
        let (head, message) = line.split_once("+}\r\n").expect("a literal");
        assert_eq!(head, format!("t1 APPEND INBOX {{{}", message.len() - 2));
        assert_eq!(id_of(message.as_bytes()), Some(5));
        assert_eq!(id_of(b"Message-ID: <x@y>\r\n"), None);
    }

    #[test]
    fn deliveries_carry_a_name_that_is_read() {
        let mut deliverer = crate::deliverer::Deliverer::default();
        deliverer.handle_input(b"220 hi\r\n250 y\r\n", &mut Vec::new());
        deliverer.deliver(&["ann".into()], 10, 1 << 50);
        deliverer.handle_input(b"250 a\r\n250 b\r\n354 c\r\n", &mut Vec::new());
        let output = String::from_utf8(deliverer.take_output()).expect("ASCII");
        let header = output.lines().find(|line| line.starts_with("Message-ID:"));
        assert_eq!(id_of(header.expect("a name").as_bytes()), Some(1 << 50));
    }
}
