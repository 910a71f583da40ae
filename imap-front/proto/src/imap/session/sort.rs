//! SORT and THREAD (RFC 5256), and SORT with RETURN (RFC 5267 §3).

use mail::reply::{Arrangement, HitModSeqs};
use mail::request::Arrange;
use mail::search::{Key, Program};
use mail::sort::Criterion;
use mail::thread::{Part, without};
use mail::{Reply, Request, Uid, UidSet};

use super::contexts::{FollowedResults, updates};
use super::search::{partial_of, push_ends, says, wants};
use super::{Session, Step, saved};
use crate::imap::ast::SearchReturn;
use crate::imap::encode::esearch;
use crate::imap::output::{Line, PIECE_BYTES, Pieces};

/// Places of a sorted result that are saved, if it is not all of it.
const PART_SAVED_MAX: usize = 4096;

/// A SORT or THREAD under way.
pub(super) struct Arranging {
    pub(super) tag: Box<str>,
    uid: bool,
    returns: Option<Vec<SearchReturn>>,
    /// The program asked for mod-sequences.
    modseq: bool,
    /// By what a SORT is to be followed, and its criteria, if it can be.
    followed: Option<(Key, Box<[Criterion]>)>,
}

/// Numbers of messages, or their UIDs.
type Numbers = Box<dyn FnMut(Uid) -> Option<u32> + Send>;

impl Session {
    pub(super) fn arrange(
        &mut self,
        (tag, uid): (Box<str>, bool),
        how: Arrange,
        returns: Option<Vec<SearchReturn>>,
        key: Key,
    ) {
        let mut modseq = false;
        let prepared = self.key_to_follow(&tag, key, returns.as_deref());
        let prepared =
            prepared.and_then(|(key, lasts)| Ok((self.with_uids(key, &mut modseq)?, lasts)));
        let (key, lasts) = match prepared {
            Ok(prepared) => prepared,
            Err(why) => return self.done(&tag, &format!("BAD {why}")),
        };
        if let Some(why) = self.refuses_to_arrange(&key) {
            self.forget_saved(returns.as_deref());
            return self.done(&tag, &why);
        }
        let followed = match &how {
            Arrange::Sort(criteria) if lasts => Some((key.clone(), criteria.clone())),
            _ => None,
        };
        if modseq {
            self.enable_condstore();
        }
        let (since, recent_from) = (self.view().modseq, self.view().recent_from);
        let request = Request::Arrange {
            mailbox: self.mailbox(),
            program: Program { key },
            how,
            since,
            recent_from,
        };
        let arranging = Arranging {
            tag,
            uid,
            returns,
            modseq,
            followed,
        };
        self.ask(request, Step::Arrange(arranging));
    }

    pub(super) fn arranged(&mut self, arranging: Arranging, reply: Reply) {
        let Arranging {
            tag,
            uid,
            returns,
            modseq,
            followed,
        } = arranging;
        let (arrangement, found, modseqs, unreadable, delta) = match reply {
            Reply::Arranged {
                arrangement,
                found,
                modseqs,
                unreadable,
                delta,
            } => (arrangement, found, modseqs, unreadable, delta),
            Reply::Refused(refusal) => {
                self.forget_saved(returns.as_deref());
                return self.refuse(&tag, &refusal);
            }
            _ => return self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        };
        let known_to = self.view().last_uid();
        if !self.synced(Reply::Synced(delta)) {
            return;
        }
        self.send_updates(uid);
        let modseqs = modseqs.filter(|_| modseq);
        let (name, saved) = match (arrangement, &returns) {
            (Arrangement::Threaded(mut parts), _) => {
                let mut numbers = self.numbers(uid);
                // One that came and went meanwhile has no number. Of others, all have.
                let since = Uid(known_to.0.saturating_add(1))..=Uid(u32::MAX);
                if found.range(since).any(|it| numbers(it).is_none()) {
                    parts = without(&parts, |it| numbers(it).is_some());
                }
                self.output.pieces(ThreadLine::new(parts, numbers));
                ("THREAD", true)
            }
            (Arrangement::Sorted(uids), None) => {
                let bytes = size_of_val(&uids[..]);
                let numbers = uids.into_iter().filter_map(self.numbers(uid));
                let mut line = Line::new("* SORT").spaced(numbers).holding(bytes);
                if let Some(modseqs) = modseqs {
                    // RFC 7162 §3.1.6
                    line = line.text(format!(" (MODSEQ {})", modseqs.highest));
                }
                self.output.pieces(line.text("\r\n"));
                ("SORT", true)
            }
            (Arrangement::Sorted(uids), Some(returns)) => {
                let saved = self.save_sorted(&uids, &found, returns);
                if let Some(items) = updates(Some(returns)).filter(|_| unreadable == 0) {
                    let (key, criteria) = followed.unzip();
                    let criteria = criteria.unwrap_or_default();
                    let results = FollowedResults::Sorted(&criteria, &uids);
                    self.follow((&tag, uid), (key, items), &results);
                }
                self.say_esort((&tag, uid), returns, uids, modseqs);
                ("SORT", saved)
            }
        };
        self.say_withheld();
        self.end_search(&tag, name, (unreadable, saved, None), returns.as_deref());
    }

