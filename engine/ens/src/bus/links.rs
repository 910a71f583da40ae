//! Acknowledgements from end to end: a subscriber here gives back what the origin of an event has
//! given along with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::incoming::FAMILY_SHIFT;
use super::wire::Token;

/// Events of other origins that can be acknowledged at a time; older ones can't any more.
const LINKED_MAX: usize = 65_536;
/// Acknowledgements that are under way; more are not sent.
const REQUESTS_MAX: usize = 10_000;
/// When one that was not answered is sent again.
const AGAIN_NS: u64 = 1_000_000_000;
/// How often it is sent in all.
const TRIES_MAX: u8 = 5;
/// Requests of others that are known to have been done.
const DONE_MAX: usize = 4096;

pub(super) struct Links {
    /// Whose event it was, and what it knows it by; the last has the number `next - 1`.
    linked: VecDeque<(u64, Token)>,
    next: u64,
    requests: BTreeMap<u64, Request>,
    next_request: u64,
    /// Requests of other origins that were carried out.
    done: VecDeque<(u64, u64)>,
    done_set: BTreeSet<(u64, u64)>,
}

struct Request {
    origin: u64,
    token: Token,
    due_ns: u64,
    tries: u8,
}

/// Something to be told an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ToTell {
    pub origin: u64,
    pub request: u64,
    pub token: Token,
}

impl Links {
    /// Those of an origin. The one that follows it after an upgrade can read its receipts, so it
    /// gives out other numbers: an old receipt is good for no later event.
    pub fn new(origin: u64) -> Self {
        Self {
            linked: VecDeque::new(),
            next: origin << (u64::BITS - FAMILY_SHIFT),
            requests: BTreeMap::new(),
            next_request: 0,
            done: VecDeque::new(),
            done_set: BTreeSet::new(),
        }
    }

    /// A number by which an event of another origin can be acknowledged here.
    pub fn number(&mut self, origin: u64, token: Token) -> u64 {
        if self.linked.len() == LINKED_MAX {
            self.linked.pop_front();
        }
        self.linked.push_back((origin, token));
        self.next += 1;
        self.next - 1
    }

    /// A subscriber has worked on the event of that number.
    pub fn acknowledge(&mut self, now_ns: u64, number: u64) -> Option<ToTell> {
        let oldest = self.next - self.linked.len() as u64;
        let at = number.checked_sub(oldest)? as usize;
        let (origin, token) = *self.linked.get(at)?;
        if self.requests.len() >= REQUESTS_MAX {
            return None;
        }
        self.next_request += 1;
        let request = Request {
            origin,
            token,
            due_ns: now_ns + AGAIN_NS,
            tries: 1,
        };
        self.requests.insert(self.next_request, request);
        Some(ToTell {
            origin,
            request: self.next_request,
            token,
        })
    }

    /// An origin was told.
    pub fn answered(&mut self, request: u64) {
        self.requests.remove(&request);
    }

    /// Whether a request of another origin is new.
    pub fn is_new(&mut self, origin: u64, request: u64) -> bool {
        if !self.done_set.insert((origin, request)) {
            return false;
        }
        self.done.push_back((origin, request));
        if self.done.len() > DONE_MAX
            && let Some(oldest) = self.done.pop_front()
        {
            self.done_set.remove(&oldest);
        }
        true
    }

    /// What is to be told again.
    pub fn tick(&mut self, now_ns: u64) -> Vec<ToTell> {
        let mut again = vec![];
        self.requests.retain(|number, request| {
            if request.due_ns > now_ns {
                return true;
            }
            if request.tries == TRIES_MAX {
                return false;
            }
            request.tries += 1;
            request.due_ns = now_ns + AGAIN_NS;
            again.push(ToTell {
                origin: request.origin,
                request: *number,
                token: request.token,
            });
            true
        });
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_is_sent_until_it_is_answered_and_carried_out_once() {
        let mut links = Links::new(1);
        let numbers: Vec<u64> = (0..3).map(|n| links.number(9, [n; 16])).collect();
        let told = links.acknowledge(0, numbers[1]).expect("it is known");
        assert_eq!((told.origin, told.token), (9, [1; 16]));
        assert_eq!(links.tick(AGAIN_NS - 1), []);
        assert_eq!(links.tick(AGAIN_NS), [told]);
        links.answered(told.request);
        assert_eq!(links.tick(10 * AGAIN_NS), []);
        assert!(links.is_new(9, 1));
        assert!(!links.is_new(9, 1));
        assert!(links.is_new(8, 1));
        assert_eq!(links.acknowledge(0, numbers[2] + 1), None, "nobody has it");
    }

    #[test]
    fn a_successor_knows_no_number_of_the_process_before() {
        let number = Links::new((7 << FAMILY_SHIFT) + 1).number(9, [1; 16]);
        let mut successor = Links::new((7 << FAMILY_SHIFT) + 2);
        successor.number(9, [2; 16]);
        assert_eq!(successor.acknowledge(0, number), None);
    }

    #[test]
    fn what_nobody_answers_is_given_up_and_what_is_old_is_forgotten() {
        let mut links = Links::new(1);
        let number = links.number(9, [1; 16]);
        links.acknowledge(0, number).expect("it is known");
        let tries = (1..20).filter(|n| !links.tick(n * AGAIN_NS).is_empty());
        assert_eq!(tries.count(), usize::from(TRIES_MAX) - 1);
        (0..LINKED_MAX).for_each(|_| _ = links.number(9, [2; 16]));
        assert_eq!(links.acknowledge(0, number), None);
    }
}
