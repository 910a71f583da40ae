//! What the writer is given to do, and what is answered if it can't be done.

use std::sync::{Arc, Mutex, RwLock};

use crossbeam_channel::{Sender, TrySendError};
use mail::request::NewMessage;
use mail::{Body, MailboxId, Refusal, Reply, Request, RightsMode};

use crate::Error;
use crate::callbacks::Completion;
use crate::disk::Durability;
use crate::logic::Made;
use crate::put::{Put, PutCompletion, PutDone};
use crate::sort_keys::{SortRoom, Taken};

/// What an operation counts at most: what is larger goes on in slices.
const SLICE_WEIGHT: usize = 128;

/// Something to do, and whom to tell.
pub(crate) enum Job {
    Request(Request, Completion),
    /// Make a user known.
    EnsureUser(String, Completion),
    /// Note what was claimed as recent in a mailbox.
    Claimed(MailboxId),
    /// Keep what was made of messages.
    Made(Vec<Made>, Taken),
    /// Something of a restore or an import.
    Put(PutJob),
}

/// Something of a restore or an import, and where what became of it is noted.
pub(crate) struct PutJob {
    pub put: Put,
    done: Arc<Mutex<Option<PutDone>>>,
    completion: Completion,
}

impl PutJob {
    pub fn new(put: Put, told: PutCompletion) -> Self {
        let done: Arc<Mutex<Option<PutDone>>> = Arc::default();
        let noted = done.clone();
        let completion = Box::new(move |reply| {
            let done = noted.lock().expect("no panic while it is held").take();
            told(match (reply, done) {
                (Reply::Done, Some(done)) => Ok(done),
                (Reply::Refused(refusal), _) => Err(refusal),
                _ => Err(Refusal::Bug),
            });
        });
        Self {
            put,
            done,
            completion,
        }
    }

    /// Where to note what became of it, and whom to answer.
    pub fn parts(self) -> (Arc<Mutex<Option<PutDone>>>, Completion) {
        (self.done, self.completion)
    }

    /// Whether it stores more than it removes.
    pub fn grows(&self) -> bool {
        matches!(
            self.put,
            Put::Begin(_) | Put::Stage(..) | Put::Add(..) | Put::Entries(..)
        )
    }

    fn messages(&self) -> &[crate::put::PutMessage] {
        match &self.put {
            Put::Stage(_, messages) | Put::Add(_, messages) => messages,
            _ => &[],
        }
    }
}

impl Job {
    /// Bytes that it stores.
    pub fn body_bytes(&self) -> usize {
        match self {
            Self::Request(Request::Spool { chunk, .. }, _) => chunk.len(),
            Self::Request(
                Request::Append {
                    body: Body::Inline(bytes),
                    ..
                }
                | Request::Deliver {
                    body: Body::Inline(bytes),
                    ..
                },
                _,
            ) => bytes.len(),
            Self::Request(Request::Replace { message, .. }, _) => message.body.bytes(),
            Self::Request(Request::AppendAll { messages, .. }, _) => {
                messages.iter().map(|message| message.body.bytes()).sum()
            }
            Self::Put(job) => job.messages().iter().map(|it| it.body.bytes()).sum(),
            _ => 0,
        }
    }

    /// When what it does becomes durable: nobody outside was told of a part of an upload.
    pub fn durability(&self) -> Durability {
        match self {
            Self::Request(Request::Spool { .. } | Request::Discard { .. }, _) => {
                Durability::WithTheNext
            }
            // Those that are lost are made again.
            Self::Made(..) => Durability::WithTheNext,
            _ => Durability::Now,
        }
    }

    /// Whether it needs nothing that is kept of commits in memory: it may be applied while the
    /// group before is being committed.
    pub fn is_light(&self) -> bool {
        use Request as R;
        match self {
            // A full list of keywords needs the index.
            Self::Request(R::Append { flags, .. }, _) => flags.keywords().is_empty(),
            Self::Request(R::AppendAll { messages, .. }, _) => !has_keywords(messages),
            Self::Request(request, _) => matches!(
                request,
                R::Deliver { .. }
                    | R::Spool { .. }
                    | R::Discard { .. }
                    | R::Create { .. }
                    | R::Subscribe { .. }
            ),
            Self::EnsureUser(..) | Self::Claimed(_) | Self::Made(..) => true,
            Self::Put(job) => !matches!(job.put, Put::Place(_) | Put::Abandon(_) | Put::Expire(_)),
        }
    }

    /// How many messages it works on, about.
    pub fn weight(&self) -> usize {
        match self {
            Self::Request(Request::Store { ranges, .. }, _) => at_most_a_slice(ranges.span()),
            Self::Request(Request::Copy { messages, .. }, _) => {
                at_most_a_slice(messages.count.into())
            }
            Self::Request(
                Request::Expunge { .. } | Request::Close { .. } | Request::Rename { .. },
                _,
            ) => SLICE_WEIGHT,
            Self::Request(Request::Deliver { targets, .. }, _) => targets.len().max(1),
            Self::Request(Request::AppendAll { messages, .. }, _) => messages.len().max(1),
            Self::Made(made, _) => made.len(),
            Self::Put(PutJob {
                put: Put::Expire(_),
                ..
            }) => SLICE_WEIGHT,
            Self::Put(job) => job.messages().len().max(1),
            _ => 1,
        }
    }

