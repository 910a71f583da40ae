//! LMTP on the data plane: sessions of the shards beside IMAP's.
//!
//! In reading order: [`Lmtp`] (what all shards share), `listeners` (where deliverers come in),
//! `shard` (what sessions ask is carried out), `session` (one connection's machine and its
//! request under way), `seats` (the connections there are), `stamp` (ids and dates),
//! `account` (what the log is told), `handover` (sessions that go to another process).

mod account;
mod handover;
mod listeners;
mod seats;
mod session;
mod shard;
mod stamp;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use admin::Config;
use admin::config::Networks;
use engine::event::ShardId;
use proto::lmtp::{OverQuota, SessionConfig};

pub use listeners::{BindError, Listeners, SocketPath};
pub use session::LmtpSession;
pub use shard::{FULL, LmtpShard};

use seats::Places;

use crate::bounds::Bounds;

/// Recipients of one message; RFC 5321 §4.5.3.1.8 asks for 100.
const RECIPIENTS_MAX: usize = 1000;
/// How long a client may say nothing (RFC 5321 §4.5.3.2.7).
const IDLE: Duration = Duration::from_secs(5 * 60);

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
    /// Peers that are believed about who submitted a message.
    pub submitters: Arc<Networks>,
}

impl Options {
    /// As configured.
    pub fn from_config(config: &Config) -> Self {
        let count = |name| usize::try_from(config.count(name)).unwrap_or(usize::MAX);
        let connections_max = count("service.lmtp.maxconnections");
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
            submitters: Arc::new(config.networks("service.lmtp.submitters")),
        }
    }
}

/// LMTP of one process: what its shards share. Clones share it.
#[derive(Clone)]
pub struct Lmtp {
    common: Arc<Common>,
}

/// What all shards have in common.
pub(crate) struct Common {
    /// Changed together with the edition, which says that they are worth a look.
    settings: RwLock<Settings>,
    edition: AtomicU64,
    idle_ns: u64,
    transaction_ns: u64,
    places: Places,
    begun_ms: u64,
    /// The time of day in seconds, at a time on the reactor's clock.
    unix_s: fn(u64) -> u64,
}

impl Lmtp {
    /// LMTP with these options.
    pub fn new(options: &Options) -> Self {
        Self::with_clock(options, stamp::now_ms(), |_| stamp::now_ms() / 1000)
    }

    /// The same, with a time of day that follows from the reactor's clock: `unix_s` gives it in
    /// seconds.
    pub fn with_clock(options: &Options, begun_ms: u64, unix_s: fn(u64) -> u64) -> Self {
        let nanoseconds = |it: Duration| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX);
        let common = Common {
            settings: RwLock::new(options.settings.clone()),
            edition: AtomicU64::new(0),
            idle_ns: nanoseconds(options.idle),
            transaction_ns: nanoseconds(options.transaction),
            places: Places::new(options.connections_max, options.peer_connections_max),
            begun_ms,
            unix_s,
        };
        Self {
            common: Arc::new(common),
        }
    }

    /// LMTP of one of so many shards.
    pub fn shard(&self, id: ShardId, shards: u16, bounds: Arc<Bounds>) -> LmtpShard {
        LmtpShard::new(self.common.clone(), id, shards, bounds)
    }

    /// Changes what may be changed, for connections that come from now on.
    pub fn refresh(&self, settings: Settings) {
        *self
            .common
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = settings;
        self.common.edition.fetch_add(1, Ordering::Release);
    }
}

impl Common {
    fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// The settings, and their edition or an older one. Takes a lock: only for who has seen that
    /// the edition is another.
    fn settings(&self) -> (u64, Settings) {
        let edition = self.edition();
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        (edition, settings.clone())
    }
}

#[cfg(test)]
mod tests;
