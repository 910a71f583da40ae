//! A client that was away is told what it has missed (RFC 7162 §3.2.5, §3.2.6).
//!
//! The store says which messages came, changed or went; what they are now is told by a FETCH.

use mail::{SequenceSet, Uid, UidRanges};

use super::Session;
use super::fetch::{Job, known_uids};
use super::message_limit::Cut;
use crate::imap::ast::{FetchItem, Resync};
use crate::imap::counts::Outcome;

impl Session {
    /// A mailbox was selected again; `text` ends the command.
    pub(super) fn resync(&mut self, tag: &str, text: &str, resync: Resync) {
        let known = resync.known.as_ref();
        let known: UidRanges = match known {
            Some(set) => known_uids(set, Uid(0)),
            None => [(Uid(1), Uid(u32::MAX))].into_iter().collect(),
        };
        let heard = resync.matches.map_or(Uid(0), |sets| self.matched(&sets));
        let mut items = vec![FetchItem::Flags, FetchItem::ModSeq];
        if !self.uid_only {
            items.insert(0, FetchItem::Uid);
        }
        self.ended(Outcome::of(text));
        let ending = self.line(format!("{tag} {text}"));
        let job = Job::resync(tag.into(), known, items, (resync.modseq, heard), ending);
        self.ask_changes(job);
    }

    /// A UID of which the client knows the number: so it has heard of all below it that went (RFC
    /// 7162 §3.2.5.2). Both sets are ascending, and as long; the ends of runs are looked at.
    fn matched(&mut self, (numbers, uids): &(SequenceSet, SequenceSet)) -> Uid {
        let view = self.view();
        let mut numbers = numbers.resolve(u32::MAX).into_iter();
        let mut uids = uids.resolve(u32::MAX).into_iter();
        let (mut of_numbers, mut of_uids) = (numbers.next(), uids.next());
        let mut heard = Uid(0);
        while let (Some((number, last_number)), Some((uid, last_uid))) = (of_numbers, of_uids) {
            let steps = (last_number - number).min(last_uid - uid);
            for step in [0, steps] {
                if view.number(Uid(uid + step)) == Some(number + step) {
                    heard = heard.max(Uid(uid + step));
                }
            }
            let rest = |low: u32, high: u32| (high - low > steps).then(|| (low + steps + 1, high));
            of_numbers = rest(number, last_number).or_else(|| numbers.next());
            of_uids = rest(uid, last_uid).or_else(|| uids.next());
        }
        heard
    }

    /// Ends a command that takes messages out, once its client has heard of all (RFC 7162 §3.2.7).
    pub(super) fn expunged(&mut self, tag: &str, name: &str, cut: Option<Cut>) {
        let code = match self.qresync {
            true => format!("[HIGHESTMODSEQ {}] ", self.view().modseq),
            false => String::new(),
        };
        let text = format!("OK {code}{name} completed");
        let text = self.ending(&text, cut);
        self.done(tag, &text);
    }

    /// A client that was told mod-sequences higher than that of an expunge which it has not heard
    /// of hears where it stands: should it be cut off now, it comes back as of then (RFC 7162
    /// §3.2).
    pub(super) fn say_withheld(&mut self) {
        if self.qresync
            && let Some(modseq) = self.view().withheld_after()
        {
            let text = "Messages are gone of which you hear later";
            self.say(&format!("* OK [HIGHESTMODSEQ {modseq}] {text}"));
        }
    }
}
