//! Another process takes over while clients and deliverers are busy, or fails to: at moments, and
//! with failures, that follow from the seed.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use engine::Adopted;
use engine::event::ShardId;
use engine::handover::{Given, Held};
use reactor::Rng;
use server::control::MailHandle;

use super::{ACTIVE_NS, Process, SECOND_NS, Setup, Simulation};

/// How long sessions have to end what they are in the middle of, and how long others are held back.
const SETTLED_NS: u64 = SECOND_NS / 2;
const HELD_NS: u64 = SECOND_NS / 4;
/// What may wait to be taken: all, as who gives and who takes are one thread.
const WAITING_MAX: usize = 100_000;
/// Steps after which the new process may end.
const STEPS: u64 = 8;

/// Those of a run.
pub(super) struct Handovers {
    setup: Setup,
    /// When they begin, the next one last; and after which step the new process ends, if it does.
    due: Vec<(u64, Option<u64>)>,
    under_way: Option<UnderWay>,
    /// Those that succeeded, and those that didn't.
    pub counts: [usize; 2],
}

struct UnderWay {
    new: Process,
    ways: Vec<SyncSender<Given>>,
    coming: Vec<Receiver<Given>>,
    adopted: Vec<Adopted>,
    step: Step,
    /// How many steps were done, and after how many the new process ends.
    done: u64,
    dies_after: Option<u64>,
}

/// What is waited for.
enum Step {
    Sharing(Answers<()>),
    Settling(Answers<()>),
    Holding(Answers<Held>),
    Closing,
    /// Of the old process, and how often all were quiet before.
    Passing(Answers<bool>, u32),
    Exporting(Answers<io::Result<usize>>),
    /// Of the new one.
    Watching(Answers<bool>, u32),
    GoingOn(Answers<()>),
}

/// The answers of all shards, as they come.
struct Answers<T> {
    awaited: Vec<Receiver<T>>,
    had: Vec<T>,
}

impl<T> Answers<T> {
    fn of(handle: &MailHandle, ask: impl Fn(ShardId) -> Receiver<T>) -> Self {
        let shards = (0..handle.shards()).map(ShardId);
        Self::from(shards.map(ask).collect())
    }

    fn from(awaited: Vec<Receiver<T>>) -> Self {
        let had = vec![];
        Self { awaited, had }
    }

    /// All of them, once they are there.
    fn take(&mut self) -> Result<Option<Vec<T>>, End> {
        for answer in &self.awaited[self.had.len()..] {
            match answer.try_recv() {
                Ok(one) => self.had.push(one),
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => return Err(End::Failed),
            }
        }
        Ok(Some(std::mem::take(&mut self.had)))
    }
}

impl Answers<bool> {
    /// How often all shards were quiet one after the other.
    fn quiet(&mut self, before: u32) -> Result<Option<u32>, End> {
        let passes = self.take()?;
        let all_quiet = passes.map(|passes| passes.into_iter().all(|it| it));
        Ok(all_quiet.map(|all_quiet| if all_quiet { before + 1 } else { 0 }))
    }
}

/// Why there is no next step.
enum End {
    Failed,
    Succeeded,
}

impl Handovers {
    /// Some, if there are to be any.
    pub fn drawn(seed: u64, setup: Setup, any: bool) -> Self {
        let mut rng = Rng::new(seed ^ 0x4A4D_0F4E);
        let count = if any { 1 + rng.below(3) } else { 0 };
        let mut due: Vec<_> = (0..count)
            .map(|_| {
                let dies = rng.chance(1, 2);
                (rng.below(ACTIVE_NS), dies.then(|| rng.below(STEPS)))
            })
            .collect();
        due.sort_unstable_by(|one, other| other.cmp(one));
        Self {
            setup,
            due,
            under_way: None,
            counts: [0, 0],
        }
    }

    /// A turn of a shard of the new process.
    pub fn turn(&mut self, number: usize) {
        if let Some(under_way) = &mut self.under_way {
            under_way.new.turn(number);
        }
    }
}

impl Simulation {
    /// Goes on with a handover, or begins one that is due.
    pub(super) fn hand_over_some(&mut self) {
        let Some(mut under_way) = self.handovers.under_way.take() else {
            return self.begin_handover();
        };
        if under_way.dies_after == Some(under_way.done) && !under_way.is_committed() {
            return self.fail_handover(under_way);
        }
        if let Err(why) = under_way.take_what_came() {
            self.faults.push(format!("a handover: {why}"));
            return self.fail_handover(under_way);
        }
        match self.step(&mut under_way) {
            Ok(Some(step)) => {
                under_way.step = step;
                under_way.done += 1;
                self.handovers.under_way = Some(under_way);
            }
            Ok(None) => self.handovers.under_way = Some(under_way),
            Err(End::Failed) => self.fail_handover(under_way),
            Err(End::Succeeded) => {
                self.process = under_way.new;
                self.handovers.counts[0] += 1;
            }
        }
    }

