//! All shards of a process that are given, or taken: those of one mesh, or of several that host
//! different things.
#![expect(
    clippy::disallowed_methods,
    reason = "a thread of its own waits for shards, by the machine's clock"
)]

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use engine::Handle;
use engine::event::ShardId;
use engine::handover::{Given, Held};

pub(super) type Outcome<T> = Result<T, String>;

/// What the shards of a mesh are asked; see [`engine::handover`].
pub trait Mesh: Send + Sync {
    /// How many there are.
    fn shards(&self) -> u16;
    /// As [`Handle::share`].
    fn share(&self, shard: ShardId, to: SyncSender<Given>) -> Receiver<()>;
    /// As [`Handle::settle`].
    fn settle(&self, shard: ShardId, within_ns: u64) -> Receiver<()>;
    /// As [`Handle::hold`].
    fn hold(&self, shard: ShardId, within_ns: u64) -> Receiver<Held>;
    /// As [`Handle::pass`].
    fn pass(&self, shard: ShardId) -> Receiver<bool>;
    /// As [`Handle::export`].
    fn export(&self, shard: ShardId, to: SyncSender<Given>) -> Receiver<io::Result<usize>>;
    /// As [`Handle::go_on`].
    fn go_on(&self, shard: ShardId) -> Receiver<()>;
}

impl<F, R> Mesh for Handle<F, R>
where
    F: Send + Sync + 'static,
    R: Send + 'static,
{
    fn shards(&self) -> u16 {
        self.shards()
    }
    fn share(&self, shard: ShardId, to: SyncSender<Given>) -> Receiver<()> {
        self.share(shard, to)
    }
    fn settle(&self, shard: ShardId, within_ns: u64) -> Receiver<()> {
        self.settle(shard, within_ns)
    }
    fn hold(&self, shard: ShardId, within_ns: u64) -> Receiver<Held> {
        self.hold(shard, within_ns)
    }
    fn pass(&self, shard: ShardId) -> Receiver<bool> {
        self.pass(shard)
    }
    fn export(&self, shard: ShardId, to: SyncSender<Given>) -> Receiver<io::Result<usize>> {
        self.export(shard, to)
    }
    fn go_on(&self, shard: ShardId) -> Receiver<()> {
        self.go_on(shard)
    }
}

/// The shards, mesh after mesh.
pub struct Shards(Vec<Box<dyn Mesh>>);

impl Shards {
    /// Those of these meshes.
    pub fn new(meshes: Vec<Box<dyn Mesh>>) -> Self {
        Self(meshes)
    }

    /// How many each mesh has.
    pub fn counts(&self) -> Vec<u64> {
        self.0.iter().map(|mesh| u64::from(mesh.shards())).collect()
    }

    fn all(&self) -> impl Iterator<Item = (&dyn Mesh, ShardId)> {
        let of = |mesh: &dyn Mesh| (0..mesh.shards()).map(ShardId);
        let meshes = self.0.iter().map(|mesh| &**mesh);
        meshes.flat_map(move |mesh| of(mesh).map(move |id| (mesh, id)))
    }

    /// How many there are in all.
    pub(super) fn count(&self) -> usize {
        self.all().count()
    }

    pub(super) fn share(&self, ways: &[SyncSender<Given>], until: Instant) -> Outcome<()> {
        let asked = self.all().zip(ways);
        let asked = asked.map(|((mesh, id), way)| mesh.share(id, way.clone()));
        each(asked.collect(), until, "descriptors").map(drop)
    }

    pub(super) fn settle(&self, within: Duration, until: Instant) -> Outcome<()> {
        let within_ns = within.as_nanos() as u64;
        let asked = self.all().map(|(mesh, id)| mesh.settle(id, within_ns));
        each(asked.collect(), until, "sessions to rest").map(drop)
    }

    /// Has all rest at a time. Who still waits for an answer is an error.
    pub(super) fn hold(&self, within: Duration, until: Instant) -> Outcome<Held> {
        let within_ns = within.as_nanos() as u64;
        let asked = self.all().map(|(mesh, id)| mesh.hold(id, within_ns));
        let mut sum = Held::default();
        for held in each(asked.collect(), until, "sessions to rest")? {
            sum.ended += held.ended;
            sum.waiting += held.waiting;
            sum.held_ns = sum.held_ns.max(held.held_ns);
        }
        match sum.waiting {
            0 => Ok(sum),
            waiting => Err(format!(
                "{waiting} sessions wait too long for what they have asked to be written: is the \
                 disk slow?"
            )),
        }
    }

    /// What was said to shards, and what they say to each other, has reached everybody.
    pub(super) fn pass_until_quiet(&self, until: Instant) -> Outcome<()> {
        let mut quiet = 0;
        while quiet < 2 {
            let asked = self.all().map(|(mesh, id)| mesh.pass(id));
            let all = each(asked.collect(), until, "shards")?;
            let is_quiet = all.into_iter().all(|it| it);
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if Instant::now() > until {
                return Err("shards have too much to do".into());
            }
        }
        Ok(())
    }

    pub(super) fn export(&self, ways: Vec<SyncSender<Given>>, until: Instant) -> Outcome<usize> {
        let asked = self.all().zip(ways);
        let asked = asked.map(|((mesh, id), way)| mesh.export(id, way));
        let mut count = 0;
        for written in each(asked.collect(), until, "rows")? {
            count += written.map_err(|error| format!("rows: {error}"))?;
        }
        Ok(count)
    }

    pub(super) fn go_on(&self, within: Duration) {
        let asked: Vec<_> = self.all().map(|(mesh, id)| mesh.go_on(id)).collect();
        for answer in asked {
            let _ = answer.recv_timeout(within);
        }
    }
}

/// The answers of all shards.
fn each<T>(answers: Vec<Receiver<T>>, until: Instant, what: &str) -> Outcome<Vec<T>> {
    let one = |answer: Receiver<T>| {
        let left = until.saturating_duration_since(Instant::now());
        answer.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("it takes too long: {what}"),
            RecvTimeoutError::Disconnected => format!("the new process takes none: {what}"),
        })
    };
    answers.into_iter().map(one).collect()
}
