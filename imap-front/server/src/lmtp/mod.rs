//! LMTP on the control plane: listeners, connections, deliveries.
//!
//! In reading order: [`Lmtp`] (what is bound and who serves), `acceptor` (a thread a listener,
//! which hands connections to the executors in turn), `connection` (one connection's machine and
//! its host), `stamp` (ids and dates), `oneshot` (a store's answer on its way back to a task).
//!
//! Deliveries come over few connections, so a thread that accepts is as good as a listener an
//! executor, and the same for TCP and Unix sockets.

mod acceptor;
mod connection;
pub mod oneshot;
mod stamp;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Poll, Waker};
use std::time::Duration;

use admin::{Config, Users};
use proto::lmtp::{OverQuota, SessionConfig};
use slab::Slab;
use store::Store;

pub use acceptor::BindError;

use acceptor::{Inbox, Listeners};

/// Recipients of one message; RFC 5321 §4.5.3.1.8 asks for 100.
const RECIPIENTS_MAX: usize = 1000;
/// How long a client may say nothing (RFC 5321 §4.5.3.2.7).
const IDLE: Duration = Duration::from_secs(5 * 60);
/// How long the end waits for connections whose clients don't take their last replies.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How LMTP is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen on TCP, if at all.
    pub address: Option<SocketAddr>,
    /// Where to listen on a Unix socket, if at all.
    pub socket: Option<PathBuf>,
    /// Connections at a time.
    pub connections_max: usize,
    /// How long a client may say nothing.
    pub idle: Duration,
    /// What may be changed while the server runs.
    pub settings: Settings,
}

/// What may be changed while the server runs; takes effect with each new connection.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What sessions know.
    pub session: Arc<SessionConfig>,
    /// Domains whose addresses are ours, in lower case; none means any.
    pub domains: Arc<[String]>,
}

impl Options {
    /// As configured.
    pub fn from_config(config: &Config) -> Self {
        let count = config.count("service.lmtp.maxconnections");
        Self {
            address: config.lmtp_address(),
            socket: config.path("service.lmtp.socket"),
            connections_max: usize::try_from(count).unwrap_or(usize::MAX),
            idle: IDLE,
            settings: Settings::from_config(config),
        }
    }
}

impl Settings {
    /// As configured.
    pub fn from_config(config: &Config) -> Self {
        let over_quota = match config.word("service.lmtp.overquota").as_str() {
            "temporary" => OverQuota::Temporary,
            _ => OverQuota::Permanent,
        };
        Self {
            session: Arc::new(SessionConfig {
                hostname: config.hostname().into(),
                message_bytes_max: config.count("store.maxmessagesize"),
                recipients_max: RECIPIENTS_MAX,
                over_quota,
            }),
            domains: config.names("local.domains").into(),
        }
    }
}

/// LMTP of one process: bound listeners, and a part for each executor. Dropping it stops it.
pub struct Lmtp {
    listeners: Listeners,
    inboxes: Vec<Arc<Inbox>>,
    common: Arc<Common>,
}

/// What all connections have in common.
struct Common {
    settings: RwLock<Settings>,
    idle: Duration,
    store: Store,
    users: Arc<Users>,
    ids: stamp::Ids,
}

/// One executor's part.
pub struct Part {
    inbox: Arc<Inbox>,
    common: Arc<Common>,
}

impl Lmtp {
    /// Binds what the options ask for, for that many executors. Nobody is accepted before
    /// [`Lmtp::start`].
    ///
    /// # Errors
    /// If an address or path can't be bound.
    pub fn bind(
        options: &Options,
        store: Store,
        users: Arc<Users>,
        executors: usize,
    ) -> Result<Self, BindError> {
        let listeners = Listeners::bind(options)?;
        let common = Arc::new(Common {
            settings: RwLock::new(options.settings.clone()),
            idle: options.idle,
            store,
            users,
            ids: stamp::Ids::new(),
        });
        let inboxes = (0..executors.max(1))
            .map(|_| Inbox::new(options.connections_max))
            .collect();
        Ok(Self {
            listeners,
            inboxes,
            common,
        })
    }

    /// Lines such as `lmtp listening on 127.0.0.1:24`.
    pub fn listening(&self) -> Vec<String> {
        self.listeners
            .names()
            .map(|name| format!("lmtp listening on {name}"))
            .collect()
    }

    /// The part of an executor, counted from 0; its connections are served by [`serve`].
    ///
    /// # Panics
    /// If there are not that many executors.
    pub fn part(&self, executor: usize) -> Part {
        Part {
            inbox: self.inboxes[executor].clone(),
            common: self.common.clone(),
        }
    }

    /// Begins to accept.
    ///
    /// # Errors
    /// If a thread can't be made.
    pub fn start(&mut self) -> std::io::Result<()> {
        self.listeners.start(&self.inboxes)
    }

    /// Changes what may be changed.
    pub fn refresh(&self, settings: Settings) {
        *self
            .common
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// Accepts nobody more; each [`serve`] answers the deliveries under way and ends.
    pub fn stop(&mut self) {
        self.listeners.stop();
        for inbox in &self.inboxes {
            inbox.close();
        }
    }
}

impl Drop for Lmtp {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Common {
    fn settings(&self) -> Settings {
        self.settings
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The connections of one executor.
#[derive(Default)]
struct Local {
    stopping: Cell<bool>,
    /// A slot a connection: who wakes it, if it waits for its client.
    wakers: RefCell<Slab<Option<Waker>>>,
    /// Who waits for the last connection.
    end: RefCell<Option<Waker>>,
}

impl Local {
    fn stop(&self) {
        self.stopping.set(true);
        for (_, waker) in self.wakers.borrow_mut().iter_mut() {
            waker.take().into_iter().for_each(Waker::wake);
        }
    }

    fn leave(&self, slot: usize) {
        self.wakers.borrow_mut().remove(slot);
        self.end
            .borrow_mut()
            .take()
            .into_iter()
            .for_each(Waker::wake);
    }

    /// Until no connection is left.
    async fn empty(&self) {
        std::future::poll_fn(|cx| {
            if self.wakers.borrow().is_empty() {
                return Poll::Ready(());
            }
            *self.end.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Serves connections on this executor until [`Lmtp::stop`]: then each session is told, and those
/// with a delivery under way hear how it went before.
pub async fn serve(part: Part) {
    let local = Rc::new(Local::default());
    while let Some(accepted) = part.inbox.next().await {
        let slot = local.wakers.borrow_mut().insert(None);
        let (common, local) = (part.common.clone(), local.clone());
        glommio::spawn_local(async move {
            connection::run(&common, &local, slot, accepted).await;
            local.leave(slot);
        })
        .detach();
    }
    local.stop();
    let ended = glommio::timer::timeout(STOP_WITHIN, async {
        local.empty().await;
        Ok::<(), glommio::GlommioError<()>>(())
    });
    if ended.await.is_err() {
        tracing::warn!("lmtp: {} connections were cut", local.wakers.borrow().len());
    }
}

#[cfg(test)]
mod tests;
