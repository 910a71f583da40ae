//! A queue that is fair between groups, and within a group between its members: a user's sessions,
//! or the names that one address tries. A member that is one of many groups has a turn among them
//! as if these were one: a name that many addresses try holds up no other name.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::Hash;

use ahash::RandomState;

/// Whose an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Groups take turns.
    pub group: u64,
    /// Within a group its members do.
    pub member: u64,
    /// So do all of each standing.
    pub standing: Standing,
}

/// What is known of who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Standing {
    /// That it was right before.
    Known,
    /// Nothing.
    New,
    /// That it was wrong lately.
    Doubted,
}

const STANDINGS: usize = Standing::Doubted as usize + 1;

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

/// Items of many owners. Each [`FairQueue::pop`] gives the item whose turn it is.
pub struct FairQueue<T> {
    limits: QueueLimits,
    groups: HashMap<u64, Group<T>, RandomState>,
    /// The turns of groups with items, of each standing.
    turns: [Turns; STANDINGS],
    /// The standing that comes next.
    next: usize,
    /// How many turns there were.
    count: u64,
    len: usize,
}

/// Groups in the order of their turns. A turn has a round: the next one of its group, and of the
/// member that is next in it, is of a later round.
#[derive(Default)]
struct Turns {
    /// Round, number and group. One whose group has another turn by now is none.
    queue: BinaryHeap<Reverse<(u64, u64, u64)>>,
    /// The round that is on.
    round: u64,
    /// The last round of each member that has one to come.
    members: HashMap<u64, u64, RandomState>,
}

