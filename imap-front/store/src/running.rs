//! Operations that take many slices, and whose turn it is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mail::Refusal;

use crate::Error;
use crate::callbacks::Completion;
use crate::disk::Disk;
use crate::logic::Operation;

/// Operations that may be under way; what somebody waits for is refused beyond that.
const RUNNING_MAX: usize = 1024;
/// How many of them take turns; the others wait until one of these is done.
const TURNS_MAX: usize = 32;

/// How often to look whether something that was expunged is to be given up or forgotten.
const WORK_OFF_EVERY: Duration = Duration::from_secs(10);

/// An operation that goes on, and whom to tell in the end.
pub(crate) struct Running {
    pub operation: Operation,
    /// None if nobody waits for it.
    pub completion: Option<Completion>,
    turn: u64,
}

/// All of them, in the order in which they began.
#[derive(Default)]
pub(crate) struct RunningQueue {
    all: VecDeque<Running>,
    turns: u64,
    worked_off: Option<Instant>,
}

impl RunningQueue {
    /// What was not finished when the store was closed.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn unfinished(disk: &Disk) -> Result<Self, Error> {
        let mut queue = Self::default();
        for operation in Operation::unfinished(&disk.view()?)? {
            let _ = queue.add(operation, None);
        }
        Ok(queue)
    }

    /// Begins to give up and forget what was expunged, if it is time to look for what is due.
    pub fn work_off(&mut self, now: Instant) {
        let is_due = |last: Instant| last + WORK_OFF_EVERY <= now;
        if self.worked_off.is_none_or(is_due) {
            self.worked_off = Some(now);
            if !self.all.iter().any(|it| it.operation.is_work_off()) {
                let _ = self.add(Operation::work_off(), None);
            }
        }
    }

    /// Does so at once.
    pub fn work_off_now(&mut self) {
        self.worked_off = None;
        self.work_off(Instant::now());
    }

    /// When it is time for that again.
    pub fn work_off_at(&self) -> Instant {
        self.worked_off
            .map_or_else(Instant::now, |last| last + WORK_OFF_EVERY)
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether somebody waits for any of them.
    pub fn is_awaited(&self) -> bool {
        self.all.iter().any(|running| running.completion.is_some())
    }

    /// Adds an operation that waits for its first turn.
    ///
    /// # Errors
    /// If there are too many; what nobody waits for is always taken.
    pub fn add(
        &mut self,
        operation: Operation,
        completion: Option<Completion>,
    ) -> Result<(), (Refusal, Option<Completion>)> {
        if self.all.len() >= RUNNING_MAX && completion.is_some() {
            let refusal =
                Refusal::Unavailable("too many large operations are under way, try again".into());
            return Err((refusal, completion));
        }
        self.all.push_back(Running {
            operation,
            completion,
            turn: self.turns,
        });
        Ok(())
    }

    /// The one whose turn it is: its last turn was before those of the others, and no earlier one
    /// changes the same mailboxes.
    pub fn take(&mut self) -> Option<(usize, Running)> {
        let mut next: Option<(u64, usize)> = None;
        for (at, running) in self.all.iter().take(TURNS_MAX).enumerate() {
            let mine = running.operation.mailboxes();
            let is_blocked = self.all.range(..at).any(|earlier| {
                let theirs = earlier.operation.mailboxes();
                mine.iter().any(|id| theirs.contains(id))
            });
            if !is_blocked && next.is_none_or(|(turn, _)| running.turn < turn) {
                next = Some((running.turn, at));
            }
        }
        let (_, at) = next?;
        self.turns += 1;
        let mut running = self.all.remove(at)?;
        running.turn = self.turns;
        Some((at, running))
    }

    /// Gives one back that goes on.
    pub fn give_back(&mut self, at: usize, running: Running) {
        self.all.insert(at.min(self.all.len()), running);
    }

    /// All of them: the store is closed.
    pub fn end(&mut self) -> impl Iterator<Item = Running> {
        std::mem::take(&mut self.all).into_iter()
    }
}
