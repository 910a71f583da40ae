//! The way of published events to a broker: in this process, or over a connection.
#![expect(
    clippy::disallowed_methods,
    reason = "the link has a thread of its own, which waits for a broker"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use admin::Config;
use admin::config::PlugIn;
use ens::client::{Address, ClientEvent, Connection, OpenError, Options, PublishError};
use ens::server::Local;

/// How long an event waits for a broker that is behind before it is given up.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of an event reference that the log shows.
const LOGGED_BYTES: usize = 200;
/// How long between two tries.
const PAUSE: Duration = Duration::from_micros(50);

/// The way to one broker; clones share it.
#[derive(Clone)]
pub struct BrokerLink {
    way: Way,
    lost: Arc<AtomicU64>,
}

#[derive(Clone)]
enum Way {
    Local(Local),
    Remote(Arc<Connection>, Address),
}

impl BrokerLink {
    /// Publishes. While no broker can be reached events are lost, as the reference's ENS keeps
    /// none either; idling sessions don't depend on it.
    pub fn publish(&self, event_ref: &str, payload: &[u8]) {
        let begun = Instant::now();
        while let Err(why) = self.try_publish(event_ref, payload) {
            if why == PublishError::Full && self.is_up() && begun.elapsed() <= PATIENCE {
                std::thread::sleep(PAUSE);
                continue;
            }
            let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
            if matches!(why, PublishError::Bad(_)) || lost.is_power_of_two() {
                let start = &event_ref[..event_ref.floor_char_boundary(LOGGED_BYTES)];
                tracing::warn!("an event was not published, {lost} in all: {why}; {start}");
            }
            return;
        }
    }

    fn try_publish(&self, event_ref: &str, payload: &[u8]) -> Result<(), PublishError> {
        match &self.way {
            Way::Local(local) => local.publish(event_ref, payload),
            Way::Remote(connection, _) if connection.is_up() => connection
                .publish(event_ref, payload, b"", false)
                .map(|_| ()),
            Way::Remote(..) => Err(PublishError::Lost),
        }
    }

    /// Whether the broker can be reached now.
    fn is_up(&self) -> bool {
        match &self.way {
            Way::Local(_) => true,
            Way::Remote(connection, _) => connection.is_up(),
        }
    }

    /// Why it can't be reached, if it can't.
    pub fn not_reached(&self) -> Option<String> {
        match &self.way {
            Way::Remote(connection, address) if !connection.is_up() => {
                let why = connection.failure();
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                Some(format!("no broker answers at {address}{why}"))
            }
            _ => None,
        }
    }
}

/// The ways to all brokers; plug-ins with the same host and port share one.
pub struct BrokerLinks {
    local: Option<Local>,
    remote: BTreeMap<String, BrokerLink>,
}

impl BrokerLinks {
    /// With the broker in this process, if there is one.
    pub fn new(local: Option<Local>) -> Self {
        Self {
            local,
            remote: BTreeMap::new(),
        }
    }

    /// The way of a plug-in. A broker that doesn't answer is tried until it does.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn of(&mut self, config: &Config, plug_in: &PlugIn) -> Result<BrokerLink, OpenError> {
        if let Some(local) = &self.local
            && admin::idle::is_embedded(config, plug_in)
        {
            return Ok(BrokerLink {
                way: Way::Local(local.clone()),
                lost: Arc::default(),
            });
        }
        let host = config.value(&plug_in.option("enshost"));
        let port = config.count(&plug_in.option("ensport")) as u16;
        let address = Address::new(host, port);
        let key = address.to_string();
        if let Some(broker_link) = self.remote.get(&key) {
            return Ok(broker_link.clone());
        }
        let options = Options {
            name: concat!("imapd ", env!("CARGO_PKG_VERSION")).into(),
            reconnect: true,
            patient: true,
            ..Options::default()
        };
        let connection = Connection::open(address.clone(), options, |_, news| {
            if let ClientEvent::Refused { why, .. } = news {
                tracing::warn!("the broker refused an event: {why}");
            }
        })?;
        let broker_link = BrokerLink {
            way: Way::Remote(Arc::new(connection), address),
            lost: Arc::default(),
        };
        self.remote.insert(key, broker_link.clone());
        Ok(broker_link)
    }
}
