//! The questions: do all views agree with the store, has everybody been told in time, is what was
//! handed in there once, and is nothing left behind.

use std::collections::{BTreeMap, BTreeSet};

use engine::event::ShardId;
use engine::stats::Counter;
use mail::reply::{Appended, Opened};
use mail::request::Want;
use mail::watched::{Filter, Where};
use mail::{Events, MailboxName, Reply, Request, Scope, SystemFlag};
use model::Model;
use reactor::sim::World;
use server::control::MailHandle;

use super::crowd::{self, Crowd};
use super::deliverers;
use super::talk::{Handed, Verdict};
use super::watcher::Known;

/// Agreement, and liveness if enough time has passed: every client idles, and its view is the
/// store's.
pub(super) fn views(model: &mut Model, crowd: &Crowd) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, (user, watcher, idles)) in crowd.watchers().enumerate() {
        if !idles {
            faults.push(format!("client {number} does not idle"));
            continue;
        }
        if let Some(known) = &watcher.mailboxes {
            let there = mailboxes(model, user);
            if *known != there {
                faults.push(format!(
                    "client {number} knows {known:?}, there is {there:?}"
                ));
            }
            continue;
        }
        let truth = truth(model, user);
        let view = watcher.view();
        if view.len() != truth.len() {
            let (seen, there) = (view.len(), truth.len());
            faults.push(format!("client {number} sees {seen} of {there} messages"));
            continue;
        }
        for (place, (known, is)) in view.iter().zip(&truth).enumerate() {
            let wrong_uid = known.uid.is_some() && known.uid != is.uid;
            let wrong_flags = known.flags.is_some() && known.flags != is.flags;
            if wrong_uid || wrong_flags {
                let place = place + 1;
                faults.push(format!(
                    "client {number} takes message {place} for {known:?}, it is {is:?}"
                ));
            }
        }
    }
    faults
}

/// What was answered with success is there under a UID of its own, or was.
pub(super) fn receipts(model: &mut Model, receipts: &[(usize, Appended)]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for (user, appended) in receipts {
        if !seen.insert((appended.mailbox, appended.uid)) {
            faults.push(format!("UID {} was given twice", appended.uid));
        }
        // Other mailboxes than INBOX may be gone again.
        let known = open(model, &crowd::user(*user)).is_some_and(|opened| {
            appended.mailbox != opened.mailbox || appended.uid < opened.uid_next
        });
        if !known {
            faults.push(format!("a delivery with UID {} was lost", appended.uid));
        }
    }
    faults
}

/// What was answered 250 is there once for its recipient, what was refused is not, and what was
/// not answered is there at most once.
pub(super) fn handed(model: &mut Model, handed: &[Handed]) -> Vec<String> {
    let mut there: BTreeMap<(String, String), usize> = BTreeMap::new();
    for user in (0..deliverers::ADDRESSEES).map(deliverers::addressee) {
        for subject in subjects(model, &user) {
            *there.entry((user.clone(), subject)).or_default() += 1;
        }
    }
    let mut faults = Vec::new();
    for Handed {
        subject,
        user,
        verdict,
    } in handed.iter().filter(|it| it.user.starts_with('d'))
    {
        let key = (user.clone(), subject.clone());
        let copies = there.get(&key).copied().unwrap_or(0);
        let fits = match verdict {
            Verdict::Accepted => copies == 1,
            Verdict::Refused => copies == 0,
            Verdict::Unknown => copies <= 1,
        };
        if !fits {
            faults.push(format!(
                "{subject} is there {copies} times for {user}: {verdict:?}"
            ));
        }
    }
    faults
}

/// The subjects of all messages of a user.
fn subjects(model: &mut Model, user: &str) -> Vec<String> {
    let mut subjects = Vec::new();
    let Some(opened) = open(model, user) else {
        return subjects;
    };
    for uid in opened.uids.iter() {
        let read = Request::Read {
            mailbox: opened.mailbox,
            uid: *uid,
            range: 0..2_000,
        };
        if let Reply::Piece(bytes) = model.handle(read).0 {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let subject = text.split("\r\nSubject: ").nth(1);
            let subject = subject.and_then(|rest| rest.split("\r\n").next());
            subjects.push(subject.unwrap_or_default().to_owned());
        }
    }
    subjects
}

/// After everybody left nothing is open, watched or buffered.
pub(super) fn leftovers(world: &World, handle: &MailHandle) -> Vec<String> {
    let mut faults = Vec::new();
    let census = world.census();
    if census.open > 0 || census.buffered_bytes > 0 {
        faults.push(format!("left behind: {census:?}"));
    }
    for shard in 0..handle.shards() {
        let stats = handle.stats(ShardId(shard));
        let counters = [
            Counter::Open,
            Counter::Parked,
            Counter::Topics,
            Counter::FurtherWatches,
        ];
        for counter in counters {
            let count = stats.counter(counter);
            if count > 0 {
                faults.push(format!("left behind on shard {shard}: {count} {counter:?}"));
            }
        }
    }
    faults
}

fn open(model: &mut Model, user: &str) -> Option<Opened> {
    let request = Request::Open {
        user: model.user_id(user)?,
        name: MailboxName::inbox(),
        read_only: true,
    };
    match model.handle(request).0 {
        Reply::Opened(opened) => Some(opened),
        _ => None,
    }
}

/// A user's mailboxes, and how many messages each has.
fn mailboxes(model: &mut Model, user: usize) -> BTreeMap<String, u32> {
    let filter = Filter {
        mailboxes: Where::Personal,
        events: Events::MESSAGES,
    };
    let scope = Scope {
        filters: [filter].into(),
    };
    let Some(user) = model.user_id(&crowd::user(user)) else {
        return BTreeMap::new();
    };
    let request = Request::Watched {
        user,
        scope: scope.into(),
        only: vec![],
        needs: mail::Rights::SIGHT,
        max: usize::MAX,
    };
    let Reply::Watched(watched) = model.handle(request).0 else {
        return BTreeMap::new();
    };
    let found = watched.mailboxes.into_iter();
    found
        .map(|it| (it.name.to_string(), it.figures.messages))
        .collect()
}

fn truth(model: &mut Model, user: usize) -> Vec<Known> {
    let Some(opened) = open(model, &crowd::user(user)) else {
        return Vec::new();
    };
    let (mut truth, mut uids) = (Vec::new(), opened.uids.to_vec());
    while !uids.is_empty() {
        let request = Request::Fetch {
            mailbox: opened.mailbox,
            uids: uids.clone(),
            want: Want::default(),
            budget_bytes: usize::MAX,
        };
        let Reply::Fetched { messages, done, .. } = model.handle(request).0 else {
            return truth;
        };
        truth.extend(messages.iter().map(|message| Known {
            uid: Some(message.uid.0),
            flags: Some((
                message.flags.has(SystemFlag::Seen),
                message.flags.has(SystemFlag::Deleted),
            )),
        }));
        uids.drain(..done.max(1));
    }
    truth
}
