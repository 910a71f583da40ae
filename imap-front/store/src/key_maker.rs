//! Makes the sort keys of messages that have come: beside the writer, which others wait for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::job::Job;
use crate::logic::Made;
use crate::sort_keys::{SortRoom, Taken};
use crate::stats::Stats;

/// Messages whose keys are kept by one job.
const BATCH_MAX: usize = 128;
/// How long the first of them waits for others, so that such jobs are few.
const GATHERED_WITHIN: Duration = Duration::from_millis(20);
/// Messages that wait.
const WAITING_MAX: usize = 1024;

/// A message that has come.
struct Came {
    body: u64,
    begins: Bytes,
    taken: Taken,
}

/// Where the writer leaves messages that it has stored. What finds no room is made keys of when it
/// is first sorted.
pub(crate) struct KeyMaker {
    sender: Sender<Came>,
    room: Arc<SortRoom>,
    stats: Arc<Stats>,
}

impl KeyMaker {
    /// Starts the thread, which ends with what is given back. `give` hands a job to the writer, if
    /// that takes any.
    ///
    /// # Errors
    /// If there can be no other thread.
    pub fn start(
        stats: Arc<Stats>,
        room: Arc<SortRoom>,
        give: impl Fn(Job) -> Result<(), Job> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, came) = bounded(WAITING_MAX);
        let maker = Self {
            sender,
            room: room.clone(),
            stats: stats.clone(),
        };
        std::thread::Builder::new()
            .name("store-keys".into())
            .spawn(move || {
                while let Some(batch) = gather(&came) {
                    if give(job(batch, &room)).is_err() {
                        stats.keys_dropped();
                    }
                }
            })?;
        Ok(maker)
    }

    /// A body was stored that begins so; all of these bytes stay in memory until keys are made.
    pub fn came(&self, body: u64, begins: Bytes) {
        let mut taken = Taken::none_of(&self.room);
        let fits = taken.grow_to(begins.len());
        let came = Came {
            body,
            begins,
            taken,
        };
        if !fits || self.sender.try_send(came).is_err() {
            self.stats.keys_dropped();
        }
    }
}

/// What has come within a while; none if no more will.
fn gather(came: &Receiver<Came>) -> Option<Vec<Came>> {
    let first = came.recv().ok()?;
    if came.len() < BATCH_MAX {
        // Asleep it is woken by none of the others, each of which somebody waits for.
        std::thread::sleep(GATHERED_WITHIN);
    }
    let others = came.try_iter().take(BATCH_MAX - 1);
    Some(std::iter::once(first).chain(others).collect())
}

fn job(batch: Vec<Came>, room: &Arc<SortRoom>) -> Job {
    let mut made = Vec::with_capacity(batch.len());
    for Came {
        body,
        begins,
        taken,
    } in batch
    {
        made.push(Made::sort_keys(body, &begins));
        // What was waiting is given back before what was made of it counts.
        drop(taken);
    }
    let mut taken = Taken::none_of(room);
    // Keys are smaller than what they were made of: at worst others find no room meanwhile.
    taken.grow_to(made.iter().map(Made::bytes).sum());
    Job::Made(made, taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::unbounded;

    fn maker(room: SortRoom) -> (KeyMaker, Receiver<Job>, Arc<Stats>) {
        let (jobs, given) = unbounded();
        let stats = Arc::new(Stats::default());
        #[allow(
            clippy::result_large_err,
            reason = "what was not taken is given back as it is"
        )]
        let give = move |job| jobs.send(job).map_err(|error| error.0);
        let maker = KeyMaker::start(stats.clone(), Arc::new(room), give);
        (maker.expect("a thread"), given, stats)
    }

    #[test]
    fn all_that_came_is_made_keys_of_in_few_jobs() {
        let (maker, given, stats) = maker(SortRoom::of_made_keys());
        for body in 0..300 {
            maker.came(body, Bytes::from_static(b"Subject: a\r\n\r\n"));
        }
        drop(maker);
        let mut bodies = Vec::new();
        let mut jobs = 0;
        while let Ok(Job::Made(made, _)) = given.recv() {
            bodies.extend(made.iter().map(Made::body));
            jobs += 1;
        }
        assert_eq!(bodies, (0..300).collect::<Vec<u64>>());
        assert!(jobs < 30, "{jobs}");
        assert_eq!(stats.dropped_keys(), 0);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (maker, given, stats) = maker(SortRoom::of(100));
        maker.came(1, Bytes::from(vec![b'a'; 101]));
        maker.came(2, Bytes::from_static(b"Subject: a\r\n\r\n"));
        drop(maker);
        let jobs: Vec<Job> = given.iter().collect();
        assert!(matches!(&jobs[..], [Job::Made(made, _)] if made.len() == 1));
        assert_eq!(stats.dropped_keys(), 1);
    }
}
