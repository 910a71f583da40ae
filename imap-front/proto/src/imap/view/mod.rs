//! The client's numbering of its selected mailbox, and what it has not been sent yet.
//!
//! Message numbers are the client's, not the store's: a message that is gone keeps its number until
//! the client may be sent EXPUNGE (RFC 3501 §7.4.1).
//!
//! The list of UIDs is the store's, shared by all sessions that were given it. A view lies over it:
//! which of its slots have no number any more, and the UIDs that came after. So a view costs what
//! differs, and k changes cost k steps whatever the mailbox's size.

mod slots;
mod updates;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use mail::{Acl, Change, Event, Flags, InView, ModSeq, Uid, UidRanges, UidSet, UserId};
use roaring::RoaringBitmap;

use slots::{Seek, Slots};
use updates::{Expunges, FlagUpdates};
pub(super) use updates::{FlagsTold, Ids, ToldBy, fetch_flags};

use super::output::{Line, Output};

/// The view of one session.
#[derive(Debug)]
pub(super) struct View {
    slots: Slots,
    /// Slots that have no number any more: their EXPUNGE was sent, or they were never announced.
    unnumbered: RoaringBitmap,
    /// Slots of messages that are gone, whose EXPUNGE was not sent.
    gone: RoaringBitmap,
    /// The UIDs in them.
    withheld: Arc<UidSet>,
    /// The mod-sequence before the first of them went.
    withheld_after: ModSeq,
    /// Since then others came.
    came_since: bool,
    /// Slots up to here are announced: by EXISTS, or as gone before they were.
    announced: u32,
    /// Flags that changed, and were not sent.
    flags: BTreeMap<Uid, (Arc<Flags>, ModSeq)>,
    /// Keywords of flags that changed.
    keywords: Option<Flags>,
    /// All keywords of the mailbox, if there are new ones.
    all_keywords: Option<Arc<[Arc<str>]>>,
    /// Who may do what, if that has changed.
    acl: Option<Arc<Acl>>,
    /// Who have given up their keys for it.
    key_resets: BTreeSet<UserId>,
    /// Everything up to here is in the view.
    pub modseq: ModSeq,
    /// Messages with this UID or a higher one are `\Recent`.
    pub recent_from: Uid,
}

impl View {
    /// A view of a mailbox that has these UIDs at `modseq`, all of them announced.
    pub fn new(uids: Arc<[Uid]>, modseq: ModSeq, recent_from: Uid) -> Self {
        let slots = Slots::new(uids);
        Self {
            announced: slots.len(),
            slots,
            unnumbered: RoaringBitmap::new(),
            gone: RoaringBitmap::new(),
            withheld: Arc::default(),
            withheld_after: modseq,
            came_since: false,
            flags: BTreeMap::new(),
            keywords: None,
            all_keywords: None,
            acl: None,
            key_resets: BTreeSet::new(),
            modseq,
            recent_from,
        }
    }

    /// Applies events that follow each other. False if they don't follow the view, or the mailbox
    /// is gone.
    pub fn apply(&mut self, events: &[Arc<Event>]) -> bool {
        self.apply_but(events, |_, _| false)
    }

    /// As [`View::apply`], but flags for which `known` holds, with the mod-sequence that they got,
    /// are not sent later: the client hears of them by other means, or set them itself (RFC 3501
    /// §6.4.6).
    pub fn apply_but(
        &mut self,
        events: &[Arc<Event>],
        known: impl Fn(Uid, ModSeq) -> bool,
    ) -> bool {
        for event in events {
            if event.seq <= self.modseq {
                continue;
            }
            if event.deleted || event.prev != self.modseq {
                return false;
            }
            self.apply_changes(event, &known);
            self.modseq = event.seq;
        }
        true
    }