    /// The answer if it can't be done, and whom to tell.
    pub fn refused(self, refusal: &Refusal) -> Option<(Reply, Completion)> {
        match self {
            Self::Request(request, completion) => Some((refused(&request, refusal), completion)),
            Self::EnsureUser(_, completion) => Some((Reply::Refused(refusal.clone()), completion)),
            Self::Put(job) => Some((Reply::Refused(refusal.clone()), job.completion)),
            Self::Claimed(_) | Self::Made(..) => None,
        }
    }
}

/// The way to the writer, while the store is open. It is written when that changes: nobody who asks
/// waits for another.
pub(crate) struct Jobs {
    sender: RwLock<Option<Sender<Job>>>,
    /// Memory for sort keys that wait to be kept.
    pub made_room: Arc<SortRoom>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            sender: RwLock::default(),
            made_room: Arc::new(SortRoom::of_made_keys()),
        }
    }
}

impl Jobs {
    pub fn set(&self, sender: Sender<Job>) {
        *self.sender.write().expect("no panic while it is held") = Some(sender);
    }

    pub fn end(&self) {
        drop(
            self.sender
                .write()
                .expect("no panic while it is held")
                .take(),
        );
    }

    pub fn are_taken(&self) -> bool {
        let sender = self.sender.read().expect("no panic while it is held");
        sender.is_some()
    }

    #[allow(
        clippy::result_large_err,
        reason = "what was not taken is given back as it is"
    )]
    pub fn give(&self, job: Job) -> Result<(), Job> {
        let sender = self.sender.read().expect("no panic while it is held");
        match sender.as_ref() {
            Some(sender) => sender.try_send(job).map_err(|error| match error {
                TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
            }),
            None => Err(job),
        }
    }
}

fn at_most_a_slice(messages: u64) -> usize {
    messages.clamp(1, SLICE_WEIGHT as u64) as usize
}

fn has_keywords(messages: &[NewMessage]) -> bool {
    messages.iter().any(|it| !it.flags.keywords().is_empty())
}

/// Whether it may need the index of a mailbox that has to be built before: of where keywords go.
pub(crate) fn may_be_cold(request: &Request) -> bool {
    match request {
        Request::Append { flags, .. } => !flags.keywords().is_empty(),
        Request::AppendAll { messages, .. } => has_keywords(messages),
        Request::Copy { .. } | Request::Replace { .. } => true,
        _ => false,
    }
}

/// Whether a request stores more than it removes. What takes rights or metadata away does not, so
/// that it can be done on a full disk.
pub(crate) fn grows(request: &Request) -> bool {
    if let Request::SetAcl {
        identifier,
        mode,
        rights,
        ..
    } = request
    {
        let takes = identifier.starts_with('-') || *mode == RightsMode::Remove;
        return !takes && !rights.is_empty();
    }
    if let Request::SetMetadata { entries, .. } = request {
        return entries.iter().any(|entry| entry.value.is_some());
    }
    matches!(
        request,
        Request::Append { .. }
            | Request::AppendAll { .. }
            | Request::Replace { .. }
            | Request::Deliver { .. }
            | Request::Spool { .. }
            | Request::Copy { .. }
            | Request::Create { .. }
            | Request::SignUrls { .. }
    )
}

pub(crate) fn disk_full(request: &Request) -> Reply {
    refused(request, &full())
}

/// Says that the disk is full, and refuses for it.
pub(crate) fn full() -> Refusal {
    tracing::error!("the disk is nearly full: messages are refused until there is room");
    Refusal::DiskFull
}

/// The refusal of a request: of a delivery, to each of its targets.
pub(crate) fn refused(request: &Request, refusal: &Refusal) -> Reply {
    match request {
        Request::Deliver { targets, .. } => {
            Reply::Delivered(vec![Err(refusal.clone()); targets.len()])
        }
        _ => Reply::Refused(refusal.clone()),
    }
}

/// Takes back an answer whose commit failed.
pub(crate) fn refuse(reply: &mut Reply, refusal: &Refusal) {
    *reply = match reply {
        Reply::Delivered(results) => Reply::Delivered(vec![Err(refusal.clone()); results.len()]),
        _ => Reply::Refused(refusal.clone()),
    };
}

pub(crate) fn refusal(error: &Error) -> Refusal {
    if is_full(error) {
        Refusal::DiskFull
    } else if matches!(error, Error::Waits) {
        Refusal::Unavailable("a large COPY or RENAME is under way, try again".into())
    } else if matches!(error, Error::Panicked) {
        Refusal::Bug
    } else {
        Refusal::Unavailable("see the server's log".into())
    }
}

/// Whether the error, or what caused it, is that the disk is full.
pub(crate) fn is_full(error: &Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|error| error.kind() == std::io::ErrorKind::StorageFull) {
            return true;
        }
        cause = error.source();
    }
    false
}

pub(crate) fn unavailable(error: &Error) -> Reply {
    tracing::error!("{error}");
    Reply::Refused(refusal(error))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mail::UserId;
    use mail::metadata::{Entry, EntryName};

    use super::*;

    #[test]
    fn what_only_takes_away_can_be_done_on_a_full_disk() {
        let set = |values: &[Option<&'static str>]| Request::SetMetadata {
            user: UserId(1),
            mailbox: None,
            entries: values
                .iter()
                .map(|value| Entry {
                    name: EntryName::new(b"/private/comment").expect("a name"),
                    value: value.map(|value| Bytes::from_static(value.as_bytes())),
                })
                .collect(),
            is_admin: false,
        };
        assert!(!grows(&set(&[None, None])));
        assert!(grows(&set(&[None, Some("")])));
    }
}
