//! SEARCH (RFC 3501 §6.4.4, RFC 9051 §6.4.4, RFC 4731, RFC 7162 §3.1.5).

use mail::reply::HitModSeqs;
use mail::search::{Key, Program};
use mail::{MailboxName, ModSeq, Reply, Request, Uid, UidRanges, UidSet, UidValidity};

use super::contexts::{FollowedResults, updates};
use super::esearch::Multisearch;
use super::message_limit::Cut;
use super::{Session, Step, saved};
use crate::imap::ast::{PartialRange, SearchReturn};
use crate::imap::encode::esearch;
use crate::imap::output::{Line, Ranges};

/// A SEARCH under way.
pub(super) struct Searching {
    pub(super) tag: Box<str>,
    uid: bool,
    returns: Option<Vec<SearchReturn>>,
    /// The program asked for mod-sequences, so the answer has the highest.
    modseq: bool,
    /// It was for more messages.
    cut: Option<Cut>,
    /// By what the search is to be followed, if it can be.
    followed: Option<Key>,
    /// What it is a part of, and how its answer begins then.
    part_of: Option<(Box<Multisearch>, String)>,
}

impl Searching {
    /// Bytes that it keeps.
    pub(super) fn held_bytes(&self) -> usize {
        self.part_of.as_ref().map_or(0, |(job, _)| job.bytes())
    }
}

impl Session {
    pub(super) fn search(
        &mut self,
        tag: Box<str>,
        uid: bool,
        returns: Option<Vec<SearchReturn>>,
        key: Key,
    ) {
        // RFC 9051 §6.4.4
        let returns = returns.or_else(|| self.rev2.then(Vec::new));
        self.search_for((tag, uid), returns, key, None);
    }

    /// The selected mailbox is one of those that an ESEARCH is about.
    pub(super) fn search_as_part(
        &mut self,
        job: Box<Multisearch>,
        (name, uid_validity): (MailboxName, UidValidity),
    ) {
        let head = self.esearch_head(&job.tag, &name, uid_validity);
        let (tag, returns, key) = (job.tag.clone(), job.returns.clone(), job.key.clone());
        self.search_for((tag, true), Some(returns), key, Some((job, head)));
    }

    fn search_for(
        &mut self,
        (tag, uid): (Box<str>, bool),
        returns: Option<Vec<SearchReturn>>,
        key: Key,
        part_of: Option<(Box<Multisearch>, String)>,
    ) {
        let mut modseq = false;
        let prepared = self.key_to_follow(&tag, key, returns.as_deref());
        let prepared =
            prepared.and_then(|(key, lasts)| Ok((self.with_uids(key, &mut modseq)?, lasts)));
        let (key, lasts) = match prepared {
            Ok(prepared) => prepared,
            Err(why) => return self.done(&tag, &format!("BAD {why}")),
        };
        let (key, cut) = self.limited_key(key);
        let followed = (lasts && cut.is_none()).then(|| key.clone());
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
                cut,
                followed,
                part_of,
            }),
        );
    }

    /// The key with message numbers and `*` turned into UIDs.
    pub(super) fn with_uids(&mut self, key: Key, modseq: &mut bool) -> Result<Key, &'static str> {
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
            Key::Numbers(set) | Key::Uids(set) if set.is_saved() => Key::Among(self.saved()),
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
            cut,
            followed,
            part_of,
        } = searching;
        let (found, unreadable, delta) = match reply {
            Reply::Found {
                hits,
                modseqs,
                unreadable,
                delta,
            } => ((hits, modseqs.filter(|_| modseq)), unreadable, delta),
            Reply::Refused(refusal) => {
                self.forget_saved(returns.as_deref());
                return self.refuse(&tag, &refusal);
            }
            _ => return self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        };
        if !self.synced(Reply::Synced(delta)) {
            return;
        }
        self.send_updates(uid);
        let saved = match &returns {
            None => {
                self.say_search(found, uid);
                true
            }
            Some(returns) => {
                let hits = &found.0;
                let partial = partial_of(returns).map(|it| places(hits, it));
                let ends = (hits.first(), hits.last());
                let saved = self.save(returns, || {
                    Some(saved::of_result(returns, hits, ends, partial.as_ref()))
                });
                if let Some(items) = updates(Some(returns)).filter(|_| unreadable == 0) {
                    let results = FollowedResults::Found(hits);
                    self.follow((&tag, uid), (followed, items), &results);
                    if let Some((_, head)) = &part_of {
                        self.name_followed(&tag, head);
                    }
                }
                match &part_of {
                    Some(_) if found.0.is_empty() => {}
                    Some((_, head)) => self.say_esearch(head.clone(), true, returns, found),
                    None => self.say_esearch(esearch(&tag, uid), uid, returns, found),
                }
                saved
            }
        };
        self.say_withheld();
        if let Some((mut job, _)) = part_of {
            job.unreadable += unreadable;
            job.saved = saved;
            job.cut = job.cut.or(cut);
            return self.esearch_on(job);
        }
        self.end_search(&tag, "SEARCH", (unreadable, saved, cut), returns.as_deref());
    }

    /// Ends a SEARCH, SORT or THREAD.
    pub(super) fn end_search(
        &mut self,
        tag: &str,
        name: &str,
        (unreadable, saved, cut): (usize, bool, Option<Cut>),
        returns: Option<&[SearchReturn]>,
    ) {
        if unreadable > 0 {
            // RFC 5530 §3 CORRUPTION: which messages, is in the log.
            self.forget_saved(returns);
            let ending = format!("NO [CORRUPTION] {unreadable} messages can't be searched");
            return self.done(tag, &ending);
        }
        let ending = match saved {
            true => format!("OK {name} completed"),
            // RFC 5182 §2.1
            false => "NO [NOTSAVED] The result has more parts than can be saved".to_owned(),
        };
        let ending = self.ending(&ending, cut);
        self.done(tag, &ending);
    }

    fn say_search(&mut self, (hits, modseqs): Hits, uid: bool) {
        let bytes = hits.bytes();
        let numbers = self.numbers_of(hits.into_iter(), uid);
        let mut line = Line::new("* SEARCH").spaced(numbers).holding(bytes);
        if let Some(modseqs) = modseqs {
            line = line.text(format!(" (MODSEQ {})", modseqs.highest));
        }
        self.output.pieces(line.text("\r\n"));
    }

    /// RFC 4731 §3.1
    pub(super) fn say_esearch(
        &mut self,
        mut head: String,
        uid: bool,
        returns: &[SearchReturn],
        (hits, modseqs): Hits,
    ) {
        let wants = |item| wants(returns, item);
        if !says(returns) {
            return;
        }
        let number = |hit: Uid| match uid {
            true => Some(hit.0),
            false => self.view().number(hit),
        };
        let ends = (hits.first(), hits.last());
        let mut highest = push_ends(&mut head, returns, ends, modseqs, number);
        let count = hits.len();
        if wants(SearchReturn::All) || wants(SearchReturn::Count) {
            highest = modseqs.map(|it| it.highest);
        }
        let mut line = Line::new(head).holding(hits.bytes());
        if let Some(partial) = partial_of(returns) {
            let mut ranges = self.ranges_of(places(&hits, partial), uid).peekable();
            line = match ranges.peek() {
                Some(_) => line
                    .text(format!(" PARTIAL ({partial} "))
                    .ranges(Box::new(ranges))
                    .text(")"),
                None => line.text(format!(" PARTIAL ({partial} NIL)")),
            };
            highest = modseqs.map(|it| it.highest);
        }
        if wants(SearchReturn::All) {
            // None may be left: what was found can have left the view since.
            let mut ranges = self.ranges_of(hits, uid).peekable();
            if ranges.peek().is_some() {
                line = line.text(" ALL ").ranges(Box::new(ranges));
            }
        }
        if wants(SearchReturn::Count) {
            line = line.text(format!(" COUNT {count}"));
        }
        if let Some(highest) = highest {
            line = line.text(format!(" MODSEQ {highest}"));
        }
        self.output.pieces(line.text("\r\n"));
    }

    /// The UIDs as ranges, or as ranges of their message numbers as they are now.
    fn ranges_of(&mut self, uids: UidSet, uid: bool) -> Ranges {
        let mut ranges = uids.into_ranges();
        if uid {
            return Box::new(ranges.map(|(low, high)| (low.0, high.0)));
        }
        let mut numbering = self.view().numbering();
        // What is left of a range with a message that has no number: one by one.
        let mut rest = 0..0;
        Box::new(std::iter::from_fn(move || {
            loop {
                if let Some(uid) = rest.next() {
                    match numbering.number(Uid(uid)) {
                        Some(number) => return Some((number, number)),
                        None => continue,
                    }
                }
                let (low, high) = ranges.next()?;
                match numbering.run(low, high) {
                    Some(run) => return Some(run),
                    None => rest = low.0..high.0.saturating_add(1),
                }
            }
        }))
    }
}