    fn begin_handover(&mut self) {
        let now_ns = self.world.now_ns();
        let is_due = |(at_ns, _): &mut (u64, Option<u64>)| *at_ns <= now_ns;
        let Some((_, dies_after)) = self.handovers.due.pop_if(is_due) else {
            return;
        };
        let count = self.process.handle.shards();
        let setup = &self.handovers.setup;
        let handle: MailHandle = engine::mesh(count, &setup.limits);
        let reactors = (0..count).map(|_| self.world.reactor(64)).collect();
        let mut new = setup.start(reactors, handle, &self.backend);
        new.shards = new
            .shards
            .into_iter()
            .map(|(number, shard)| (number, shard.awaiting()))
            .collect();
        let (ways, coming): (Vec<_>, Vec<_>) =
            (0..count).map(|_| sync_channel(WAITING_MAX)).unzip();
        let old = &self.process.handle;
        let shared = (0..).map(ShardId).zip(&ways);
        let shared = shared.map(|(id, way): (_, &SyncSender<Given>)| old.share(id, way.clone()));
        self.handovers.under_way = Some(UnderWay {
            step: Step::Sharing(Answers::from(shared.collect())),
            new,
            ways,
            coming,
            adopted: (0..count).map(|_| Adopted::default()).collect(),
            done: 0,
            dies_after,
        });
    }

    /// The new process is no more, and the old one goes on.
    fn fail_handover(&mut self, under_way: UnderWay) {
        drop(under_way);
        self.backend.open(self.process.handle.clone());
        for id in (0..self.process.handle.shards()).map(ShardId) {
            // What it answers is nobody's.
            drop(self.process.handle.go_on(id));
        }
        self.handovers.counts[1] += 1;
    }

    /// The next step, if this one is over.
    fn step(&mut self, under_way: &mut UnderWay) -> Result<Option<Step>, End> {
        let old = self.process.handle.clone();
        let new = under_way.new.handle.clone();
        let pass = |of: &MailHandle| Answers::of(of, |id| of.pass(id));
        Ok(match &mut under_way.step {
            Step::Sharing(answers) => answers.take()?.map(|_| {
                let settled = Answers::of(&old, |id| old.settle(id, SETTLED_NS));
                Step::Settling(settled)
            }),
            Step::Settling(answers) => answers.take()?.map(|_| {
                let held = Answers::of(&old, |id| old.hold(id, HELD_NS));
                Step::Holding(held)
            }),
            Step::Holding(answers) => match answers.take()? {
                None => None,
                Some(held) if held.iter().any(|held| held.waiting > 0) => return Err(End::Failed),
                Some(_) => {
                    self.backend.close();
                    Some(Step::Closing)
                }
            },
            Step::Closing => {
                let is_closed = self.backend.is_closed();
                is_closed.then(|| Step::Passing(pass(&old), 0))
            }
            Step::Passing(answers, before) => answers.quiet(*before)?.map(|quiet| {
                if quiet < 2 {
                    return Step::Passing(pass(&old), quiet);
                }
                let ways = (0..).map(ShardId).zip(under_way.ways.drain(..));
                let exported = ways.map(|(id, way)| old.export(id, way)).collect();
                Step::Exporting(Answers::from(exported))
            }),
            Step::Exporting(answers) => match answers.take()? {
                None => None,
                Some(rows) if rows.iter().any(Result::is_err) => return Err(End::Failed),
                Some(_) => Some(Step::Watching(pass(&new), 0)),
            },
            Step::Watching(answers, before) => match answers.quiet(*before)? {
                None => None,
                Some(2) => Some(self.commit(under_way.adopted.drain(..), &mut under_way.new)),
                Some(quiet) => Some(Step::Watching(pass(&new), quiet)),
            },
            Step::GoingOn(answers) => match answers.take()? {
                None => None,
                Some(_) => return Err(End::Succeeded),
            },
        })
    }

    /// All is the new process's from now on.
    fn commit(&mut self, adopted: impl Iterator<Item = Adopted>, new: &mut Process) -> Step {
        let both = self.process.shards.iter().zip(&mut new.shards).zip(adopted);
        for (((from, _), (to, shard)), adopted) in both {
            shard.end_adopting(adopted);
            self.world.pass_listeners(*from, *to);
        }
        self.backend.open(new.handle.clone());
        let handle = &new.handle;
        let going_on = Answers::of(handle, |id| handle.go_on(id));
        // The old one ends.
        self.process.shards.clear();
        Step::GoingOn(going_on)
    }
}

impl UnderWay {
    fn is_committed(&self) -> bool {
        matches!(self.step, Step::GoingOn(_))
    }

    /// The new process takes what is there.
    fn take_what_came(&mut self) -> Result<(), String> {
        let shards = self.new.shards.iter_mut().zip(&mut self.adopted);
        for (((_, shard), adopted), coming) in shards.zip(&self.coming) {
            for given in coming.try_iter() {
                match given {
                    Given::Descriptor(key, descriptor) => shard
                        .adopt(adopted, key, descriptor)
                        .map_err(|error| error.to_string())?,
                    Given::Rows(rows) => {
                        let taken = shard.take_rows(adopted, &rows);
                        taken.map_err(|refused| refused.to_string())?;
                    }
                    Given::Gone(keys) => {
                        let given_up = shard.give_up(keys);
                        given_up.map_err(|refused| refused.to_string())?;
                    }
                    Given::End => {}
                }
            }
        }
        Ok(())
    }
}