    fn apply_changes(&mut self, event: &Event, known: &impl Fn(Uid, ModSeq) -> bool) {
        // Changes of a kind stand in ascending order, so each search begins where the last ended.
        let mut near = 0;
        let before = self.slots.len();
        let mut flags = Vec::new();
        for change in &event.changes {
            match change {
                Change::Acl(acl) => self.acl = Some(acl.clone()),
                Change::KeyReset(user) => {
                    self.key_resets.insert(*user);
                }
                Change::Keywords(all) => self.all_keywords = Some(all.clone()),
                Change::Expunged { uid, .. } => {
                    if !self.flags.is_empty() {
                        self.flags.remove(uid);
                    }
                    if let Some(slot) = self.slots.find_from(&mut near, *uid)
                        && !self.unnumbered.contains(slot)
                    {
                        if self.gone.is_empty() {
                            self.withheld_after = event.prev;
                        }
                        self.gone.insert(slot);
                        Arc::make_mut(&mut self.withheld).insert(*uid);
                    }
                }
                Change::New { uid, .. } => self.slots.push(*uid),
                Change::NewRun { first, last, .. } => {
                    (first.0..=last.0).for_each(|uid| self.slots.push(Uid(uid)));
                }
                Change::Flags {
                    uid,
                    flags: now,
                    modseq,
                    ..
                } => {
                    let modseq = (*modseq).max(ModSeq(1)).min(event.seq);
                    if !known(*uid, modseq) || self.flags.contains_key(uid) {
                        if !now.keywords().is_empty() {
                            self.keywords.get_or_insert_default().union(now);
                        }
                        flags.push((*uid, (now.clone(), modseq)));
                    }
                }
            }
        }
        // Built from a sorted list in one pass, however many there are.
        self.flags.append(&mut BTreeMap::from_iter(flags));
        self.came_since |= !self.gone.is_empty() && self.slots.len() > before;
    }

    /// Who may do what, if that has changed.
    pub fn take_acl(&mut self) -> Option<Arc<Acl>> {
        self.acl.take()
    }

    /// Who have given up their keys for it since this was asked last.
    pub fn take_key_resets(&mut self) -> BTreeSet<UserId> {
        std::mem::take(&mut self.key_resets)
    }

    /// Messages that the client knows of: its last EXISTS, less what was expunged since.
    pub fn exists(&self) -> u32 {
        self.announced - self.unnumbered_below(self.announced)
    }

    fn unnumbered_below(&self, slot: u32) -> u32 {
        match slot {
            0 => 0,
            _ => self.unnumbered.rank(slot - 1) as u32,
        }
    }

    /// The number of a message.
    pub fn number(&self, uid: Uid) -> Option<u32> {
        let slot = self.slots.find(uid)?;
        let numbered = slot < self.announced && !self.unnumbered.contains(slot);
        numbered.then(|| slot + 1 - self.unnumbered_below(slot))
    }

    /// The numbers as they are now, to be asked for later.
    pub fn numbering(&self) -> Numbering {
        Numbering {
            slots: self.slots.clone(),
            unnumbered: self.unnumbered.clone(),
            announced: self.announced,
            near: 0,
        }
    }

    pub fn is_recent(&self, uid: Uid) -> bool {
        uid >= self.recent_from
    }

    /// Messages that are `\Recent`, of those announced.
    pub fn recent(&self) -> u32 {
        let first = self.slots.lower_bound(self.recent_from).min(self.announced);
        let numbered = |slot| slot - self.unnumbered_below(slot);
        numbered(self.announced) - numbered(first)
    }

    /// The last UID that the client knows of, 0 in an empty mailbox.
    pub fn last_uid(&self) -> Uid {
        let count = self.exists();
        match count {
            0 => Uid(0),
            _ => self.slots.uid(Seek::new(&self.unnumbered, 1).slot(count)),
        }
    }