/// Whether the answer is to have something (RFC 4731 §3.1).
pub(super) fn wants(returns: &[SearchReturn], item: SearchReturn) -> bool {
    returns.contains(&item) || (returns.is_empty() && item == SearchReturn::All)
}

/// The first and the last hit, if MIN and MAX were asked for, and have a number. Gives the highest
/// mod-sequence of those that are named (RFC 4731 §3.2).
pub(super) fn push_ends(
    head: &mut String,
    returns: &[SearchReturn],
    ends: (Option<Uid>, Option<Uid>),
    modseqs: Option<HitModSeqs>,
    mut number: impl FnMut(Uid) -> Option<u32>,
) -> Option<ModSeq> {
    let mut highest = None;
    let (first, last) = (modseqs.map(|it| it.first), modseqs.map(|it| it.last));
    for (item, name, end, modseq) in [
        (SearchReturn::Min, "MIN", ends.0, first),
        (SearchReturn::Max, "MAX", ends.1, last),
    ] {
        if let (Some(end), true) = (end, wants(returns, item)) {
            head.extend(number(end).map(|number| format!(" {name} {number}")));
            highest = highest.max(modseq);
        }
    }
    highest
}

/// Whether there is an answer: not if the result is saved and nothing else (RFC 5182 §2.1).
pub(super) fn says(returns: &[SearchReturn]) -> bool {
    returns.is_empty() || returns.iter().any(|it| *it != SearchReturn::Save)
}

/// The part of a result that is asked for.
pub(super) fn partial_of(returns: &[SearchReturn]) -> Option<PartialRange> {
    returns.iter().find_map(|it| match it {
        SearchReturn::Partial(range) => Some(*range),
        _ => None,
    })
}

/// A part of what was found.
fn places(hits: &UidSet, partial: PartialRange) -> UidSet {
    let range = partial.of(hits.len());
    range.map_or_else(UidSet::default, |(first, last)| hits.at(first, last))
}

/// What was found, with the mod-sequences that the answer tells.
type Hits = (UidSet, Option<HitModSeqs>);

fn ranges(uids: UidRanges) -> Key {
    Key::UidRanges(
        uids.into_iter()
            .map(|(low, high)| (low.0, high.0))
            .collect(),
    )
}