    fn save_sorted(&mut self, uids: &[Uid], found: &UidSet, returns: &[SearchReturn]) -> bool {
        self.save(returns, || {
            let part = match partial_of(returns).map(|partial| partial.of(uids.len())) {
                None => None,
                Some(None) => Some(UidSet::default()),
                // Each would be put into its place among the others.
                Some(Some((first, last))) if last - first >= PART_SAVED_MAX => return None,
                Some(Some((first, last))) => Some(uids[first..=last].iter().copied().collect()),
            };
            let ends = (uids.first().copied(), uids.last().copied());
            Some(saved::of_result(returns, found, ends, part.as_ref()))
        })
    }

    /// RFC 5267 §3.1: as of an extended SEARCH, in the order that was asked for.
    fn say_esort(
        &mut self,
        (tag, uid): (&str, bool),
        returns: &[SearchReturn],
        uids: Vec<Uid>,
        modseqs: Option<HitModSeqs>,
    ) {
        if !says(returns) {
            return;
        }
        let mut head = esearch(tag, uid);
        let (mut number, count) = (self.numbers(uid), uids.len());
        let ends = (uids.first().copied(), uids.last().copied());
        let mut highest = push_ends(&mut head, returns, ends, modseqs, &mut number);
        let (all, partial) = (wants(returns, SearchReturn::All), partial_of(returns));
        if all || partial.is_some() || wants(returns, SearchReturn::Count) {
            highest = modseqs.map(|it| it.highest);
        }
        // All or a part, as ranges of numbers that stand in order.
        let (open, close, places) = match partial {
            Some(partial) => (format!(" PARTIAL ({partial} "), ")", partial.of(count)),
            None if all => (
                " ALL ".to_owned(),
                "",
                count.checked_sub(1).map(|last| (0, last)),
            ),
            None => (String::new(), "", None),
        };
        let bytes = size_of_val(&uids[..]);
        let (skipped, taken) = places.map_or((0, 0), |(first, last)| (first, last + 1 - first));
        let some = uids.into_iter().skip(skipped).take(taken);
        let mut numbers = some.filter_map(number).peekable();
        let mut line = Line::new(head).holding(bytes);
        if numbers.peek().is_some() {
            line = line.text(open).set(numbers).text(close);
        } else if partial.is_some() {
            line = line.text(format!("{open}NIL)"));
        }
        if wants(returns, SearchReturn::Count) {
            line = line.text(format!(" COUNT {count}"));
        }
        if let Some(highest) = highest {
            line = line.text(format!(" MODSEQ {highest}"));
        }
        self.output.pieces(line.text("\r\n"));
    }

    /// What messages are called in an answer, in any order; none if they have no number any more.
    fn numbers(&mut self, uid: bool) -> Numbers {
        if uid {
            return Box::new(|uid: Uid| Some(uid.0));
        }
        let numbering = self.view().numbering();
        Box::new(move |uid| numbering.look_up(uid))
    }
}

/// An answer to THREAD (RFC 5256 §4), one line of any length. Brackets around nothing are left
/// out.
struct ThreadLine {
    parts: std::vec::IntoIter<Part>,
    numbers: Numbers,
    /// Openings that are said once something follows.
    opened: usize,
    after_number: bool,
    /// A number was said.
    begun: bool,
    has_head: bool,
}

impl ThreadLine {
    fn new(parts: Vec<Part>, numbers: Numbers) -> Self {
        Self {
            parts: parts.into_iter(),
            numbers,
            opened: 0,
            after_number: false,
            begun: false,
            has_head: false,
        }
    }

    fn part(&mut self, part: Part, out: &mut Vec<u8>) {
        match part {
            Part::Open => self.opened += 1,
            Part::Close if self.opened > 0 => self.opened -= 1,
            Part::Close => {
                out.push(b')');
                self.after_number = false;
            }
            Part::Message(uid) => {
                let Some(number) = (self.numbers)(uid) else {
                    return;
                };
                if self.after_number || !self.begun {
                    out.push(b' ');
                }
                out.extend(std::iter::repeat_n(b'(', std::mem::take(&mut self.opened)));
                out.extend_from_slice(number.to_string().as_bytes());
                (self.after_number, self.begun) = (true, true);
            }
        }
    }
}

/// Parts looked at in one go: many may have no number any more.
const PARTS_A_PIECE: usize = 32 << 10;

impl Pieces for ThreadLine {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        if !std::mem::replace(&mut self.has_head, true) {
            out.extend_from_slice(b"* THREAD");
        }
        for _ in 0..PARTS_A_PIECE {
            if out.len() >= PIECE_BYTES {
                return true;
            }
            match self.parts.next() {
                Some(part) => self.part(part, out),
                None => {
                    out.extend_from_slice(b"\r\n");
                    return false;
                }
            }
        }
        true
    }

    fn is_one_line(&self) -> bool {
        true
    }

    fn held_bytes(&self) -> usize {
        size_of_val(self.parts.as_slice())
    }
}
