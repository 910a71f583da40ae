//! What origins send each other for members of pools: a stream for each pair and way. Who receives
//! knows what it has missed; who sends, what the other has not taken when it ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::mutant::{Mutant, planted};
use super::wire::Crossing;

/// A digest may overtake what it counts by so much.
const LATE_NS: u64 = 500_000_000;
/// What went to an origin that has ended the bus says by then.
const SAID_NS: u64 = 5_000_000_000;
/// A member that has come somewhere is known here by then.
pub(super) const KNOWN_NS: u64 = 300_000_000;

/// An event for one member of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooled {
    /// The pool's pattern, written down.
    pub pattern: Bytes,
    /// The event.
    pub event: Crossing,
    /// Whose it is.
    pub home: u64,
    /// By which it can be acknowledged here, if it is linked and another origin's.
    pub number: Option<u64>,
    /// How often it was handed on.
    pub hops: u8,
}

#[derive(Default)]
pub(super) struct Streams {
    /// The last number that was given, in whatever stream.
    last: u64,
    to: BTreeMap<u64, StreamTo>,
    from: BTreeMap<u64, StreamFrom>,
    /// Of all that is kept.
    kept_bytes: usize,
    /// What origins that have ended had not taken, as the bus may still say so of each; until then.
    untaken: BTreeSet<u64>,
    untaken_until_ns: u64,
    /// What is for nobody who is known yet, until then; as it came.
    waiting: VecDeque<(u64, Pooled)>,
    waiting_bytes: usize,
}

/// A stream to another origin.
#[derive(Default)]
struct StreamTo {
    last: u64,
    /// What was sent and is not known to be taken, by number.
    kept: VecDeque<(u64, Pooled)>,
    /// The last number of which nothing is kept, taken or not.
    forgotten: u64,
}

/// A stream from another origin.
#[derive(Default)]
struct StreamFrom {
    /// The last number that was taken, or told as missed.
    cursor: u64,
    /// A number that is reached by then, unless something was lost.
    check: Option<(u64, u64)>,
}

/// What something is that has come by a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    New,
    /// New, and something before it was lost.
    BehindGap,
    /// It came before, or was overtaken and counts as lost.
    Known,
}

impl Streams {
    /// Notes that something is sent to an origin, and keeps it among so many bytes. Gives its
    /// number, and that of what was sent there before.
    pub fn send(&mut self, to: u64, pooled: Pooled, bytes_max: usize) -> (u64, u64) {
        self.last += 1;
        self.kept_bytes += pooled.event.wire_bytes();
        let stream = self.to.entry(to).or_default();
        let before = std::mem::replace(&mut stream.last, self.last);
        stream.kept.push_back((self.last, pooled));
        while self.kept_bytes > bytes_max
            && let Some((number, oldest)) = stream.kept.pop_front()
        {
            self.kept_bytes -= oldest.event.wire_bytes();
            stream.forgotten = number;
        }
        (before, self.last)
    }

    /// What has that number reached nobody. Gives it, and whom it was for, if it is kept.
    pub fn take_back(&mut self, number: u64) -> Option<(u64, Pooled)> {
        self.to.iter_mut().find_map(|(to, stream)| {
            let by_number = stream.kept.binary_search_by_key(&number, |it| it.0);
            let (_, pooled) = stream.kept.remove(by_number.ok()?)?;
            self.kept_bytes -= pooled.event.wire_bytes();
            Some((*to, pooled))
        })
    }

    /// Whether something that reached nobody went to others when its origin ended.
    pub fn is_resent(&mut self, number: u64) -> bool {
        self.untaken.remove(&number)
    }

    /// An origin has taken what was sent to it up to a number.
    pub fn taken(&mut self, by: u64, number: u64) {
        let Some(stream) = self.to.get_mut(&by) else {
            return;
        };
        while let Some((_, pooled)) = stream.kept.pop_front_if(|it| it.0 <= number) {
            self.kept_bytes -= pooled.event.wire_bytes();
        }
    }

    /// An origin takes no more. Gives what it has not taken, and whether there is more of that.
    pub fn ended(&mut self, now_ns: u64, by: u64, number: u64) -> (Vec<Pooled>, bool) {
        self.taken(by, number);
        let stream = self.to.remove(&by).unwrap_or_default();
        self.untaken.extend(stream.kept.iter().map(|it| it.0));
        self.untaken_until_ns = now_ns + SAID_NS;
        let kept = stream.kept.into_iter().map(|(_, pooled)| pooled);
        let kept: Vec<_> = kept.collect();
        let bytes = kept.iter().map(|it| it.event.wire_bytes());
        self.kept_bytes -= bytes.sum::<usize>();
        match planted(Mutant::ForgetUntaken) {
            true => (vec![], false),
            false => (kept, stream.forgotten > number),
        }
    }

