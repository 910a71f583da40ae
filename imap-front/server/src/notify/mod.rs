//! Store events and logins, told to the notification plug-ins.
//!
//! In reading order: `queue` (what happened comes in, bounded), `Notifier` (the thread that
//! tells it), `events` (what plug-ins are told), `names` and `heads` (what the store must be
//! asked for that), `plug_ins` (loading), `outlet` (the way to the broker), `offer` (whether
//! IDLE is offered), `service` (all of it, started and stopped).

mod events;
mod heads;
mod names;
mod offer;
mod outlet;
mod plug_ins;
mod queue;
mod service;

use std::io;
use std::thread::{Builder, JoinHandle};

use admin::Config;
use crossbeam_channel::Receiver;
use ibiff::host::Loaded;
use store::Store;
use store::notice::{Change, Notice, What};

pub use plug_ins::{SURVIVED, trial, try_plug_in};
pub use queue::{News, Queue};
pub use service::Notifications;

use offer::Offer;
use outlet::Outlets;
use plug_ins::PlugIns;

use events::{Describer, Told};
use heads::Heads;
use names::Names;

/// The thread that tells plug-ins; it ends when the queue is closed.
pub struct Notifier {
    store: Store,
    names: Names,
    heads: Heads,
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
        plug_ins: Vec<Loaded>,
        news: Receiver<News>,
    ) -> io::Result<JoinHandle<()>> {
        let mut notifier = Self {
            store,
            names: Names::default(),
            heads: Heads::wanted_by(config),
            describer: Describer::new(config),
            plug_ins,
        };
        Builder::new().name("notify".into()).spawn(move || {
            for one in news {
                match one {
                    News::Notices(notices) => {
                        notices.iter().for_each(|notice| notifier.notice(notice));
                    }
                    News::Login { user, client } => notifier.attendance("Login", user, client),
                    News::Logout { user, client } => notifier.attendance("Logout", user, client),
                    News::End => return,
                }
            }
        })
    }

    fn attendance(&mut self, kind: &'static str, user: mail::UserId, client: std::net::IpAddr) {
        if let Some(user) = self.names.user(&self.store, user) {
            let told = self.describer.attendance(kind, &user, client);
            self.tell(&told);
        }
    }

    fn notice(&mut self, notice: &Notice) {
        let Some(user) = self.names.user(&self.store, notice.user) else {
            return;
        };
        let told = match &notice.what {
            What::Message {
                mailbox,
                uid,
                change,
                counts,
            } => {
                let Some(place) = self.names.mailbox(&self.store, *mailbox) else {
                    return;
                };
                let head = match change {
                    Change::Came { header, .. } => {
                        let message = (*mailbox, *uid);
                        self.heads.read(&self.store, message, &place, *header)
                    }
                    Change::Flags { .. } => self.heads.length(&self.store, *mailbox, *uid, &place),
                    Change::Expunged | Change::Moved => None,
                };
                self.describer
                    .message(&user, &place, *uid, change, counts, head)
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
                let told = self
                    .describer
                    .mailbox("RenameMailbox", &user, to, Some(from));
                vec![told]
            }
        };
        told.iter().for_each(|one| self.tell(one));
    }

    fn tell(&mut self, told: &Told) {
        let params: Vec<(&str, &str)> = told
            .params
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let event = ibiff::biff::Event {
            kind: told.kind,
            mailbox: &told.place.name,
            inbox: told.place.inbox,
            params: &params,
            header: &told.header,
            body: &told.body,
        };
        for plug_in in &mut self.plug_ins {
            plug_in.event(&event);
        }
    }
}
