//! Strict checks, for moments at which a mailbox holds still: a listing, a view, a search, a STATUS
//! against the model.

use super::faults::{Kind, Wrong};
use super::mailbox::{Mailbox, Stage};
use super::reading::Status;
use super::view::{Known, SEEN, flag_list};

impl Mailbox {
    /// A listing of all messages by UID, every one with its name already known, while nothing
    /// changed: it settles what was in doubt.
    ///
    /// # Errors
    /// The first difference.
    pub fn check_listing(&mut self, listing: &[(u32, u8)], now_ns: u64) -> Result<(), Wrong> {
        if let Some(pair) = listing.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            let text = format!("UID {} is listed before UID {}", pair[0].0, pair[1].0);
            return Err(Wrong::new(Kind::Uid, text));
        }
        let mut result = Ok(());
        for place in (0..self.messages.len()).rev() {
            let message = self.messages[place];
            let listed = listing.binary_search_by_key(&message.uid, |(uid, _)| *uid);
            let Ok(listed) = listed else {
                if !message.leaving {
                    let text = format!("UID {}, message {}, is lost", message.uid, message.id);
                    result = Err(Wrong::new(Kind::Lost, text));
                }
                self.bury(place, now_ns);
                continue;
            };
            let flags = listing[listed].1;
            if (flags ^ message.flags) & !message.doubt != 0 {
                let [is, was] = [flags, message.flags].map(flag_list);
                let text = format!("UID {} has flags {is}, expected {was}", message.uid);
                result = Err(Wrong::new(Kind::Flags, text));
            }
            let message = &mut self.messages[place];
            (message.flags, message.doubt, message.leaving) = (flags, 0, false);
        }
        if let Some((uid, _)) = listing.iter().find(|(uid, _)| !self.has(*uid)) {
            let text = format!("UID {uid} is listed, but nobody sent it");
            result = Err(Wrong::new(Kind::Doubled, text));
        }
        if let Some(lost) = self.arrivals.iter().find(|a| a.stage == Stage::Durable) {
            let text = format!("message {} was answered as durable, but is lost", lost.id);
            result = Err(Wrong::new(Kind::Lost, text));
        }
        self.arrivals.clear();
        self.floor = self.highest;
        result
    }

    /// A session's view when it should have heard of everything; the model must be certain.
    ///
    /// # Errors
    /// The first difference.
    pub fn check_view(&self, view: &[Known]) -> Result<(), Wrong> {
        if view.len() != self.count() {
            let text = format!("knows {} messages of {}", view.len(), self.count());
            return Err(Wrong::new(Kind::Late, text));
        }
        for (place, known) in view.iter().enumerate().filter(|(_, known)| known.uid != 0) {
            let Ok(found) = self.find(known.uid) else {
                // It has a UID but no name yet.
                if !self.arrivals.is_empty() && known.uid > self.floor {
                    continue;
                }
                let text = format!("knows UID {} as number {}, gone", known.uid, place + 1);
                return Err(Wrong::new(Kind::Late, text));
            };
            let flags = self.messages[found].flags;
            if let Some(told) = known.flags.filter(|told| *told != flags) {
                let [knows, are] = [told, flags].map(flag_list);
                let text = format!("knows flags {knows} of UID {}, they are {are}", known.uid);
                return Err(Wrong::new(Kind::Late, text));
            }
        }
        Ok(())
    }

    /// What SEARCH found, `count` messages, those with known UIDs by these; the model must be
    /// certain.
    ///
    /// # Errors
    /// If it found too much or too little.
    pub fn check_search(&self, uids: &[u32], count: usize, unseen: bool) -> Result<(), Wrong> {
        let expected = if unseen { self.unseen() } else { self.count() };
        let matches = |uid: &&u32| {
            let flags = self.flags(**uid).unwrap_or(0);
            unseen && flags & SEEN != 0
        };
        if let Some(uid) = uids.iter().find(matches) {
            let text = format!("SEARCH UNSEEN found UID {uid}, which is seen");
            return Err(Wrong::new(Kind::Flags, text));
        }
        if count != expected {
            let text = format!("SEARCH found {count} messages, expected {expected}");
            return Err(Wrong::new(Kind::Lost, text));
        }
        Ok(())
    }

    /// What STATUS says; the model must be certain.
    ///
    /// # Errors
    /// If it says something else.
    pub fn check_status(&self, status: Status) -> Result<(), Wrong> {
        let expected = [self.count() as u32, self.unseen() as u32];
        if [status.messages, status.unseen] != expected.map(Some) {
            let text = format!("{status:?}, expected {expected:?} messages and unseen");
            return Err(Wrong::new(Kind::Lost, text));
        }
        Ok(())
    }
}
