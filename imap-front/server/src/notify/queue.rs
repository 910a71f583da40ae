//! What happened, on its way to the thread that tells it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// Where to report what happened; clones share it.
#[derive(Clone)]
pub struct Queue {
    events: Sender<ServerEvent>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    /// A queue and its other end.
    pub fn new() -> (Self, Receiver<ServerEvent>) {
        let (events, receiver) = unbounded();
        let lost = Arc::default();
        (Self { events, lost }, receiver)
    }

    /// Reports something; never waits.
    pub fn report(&self, events: ServerEvent) {
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
    pub fn observer(&self) -> Observer {
        let queue = self.clone();
        Arc::new(move |notifications| queue.report(ServerEvent::Notifications(notifications)))
    }

    /// Answers once all was told that was reported before.
    pub fn pass(&self) -> Receiver<()> {
        let (sender, told) = bounded(1);
        // It may have ended by itself.
        let _ = self.events.send(ServerEvent::Told(sender));
        told
    }

    /// Ends the thread at the other end, after what waits.
    pub fn end(&self) {
        // It may have ended by itself.
        let _ = self.events.send(ServerEvent::End);
    }
}
