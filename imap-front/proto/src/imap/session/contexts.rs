//! Searches whose client is told of each change of the result (RFC 5267 §4.3).
//!
//! They lie beside the selected mailbox and go with it. What the view is told of the mailbox is
//! noted; between commands, and within IDLE, the store is asked which of the messages in question
//! are found now, and what differs from before is told. Of a sorted result the store gives the
//! order as well. Of new messages that are found more may be told before (RFC 5465 §7).

mod results;

use std::collections::BTreeSet;
use std::sync::Arc;

use mail::reply::Arrangement;
use mail::request::Arrange;
use mail::search::{Key, Program};
use mail::set::SetNumber;
use mail::{Change, Event, Reply, Request, SequenceSet, Uid, UidSet};

pub(super) use results::FollowedResults;
use results::{Results, difference};

use super::{Session, Step, ViewState, Work};
use crate::imap::ast::{FetchItem, SearchReturn};
use crate::imap::encode::esearch;
use crate::imap::output::Line;

/// Searches of one session that are followed.
const CONTEXTS_MAX: usize = 8;
/// Bytes of their keys and results together: as many as 120,000 sorted messages take.
const CONTEXTS_BYTES_MAX: usize = 512 << 10;

/// A search that is followed.
pub(super) struct UpdateContext {
    /// The command's tag.
    tag: Box<str>,
    /// The client is told UIDs.
    uid: bool,
    /// How what is told of it begins, if not as usual.
    head: Option<Box<str>>,
    key: Key,
    results: Results,
    /// Messages of which it is not known whether they are found now.
    open: UidSet,
    /// What is told of new messages that are found.
    items: Arc<[FetchItem]>,
    /// Those of the messages that are new; none are noted if nothing is told of them.
    fresh: UidSet,
    /// What the result is once the client has heard of the new messages in it.
    settled: Option<Results>,
}

/// The store looks at messages.
pub(super) struct LookingAgain {
    tag: Box<str>,
    looked_at: UidSet,
    idle: Option<Box<str>>,
}

impl UpdateContext {
    fn bytes(&self) -> usize {
        let program = Program {
            key: self.key.clone(),
        };
        let head = self.head.as_ref().map_or(0, |head| head.len());
        let uids = self.open.bytes() + self.fresh.bytes();
        let results = self.results.bytes() + self.settled.as_ref().map_or(0, Results::bytes);
        size_of::<Self>() + head + size_of_val(&self.items[..]) + program.bytes() + results + uids
    }

    fn note(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::New { uid, .. } => self.note_new(*uid, *uid),
                Change::NewRun { first, last, .. } => self.note_new(*first, *last),
                Change::Flags { uid, .. } => self.open.insert(*uid),
                // It leaves the result when the client is told that it is gone.
                Change::Expunged { .. }
                | Change::Acl(_)
                | Change::Keywords(_)
                | Change::KeyReset(_) => {}
            }
        }
    }

    fn note_new(&mut self, first: Uid, last: Uid) {
        let uids = (first.0..=last.0).map(Uid);
        if !self.items.is_empty() {
            self.fresh.extend(uids.clone());
        }
        self.open.extend(uids);
    }

    /// Messages to look at, of those that the client knows.
    fn due(&self, below: Uid) -> UidSet {
        self.open.range(Uid(0)..=Uid(below.0 - 1)).collect()
    }
}

/// Whether messages can be looked at one by one, at any time, to see if a key finds them: not as
/// time goes by, nor by which is the last. Numbers mean the messages that have them when the
/// command comes (RFC 5267 §4.3), but `1:*` is ALL.
fn is_lasting(key: &Key) -> bool {
    let is_fixed = |set: &SequenceSet| {
        let is_open = |it: &SetNumber| *it == SetNumber::Largest;
        !set.0
            .iter()
            .any(|(one, other)| is_open(one) || is_open(other))
    };
    match key {
        Key::And(keys) => keys.iter().all(is_lasting),
        Key::Or(one, other) => is_lasting(one) && is_lasting(other),
        Key::Not(key) => is_lasting(key),
        Key::Uids(set) => is_fixed(set) || is_all(set),
        Key::Older(_) | Key::Younger(_) => false,
        _ => true,
    }
}

/// Whether a set is `1:*`.
fn is_all(set: &SequenceSet) -> bool {
    let (first, last) = (SetNumber::Value(1), SetNumber::Largest);
    set.0
        .iter()
        .any(|range| *range == (first, last) || *range == (last, first))
}