    /// The UIDs of ranges of message numbers, which are ascending and not beyond the last.
    pub fn uids_of_numbers(&self, numbers: &[(u32, u32)]) -> UidRanges {
        let mut seek = Seek::new(&self.unnumbered, numbers.len());
        let mut uid = |number| self.slots.uid(seek.slot(number));
        numbers
            .iter()
            .map(|&(low, high)| (uid(low), uid(high)))
            .collect()
    }

    /// Of the messages with a number in ranges of UIDs, those at some places among them, which
    /// follow from how many there are: the first has place 0, and the last is included.
    pub fn places(
        &self,
        ranges: &UidRanges,
        places: impl FnOnce(usize) -> Option<(usize, usize)>,
    ) -> UidRanges {
        let numbers = |&(low, high): &(Uid, Uid)| {
            let from = self.slots.lower_bound(low).min(self.announced);
            let to = self.slots.upper_bound(high).min(self.announced).max(from);
            let first = from - self.unnumbered_below(from) + 1;
            (first, to - self.unnumbered_below(to))
        };
        let numbers: Vec<(u32, u32)> = ranges.iter().map(numbers).collect();
        let count = |&(first, last): &(u32, u32)| (last + 1 - first) as usize;
        let Some((first, last)) = places(numbers.iter().map(count).sum()) else {
            return UidRanges::default();
        };
        let (mut before, mut some) = (0, Vec::new());
        for range in numbers {
            let (begin, end) = (before, before + count(&range));
            let (from, to) = (first.max(begin), (last + 1).min(end));
            if from < to {
                let at = |place: usize| range.0 + (place - begin) as u32;
                some.push((at(from), at(to - 1)));
            }
            before = end;
        }
        self.uids_of_numbers(&some)
    }

    /// Takes the first `max` UIDs with a number out of the ranges.
    pub fn take_uids(&self, ranges: &mut VecDeque<(Uid, Uid)>, max: usize) -> Vec<Uid> {
        let mut uids = Vec::new();
        while let Some((low, high)) = ranges.front().copied() {
            let first = self.slots.lower_bound(low);
            let mut end = first;
            while end < self.announced {
                let uid = self.slots.uid(end);
                if uid > high {
                    break;
                }
                if uids.len() == max {
                    ranges[0].0 = uid;
                    return uids;
                }
                if self.unnumbered.contains(end) {
                    end = self.next_numbered(end);
                } else {
                    uids.push(uid);
                    end += 1;
                }
            }
            ranges.pop_front();
        }
        uids
    }

    /// Takes the last `max` UIDs with a number out of the ranges; they are ascending.
    pub fn take_last_uids(&self, ranges: &mut VecDeque<(Uid, Uid)>, max: usize) -> Vec<Uid> {
        // No more ranges than it takes are looked at.
        let (mut looked_at, mut found) = (vec![], 0);
        while found < max
            && let Some(range) = ranges.pop_back()
        {
            self.places(&UidRanges::from_iter([range]), |count| {
                found += count;
                None
            });
            looked_at.push(range);
        }
        let some: UidRanges = looked_at.into_iter().rev().collect();
        let mut before = 0;
        let last = self.places(&some, |count| {
            before = count.saturating_sub(max);
            (count > 0).then(|| (before, count - 1))
        });
        let rest = self.places(&some, |_| before.checked_sub(1).map(|last| (0, last)));
        ranges.extend(rest);
        self.take_uids(&mut last.into_iter().collect(), max)
    }

    /// The first slot with a number from one on, which need not be announced.
    fn next_numbered(&self, slot: u32) -> u32 {
        let below = slot - self.unnumbered_below(slot);
        Seek::new(&self.unnumbered, 1).slot(below + 1)
    }

    /// The messages in ranges that end at the last UID the client knows of, or before.
    pub fn in_view(&self, ranges: UidRanges) -> InView {
        let count = |&(low, high): &(Uid, Uid)| {
            let from = self.slots.lower_bound(low);
            let to = self.slots.upper_bound(high).min(self.announced).max(from);
            to - from - self.unnumbered.range_cardinality(from..to) as u32
        };
        InView {
            count: ranges.iter().map(count).sum(),
            ranges,
            withheld: self.withheld.clone(),
        }
    }

