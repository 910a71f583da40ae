//! Conversations in their order (RFC 5256 §3, REFERENCES, steps 2 to 6).
//!
//! Members are gone through in the order in which they were sent. So each list of answers that they
//! are appended to one by one is in that order by itself, and a conversation stands where its first
//! message is.

use ahash::HashMap;

use super::links::{Links, NONE};
use super::{Algorithm, Member, Part, STEP};
use crate::sort::Sorter;

/// What is above a message in its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Above {
    /// Nothing: it begins the conversation.
    Nothing,
    /// The message that it answers.
    Member(u32),
    /// A message that is missing, with several answers.
    Missing(u32),
}

/// A conversation.
#[derive(Clone, Copy, Debug)]
struct Root {
    /// By what it is known: its first message, or the missing one above several.
    top: Above,
    /// Its first message.
    first: u32,
}

/// The answers to a message as a list, and its place in such a list.
#[derive(Clone, Copy)]
struct Family {
    first: u32,
    last: u32,
    next: u32,
}

const ALONE: Family = Family {
    first: NONE,
    last: NONE,
    next: NONE,
};

/// What is still to be said; the last comes first.
#[derive(Clone, Copy)]
enum Todo {
    /// A message, and what answers it.
    Branch(u32),
    /// A message, and those behind it in their list, each in brackets.
    List(u32),
    Close,
}

/// Conversations that grow, step by step.
pub(super) struct Forest {
    algorithm: Algorithm,
    links: Links,
    /// Members as they were sent.
    order: Vec<u32>,
    above: Vec<Above>,
    /// Of each node: how many messages it is right above of, being missing.
    children: Vec<u32>,
    roots: Vec<Root>,
    /// Conversations by their subject, and whether their first message is a reply or forward.
    subjects: HashMap<u64, (Above, bool)>,
    /// Missing nodes that were taken for another, which has their answers.
    merged: HashMap<u32, u32>,
    /// Of members, and behind them of nodes.
    families: Vec<Family>,
    /// Where among the roots members, and behind them nodes, are.
    places: Vec<u32>,
    /// The latest arrival of each conversation.
    latest: Vec<i64>,
    sorter: Sorter,
    /// Conversations in the order in which they are said.
    ranks: Vec<u32>,
    todo: Vec<Todo>,
    stage: Stage,
    at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Lift,
    Plant,
    Compare,
    Merge,
    Replant,
    Arrive,
    Sort,
    Say,
    Done,
}

impl Forest {
    pub fn new(algorithm: Algorithm, links: Links, order: Vec<u32>) -> Self {
        let (members, nodes) = (order.len(), links.nodes.len());
        Self {
            algorithm,
            links,
            order,
            above: vec![Above::Nothing; members],
            children: vec![0; nodes],
            roots: Vec::new(),
            subjects: HashMap::default(),
            merged: HashMap::default(),
            families: Vec::new(),
            places: vec![NONE; members + nodes],
            latest: Vec::new(),
            sorter: Sorter::default(),
            ranks: Vec::new(),
            todo: Vec::new(),
            stage: Stage::Lift,
            at: 0,
        }
    }

    /// Does a step, which says some of the answer in the end. True if all is said.
    pub fn step(&mut self, members: &[Member], parts: &mut Vec<Part>) -> bool {
        if self.stage == Stage::Sort && !self.sorter.step()
            || self.stage == Stage::Say && !self.say(members, parts)
        {
            return false;
        }
        let count = match self.stage {
            Stage::Compare | Stage::Merge => self.roots.len(),
            Stage::Sort | Stage::Say | Stage::Done => 0,
            Stage::Lift | Stage::Plant | Stage::Replant | Stage::Arrive => self.order.len(),
        };
        let range = self.at.min(count)..count.min(self.at + STEP);
        self.at = range.end;
        for at in range {
            match self.stage {
                Stage::Lift => self.lift(at as u32),
                Stage::Plant => self.plant(self.order[at]),
                Stage::Compare => self.compare(self.roots[at], members),
                Stage::Merge => self.merge(self.roots[at], members),
                Stage::Replant => self.replant(self.order[at]),
                Stage::Arrive => self.arrive(at as u32, members),
                Stage::Sort | Stage::Say | Stage::Done => {}
            }
        }
        if self.at == count {
            self.at = 0;
            self.stage = self.next_stage();
        }
        self.stage == Stage::Done
    }

