//! SEARCH (RFC 3501 §6.4.4, RFC 4731, RFC 7162 §3.1.5).

use mail::search::{Key, Program};
use mail::{ModSeq, Reply, Request, Uid};

use super::{Session, Step};
use crate::imap::ast::SearchReturn;
use crate::imap::encode;

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
        self.condstore |= modseq;
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
            Key::Numbers(set) => ranges(&self.resolve(&set, false)?),
            Key::Uids(set) => {
                let largest = self.view().uids.last().map_or(0, |uid| uid.0);
                Key::UidRanges(set.resolve(largest))
            }
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
        let highest = hits.iter().map(|(_, modseq)| *modseq).max();
        let uids: Vec<Uid> = hits.into_iter().map(|(uid, _)| uid).collect();
        let numbers = self.numbers(&uids, uid);
        let highest = highest.filter(|_| modseq && !numbers.is_empty());
        match returns {
            None => self.say_search(&numbers, highest),
            Some(returns) => self.say_esearch(&tag, uid, &returns, &numbers, highest),
        }
        if unreadable > 0 {
            // RFC 5530 §3 CORRUPTION: which messages, is in the log.
            let ending = format!("NO [CORRUPTION] {unreadable} messages can't be searched");
            return self.done(&tag, &ending);
        }
        self.done(&tag, "OK SEARCH completed");
    }

    fn say_search(&mut self, numbers: &[u32], highest: Option<ModSeq>) {
        let mut line = String::from("* SEARCH");
        for number in numbers {
            line.push_str(&format!(" {number}"));
        }
        if let Some(modseq) = highest {
            line.push_str(&format!(" (MODSEQ {modseq})"));
        }
        self.say(&line);
    }

    /// RFC 4731 §3.1
    fn say_esearch(
        &mut self,
        tag: &str,
        uid: bool,
        returns: &[SearchReturn],
        numbers: &[u32],
        highest: Option<ModSeq>,
    ) {
        let wants =
            |item| returns.contains(&item) || (returns.is_empty() && item == SearchReturn::All);
        let mut line = format!("* ESEARCH (TAG \"{tag}\")").into_bytes();
        if uid {
            line.extend_from_slice(b" UID");
        }
        if let (Some(min), true) = (numbers.first(), wants(SearchReturn::Min)) {
            line.extend_from_slice(format!(" MIN {min}").as_bytes());
        }
        if let (Some(max), true) = (numbers.last(), wants(SearchReturn::Max)) {
            line.extend_from_slice(format!(" MAX {max}").as_bytes());
        }
        if wants(SearchReturn::All) && !numbers.is_empty() {
            line.extend_from_slice(b" ALL ");
            encode::number_set(&mut line, numbers.iter().copied());
        }
        if wants(SearchReturn::Count) {
            line.extend_from_slice(format!(" COUNT {}", numbers.len()).as_bytes());
        }
        if let Some(modseq) = highest {
            line.extend_from_slice(format!(" MODSEQ {modseq}").as_bytes());
        }
        self.say(&String::from_utf8_lossy(&line));
    }
}

fn ranges(uids: &[Uid]) -> Key {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for uid in uids {
        match ranges.last_mut() {
            Some(last) if last.1 + 1 == uid.0 => last.1 = uid.0,
            _ => ranges.push((uid.0, uid.0)),
        }
    }
    Key::UidRanges(ranges)
}
