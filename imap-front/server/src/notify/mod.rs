//! Store events and logins, told to the notification plug-ins.
//!
//! In reading order: `queue` (what happened comes in, bounded), `Notifier` (the thread that
//! tells it), `events` (what plug-ins are told), `names` and `headers` (what the store must be
//! asked for that), `plug_ins` (loading), `broker_link` (the way to the broker), `offer` (whether
//! IDLE is offered), `service` (all of it, started and stopped).

mod broker_link;
mod events;
mod headers;
mod names;
mod offer;
mod plug_ins;
mod queue;
mod service;

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use admin::{Config, Users};
use crossbeam_channel::Receiver;
use ibiff::host::Loaded;
use store::Store;
use store::notification::{MessageChange, Notification, What};

pub use plug_ins::{SURVIVED, trial, try_plug_in};
pub use queue::{Queue, ServerEvent};
pub use service::Notifications;

use broker_link::BrokerLinks;
use offer::Offer;
use plug_ins::PlugIns;

use events::{Describer, PlugInEvent};
use headers::HeaderReader;
use names::Names;

/// The thread that tells plug-ins; it ends when the queue is closed.
pub struct Notifier {
    store: Store,
    names: Names,
    headers: HeaderReader,
    describer: Describer,
    plug_ins: Vec<Loaded>,
}

impl Notifier {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(
        config: &Config,
        store: Store,
        users: Arc<Users>,
        plug_ins: Vec<Loaded>,
        events: Receiver<ServerEvent>,
    ) -> io::Result<JoinHandle<()>> {
        let mut notifier = Self {
            store,
            names: Names::new(users),
            headers: HeaderReader::wanted_by(config),
            describer: Describer::new(config),
            plug_ins,
        };
        Builder::new().name("notify".into()).spawn(move || {
            for one in events {
                crate::planted::here("notify");
                match one {
                    ServerEvent::Notifications(notifications) => {
                        notifications
                            .iter()
                            .for_each(|notification| notifier.observed(notification));
                    }
                    ServerEvent::Login { user, client } => {
                        notifier.attendance("Login", user, client)
                    }
                    ServerEvent::Logout { user, client } => {
                        notifier.attendance("Logout", user, client)
                    }
                    // Whoever asked may have given up.
                    ServerEvent::Told(told) => drop(told.send(())),
                    ServerEvent::End => return,
                }
            }
        })
    }

    fn attendance(&mut self, kind: &'static str, user: mail::UserId, client: std::net::IpAddr) {
        if let Some(user) = self.names.user(&self.store, user) {
            let event = self.describer.attendance(kind, &user, client);
            self.notify(&event);
        }
    }

    fn observed(&mut self, notification: &Notification) {
        let Some(user) = self.names.user(&self.store, notification.user) else {
            return;
        };
        let events = match &notification.what {
            What::Message {
                mailbox,
                uid,
                change,
                counts,
            } => {
                let Some(location) = self.names.mailbox(&self.store, *mailbox) else {
                    return;
                };
                let head = match change {
                    MessageChange::Came { header, .. } => {
                        let message = (*mailbox, *uid);
                        self.headers.read(&self.store, message, &location, *header)
                    }
                    MessageChange::Flags { .. } => {
                        self.headers.length(&self.store, *mailbox, *uid, &location)
                    }
                    MessageChange::Expunged | MessageChange::Moved => None,
                };
                self.describer
                    .message(&user, &location, *uid, change, counts, head)
            }
            What::Use {
                refused,
                used,
                quota,
            } => self.describer.usage(&user, *refused, *used, *quota),
            What::Created(name) => vec![self.describer.mailbox("CreateMailbox", &user, name, None)],
            What::Deleted(name) => {
                self.names.forget_mailboxes();
                vec![self.describer.mailbox("DeleteMailbox", &user, name, None)]
            }
            What::Renamed { from, to } => {
                self.names.forget_mailboxes();
                let event = self
                    .describer
                    .mailbox("RenameMailbox", &user, to, Some(from));
                vec![event]
            }
        };
        events.iter().for_each(|one| self.notify(one));
    }

    fn notify(&mut self, event: &PlugInEvent) {
        let params: Vec<(&str, &str)> = event
            .params
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let event = ibiff::biff::Event {
            kind: event.kind,
            mailbox: &event.location.name,
            inbox: event.location.inbox,
            params: &params,
            header: &event.header,
            body: &event.body,
        };
        for plug_in in &mut self.plug_ins {
            plug_in.event(&event);
        }
    }
}