    /// Keeps nothing for those of whom nobody knows what they have taken, nor what became of that.
    /// Gives whether they were sent anything since they were given up last.
    pub fn give_up(&mut self, is_there: impl Fn(u64) -> bool) -> bool {
        let mut is_new = false;
        for (_, stream) in self.to.iter_mut().filter(|(to, _)| !is_there(**to)) {
            is_new |= stream.forgotten < stream.last;
            let bytes = stream.kept.drain(..).map(|it| it.1.event.wire_bytes());
            self.kept_bytes -= bytes.sum::<usize>();
            stream.forgotten = stream.last;
        }
        is_new
    }

    /// Something is for a member whom nobody knows, but may soon. Gives it back if too much waits.
    pub fn wait(&mut self, now_ns: u64, pooled: Pooled, bytes_max: usize) -> Option<Pooled> {
        let bytes = pooled.event.wire_bytes();
        if self.waiting_bytes + bytes > bytes_max {
            return Some(pooled);
        }
        self.waiting_bytes += bytes;
        self.waiting.push_back((now_ns + KNOWN_NS, pooled));
        None
    }

    /// What waits for members of these pools. Looks at all that waits.
    pub fn take_waiting(&mut self, is_known: impl Fn(&Bytes) -> bool) -> Vec<Pooled> {
        let mut taken = vec![];
        for (due_ns, pooled) in std::mem::take(&mut self.waiting) {
            match is_known(&pooled.pattern) {
                true => taken.push(pooled),
                false => self.waiting.push_back((due_ns, pooled)),
            }
        }
        self.wait_no_more(&taken);
        taken
    }

    /// What has waited long enough.
    pub fn take_overdue(&mut self, now_ns: u64) -> Vec<Pooled> {
        let mut taken = vec![];
        while let Some((_, pooled)) = self.waiting.pop_front_if(|it| it.0 <= now_ns) {
            taken.push(pooled);
        }
        self.wait_no_more(&taken);
        taken
    }

    fn wait_no_more(&mut self, taken: &[Pooled]) {
        let bytes = taken.iter().map(|it| it.event.wire_bytes());
        self.waiting_bytes -= bytes.sum::<usize>();
    }

    /// When something will have.
    pub fn due_ns(&self) -> Option<u64> {
        self.waiting.front().map(|it| it.0)
    }

    /// Whether all that was sent is known to be taken.
    pub fn is_settled(&self) -> bool {
        self.kept_bytes == 0 && self.waiting.is_empty()
    }

    /// Those who are not known to have taken all.
    pub fn unsettled(&self) -> impl Iterator<Item = u64> {
        let open = self.to.iter().filter(|(_, it)| !it.kept.is_empty());
        open.map(|(to, _)| *to)
    }

    /// Something has come, and what its sender has sent before.
    pub fn note(&mut self, sender: u64, before: u64, number: u64) -> Came {
        let stream = self.from.entry(sender).or_default();
        if number <= stream.cursor && !planted(Mutant::PoolTwice) {
            return Came::Known;
        }
        let has_gap = before > stream.cursor && !planted(Mutant::ForgetStreamGap);
        stream.cursor = stream.cursor.max(number);
        match has_gap {
            true => Came::BehindGap,
            false => Came::New,
        }
    }

    /// A sender says what it has sent last.
    pub fn note_sent(&mut self, now_ns: u64, sender: u64, number: u64) {
        let stream = self.from.entry(sender).or_default();
        if stream.cursor < number && !planted(Mutant::IgnoreSent) {
            stream.check.get_or_insert((now_ns + LATE_NS, number));
        }
    }

    /// Gives whether something was lost at the end of a stream.
    pub fn tick(&mut self, now_ns: u64) -> bool {
        if self.untaken_until_ns <= now_ns {
            self.untaken.clear();
        }
        let mut is_lost = false;
        for stream in self.from.values_mut() {
            if let Some((_, number)) = stream.check.take_if(|(due_ns, _)| *due_ns <= now_ns) {
                is_lost |= stream.cursor < number;
                stream.cursor = stream.cursor.max(number);
            }
        }
        is_lost
    }

    /// Whether something has not come of those senders.
    pub fn misses(&self, of: impl Fn(u64) -> bool) -> bool {
        let is_open = |it: &StreamFrom| it.check.is_some_and(|(_, number)| it.cursor < number);
        self.from.iter().any(|(name, it)| of(*name) && is_open(it))
    }

