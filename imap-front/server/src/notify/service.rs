//! Starting and stopping everything that notifies: queue, plug-ins, their thread, the offer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use admin::idle::Condition;
use admin::{Base, Config, Users};
use arc_swap::ArcSwap;
use crossbeam_channel::Receiver;
use ens::server::Local;
use store::Store;
use store::notification::Observer;

use super::{BrokerLinks, Notifier, Offer, PlugIns, Queue, ServerEvent};

/// The notifications of a server. Without plug-ins nothing is observed, and no thread runs.
pub struct Notifications {
    queue: Option<Queue>,
    events: Option<Receiver<ServerEvent>>,
    logins: bool,
    thread: Option<JoinHandle<()>>,
    offer: Option<Offer>,
    announced: Arc<AtomicBool>,
}

impl Notifications {
    /// A queue, if there is any plug-in.
    pub fn new(config: &Config) -> Self {
        let plug_ins = config.plug_ins();
        let (queue, events) = (!plug_ins.is_empty()).then(Queue::new).unzip();
        let logins = |plug_in| config.switch(&admin::config::PlugIn::option(plug_in, LOGINS));
        Self {
            queue,
            events,
            logins: plug_ins.iter().any(logins),
            thread: None,
            offer: None,
            announced: Arc::default(),
        }
    }

    /// For the store's options.
    pub fn observer(&self) -> Option<Arc<dyn Observer>> {
        self.queue.as_ref().map(Queue::observer)
    }

    /// Where everything is reported, if anybody wants to know.
    pub fn queue(&self) -> Option<Queue> {
        self.queue.clone()
    }

    /// Where logins are reported, if anybody wants to know of them.
    pub fn logins(&self) -> Option<Queue> {
        self.queue.clone().filter(|_| self.logins)
    }

    /// Loads the plug-ins and starts their thread.
    ///
    /// # Errors
    /// If the system has no more threads. A plug-in that is refused is only logged.
    pub fn start(
        &mut self,
        base: &Base,
        config: &Arc<Config>,
        store: &Store,
        users: &Arc<Users>,
        broker: Option<Local>,
    ) -> io::Result<()> {
        let mut plug_ins = PlugIns::load(base, config, &mut BrokerLinks::new(broker));
        let mut offer = Offer::new(config.clone(), &plug_ins, self.announced.clone());
        offer.look();
        self.offer = Some(offer);
        if let Some(events) = self.events.take() {
            let loaded = std::mem::take(&mut plug_ins.loaded);
            self.thread = Some(Notifier::start(
                config,
                store.clone(),
                users.clone(),
                loaded,
                events,
            )?);
        }
        Ok(())
    }

    /// Whether IDLE is possible, and whether it is announced now.
    pub fn idle(&self) -> (bool, Arc<AtomicBool>) {
        let possible = self.offer.as_ref().is_some_and(Offer::is_possible);
        (possible, self.announced.clone())
    }

    /// The conditions of IDLE, as they are known from now on.
    pub fn conditions(&self) -> Arc<ArcSwap<Vec<Condition>>> {
        let found = self.offer.as_ref().map(Offer::found);
        found.unwrap_or_default()
    }

    /// Looks whether brokers have come or gone.
    pub fn look(&mut self) {
        if let Some(offer) = &mut self.offer {
            offer.look();
        }
    }

    /// Whether the thread of the plug-ins has ended although nobody stopped it.
    pub fn has_failed(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Tells plug-ins what waits, and closes them.
    pub fn stop(self) {
        if let (Some(queue), Some(thread)) = (self.queue, self.thread) {
            queue.end();
            if thread.join().is_err() {
                tracing::error!("the thread of the plug-ins had failed");
            }
        }
    }
}

/// The option that enables events of logins and logouts.
const LOGINS: &str = "loguser.enable";