    fn next_stage(&mut self) -> Stage {
        match (self.stage, self.algorithm) {
            (Stage::Lift, _) => Stage::Plant,
            (Stage::Plant, Algorithm::References) => Stage::Compare,
            (Stage::Compare, _) => Stage::Merge,
            (Stage::Plant | Stage::Merge, _) => {
                let count = self.order.len() + self.children.len();
                self.families = vec![ALONE; count];
                self.places = vec![NONE; count];
                self.roots.clear();
                Stage::Replant
            }
            (Stage::Replant, Algorithm::Refs) => {
                self.latest = vec![i64::MIN; self.roots.len()];
                Stage::Arrive
            }
            (Stage::Replant, _) => {
                self.ranks = (0..self.roots.len() as u32).collect();
                Stage::Say
            }
            (Stage::Arrive, _) => {
                for (place, latest) in (0..).zip(&self.latest) {
                    let latest = (*latest as u64 ^ 1 << 63).to_be_bytes();
                    self.sorter.push(place, |key| key.extend(latest));
                }
                Stage::Sort
            }
            (Stage::Sort, _) => {
                self.ranks = std::mem::take(&mut self.sorter).into_order().collect();
                Stage::Say
            }
            (Stage::Say | Stage::Done, _) => Stage::Done,
        }
    }

    /// Finds out what is above a message that is there (step 3: missing ones are taken out, but
    /// for those that begin a conversation with several answers).
    fn lift(&mut self, member: u32) {
        let nodes = &mut self.links.nodes;
        let from = self.links.of_members[member as usize];
        let (mut node, mut top) = (nodes[from as usize].parent, NONE);
        while node != NONE && nodes[node as usize].member == NONE {
            (top, node) = (node, nodes[node as usize].parent);
        }
        let end = if node == NONE { top } else { node };
        // Those that follow don't go all of the way again.
        let mut below = from;
        while below != end && nodes[below as usize].parent != NONE {
            below = std::mem::replace(&mut nodes[below as usize].parent, end);
        }
        self.above[member as usize] = match (node, top) {
            (NONE, NONE) => Above::Nothing,
            (NONE, top) => {
                self.children[top as usize] += 1;
                Above::Missing(top)
            }
            (node, _) => Above::Member(nodes[node as usize].member),
        };
    }

    /// Lists the conversations (step 4).
    fn plant(&mut self, member: u32) {
        let above = &mut self.above[member as usize];
        let top = match *above {
            Above::Member(_) => return,
            Above::Missing(node) if self.children[node as usize] > 1 => {
                let place = &mut self.places[self.order.len() + node as usize];
                if std::mem::replace(place, 0) != NONE {
                    return;
                }
                Above::Missing(node)
            }
            Above::Missing(_) | Above::Nothing => {
                *above = Above::Nothing;
                Above::Member(member)
            }
        };
        self.roots.push(Root { top, first: member });
    }

    /// To which conversation those of the same subject go (step 5 A and B).
    fn compare(&mut self, root: Root, members: &[Member]) {
        let first = members[root.first as usize];
        let Some(subject) = first.subject else { return };
        let this = (root.top, first.is_answer);
        let known = self.subjects.entry(subject).or_insert(this);
        let is_better = matches!(root.top, Above::Missing(_)) || known.1 && !first.is_answer;
        if matches!(known.0, Above::Member(_)) && is_better {
            *known = this;
        }
    }

