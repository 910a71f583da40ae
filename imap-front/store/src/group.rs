//! Jobs that become one commit, and what is known of them until that is durable.

use mail::{MailboxId, News, Refusal, Reply, Uid};

use crate::callbacks::Completion;
use crate::committer::{Commit, Outcome};
use crate::disk::Durability;
use crate::job::{Job, refuse};
use crate::logic::{BodiesCame, Operation};
use crate::notification::Notification;
use crate::running::Running;

/// Operations in one commit: bounds how long the first of them waits for the others.
const GROUP_MAX: usize = 512;
/// Bytes of bodies in one commit: no more operations join it after these.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// Messages that the operations of one commit work on, about.
const GROUP_WEIGHT_MAX: usize = 512;

/// Jobs that become one commit.
#[derive(Default)]
pub(crate) struct Group {
    /// Those not yet applied.
    pub jobs: Vec<Job>,
    /// What came so far, applied or not.
    pub count: usize,
    pub bytes: usize,
    pub weight: usize,
    /// Whether anything must be durable when it is confirmed.
    pub lasts: bool,
}

impl Group {
    pub fn take(&mut self, job: Job) {
        self.count += 1;
        self.bytes += job.body_bytes();
        self.weight += job.weight();
        self.lasts |= job.durability() == Durability::Now;
        self.jobs.push(job);
    }

    pub fn is_full(&self) -> bool {
        self.count >= GROUP_MAX || self.bytes >= GROUP_BYTES_MAX || self.weight >= GROUP_WEIGHT_MAX
    }
}

/// What a group did, for when it is committed.
#[derive(Default)]
pub(crate) struct Done {
    /// What to announce.
    pub news: Vec<News>,
    /// Whom to answer.
    pub answers: Vec<(Reply, Completion)>,
    /// What to tell the observer.
    pub notifications: Vec<Notification>,
    /// Bodies of which sort keys are to be made.
    pub came: BodiesCame,
    /// What was claimed.
    pub claimed: Vec<(MailboxId, Uid)>,
    /// What waits until an operation that goes on is done.
    pub waits: Vec<Job>,
    /// Such an operation is.
    pub ends: bool,
    /// There was something to do.
    pub has_moved: bool,
}

/// A group that is being committed.
pub(crate) struct InFlight {
    pub commit: Commit,
    pub done: Done,
}

/// What goes on after a group, if that is committed.
#[derive(Default)]
pub(crate) struct Ongoing {
    /// What has begun.
    pub begun: Vec<(Operation, Option<Completion>)>,
    /// What had its turn, and its place.
    pub slice: Option<(usize, Running)>,
}

impl Done {
    /// The group came to nothing: whoever waits for it is told.
    pub fn fail(self, refusal: &Refusal) {
        for (mut reply, completion) in self.answers {
            refuse(&mut reply, refusal);
            completion(reply);
        }
    }
}

impl Ongoing {
    /// The group came to nothing, and so does what it would have begun, and what had its turn.
    /// Gives what undoes that.
    pub fn fail(self, refusal: &Refusal) -> Option<Operation> {
        let (operation, completion) = match self.slice {
            Some((_, running)) => (Some(running.operation), running.completion),
            None => (None, None),
        };
        let begun = self.begun.into_iter().map(|(_, completion)| completion);
        for completion in begun.chain([completion]).flatten() {
            completion(Reply::Refused(refusal.clone()));
        }
        operation?.failed(refusal.clone())
    }

    pub fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.slice.is_none()
    }
}

/// What comes while a group is applied and the one before is being committed.
pub(crate) enum More {
    Jobs,
    Nothing,
    /// The one before has failed.
    Failed(Outcome),
}