    /// Messages that are gone without that the client was sent it.
    pub fn withheld(&self) -> &Arc<UidSet> {
        &self.withheld
    }

    /// Whether any message in the ranges is gone without that the client was sent it.
    pub fn has_gone(&self, ranges: &UidRanges) -> bool {
        !self.gone.is_empty()
            && ranges.iter().any(|&(low, high)| {
                let (from, to) = (self.slots.lower_bound(low), self.slots.upper_bound(high));
                from < to && self.gone.range_cardinality(from..to) > 0
            })
    }

    /// Up to when the client has heard of all, if messages are gone of which it hasn't.
    pub fn withheld_after(&self) -> Option<ModSeq> {
        (!self.gone.is_empty()).then_some(self.withheld_after)
    }

    /// The same and how many messages are gone, if the client has heard of all else, and the view
    /// can be made again from that.
    pub fn withholds(&self) -> Option<(ModSeq, u32)> {
        let rest =
            self.flags.is_empty() && self.all_keywords.is_none() && self.key_resets.is_empty();
        let is_all = rest && self.announced == self.slots.len() && !self.came_since;
        let after = self.withheld_after().filter(|_| is_all)?;
        Some((after, self.gone.len() as u32))
    }

    /// Forgets flags that the client will be sent, or was sent, by other means.
    pub fn forget_flags(&mut self, uid: Uid) -> Option<(Arc<Flags>, ModSeq)> {
        self.flags.remove(&uid)
    }

    /// Keywords of flags that are to be sent, since this was asked last.
    pub fn take_keywords(&mut self) -> Option<Flags> {
        self.keywords.take()
    }

    /// All keywords of the mailbox, if there are new ones since this was asked last.
    pub fn take_all_keywords(&mut self) -> Option<Arc<[Arc<str>]>> {
        self.all_keywords.take()
    }

    /// Forgets flags that changed: the client does not want to hear of them.
    pub fn forget_all_flags(&mut self) {
        self.flags.clear();
        self.keywords = None;
    }

    /// The UID below which all messages were announced, those included that are gone.
    pub fn announced_below(&self) -> Uid {
        match self.announced.checked_sub(1) {
            Some(last) => Uid(self.slots.uid(last).0.saturating_add(1)),
            None => Uid(0),
        }
    }

    /// Whether the client has been sent everything.
    pub fn all_sent(&self) -> bool {
        self.gone.is_empty()
            && self.flags.is_empty()
            && self.all_keywords.is_none()
            && self.key_resets.is_empty()
            && self.announced == self.slots.len()
    }

    /// Writes what the client may be sent now; expunges only if it is said how. Gives the UID below
    /// which it knows all messages, if there are new ones.
    pub fn send_updates(
        &mut self,
        output: &mut Output,
        expunges: Option<ToldBy>,
        flags_told: FlagsTold,
    ) -> Option<Uid> {
        let told = self.send_numbers(output, expunges, flags_told.recent);
        if !self.flags.is_empty() {
            let flags = std::mem::take(&mut self.flags);
            output.pieces(FlagUpdates::new(self, flags, flags_told));
        }
        told
    }

