//! LMTP on the control plane: listeners, connections, deliveries.
//!
//! In reading order: [`Lmtp`] (what is bound and who is connected), `acceptor` (a thread a
//! listener), `connection` (one connection's machine and its host, a thread each: deliverers are
//! few and keep their connections), `open` (the connections there are), `stamp` (ids and dates).

mod acceptor;
mod connection;
mod open;
mod pending_reply;
mod stamp;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use admin::{Config, Users};
use proto::lmtp::{OverQuota, SessionConfig};
use store::Store;

pub use acceptor::{BindError, Listeners};

use open::{Bounds, Open};

use crate::descriptors::Descriptors;
use crate::sparing::Sparing;

/// Recipients of one message; RFC 5321 §4.5.3.1.8 asks for 100.
const RECIPIENTS_MAX: usize = 1000;
/// How long a client may say nothing (RFC 5321 §4.5.3.2.7).
const IDLE: Duration = Duration::from_secs(5 * 60);
/// How long the end waits for connections whose clients don't take their last replies.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How LMTP is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections of one peer at a time.
    pub peer_connections_max: usize,
    /// How long a client may say nothing.
    pub idle: Duration,
    /// How long a client may take from MAIL to the message's end.
    pub transaction: Duration,
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
    /// As configured, as far as the descriptors go.
    pub fn from_config(config: &Config, descriptors: &Descriptors) -> Self {
        let count = |name| usize::try_from(config.count(name)).unwrap_or(usize::MAX);
        let configured = count("service.lmtp.maxconnections");
        let connections_max = descriptors.lmtp_connections(configured);
        if connections_max < configured {
            tracing::warn!(
                "lmtp: {connections_max} connections instead of {configured} \
                 (service.lmtp.maxconnections): this process may not have more files open"
            );
        }
        let peer_connections_max = match count("service.lmtp.maxperpeer") {
            0 => connections_max.div_ceil(2),
            most => most.min(connections_max),
        };
        let transaction = config.count("service.lmtp.transactiontimeout");
        Self {
            connections_max,
            peer_connections_max,
            idle: IDLE,
            transaction: Duration::from_secs(transaction),
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

/// LMTP of one process. Dropping it stops it.
pub struct Lmtp {
    listeners: Listeners,
    common: Arc<Common>,
}

/// What all connections have in common.
struct Common {
    settings: RwLock<Settings>,
    idle: Duration,
    transaction: Duration,
    store: Store,
    users: Arc<Users>,
    ids: stamp::Ids,
    open: Arc<Open>,
    refusals: Sparing,
    lookups: Sparing,
}

impl Lmtp {
    /// LMTP on what is bound. Nobody is accepted before [`Lmtp::start`].
    pub fn new(listeners: Listeners, options: &Options, store: Store, users: Arc<Users>) -> Self {
        let common = Arc::new(Common {
            settings: RwLock::new(options.settings.clone()),
            idle: options.idle,
            transaction: options.transaction,
            store,
            users,
            ids: stamp::Ids::new(),
            open: Arc::new(Open::new(Bounds {
                all: options.connections_max,
                peer: options.peer_connections_max,
            })),
            refusals: Sparing::default(),
            lookups: Sparing::default(),
        });
        Self { listeners, common }
    }

    /// Lines such as `lmtp listening on 127.0.0.1:24`.
    pub fn listening(&self) -> Vec<String> {
        self.listeners
            .names()
            .map(|name| format!("lmtp listening on {name}"))
            .collect()
    }

    /// Begins to accept.
    ///
    /// # Errors
    /// If a thread can't be made.
    pub fn start(&mut self) -> std::io::Result<()> {
        self.listeners.start(&self.common)
    }

    /// Changes what may be changed.
    pub fn refresh(&self, settings: Settings) {
        *self
            .common
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// Accepts nobody more, answers the deliveries under way, and tells every client.
    pub fn stop(&mut self) {
        self.listeners.stop();
        let cut = self.common.open.stop(STOP_WITHIN);
        if cut > 0 {
            tracing::warn!("lmtp: {cut} connections were cut");
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

#[cfg(test)]
mod tests;
