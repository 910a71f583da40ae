//! Requests that wait for their control plane: users take turns, so that who asks for much at once
//! holds up nobody else.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use ahash::RandomState;
use mail::{Request, UserId};

use crate::front::Requester;

/// Those who take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// All sessions of a user.
    User(UserId),
    /// All that come from an address and are not logged in; this host itself has none.
    Address(Option<IpAddr>),
    /// All deliveries: who may deliver is trusted.
    Deliveries,
}

impl Whose {
    /// Whose turn a request waits for.
    pub fn of(requester: &Requester, request: &Request) -> Self {
        match (requester.user, request) {
            (Some(user), _) => Self::User(user),
            (None, Request::Recipient { .. }) => Self::Deliveries,
            (None, _) => Self::Address(requester.client),
        }
    }
}

/// Items of many owners. Each [`Turns::pop`] gives the next owner's oldest. Sessions have one
/// request under way each, so their number bounds how many there are.
pub struct Turns<T> {
    owners: HashMap<Whose, VecDeque<T>, RandomState>,
    /// Owners with items, in the order of their turns.
    turns: VecDeque<Whose>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            owners: HashMap::default(),
            turns: VecDeque::new(),
        }
    }
}

impl<T> Turns<T> {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Puts an item behind its owner's others.
    pub fn push(&mut self, whose: Whose, item: T) {
        let items = self.owners.entry(whose).or_default();
        if items.is_empty() {
            self.turns.push_back(whose);
        }
        items.push_back(item);
    }

    /// The next item.
    pub fn pop(&mut self) -> Option<T> {
        let whose = self.turns.pop_front()?;
        let items = self.owners.get_mut(&whose)?;
        let item = items.pop_front();
        if items.is_empty() {
            self.owners.remove(&whose);
        } else {
            self.turns.push_back(whose);
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_take_turns_and_keep_their_order() {
        let mut turns = Turns::default();
        let [flood, phone] = [1, 2].map(|number| Whose::User(UserId(number)));
        for number in 0..1000 {
            turns.push(flood, ("flood", number));
        }
        turns.push(phone, ("phone", 0));
        turns.push(Whose::Deliveries, ("delivery", 0));
        turns.push(phone, ("phone", 1));
        let first: Vec<_> = std::iter::from_fn(|| turns.pop()).take(6).collect();
        let expected = [
            ("flood", 0),
            ("phone", 0),
            ("delivery", 0),
            ("flood", 1),
            ("phone", 1),
            ("flood", 2),
        ];
        assert_eq!(first, expected);
        let rest = std::iter::from_fn(|| turns.pop()).count();
        assert_eq!(rest, 1003 - expected.len());
        assert!(turns.is_empty() && turns.owners.is_empty());
    }
}