    /// Of the updates, those that tell which messages there are; how many are recent only if that
    /// is wanted.
    pub fn send_numbers(
        &mut self,
        output: &mut Output,
        expunges: Option<ToldBy>,
        recent: bool,
    ) -> Option<Uid> {
        if let Some(told_by) = expunges
            && !self.gone.is_empty()
        {
            let gone = std::mem::take(&mut self.gone);
            self.withheld = Arc::default();
            self.came_since = false;
            // A message that came and went unseen is nobody's business.
            let seen = gone.range_cardinality(..self.announced) as u32;
            let before = self.unnumbered.clone();
            self.unnumbered |= &gone;
            match told_by {
                ToldBy::Numbers => output.pieces(Expunges::new(gone, before, seen)),
                // RFC 7162 §3.2.10: with at least one UID.
                ToldBy::Uids if seen == 0 => {}
                ToldBy::Uids => {
                    let (slots, gone) = (self.slots.clone(), gone.into_iter());
                    let uids = gone.take(seen as usize).map(move |slot| slots.uid(slot).0);
                    output.pieces(Line::new("* VANISHED ").set(uids).text("\r\n"));
                }
            }
        }
        if self.slots.len() <= self.announced {
            return None;
        }
        let before = self.exists();
        self.announced = self.slots.len();
        let exists = self.exists();
        if exists <= before {
            return None;
        }
        output.bytes(format!("* {exists} EXISTS\r\n").as_bytes());
        if recent {
            output.bytes(format!("* {} RECENT\r\n", self.recent()).as_bytes());
        }
        let last = self.slots.uid(self.announced - 1);
        Some(Uid(last.0.saturating_add(1)))
    }
}

/// The numbers of a view as they were: what an answer that is made bit by bit goes by.
#[derive(Debug)]
pub(super) struct Numbering {
    slots: Slots,
    unnumbered: RoaringBitmap,
    announced: u32,
    near: u32,
}

impl Numbering {
    /// The number of a message; fast if UIDs are asked for in ascending order.
    pub fn number(&mut self, uid: Uid) -> Option<u32> {
        let slot = self.slots.find_from(&mut self.near, uid)?;
        let numbered = slot < self.announced && !self.unnumbered.contains(slot);
        // The slot itself has a number, so it is not counted.
        numbered.then(|| slot + 1 - self.unnumbered.rank(slot) as u32)
    }

    /// The number of a message, wherever it is.
    pub fn look_up(&self, uid: Uid) -> Option<u32> {
        let slot = self.slots.find(uid)?;
        let numbered = slot < self.announced && !self.unnumbered.contains(slot);
        numbered.then(|| slot + 1 - self.unnumbered.rank(slot) as u32)
    }

    /// The numbers of messages whose UIDs follow each other, if all of them have one; in a few
    /// steps, however many they are.
    pub fn run(&mut self, low: Uid, high: Uid) -> Option<(u32, u32)> {
        let first = self.number(low)?;
        let near = self.near;
        let last = self.number(high);
        let run = last.filter(|last| last - first == high.0 - low.0);
        if run.is_none() {
            self.near = near;
        }
        run.map(|last| (first, last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_uids_are_taken_first_and_no_more_ranges_than_that_takes() {
        let uids: Vec<Uid> = (1..=90).map(Uid).collect();
        let view = View::new(uids.into(), ModSeq(1), Uid(1));
        let odd = (0..50).map(|half| (Uid(2 * half + 1), Uid(2 * half + 1)));
        for max in [1, 4, 7, 200] {
            // Those above 90 are not there, and one range has several.
            let mut ranges: VecDeque<(Uid, Uid)> = odd.clone().collect();
            ranges[20] = (Uid(41), Uid(42));
            let all = ranges.clone();
            let mut taken = vec![];
            loop {
                let some = view.take_last_uids(&mut ranges, max);
                assert!(some.is_sorted() && some.len() <= max, "{some:?}");
                if taken.is_empty() && max == 4 {
                    assert_eq!(ranges, all.range(..41).copied().collect::<Vec<_>>());
                }
                if some.is_empty() {
                    break;
                }
                taken.extend(some.into_iter().rev());
            }
            let expected = (1..=90).filter(|uid| uid % 2 == 1 || *uid == 42);
            assert_eq!(taken, expected.rev().map(Uid).collect::<Vec<_>>(), "{max}");
        }
    }
}