    /// Brings a conversation to the one of its subject (step 5 C).
    fn merge(&mut self, root: Root, members: &[Member]) {
        let first = members[root.first as usize];
        let known = first.subject.and_then(|it| self.subjects.get_mut(&it));
        let Some(known) = known.filter(|known| known.0 != root.top) else {
            return;
        };
        match (known.0, root.top) {
            (Above::Missing(target), Above::Missing(node)) => {
                self.merged.insert(node, target);
            }
            (Above::Missing(target), Above::Member(member)) => {
                self.above[member as usize] = Above::Missing(target);
            }
            (Above::Member(target), Above::Member(member)) if first.is_answer && !known.1 => {
                self.above[member as usize] = Above::Member(target);
            }
            (Above::Member(target), Above::Member(member)) => {
                let node = self.children.len() as u32;
                self.children.push(2);
                for member in [target, member] {
                    self.above[member as usize] = Above::Missing(node);
                }
                *known = (Above::Missing(node), false);
            }
            // A missing one would have been chosen instead of a message.
            (Above::Member(_), Above::Missing(_)) | (Above::Nothing, _) | (_, Above::Nothing) => {}
        }
    }

    /// Where a missing node's answers and place are noted.
    fn missing(&self, node: u32) -> u32 {
        self.order.len() as u32 + self.merged.get(&node).unwrap_or(&node)
    }

    /// Puts a message into the list of answers that it belongs to, or among the conversations
    /// (step 6).
    fn replant(&mut self, member: u32) {
        let (list, top) = match self.above[member as usize] {
            Above::Nothing => (NONE, member),
            Above::Member(above) => (above, NONE),
            Above::Missing(node) => (self.missing(node), self.missing(node)),
        };
        if list != NONE {
            let family = &mut self.families[list as usize];
            match std::mem::replace(&mut family.last, member) {
                NONE => family.first = member,
                last => self.families[last as usize].next = member,
            }
        }
        if top != NONE && self.places[top as usize] == NONE {
            self.places[top as usize] = self.roots.len() as u32;
            self.roots.push(Root {
                top: Above::Member(top),
                first: member,
            });
        }
    }

    /// Notes a message's arrival for its conversation (draft-ietf-morg-inthread §4).
    fn arrive(&mut self, member: u32, members: &[Member]) {
        let (mut way, mut at) = (Vec::new(), member);
        while self.places[at as usize] == NONE {
            way.push(at);
            at = match self.above[at as usize] {
                Above::Member(above) => above,
                Above::Missing(node) => self.missing(node),
                // All that begin a conversation have a place.
                Above::Nothing => return,
            };
        }
        let place = self.places[at as usize];
        for at in way {
            self.places[at as usize] = place;
        }
        let latest = &mut self.latest[place as usize];
        *latest = members[member as usize].arrival_s.max(*latest);
    }

    /// Says some of the answer. True if all is said.
    fn say(&mut self, members: &[Member], parts: &mut Vec<Part>) -> bool {
        for _ in 0..STEP {
            match self.todo.pop() {
                Some(Todo::Close) => parts.push(Part::Close),
                Some(Todo::Branch(member)) => {
                    parts.push(Part::Message(members[member as usize].uid));
                    let Family { first, last, .. } = self.families[member as usize];
                    match first {
                        NONE => {}
                        first if first == last => self.todo.push(Todo::Branch(first)),
                        first => self.todo.push(Todo::List(first)),
                    }
                }
                Some(Todo::List(member)) => {
                    let next = self.families[member as usize].next;
                    if next != NONE {
                        self.todo.push(Todo::List(next));
                    }
                    self.todo.extend([Todo::Close, Todo::Branch(member)]);
                    parts.push(Part::Open);
                }
                None => {
                    let Some(rank) = self.ranks.get(self.at) else {
                        self.at = 0;
                        return true;
                    };
                    self.at += 1;
                    let Above::Member(top) = self.roots[*rank as usize].top else {
                        continue;
                    };
                    parts.push(Part::Open);
                    // Of a missing message its answers are said, each in brackets.
                    let todo = match top < self.order.len() as u32 {
                        true => Todo::Branch(top),
                        false => Todo::List(self.families[top as usize].first),
                    };
                    self.todo.extend([Todo::Close, todo]);
                }
            }
        }
        false
    }
}
