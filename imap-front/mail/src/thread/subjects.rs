//! Conversations by their subject alone (RFC 5256 §3, ORDEREDSUBJECT).

use super::{Member, Part, STEP};
use crate::sort::Sorter;

/// Bytes of a date at the end of a key.
const DATE_BYTES: usize = 8;

/// Members of one subject, and their order.
pub(super) struct Groups {
    /// Members by subject and date.
    members: Sorter,
    /// Where each group begins and ends among them.
    bounds: Vec<(u32, u32)>,
    /// Groups by the date of their first.
    groups: Sorter,
    /// Members as numbers, once all groups are known.
    order: Vec<u32>,
    /// Groups in their order.
    ranks: Option<Vec<u32>>,
    at: usize,
    /// Where in its group it is.
    within: u32,
}

impl Groups {
    /// Of members that are sorted by subject and date.
    pub fn new(members: Sorter) -> Self {
        Self {
            members,
            bounds: Vec::new(),
            groups: Sorter::default(),
            order: Vec::new(),
            ranks: None,
            at: 0,
            within: 0,
        }
    }

    /// Does a step. True if all is said.
    pub fn step(&mut self, members: &[Member], parts: &mut Vec<Part>) -> bool {
        if self.ranks.is_some() {
            return self.say(members, parts);
        }
        if self.at < members.len() {
            self.divide(members.len());
        } else if self.groups.step() {
            let ranks = std::mem::take(&mut self.groups).into_order().collect();
            self.order = std::mem::take(&mut self.members).into_order().collect();
            self.ranks = Some(ranks);
            self.at = 0;
        }
        false
    }

    /// Finds where the subject changes.
    fn divide(&mut self, count: usize) {
        let subject = |key: &[u8]| key.len().saturating_sub(DATE_BYTES);
        let from = self.at;
        let mut last = self.bounds.last().and_then(|_| {
            let before = self.members.at(from - 1..from).next();
            before.map(|(_, key)| &key[..subject(key)])
        });
        let mut new = Vec::new();
        for (number, key) in self.members.at(from..count.min(from + STEP)) {
            let (this, date) = key.split_at(subject(key));
            if last != Some(this) {
                new.push((self.at as u32, [date, &number.to_be_bytes()].concat()));
                last = Some(this);
            }
            self.at += 1;
        }
        for (begin, key) in new {
            if let Some((_, end)) = self.bounds.last_mut() {
                *end = begin;
            }
            let group = self.bounds.len() as u32;
            self.groups.push(group, |to| to.extend(key));
            self.bounds.push((begin, begin));
        }
        if let Some((_, end)) = self.bounds.last_mut() {
            *end = self.at as u32;
        }
    }

    fn say(&mut self, members: &[Member], parts: &mut Vec<Part>) -> bool {
        let ranks = self.ranks.as_deref().unwrap_or_default();
        for _ in 0..STEP {
            let Some(rank) = ranks.get(self.at) else {
                return true;
            };
            let (begin, end) = self.bounds[*rank as usize];
            let member = self.order[(begin + self.within) as usize];
            let message = Part::Message(members[member as usize].uid);
            let is_last = begin + self.within + 1 == end;
            match (self.within, end - begin) {
                (0, _) => parts.extend([Part::Open, message]),
                (_, 2) => parts.push(message),
                _ => parts.extend([Part::Open, message, Part::Close]),
            }
            self.within += 1;
            if is_last {
                parts.push(Part::Close);
                (self.at, self.within) = (self.at + 1, 0);
            }
        }
        false
    }
}
