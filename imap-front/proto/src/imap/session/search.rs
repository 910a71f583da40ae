//! SEARCH (RFC 3501 §6.4.4, RFC 4731, RFC 7162 §3.1.5).

use mail::search::{Key, Program};
use mail::{ModSeq, Reply, Request, Uid};

use super::{Session, Step};
use crate::imap::ast::SearchReturn;
use crate::imap::output::Line;
use crate::imap::view::UidRanges;

/// A SEARCH under way.
pub(super) struct Searching {
    tag: Box<str>,
    uid: bool,
    returns: Option<Vec<SearchReturn>>,
    /// The program asked for mod-sequences, so the answer has the highest.
    modseq: bool,
}

impl Session {
    pub(super) fn search(
        &mut self,
        tag: Box<str>,
        uid: bool,
        returns: Option<Vec<SearchReturn>>,
        key: Key,
    ) {
        let mut modseq = false;
        let key = match self.with_uids(key, &mut modseq) {
            Ok(key) => key,
            Err(why) => return self.done(&tag, &format!("BAD {why}")),
        };
        if modseq {
            self.enable_condstore();
        }
        let view = self.view();
        let (since, recent_from) = (view.modseq, view.recent_from);
        let mailbox = self.mailbox();
        let program = Program { key };
        let request = Request::Search {
            mailbox,
            program,
            since,
            recent_from,
        };
        self.ask(
            request,
            Step::Search(Searching {
                tag,
                uid,
                returns,
                modseq,
            }),
        );
    }

    /// The key with message numbers and `*` turned into UIDs.
    fn with_uids(&mut self, key: Key, modseq: &mut bool) -> Result<Key, &'static str> {
        Ok(match key {
            Key::And(keys) => Key::And(
                keys.into_iter()
                    .map(|key| self.with_uids(key, modseq))
                    .collect::<Result<_, _>>()?,
            ),
            Key::Or(first, second) => Key::Or(
                Box::new(self.with_uids(*first, modseq)?),
                Box::new(self.with_uids(*second, modseq)?),
            ),
            Key::Not(key) => Key::Not(Box::new(self.with_uids(*key, modseq)?)),
            // Numbers beyond the last match nothing.
            Key::Numbers(set) => ranges(self.resolve_numbers(&set, true)?),
            Key::Uids(set) => ranges(self.resolve_uids(&set)),
            Key::ModSeq(value) => {
                *modseq = true;
                Key::ModSeq(value)
            }
            key => key,
        })
    }

    pub(super) fn found(&mut self, searching: Searching, reply: Reply) {
        let Searching {
            tag,
            uid,
            returns,
            modseq,
        } = searching;
        let (hits, unreadable, delta) = match reply {
            Reply::Found {
                hits,
                unreadable,
                delta,
            } => (hits, unreadable, delta),
            Reply::Refused(refusal) => return self.refuse(&tag, &refusal),
            _ => return self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        };
        if !self.synced(Reply::Synced(delta)) {
            return;
        }
        self.send_updates(uid);
        match returns {
            None => {
                let highest = hits.iter().map(|(_, modseq)| *modseq).max();
                self.say_search(hits, uid, highest.filter(|_| modseq));
            }
            Some(returns) => self.say_esearch(&tag, uid, &returns, hits, modseq),
        }
        if unreadable > 0 {
            // RFC 5530 §3 CORRUPTION: which messages, is in the log.
            let ending = format!("NO [CORRUPTION] {unreadable} messages can't be searched");
            return self.done(&tag, &ending);
        }
        self.done(&tag, "OK SEARCH completed");
    }

    fn say_search(&mut self, hits: Vec<(Uid, ModSeq)>, uid: bool, highest: Option<ModSeq>) {
        let numbers = self.numbers_of(hits.into_iter().map(|(uid, _)| uid), uid);
        let mut line = Line::new("* SEARCH").spaced(numbers);
        if let Some(modseq) = highest {
            line = line.text(format!(" (MODSEQ {modseq})"));
        }
        self.output.pieces(line.text("\r\n"));
    }

    /// RFC 4731 §3.1
    fn say_esearch(
        &mut self,
        tag: &str,
        uid: bool,
        returns: &[SearchReturn],
        hits: Vec<(Uid, ModSeq)>,
        modseq: bool,
    ) {
        let wants =
            |item| returns.contains(&item) || (returns.is_empty() && item == SearchReturn::All);
        let mut head = format!("* ESEARCH (TAG \"{tag}\")");
        if uid {
            head.push_str(" UID");
        }
        // RFC 4731 §3.2: the mod-sequence of those messages that the answer names.
        let mut highest = None;
        for (item, name, hit) in [
            (SearchReturn::Min, "MIN", hits.first()),
            (SearchReturn::Max, "MAX", hits.last()),
        ] {
            if let (Some(&(found, modseq)), true) = (hit, wants(item)) {
                let number = if uid {
                    Some(found.0)
                } else {
                    self.view().number(found)
                };
                head.extend(number.map(|number| format!(" {name} {number}")));
                highest = highest.max(Some(modseq));
            }
        }
        let count = hits.len();
        if wants(SearchReturn::All) || wants(SearchReturn::Count) {
            highest = hits.iter().map(|(_, modseq)| *modseq).max();
        }
        let mut line = Line::new(head);
        if wants(SearchReturn::All) && count > 0 {
            let numbers = self.numbers_of(hits.into_iter().map(|(uid, _)| uid), uid);
            line = line.text(" ALL ").set(numbers);
        }
        if wants(SearchReturn::Count) {
            line = line.text(format!(" COUNT {count}"));
        }
        if let (Some(highest), true) = (highest, modseq) {
            line = line.text(format!(" MODSEQ {highest}"));
        }
        self.output.pieces(line.text("\r\n"));
    }
}

fn ranges(uids: UidRanges) -> Key {
    Key::UidRanges(
        uids.into_iter()
            .map(|(low, high)| (low.0, high.0))
            .collect(),
    )
}