    /// The last number of what was sent to each.
    pub fn sent(&self) -> Vec<(u64, u64)> {
        self.to.iter().map(|(to, it)| (*to, it.last)).collect()
    }

    /// The last number of each that was taken.
    pub fn cursors(&self) -> Vec<(u64, u64)> {
        let each = self.from.iter();
        each.map(|(sender, it)| (*sender, it.cursor)).collect()
    }

    /// Origins of which something has come.
    pub fn senders(&self) -> usize {
        self.from.len()
    }

    /// Forgets those whom nobody knows any more.
    pub fn prune(&mut self, is_known: impl Fn(u64) -> bool) {
        // They were silent for long, and that was told.
        let _ = self.give_up(&is_known);
        self.to.retain(|name, _| is_known(*name));
        self.from.retain(|name, _| is_known(*name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooled(text: &'static str) -> Pooled {
        Pooled {
            pattern: Bytes::from_static(b"a pool"),
            event: Crossing {
                event: text.into(),
                payload: Bytes::new(),
                link: None,
            },
            home: 1,
            number: None,
            hops: 0,
        }
    }

    #[test]
    fn what_an_origin_has_not_taken_when_it_ends_is_known() {
        let mut streams = Streams::default();
        let most = 1000;
        assert_eq!(streams.send(7, pooled("a"), most), (0, 1));
        assert_eq!(streams.send(8, pooled("b"), most), (0, 2));
        assert_eq!(streams.send(7, pooled("c"), most), (1, 3));
        assert_eq!(streams.send(7, pooled("d"), most), (3, 4));
        assert_eq!(streams.sent(), [(7, 4), (8, 2)]);
        assert_eq!(streams.take_back(3), Some((7, pooled("c"))));
        assert_eq!(streams.take_back(3), None);
        streams.taken(8, 2);
        assert_eq!(streams.ended(0, 7, 1), (vec![pooled("d")], false));
        assert!(streams.is_resent(4) && !streams.is_resent(4));
        assert!(streams.is_settled());
        assert_eq!(
            streams.ended(0, 7, 1),
            (vec![], false),
            "that is known once"
        );
    }

    #[test]
    fn what_is_not_kept_is_lost_unless_it_was_taken() {
        let mut streams = Streams::default();
        let most = 2 * pooled("a").event.wire_bytes();
        let send =
            |streams: &mut Streams| (0..3).for_each(|_| _ = streams.send(7, pooled("a"), most));
        send(&mut streams);
        assert!(!streams.ended(0, 7, 1).1);
        send(&mut streams);
        assert!(streams.ended(0, 7, 3).1);
        send(&mut streams);
        assert!(streams.give_up(|_| false) && !streams.give_up(|_| false));
        assert!(streams.is_settled());
        assert_eq!(streams.ended(0, 7, 8), (vec![], true));
    }

    #[test]
    fn what_is_for_nobody_yet_waits_for_a_while() {
        let mut streams = Streams::default();
        let most = 2 * pooled("a").event.wire_bytes();
        for now_ns in [1, 2] {
            assert_eq!(streams.wait(now_ns, pooled("a"), most), None);
        }
        assert_eq!(streams.wait(3, pooled("b"), most), Some(pooled("b")));
        assert_eq!(streams.due_ns(), Some(1 + KNOWN_NS));
        assert_eq!(streams.take_overdue(1 + KNOWN_NS), [pooled("a")]);
        assert_eq!(streams.take_waiting(|_| false), []);
        assert!(!streams.is_settled());
        assert_eq!(streams.take_waiting(|_| true), [pooled("a")]);
        assert!(streams.is_settled());
    }

    #[test]
    fn what_is_missing_of_a_stream_is_known_by_what_follows_or_by_its_sender() {
        let mut streams = Streams::default();
        let mut note = |before, number| streams.note(7, before, number);
        assert_eq!(note(0, 4), Came::New);
        assert_eq!(note(4, 5), Came::New);
        assert_eq!(note(4, 5), Came::Known);
        assert_eq!(note(8, 9), Came::BehindGap);
        assert_eq!(note(5, 8), Came::Known, "it was overtaken");
        streams.note_sent(0, 7, 9);
        assert!(!streams.misses(|_| true) && !streams.tick(LATE_NS));
        streams.note_sent(0, 7, 11);
        assert!(streams.misses(|_| true) && !streams.tick(LATE_NS - 1));
        assert!(streams.tick(LATE_NS) && !streams.tick(LATE_NS));
        assert_eq!(streams.note(7, 9, 11), Came::Known, "it was told as missed");
        assert_eq!(streams.cursors(), [(7, 11)]);
    }
}
