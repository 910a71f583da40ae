//! A mailbox by message numbers, as one session was told of it.

use super::faults::{Kind, Wrong};

/// `\Seen`
pub const SEEN: u8 = 1;
/// `\Flagged`
pub const FLAGGED: u8 = 2;
/// `\Answered`
pub const ANSWERED: u8 = 4;
/// `\Draft`
pub const DRAFT: u8 = 8;
/// A keyword.
pub const KEYWORD: u8 = 16;
/// `\Deleted`
pub const DELETED: u8 = 32;

/// Every flag and its name.
pub const FLAGS: [(u8, &str); 6] = [
    (SEEN, "\\Seen"),
    (FLAGGED, "\\Flagged"),
    (ANSWERED, "\\Answered"),
    (DRAFT, "\\Draft"),
    (KEYWORD, "$Soak"),
    (DELETED, "\\Deleted"),
];

/// The names of flags, as a list of IMAP.
pub fn flag_list(flags: u8) -> String {
    let named = FLAGS.iter().filter(|(flag, _)| flags & flag != 0);
    let names: Vec<&str> = named.map(|(_, name)| *name).collect();
    format!("({})", names.join(" "))
}

/// A message as a session knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its UID; 0 if it was not told.
    pub uid: u32,
    /// Its flags, if they were told.
    pub flags: Option<u8>,
}

/// The view.
#[derive(Clone, Debug, Default)]
pub struct View {
    messages: Vec<Known>,
}

impl View {
    /// The mailbox was selected, with so many messages.
    pub fn open(&mut self, count: usize) {
        self.messages.clear();
        self.messages.resize(count, Known::default());
    }

    /// No mailbox is selected.
    pub fn close(&mut self) {
        self.messages = Vec::new();
    }

    /// The messages; number 1 comes first.
    pub fn messages(&self) -> &[Known] {
        &self.messages
    }

    /// `* n EXISTS`; gives how many are new.
    ///
    /// # Errors
    /// If the count shrinks, or is the same once more.
    pub fn exists(&mut self, count: usize) -> Result<usize, Wrong> {
        let had = self.messages.len();
        if count <= had {
            let text = format!("{count} EXISTS after {had} messages, expected more");
            return Err(Wrong::new(Kind::Count, text));
        }
        self.messages.resize(count, Known::default());
        Ok(count - had)
    }

    /// `* n EXPUNGE`; gives what is gone.
    ///
    /// # Errors
    /// If there is no such message.
    pub fn expunge(&mut self, number: usize) -> Result<Known, Wrong> {
        self.place(number, "EXPUNGE")
            .map(|place| self.messages.remove(place))
    }

    /// `* n FETCH`; gives what was known before.
    ///
    /// # Errors
    /// If there is no such message, or its UID is not the one that it had, or not between those of
    /// its neighbours.
    pub fn fetch(
        &mut self,
        number: usize,
        uid: Option<u32>,
        flags: Option<u8>,
    ) -> Result<Known, Wrong> {
        let place = self.place(number, "FETCH")?;
        let before = self.messages[place];
        if let Some(uid) = uid {
            let changed = before.uid != 0 && before.uid != uid;
            let below = self.messages[..place].iter().rfind(|known| known.uid != 0);
            let mut above = self.messages[place + 1..].iter();
            let above = above.find(|known| known.uid != 0);
            let [low, high] = [below, above].map(|known| known.map(|known| known.uid));
            if changed || low.is_some_and(|low| low >= uid) || high.is_some_and(|high| high <= uid)
            {
                let text = format!(
                    "message {number} with UID {uid}, known as {}, stands between {low:?} and \
                     {high:?}",
                    before.uid
                );
                return Err(Wrong::new(Kind::Uid, text));
            }
            self.messages[place].uid = uid;
        }
        if flags.is_some() {
            self.messages[place].flags = flags;
        }
        Ok(before)
    }

    /// The server need not say what a silent STORE did.
    pub fn forget_flags(&mut self, number: usize) {
        if let Some(known) = self.messages.get_mut(number.wrapping_sub(1)) {
            known.flags = None;
        }
    }

    fn place(&self, number: usize, what: &str) -> Result<usize, Wrong> {
        let place = number.checked_sub(1);
        place
            .filter(|place| *place < self.messages.len())
            .ok_or_else(|| {
                let text = format!("{number} {what} of {} messages", self.messages.len());
                Wrong::new(Kind::Count, text)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind<T>(result: Result<T, Wrong>) -> Option<Kind> {
        result.err().map(|wrong| wrong.kind)
    }

    #[test]
    fn numbers_shift_with_expunges() {
        let mut view = View::default();
        view.open(2);
        assert_eq!(view.exists(3), Ok(1));
        view.fetch(1, Some(4), Some(SEEN)).expect("it is right");
        view.fetch(3, Some(9), None).expect("it is right");
        assert_eq!(view.expunge(1).map(|known| known.uid), Ok(4));
        assert_eq!(view.messages()[1].uid, 9);
        view.forget_flags(1);
        assert_eq!(view.messages()[0], Known::default());
        assert_eq!(flag_list(SEEN | DELETED), "(\\Seen \\Deleted)");
    }

    #[test]
    fn nonsense_is_noticed() {
        let mut view = View::default();
        view.open(3);
        view.fetch(2, Some(5), None).expect("it is right");
        assert_eq!(kind(view.exists(3)), Some(Kind::Count));
        assert_eq!(kind(view.exists(2)), Some(Kind::Count));
        assert_eq!(kind(view.expunge(4)), Some(Kind::Count));
        assert_eq!(kind(view.expunge(0)), Some(Kind::Count));
        assert_eq!(kind(view.fetch(4, None, None)), Some(Kind::Count));
        assert_eq!(kind(view.fetch(2, Some(6), None)), Some(Kind::Uid));
        assert_eq!(kind(view.fetch(1, Some(5), None)), Some(Kind::Uid));
        assert_eq!(kind(view.fetch(3, Some(4), None)), Some(Kind::Uid));
    }
}
