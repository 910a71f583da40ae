//! What happened, on its way to the thread that tells it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use mail::UserId;
use store::notification::{Notification, Observer};

/// Commits and logins that may wait. Those who report them never wait: what comes when so many
/// wait is not told, and that is logged. The channel itself has no bound, as one with a bound would
/// take memory for all of them at once.
const WAITING_MAX: usize = 64 * 1024;

/// Something that happened.
#[derive(Debug)]
pub enum ServerEvent {
    /// A commit of the store.
    Notifications(Vec<Notification>),
    /// Somebody logged in.
    Login {
        /// Who.
        user: UserId,
        /// From where.
        client: IpAddr,
    },
    /// A connection of somebody who had logged in has ended.
    Logout {
        /// Who.
        user: UserId,
        /// From where.
        client: IpAddr,
    },
    /// All before this was told.
    Told(Sender<()>),
    /// Nothing more comes.
    End,
}

/// Commits that the other end was not woken for yet, in their order.
type Noted = Vec<Vec<Notification>>;

/// Where to report what happened; clones share it.
#[derive(Clone)]
pub struct Queue {
    events: Sender<ServerEvent>,
    noted: Arc<Mutex<Noted>>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    /// A queue and its other end.
    pub fn new() -> (Self, Receiver<ServerEvent>) {
        let (events, receiver) = unbounded();
        let queue = Self {
            events,
            noted: Arc::default(),
            lost: Arc::default(),
        };
        (queue, receiver)
    }

    /// Reports something; never waits for the other end.
    pub fn report(&self, events: ServerEvent) {
        let _order = self.pass_on();
        self.give(events);
    }

    /// Gives the other end what was noted. Nothing comes in between as long as what this gives is
    /// held.
    fn pass_on(&self) -> MutexGuard<'_, Noted> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        for notifications in noted.drain(..) {
            self.give(ServerEvent::Notifications(notifications));
        }
        noted
    }

    fn give(&self, events: ServerEvent) {
        // Some more may slip in at the same time.
        if self.events.len() < WAITING_MAX {
            // Fails only if the other end has failed, which is logged at the end.
            let _ = self.events.send(events);
        } else {
            let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
            if lost.is_power_of_two() {
                tracing::warn!("the plug-ins are too slow: {lost} events were not told to them");
            }
        }
    }

    /// For the store.
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(self.clone())
    }

    /// Answers once all was told that was reported before.
    pub fn pass(&self) -> Receiver<()> {
        let (sender, told) = bounded(1);
        let _order = self.pass_on();
        // It may have ended by itself.
        let _ = self.events.send(ServerEvent::Told(sender));
        told
    }

    /// Ends the thread at the other end, after what waits.
    pub fn end(&self) {
        let _order = self.pass_on();
        // It may have ended by itself.
        let _ = self.events.send(ServerEvent::End);
    }
}

impl Observer for Queue {
    fn note(&self, notifications: Vec<Notification>) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.push(notifications);
    }

    fn answered(&self) {
        drop(self.pass_on());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::notification::What;

    fn deleted(user: u64) -> Vec<Notification> {
        vec![Notification {
            user: UserId(user),
            what: What::Deleted(mail::MailboxName::new("a")),
        }]
    }

    /// Which user each event is about.
    fn told(receiver: &Receiver<ServerEvent>) -> Vec<u64> {
        let user = |event| match event {
            ServerEvent::Notifications(some) => some[0].user.0,
            ServerEvent::Login { user, .. } | ServerEvent::Logout { user, .. } => user.0,
            ServerEvent::Told(_) | ServerEvent::End => 0,
        };
        receiver.try_iter().map(user).collect()
    }

    #[test]
    fn what_was_noted_is_told_before_what_is_reported_after_it() {
        let (queue, receiver) = Queue::new();
        let observer = queue.observer();
        observer.note(deleted(1));
        observer.note(deleted(2));
        assert!(told(&receiver).is_empty());
        queue.report(ServerEvent::Logout {
            user: UserId(3),
            client: IpAddr::from([127, 0, 0, 1]),
        });
        assert_eq!(told(&receiver), [1, 2, 3]);
        observer.note(deleted(4));
        observer.answered();
        assert_eq!(told(&receiver), [4]);
        observer.note(deleted(5));
        let _told = queue.pass();
        observer.note(deleted(6));
        queue.end();
        assert_eq!(told(&receiver), [5, 0, 6, 0]);
    }
}
