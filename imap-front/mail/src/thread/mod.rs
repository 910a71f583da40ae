//! THREAD (RFC 5256 §3): messages as conversations.
//!
//! In reading order: this (what is asked for and answered, and the steps), `links` (who answers
//! whom, by Message-IDs), `forest` (conversations in their order), `subjects` (those that are one
//! by their subject).
//!
//! Nothing here calls itself, however deep a conversation is, and each step does a bounded amount
//! of work. Messages are given in the order of their UIDs; among those sent at the same time the
//! first of them comes first.

mod forest;
mod links;
mod subjects;
#[cfg(test)]
mod tests;

use xxhash_rust::xxh3::xxh3_64;

use crate::Uid;
use crate::sort::{Criterion, Facts, SortField, Sorter};
use forest::Forest;
use links::Links;

/// How messages are threaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `ORDEREDSUBJECT`: by base subject and date.
    OrderedSubject,
    /// `REFERENCES`: by References and In-Reply-To, and conversations by their base subject.
    References,
    /// `REFS` (draft-ietf-morg-inthread): by References and In-Reply-To alone; the conversation to
    /// which the latest message came is the last.
    Refs,
}

/// A part of an answer to THREAD: between an opening and its closing there is a conversation, or a
/// branch of one; messages that follow each other answer each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `(`
    Open,
    /// `)`
    Close,
    /// A message.
    Message(Uid),
}

/// A message as it is threaded.
#[derive(Clone, Copy, Debug)]
struct Member {
    uid: Uid,
    /// Hash of its base subject; none if that is empty.
    subject: Option<u64>,
    is_answer: bool,
    arrival_s: i64,
}

/// Threading, step by step: messages are pushed, then [`Threader::step`] until it is done.
pub struct Threader {
    algorithm: Algorithm,
    members: Vec<Member>,
    links: Links,
    sorter: Sorter,
    stage: Stage,
    parts: Vec<Part>,
}

enum Stage {
    /// Members are brought into the order in which they were sent, or of subjects.
    Sort,
    /// Groups of one subject are found, and sorted by the date of their first.
    Groups(Box<subjects::Groups>),
    /// Conversations are built.
    Grow(Box<Forest>),
    Done,
}

/// Members that one step looks at.
const STEP: usize = 16 << 10;

impl Threader {
    /// Nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            members: Vec::new(),
            links: Links::default(),
            sorter: Sorter::default(),
            stage: Stage::Sort,
            parts: Vec::new(),
        }
    }

    /// Adds a message, whose UID is above those of all before.
    pub fn push(&mut self, facts: &Facts<'_>) {
        let number = self.members.len() as u32;
        let keys = &facts.keys;
        self.members.push(Member {
            uid: facts.uid,
            subject: (!keys.subject.is_empty()).then(|| xxh3_64(keys.subject)),
            is_answer: keys.is_answer,
            arrival_s: facts.arrival_s,
        });
        let by = |field| Criterion {
            field,
            reverse: false,
        };
        let criteria = match self.algorithm {
            Algorithm::OrderedSubject => &[by(SortField::Subject), by(SortField::Date)][..],
            Algorithm::References | Algorithm::Refs => {
                self.links.add(number, keys.id, keys.references());
                &[by(SortField::Date)]
            }
        };
        self.sorter
            .push(number, |key| facts.append_key(criteria, key));
    }

    /// What it takes in memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        // A member's place in its conversation, and its parts of the answer.
        const LATER_BYTES: usize = 64;
        let members = self.members.len() * (size_of::<Member>() + LATER_BYTES);
        members + self.links.bytes() + self.sorter.bytes()
    }

    /// Does a step. True if all is threaded.
    pub fn step(&mut self) -> bool {
        match &mut self.stage {
            Stage::Sort => {
                if self.sorter.step() {
                    let sorter = std::mem::take(&mut self.sorter);
                    self.stage = match self.algorithm {
                        Algorithm::OrderedSubject => {
                            Stage::Groups(Box::new(subjects::Groups::new(sorter)))
                        }
                        algorithm => {
                            let links = std::mem::take(&mut self.links);
                            let order = sorter.into_order().collect();
                            Stage::Grow(Box::new(Forest::new(algorithm, links, order)))
                        }
                    };
                }
            }
            Stage::Groups(groups) => {
                if groups.step(&self.members, &mut self.parts) {
                    self.stage = Stage::Done;
                }
            }
            Stage::Grow(forest) => {
                if forest.step(&self.members, &mut self.parts) {
                    self.stage = Stage::Done;
                }
            }
            Stage::Done => {}
        }
        matches!(self.stage, Stage::Done)
    }

    /// The answer, once all is threaded.
    pub fn into_parts(self) -> Vec<Part> {
        self.parts
    }
}

/// The answer without some of its messages: where one branch is left of several it goes on as the
/// conversation does (RFC 5256 §5 `thread-nested`).
pub fn without(parts: &[Part], mut is_there: impl FnMut(Uid) -> bool) -> Vec<Part> {
    // Of each opening: whether anything is in it, and how many branches.
    let mut lists = vec![(false, 0_u32); parts.len()];
    let mut open: Vec<usize> = Vec::new();
    let mut left = Vec::with_capacity(parts.len());
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Open => open.push(at),
            Part::Message(uid) if is_there(*uid) => {
                open.last().iter().for_each(|list| lists[**list].0 = true);
            }
            Part::Message(_) => continue,
            Part::Close => {
                let list = open.pop().map(|list| lists[list]);
                let is_any = list.is_some_and(|(is_any, branches)| is_any || branches > 0);
                if let (Some(above), true) = (open.last(), is_any) {
                    lists[*above].1 += 1;
                }
            }
        }
        left.push((at, *part));
    }
    let (mut open, mut said): (Vec<(usize, bool)>, Vec<Part>) = (Vec::new(), Vec::new());
    for (at, part) in left {
        let is_said = match part {
            Part::Open => {
                let (is_any, branches) = lists[at];
                let is_one_of_many = open.last().is_none_or(|(above, _)| lists[*above].1 != 1);
                let is_said = (is_any || branches > 0) && is_one_of_many;
                open.push((at, is_said));
                is_said
            }
            Part::Close => open.pop().is_some_and(|(_, is_said)| is_said),
            Part::Message(_) => true,
        };
        said.extend(is_said.then_some(part));
    }
    said
}
