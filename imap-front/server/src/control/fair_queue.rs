//! A queue that is fair between groups, and within a group between its members: a user's sessions,
//! or the names that one address tries.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use ahash::RandomState;

/// Whose an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Groups take turns.
    pub group: u64,
    /// Within a group its members do.
    pub member: u64,
}

/// How many items may wait, and how many of a group may be out at a time.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Items waiting of one group.
    pub group_max: usize,
    /// Items waiting in all.
    pub all_max: usize,
    /// Items of one group that were taken and are not [`FairQueue::done`].
    pub out_max: usize,
}

/// Items of many owners. Each [`FairQueue::pop`] gives the next group's next member's oldest item.
pub struct FairQueue<T> {
    limits: QueueLimits,
    groups: HashMap<u64, Group<T>, RandomState>,
    /// Groups with items, in the order of their turns.
    turns: VecDeque<u64>,
    len: usize,
}

struct Group<T> {
    /// Members with items, in the order of their turns.
    members: VecDeque<(u64, VecDeque<T>)>,
    len: usize,
    out: usize,
}

/// What could not be put, or had to make room.
#[derive(Debug, PartialEq, Eq)]
pub enum Full<T> {
    /// The item's group has as many items as it may.
    Group(T),
    /// Too many items wait, and no group has more of them than this one.
    All(T),
}