struct Group<T> {
    /// Members with items, in the order of their turns.
    members: VecDeque<(u64, VecDeque<(Standing, T)>)>,
    len: usize,
    out: usize,
    /// The number of its turn, if it waits for one.
    turn: Option<u64>,
    /// The round of its last turn, and in which standing.
    last: Option<(Standing, u64)>,
    /// That of its newest item.
    newest: Standing,
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
            turns: [Turns::default(), Turns::default(), Turns::default()],
            next: 0,
            count: 0,
            len: 0,
        }
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Puts an item. When too many wait, the newest of the longest group makes room and is given
    /// back: who asks for little is not refused for those who ask for much, nor who is in no doubt
    /// for those who are.
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
            match self.longest(owner, own) {
                Some(longest) => made_room = self.take_newest(longest),
                None => return Err(Full::All(item)),
            }
        }
        self.put(owner, item);
        Ok(made_room)
    }

    /// Which group makes room for one more of an owner whose group has so many.
    fn longest(&self, owner: Owner, own: usize) -> Option<u64> {
        let is_doubted = |group: &Group<T>| group.len > 0 && group.newest == Standing::Doubted;
        let all = self.groups.iter();
        if owner.standing != Standing::Doubted
            && let Some((key, _)) = all
                .clone()
                .filter(|(_, group)| is_doubted(group))
                .max_by_key(|(_, group)| group.len)
        {
            return Some(*key);
        }
        let longest = all.max_by_key(|(_, group)| group.len);
        let longest = longest.filter(|(_, group)| group.len > own + 1);
        longest.map(|(key, _)| *key)
    }

    /// Puts an item that was taken and has more to do, whatever the limits.
    pub fn put_back(&mut self, owner: Owner, item: T) {
        self.put(owner, item);
    }

    fn put(&mut self, owner: Owner, item: T) {
        let Owner {
            group: key,
            member: whose,
            standing,
        } = owner;
        let group = self.groups.entry(key).or_insert_with(|| Group {
            members: VecDeque::new(),
            len: 0,
            out: 0,
            turn: None,
            last: None,
            newest: standing,
        });
        let mut members = group.members.iter_mut();
        match members.find(|(member, _)| *member == whose) {
            Some((_, items)) => items.push_back((standing, item)),
            None => group.members.push_back((whose, [(standing, item)].into())),
        }
        group.newest = standing;
        group.len += 1;
        self.len += 1;
        self.give_turn(key);
    }

    /// Gives a group a turn if it has items and waits for none.
    fn give_turn(&mut self, key: u64) {
        let Some(group) = self.groups.get_mut(&key) else {
            return;
        };
        let first = group.members.front();
        let first = first.and_then(|(member, items)| Some((*member, items.front()?.0)));
        let Some((member, standing)) = first.filter(|_| group.turn.is_none()) else {
            return;
        };
        let turns = &mut self.turns[standing as usize];
        let last = group.last.filter(|(of, _)| *of == standing);
        let last = last.map_or(0, |(_, round)| round);
        let of_member = turns.members.get(&member).copied().unwrap_or(0);
        let round = turns.round.max(last).max(of_member) + 1;
        self.count += 1;
        turns.queue.push(Reverse((round, self.count, key)));
        turns.members.insert(member, round);
        group.turn = Some(self.count);
        group.last = Some((standing, round));
        self.tidy(standing);
    }

    /// Forgets turns that are none any more, and members without one to come, once they are many.
    fn tidy(&mut self, standing: Standing) {
        let turns = &mut self.turns[standing as usize];
        let many = 2 * self.groups.len() + 64;
        if turns.queue.len() > many {
            let is_one = |key: &u64, number: u64| {
                let group = self.groups.get(key);
                group.is_some_and(|group| group.turn == Some(number))
            };
            turns
                .queue
                .retain(|Reverse((_, number, key))| is_one(key, *number));
        }
        if turns.members.len() > many {
            let waiting = self.groups.values().filter(|group| group.turn.is_some());
            let next = waiting.filter_map(|group| group.members.front());
            let next: HashSet<u64, RandomState> = next.map(|(member, _)| *member).collect();
            let now = turns.round;
            turns
                .members
                .retain(|member, round| *round > now && next.contains(member));
        }
    }

    /// The next item; none if there is none, or all groups with items have enough out. Those of
    /// each standing take turns.
    pub fn pop(&mut self) -> Option<(Owner, T)> {
        for step in 0..STANDINGS {
            let at = (self.next + step) % STANDINGS;
            if let Some(found) = self.pop_of(at) {
                self.next = (at + 1) % STANDINGS;
                return Some(found);
            }
        }
        None
    }

    fn pop_of(&mut self, at: usize) -> Option<(Owner, T)> {
        let mut passed_over = Vec::new();
        let mut found = None;
        // At most as many groups are passed over as there are items out.
        while let Some(Reverse(turn)) = self.turns[at].queue.pop() {
            let (round, number, key) = turn;
            match self.groups.get(&key) {
                Some(group) if group.turn != Some(number) => {}
                Some(group) if group.out >= self.limits.out_max => passed_over.push(Reverse(turn)),
                Some(_) => {
                    found = Some((key, round));
                    break;
                }
                None => {}
            }
        }
        self.turns[at].queue.extend(passed_over);
        let (key, round) = found?;
        self.turns[at].round = self.turns[at].round.max(round);
        let group = self.groups.get_mut(&key)?;
        let (member, mut items) = group.members.pop_front()?;
        let (standing, item) = items.pop_front()?;
        if !items.is_empty() {
            group.members.push_back((member, items));
        }
        group.turn = None;
        group.len -= 1;
        group.out += 1;
        self.len -= 1;
        self.give_turn(key);
        let owner = Owner {
            group: key,
            member,
            standing,
        };
        Some((owner, item))
    }

    /// An item that was taken is dealt with.
    pub fn done(&mut self, owner: Owner) {
        if let Some(group) = self.groups.get_mut(&owner.group) {
            group.out -= 1;
            self.forget_if_empty(owner.group);
        }
    }

    /// Drops a group's items that are not wanted any more; gives how many.
    pub fn drop_unwanted(&mut self, key: u64, is_wanted: impl Fn(&T) -> bool) -> usize {
        let Some(group) = self.groups.get_mut(&key) else {
            return 0;
        };
        for (_, items) in &mut group.members {
            items.retain(|(_, item)| is_wanted(item));
        }
        group.members.retain(|(_, items)| !items.is_empty());
        let left = group.members.iter().map(|(_, items)| items.len()).sum();
        let dropped = group.len - left;
        group.len = left;
        self.len -= dropped;
        self.forget_if_empty(key);
        dropped
    }

    fn take_newest(&mut self, key: u64) -> Option<T> {
        let group = self.groups.get_mut(&key)?;
        let longest = group
            .members
            .iter_mut()
            .max_by_key(|(_, items)| items.len());
        let (_, item) = longest.and_then(|(_, items)| items.pop_back())?;
        group.members.retain(|(_, items)| !items.is_empty());
        group.len -= 1;
        self.len -= 1;
        self.forget_if_empty(key);
        Some(item)
    }

    /// A group without items has no turn; without any out either it is forgotten.
    fn forget_if_empty(&mut self, key: u64) {
        let Some(group) = self.groups.get_mut(&key).filter(|group| group.len == 0) else {
            return;
        };
        group.turn = None;
        if group.out == 0 {
            self.groups.remove(&key);
        }
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
        who(group, member, Standing::New)
    }

    fn who(group: u64, member: u64, standing: Standing) -> Owner {
        Owner {
            group,
            member,
            standing,
        }
    }

    /// How many are taken before one of these, which is put last.
    fn waits<T: Copy + PartialEq>(queue: &mut FairQueue<T>, item: T) -> usize {
        let order = std::iter::from_fn(|| {
            let (owner, item) = queue.pop()?;
            queue.done(owner);
            Some(item)
        });
        order.take_while(|other| *other != item).count()
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
        assert!(queue.groups.is_empty() && queue.len() == 0);
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

    const MANY: QueueLimits = QueueLimits {
        group_max: 64,
        all_max: 4096,
        out_max: 1,
    };

    #[test]
    fn a_name_that_many_addresses_try_holds_up_no_other_name() {
        let mut queue = FairQueue::new(MANY);
        for address in 0..640 {
            queue.push(of(address, 7), 0).unwrap();
        }
        queue.pop().unwrap();
        queue.push(of(1000, 8), 1).unwrap();
        assert!(waits(&mut queue, 1) <= 2);
        // Whoever comes by that name from elsewhere is in the same row.
        for address in 2000..2080 {
            queue.push(of(address, 7), 0).unwrap();
        }
        queue.push(of(3000, 7), 2).unwrap();
        assert!(waits(&mut queue, 2) >= 80);
    }

    #[test]
    fn who_guesses_is_not_in_the_way_of_who_does_not() {
        let mut queue = FairQueue::new(MANY);
        for address in 0..80 {
            for _ in 0..8 {
                let guesses = who(address, 7, Standing::Doubted);
                queue.push(guesses, 0).unwrap();
            }
        }
        queue.pop().unwrap();
        for (standing, item) in [(Standing::New, 1), (Standing::Known, 2)] {
            for address in 1000..1100 {
                let fresh = who(address, 7, Standing::New);
                queue.push(fresh, 3).unwrap();
            }
            queue.push(who(2000, 7, standing), item).unwrap();
            let waited = waits(&mut queue, item);
            let most = if standing == Standing::Known { 3 } else { 202 };
            assert!(waited <= most, "{standing:?}: {waited}");
        }
        // They have their turns all the same.
        let fresh: Vec<_> = (0..100).map(|number| of(5000 + number, number)).collect();
        fresh
            .iter()
            .for_each(|of| assert_eq!(queue.push(*of, 3), Ok(None)));
        assert!(waits(&mut queue, 0) <= 3);
    }

    #[test]
    fn who_is_doubted_makes_room_and_nobody_starves() {
        let mut queue = FairQueue::new(MANY);
        for address in 0..4096 {
            let guesses = who(address, 7, Standing::Doubted);
            assert_eq!(queue.push(guesses, 0), Ok(None));
        }
        let doubted = who(9000, 8, Standing::Doubted);
        assert_eq!(queue.push(doubted, 1), Err(Full::All(1)));
        assert_eq!(queue.push(of(9000, 8), 1), Ok(Some(0)));
        assert_eq!(queue.len(), 4096);
        // However many come anew, what waits has its turn.
        let mut queue = FairQueue::new(MANY);
        for number in 0..5 {
            queue.push(of(1, 1), number).unwrap();
        }
        let mut turns = 0;
        for newcomer in 100.. {
            queue.push(of(newcomer, newcomer), 100).unwrap();
            queue.push(of(newcomer, newcomer), 100).unwrap();
            let (owner, item) = queue.pop().unwrap();
            queue.done(owner);
            turns += 1;
            if item == 4 {
                break;
            }
            assert!(turns < 200, "it starves");
        }
    }

    #[test]
    fn what_is_kept_of_those_who_have_left_is_bounded() {
        let mut queue = FairQueue::new(MANY);
        for number in 0..100_000 {
            queue.push(of(number, number), number).unwrap();
            queue.drop_unwanted(number, |_| false);
        }
        assert!(queue.groups.is_empty() && queue.len() == 0);
        for turns in &queue.turns {
            assert!(turns.queue.len() < 100 && turns.members.len() < 100);
        }
        assert_eq!(queue.pop(), None);
        for number in 0..100_000 {
            queue.push(of(number, number), number).unwrap();
            let (owner, _) = queue.pop().unwrap();
            queue.done(owner);
        }
        assert!(queue.turns.iter().all(|turns| turns.members.len() < 100));
    }
}