/// The key with `1:*` written as ALL, which means those that will come too.
fn with_all(key: Key) -> Key {
    match key {
        Key::And(keys) => Key::And(keys.into_iter().map(with_all).collect()),
        Key::Or(one, other) => Key::Or(Box::new(with_all(*one)), Box::new(with_all(*other))),
        Key::Not(key) => Key::Not(Box::new(with_all(*key))),
        Key::Numbers(set) | Key::Uids(set) if is_all(&set) => Key::All,
        key => key,
    }
}

/// What is told of new messages that a search finds, if it is to be followed.
pub(super) fn updates(returns: Option<&[SearchReturn]>) -> Option<&[FetchItem]> {
    returns?.iter().find_map(|it| match it {
        SearchReturn::Update(items) => Some(&items[..]),
        _ => None,
    })
}

impl Session {
    /// The key of a search as it is to be looked for, and whether it can be followed, if it is to
    /// be.
    ///
    /// # Errors
    /// If the tag is that of one which is followed already.
    pub(super) fn key_to_follow(
        &self,
        tag: &str,
        key: Key,
        returns: Option<&[SearchReturn]>,
    ) -> Result<(Key, bool), &'static str> {
        if updates(returns).is_none() {
            return Ok((key, false));
        }
        let mut contexts = self.contexts().iter();
        if contexts.any(|it| *it.tag == *tag) {
            return Err("A search of this tag is kept up to date");
        }
        let is_lasting = is_lasting(&key);
        Ok((with_all(key), is_lasting))
    }

    /// The client is told of changes of this result from now on; or that it is not.
    pub(super) fn follow(
        &mut self,
        (tag, uid): (&str, bool),
        (key, items): (Option<Key>, &[FetchItem]),
        results: &FollowedResults<'_>,
    ) {
        let Some(key) = key else {
            return self.refuse_updates(tag, "Numbers and times change by themselves");
        };
        let context = UpdateContext {
            tag: tag.into(),
            uid,
            head: None,
            key,
            results: results.kept(),
            open: UidSet::default(),
            items: items.into(),
            fresh: UidSet::default(),
            settled: None,
        };
        let fits = self.contexts().len() < CONTEXTS_MAX
            && self.contexts_bytes() + context.bytes() <= CONTEXTS_BYTES_MAX;
        match &mut self.selected {
            Some(selected) if fits => selected.contexts.push(context),
            _ => self.refuse_updates(tag, TOO_MUCH),
        }
    }

    /// What is told of a search that is followed begins like its answer (RFC 7377 §2.1).
    pub(super) fn name_followed(&mut self, tag: &str, head: &str) {
        let contexts = self.selected.as_deref_mut().map(|it| &mut it.contexts);
        for context in contexts.into_iter().flatten() {
            if *context.tag == *tag {
                context.head = Some(head.into());
            }
        }
    }

    /// RFC 5267 §4.3.1
    pub(super) fn refuse_updates(&mut self, tag: &str, why: &str) {
        self.say(&format!("* NO [NOUPDATE \"{tag}\"] {why}"));
    }

    fn contexts(&self) -> &[UpdateContext] {
        self.selected.as_deref().map_or(&[], |it| &it.contexts)
    }

    /// Bytes of searches that are followed.
    pub(super) fn contexts_bytes(&self) -> usize {
        self.contexts().iter().map(UpdateContext::bytes).sum()
    }

    /// RFC 5267 §4.3.5
    pub(super) fn cancel_updates(&mut self, tag: &str, tags: &[Box<str>]) {
        let Some(selected) = &mut self.selected else {
            return;
        };
        let had = selected.contexts.len();
        selected.contexts.retain(|it| !tags.contains(&it.tag));
        let cancelled = had - selected.contexts.len();
        let named: BTreeSet<&str> = tags.iter().map(|it| &**it).collect();
        match cancelled == named.len() {
            true => self.done(tag, "OK CANCELUPDATE completed"),
            false => self.done(tag, "NO No search of that tag is kept up to date"),
        }
    }

    /// Notes what the view is about to be told.
    pub(super) fn note_changes(&mut self, delta: &[Arc<Event>]) {
        let Some(selected) = self.selected.as_deref_mut() else {
            return;
        };
        for context in &mut selected.contexts {
            delta.iter().for_each(|event| context.note(&event.changes));
        }
    }

    /// Messages are about to be told gone: they leave the results before, while they have numbers
    /// (RFC 5267 §4.3.4).
    pub(super) fn leave_contexts(&mut self) {
        if self.contexts().is_empty() {
            return;
        }
        let gone = self.view().withheld().clone();
        if gone.is_empty() {
            return;
        }
        for at in 0..self.contexts().len() {
            self.tell_settled(at);
            let Some(selected) = self.selected.as_deref_mut() else {
                return;
            };
            let context = &mut selected.contexts[at];
            let left = UidSet::from(context.open.bits() - gone.bits());
            context.open = left;
            context.fresh = UidSet::from(context.fresh.bits() - gone.bits());
            let left = match &context.results {
                Results::Found(uids) => Results::Found(UidSet::from(uids.bits() - gone.bits())),
                Results::Sorted(criteria, uids) => {
                    let left = uids.iter().copied().filter(|uid| !gone.contains(*uid));
                    Results::Sorted(criteria.clone(), left.collect())
                }
            };
            self.tell_difference(at, left);
        }
    }

    /// Whether a search is to be looked at again.
    pub(super) fn has_updates(&self) -> bool {
        self.next_settled().is_some() || self.next_due().is_some()
    }

    /// One of which the client has heard all that comes before.
    fn next_settled(&self) -> Option<usize> {
        let is_between = matches!(self.work, Work::Ready | Work::Idle { .. });
        let mut contexts = self.contexts().iter().filter(|_| is_between);
        contexts.position(|it| it.settled.is_some())
    }

    fn next_due(&self) -> Option<(usize, UidSet)> {
        if self.contexts().is_empty() || !matches!(self.work, Work::Ready | Work::Idle { .. }) {
            return None;
        }
        let ViewState::Loaded(view) = &self.selected.as_deref()?.view else {
            return None;
        };
        let below = view.announced_below().max(Uid(1));
        let mut due = self.contexts().iter().map(|it| it.due(below)).enumerate();
        due.find(|(_, uids)| !uids.is_empty())
    }

    /// Asks which messages a search finds now, or tells what is known of it. False if nothing can
    /// be done.
    pub(super) fn ask_updates(&mut self) -> bool {
        if self.output.is_full() {
            return false;
        }
        if let Some(at) = self.next_settled() {
            self.tell_settled(at);
            return true;
        }
        let Some((at, looked_at)) = self.next_due() else {
            return false;
        };
        let (mailbox, view) = (self.mailbox(), self.view());
        let (since, recent_from) = (view.modseq, view.recent_from);
        let Some(selected) = self.selected.as_deref_mut() else {
            return false;
        };
        let context = &mut selected.contexts[at];
        context.open = UidSet::from(context.open.bits() - looked_at.bits());
        let among = |uids: UidSet| Key::Among(Arc::new(uids));
        let found_now = Key::And(vec![among(looked_at.clone()), context.key.clone()]);
        let request = match &context.results {
            Results::Found(_) => Request::Search {
                mailbox,
                program: Program { key: found_now },
                since,
                recent_from,
            },
            Results::Sorted(criteria, uids) => {
                let others = uids.iter().copied().filter(|uid| !looked_at.contains(*uid));
                let others = Box::new(among(others.collect()));
                Request::Arrange {
                    mailbox,
                    program: Program {
                        key: Key::Or(Box::new(found_now), others),
                    },
                    how: Arrange::Sort(criteria.clone()),
                    since,
                    recent_from,
                }
            }
        };
        let tag = context.tag.clone();
        let idle = self.leave_idle();
        let looking = LookingAgain {
            tag,
            looked_at,
            idle,
        };
        self.ask(request, Step::LookAgain(looking));
        true
    }

    /// The store has looked.
    pub(super) fn looked_again(&mut self, looking: LookingAgain, reply: Reply) {
        let LookingAgain {
            tag,
            looked_at,
            idle,
        } = looking;
        self.go_back(idle);
        let (found, sorted, unreadable, delta) = match reply {
            Reply::Found {
                hits,
                unreadable,
                delta,
                ..
            } => (hits, vec![], unreadable, delta),
            Reply::Arranged {
                arrangement: Arrangement::Sorted(uids),
                found,
                unreadable,
                delta,
                ..
            } => (found, uids, unreadable, delta),
            _ => return self.stop_following(&tag, "The search can't be done again"),
        };
        // What came meanwhile is told as any news are.
        self.stale |= !delta.is_empty();
        if !self.synced(Reply::Synced(delta)) {
            return;
        }
        let Some(at) = self.contexts().iter().position(|it| it.tag == tag) else {
            return;
        };
        if unreadable > 0 {
            return self.stop_following(&tag, "Messages can't be searched");
        }
        let now = match &self.contexts()[at].results {
            Results::Found(had) => {
                let others = had.bits() - looked_at.bits();
                let found = found.bits() & looked_at.bits();
                Results::Found(UidSet::from(others | found))
            }
            Results::Sorted(criteria, _) => Results::Sorted(criteria.clone(), sorted),
        };
        self.settle(
            at,
            now,
            UidSet::from(found.bits() & looked_at.bits()),
            &looked_at,
        );
        if self.contexts_bytes() > CONTEXTS_BYTES_MAX {
            self.stop_following(&tag, TOO_MUCH);
        }
    }

    /// What a result is now is told, after the new messages in it if the client wants to hear more
    /// of them. They are among those that were looked at, of which these are found.
    fn settle(&mut self, at: usize, now: Results, found: UidSet, looked_at: &UidSet) {
        let Some(selected) = self.selected.as_deref_mut() else {
            return;
        };
        let context = &mut selected.contexts[at];
        let new = UidSet::from(found.bits() & context.fresh.bits());
        context.fresh = UidSet::from(context.fresh.bits() - looked_at.bits());
        context.settled = Some(now);
        if new.is_empty() {
            return self.tell_settled(at);
        }
        let items = context.items.clone();
        let idle = self.leave_idle();
        self.fetch_new(idle, new.into_ranges().collect(), items);
    }

    fn tell_settled(&mut self, at: usize) {
        let contexts = self.selected.as_deref_mut().map(|it| &mut it.contexts[..]);
        let context = contexts.and_then(|it| it.get_mut(at));
        if let Some(now) = context.and_then(|it| it.settled.take()) {
            self.tell_difference(at, now);
        }
    }

    /// The tags of searches whose results are told in message numbers.
    pub(super) fn followed_by_numbers(&self) -> Vec<Box<str>> {
        let by_numbers = self.contexts().iter().filter(|it| !it.uid);
        by_numbers.map(|it| it.tag.clone()).collect()
    }

    pub(super) fn stop_following(&mut self, tag: &str, why: &str) {
        if let Some(selected) = &mut self.selected {
            selected.contexts.retain(|it| *it.tag != *tag);
        }
        self.refuse_updates(tag, why);
    }

    /// Tells what has left a result and what has come into it (RFC 5267 §4.3.3, §4.3.4).
    fn tell_difference(&mut self, at: usize, now: Results) {
        let context = &self.contexts()[at];
        let (removed, added) = difference(&context.results, &now);
        let (tag, uid) = (context.tag.clone(), context.uid);
        let head = context.head.as_deref().map(str::to_owned);
        if let Some(selected) = self.selected.as_deref_mut() {
            selected.contexts[at].results = now;
        }
        if removed.is_empty() && added.is_empty() {
            return;
        }
        let numbering = self.view().numbering();
        let number = move |it: Uid| match uid {
            true => Some(it.0),
            false => numbering.look_up(it),
        };
        let mut line = Line::new(head.unwrap_or_else(|| esearch(&tag, uid)));
        for (item, runs) in [("REMOVEFROM", removed), ("ADDTO", added)] {
            let mut open = format!(" {item} (");
            let is_said = !runs.is_empty();
            for (place, uids) in runs {
                let numbers: Vec<u32> = uids.into_iter().filter_map(&number).collect();
                line = line.text(format!("{open}{place} "));
                line = line
                    .holding(size_of_val(&numbers[..]))
                    .set(numbers.into_iter());
                open = " ".into();
            }
            line = line.text(if is_said { ")" } else { "" });
        }
        self.output.pieces(line.text("\r\n"));
    }
}

const TOO_MUCH: &str = "These are more searches, or results, than are kept up to date";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_by_itself_is_not_followed() {
        let set = |low, high| SequenceSet(vec![(low, high)]);
        let (one, two) = (SetNumber::Value(1), SetNumber::Value(2));
        let star = SetNumber::Largest;
        assert!(is_lasting(&Key::Uids(set(one, two))));
        assert!(is_lasting(&Key::Not(Box::new(Key::Numbers(set(
            star, one
        ))))));
        assert!(is_lasting(&Key::Numbers(set(one, two))));
        assert!(!is_lasting(&Key::And(vec![
            Key::All,
            Key::Uids(set(two, star))
        ])));
        assert!(!is_lasting(&Key::Or(
            Box::new(Key::All),
            Box::new(Key::Younger(9))
        )));
        assert_eq!(with_all(Key::Numbers(set(one, star))), Key::All);
    }
}