impl<T> FairQueue<T> {
    /// An empty queue.
    pub fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            groups: HashMap::default(),
            turns: VecDeque::new(),
            len: 0,
        }
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Puts an item. When too many wait, the newest of the longest group makes room and is given
    /// back: who asks for little is not refused for those who ask for much.
    ///
    /// # Errors
    /// Gives the item back if its group has too many, or all have.
    pub fn push(&mut self, owner: Owner, item: T) -> Result<Option<T>, Full<T>> {
        let own = self.groups.get(&owner.group).map_or(0, |group| group.len);
        if own >= self.limits.group_max {
            return Err(Full::Group(item));
        }
        let mut made_room = None;
        if self.len >= self.limits.all_max {
            let longest = self.groups.iter().max_by_key(|(_, group)| group.len);
            match longest.map(|(key, group)| (*key, group.len)) {
                Some((longest, len)) if len > own + 1 => made_room = self.take_newest(longest),
                _ => return Err(Full::All(item)),
            }
        }
        self.put(owner, item);
        Ok(made_room)
    }

    /// Puts an item that was taken and has more to do, whatever the limits.
    pub fn put_back(&mut self, owner: Owner, item: T) {
        self.put(owner, item);
    }

    fn put(&mut self, owner: Owner, item: T) {
        let group = self.groups.entry(owner.group).or_insert_with(|| Group {
            members: VecDeque::new(),
            len: 0,
            out: 0,
        });
        if group.len == 0 {
            self.turns.push_back(owner.group);
        }
        let mut members = group.members.iter_mut();
        match members.find(|(member, _)| *member == owner.member) {
            Some((_, items)) => items.push_back(item),
            None => group.members.push_back((owner.member, [item].into())),
        }
        group.len += 1;
        self.len += 1;
    }

    /// The next item; none if there is none, or all groups with items have enough out.
    pub fn pop(&mut self) -> Option<(Owner, T)> {
        // At most as many groups are passed over as there are items out.
        for _ in 0..self.turns.len() {
            let key = self.turns.pop_front()?;
            let Some(group) = self.groups.get_mut(&key) else {
                continue;
            };
            if group.out >= self.limits.out_max {
                self.turns.push_back(key);
                continue;
            }
            let (member, mut items) = group.members.pop_front()?;
            let item = items.pop_front()?;
            if !items.is_empty() {
                group.members.push_back((member, items));
            }
            group.len -= 1;
            group.out += 1;
            self.len -= 1;
            if group.len > 0 {
                self.turns.push_back(key);
            }
            let owner = Owner { group: key, member };
            return Some((owner, item));
        }
        None
    }

    /// An item that was taken is dealt with.
    pub fn done(&mut self, owner: Owner) {
        if let Some(group) = self.groups.get_mut(&owner.group) {
            group.out -= 1;
            if group.out == 0 && group.len == 0 {
                self.groups.remove(&owner.group);
            }
        }
    }

    /// Drops a group's items that are not wanted any more; gives how many.
    pub fn drop_unwanted(&mut self, group: u64, is_wanted: impl Fn(&T) -> bool) -> usize {
        let Some(own) = self.groups.get_mut(&group) else {
            return 0;
        };
        for (_, items) in &mut own.members {
            items.retain(&is_wanted);
        }
        own.members.retain(|(_, items)| !items.is_empty());
        let left = own.members.iter().map(|(_, items)| items.len()).sum();
        let dropped = own.len - left;
        own.len = left;
        self.len -= dropped;
        if left == 0 {
            self.turns.retain(|key| *key != group);
            if own.out == 0 {
                self.groups.remove(&group);
            }
        }
        dropped
    }

    fn take_newest(&mut self, group: u64) -> Option<T> {
        let own = self.groups.get_mut(&group)?;
        let longest = own.members.iter_mut().max_by_key(|(_, items)| items.len());
        let item = longest.and_then(|(_, items)| items.pop_back())?;
        own.members.retain(|(_, items)| !items.is_empty());
        own.len -= 1;
        self.len -= 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: QueueLimits = QueueLimits {
        group_max: 100,
        all_max: 150,
        out_max: 1,
    };

    fn of(group: u64, member: u64) -> Owner {
        Owner { group, member }
    }

    #[test]
    fn groups_take_turns_and_so_do_their_members() {
        let mut queue = FairQueue::new(LIMITS);
        for number in 0..3 {
            queue.push(of(1, 1), ("flood", number)).unwrap();
        }
        queue.push(of(1, 2), ("phone", 0)).unwrap();
        queue.push(of(2, 1), ("other", 0)).unwrap();
        let mut order = vec![];
        while let Some((owner, item)) = queue.pop() {
            queue.done(owner);
            order.push(item);
        }
        let expected = [
            ("flood", 0),
            ("other", 0),
            ("phone", 0),
            ("flood", 1),
            ("flood", 2),
        ];
        assert_eq!(order, expected);
        assert!(queue.groups.is_empty() && queue.turns.is_empty() && queue.len() == 0);
    }

    #[test]
    fn a_group_has_only_so_many_out() {
        let mut queue = FairQueue::new(LIMITS);
        queue.push(of(1, 1), 1).unwrap();
        queue.push(of(1, 1), 2).unwrap();
        let (first, _) = queue.pop().unwrap();
        assert_eq!(queue.pop(), None, "the second waits for the first");
        queue.push(of(2, 1), 3).unwrap();
        assert_eq!(queue.pop().unwrap().1, 3);
        queue.done(first);
        assert_eq!(queue.pop().unwrap().1, 2);
    }

    #[test]
    fn bounded_for_a_group_and_in_all_and_the_longest_makes_room() {
        let mut queue = FairQueue::new(LIMITS);
        for number in 0..100 {
            assert_eq!(queue.push(of(1, number), number), Ok(None));
        }
        assert_eq!(queue.push(of(1, 7), 100), Err(Full::Group(100)));
        for number in 0..50 {
            assert_eq!(queue.push(of(2, 1), number), Ok(None));
        }
        assert!(matches!(queue.push(of(3, 1), 1000), Ok(Some(_))));
        assert_eq!(queue.len(), 150);
        for group in 4..60 {
            assert!(
                matches!(queue.push(of(group, 1), 7), Ok(Some(_))),
                "{group}"
            );
        }
        assert_eq!(queue.len(), 150);
        assert_eq!(queue.drop_unwanted(4, |number| *number == 7), 0);
        assert_eq!(queue.drop_unwanted(4, |_| false), 1);
        assert!(!queue.groups.contains_key(&4) && queue.len() == 149);
    }
}
