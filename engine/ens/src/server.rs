//! A broker at work: its shards' threads, its port and its Unix socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use engine::event::{SessionId, ShardId};
use engine::secure::Doors;
use engine::{Contradiction, Handle, Limits, Shard};
use reactor::listen::{self, ListenError};
use reactor::steer::Steering;
use reactor::uring::{self, Uring};

use crate::access::Access;
use crate::broker::{
    Broker, BrokerConfig, BrokerMessage, Joins, Placement, Shared, Stats, SubscribingShards,
};
use crate::client::PublishError;
use crate::frame::{FRAME_BYTES_MAX, publishable};
use crate::handover::{Coming, Mesh};
use crate::site::{self, Joined, Joining};

/// What its Unix socket is called among those that another process inherits.
const SOCKET: &str = "ens-socket";
const SECOND_NS: u64 = 1_000_000_000;
/// Rounds in which shards of a broker that ends give away what has come for pools: from the one
/// that serves a pool to a member's and back, to another member's, and there.
const RETIRE_ROUNDS: u32 = 4;
/// How long a round may take.
const RETIRED_WITHIN: Duration = Duration::from_secs(2);
/// How often a shard that has no room for a message is tried, a millisecond apart.
const RETIRE_TRIES: u32 = 500;
/// Room for words from other shards and from this process.
const MESSAGES_QUEUE: usize = 8 * 1024;
/// Receive buffers of a shard, and bytes in each: publishers are few and send much.
const RECEIVE_BUFFERS: usize = 64;
const RECEIVE_BUFFER_BYTES: usize = 64 * 1024;

/// How a broker is to work.
#[derive(Clone, Debug)]
pub struct Options {
    /// The TCP port; none is off.
    pub tcp: Option<SocketAddr>,
    /// The option that sets the port, for messages.
    pub port_option: String,
    /// The TCP port on which TLS is spoken; none is off.
    pub tls: Option<SocketAddr>,
    /// The Unix socket; none is off.
    pub unix: Option<PathBuf>,
    /// Shards, 1 or more.
    pub shards: u16,
    /// Bytes that may wait for a subscriber before it lags.
    pub pending_bytes_max: usize,
    /// A client that takes nothing for so long is disconnected.
    pub write_timeout_s: u64,
    /// How long a shard looks for work before it sleeps, in nanoseconds.
    pub spin_ns: u64,
    /// Whether rings are refused what the broker doesn't use.
    pub restricted_rings: bool,
    /// The bus on which it meets the brokers of other hosts; none by default.
    pub site: Option<site::Ready>,
    /// What the shards share.
    pub broker: BrokerConfig,
}

/// Why a broker can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Its Unix socket.
    #[error("ens: can't listen on {0}: {1}")]
    Unix(PathBuf, io::Error),
    /// Its limits.
    #[error("ens: {0}")]
    Limits(String),
    /// The bus.
    #[error("ens.nats: {0}")]
    Site(#[from] nats::StartError),
    /// The kernel.
    #[error("ens: can't start io_uring or a thread: {0}")]
    Kernel(io::Error),
}

/// A broker that has its port and socket and takes nobody yet.
pub struct Bound {
    options: Options,
    limits: Limits,
    listeners: Vec<Vec<OwnedFd>>,
    listening: Vec<String>,
    steering: Vec<Steering>,
    /// What TLS is spoken with.
    certificates: Option<Arc<tls::Config>>,
    /// Connections that come from another process before any others: for each shard.
    coming: Vec<Coming>,
}

/// A broker at work.
pub struct Running {
    handle: Handle<(), BrokerMessage>,
    threads: Vec<JoinHandle<()>>,
    listening: Vec<String>,
    unix: Option<PathBuf>,
    subscribing: Arc<SubscribingShards>,
    stats: Arc<Stats>,
    site: Option<Joined>,
}

/// Publishes to a broker in the same process, from any thread.
#[derive(Clone)]
pub struct Local {
    handle: Handle<(), BrokerMessage>,
    subscribing: Arc<SubscribingShards>,
    stats: Arc<Stats>,
    /// Others may want what nobody here does.
    is_of_site: bool,
}

impl Default for Options {
    /// Listens nowhere; the limits are those of `enpd`.
    fn default() -> Self {
        let access = Access::parse("").expect("no rules are good rules");
        Self {
            tcp: None,
            port_option: "ens.port".into(),
            tls: None,
            unix: None,
            shards: 1,
            pending_bytes_max: 1 << 20,
            write_timeout_s: 120,
            spin_ns: 0,
            restricted_rings: true,
            site: None,
            broker: BrokerConfig::new(access, 120),
        }
    }
}

impl Local {
    /// Publishes an event. While nobody subscribes to anything no shard is woken.
    ///
    /// # Errors
    /// If it can't be published, or too many wait.
    pub fn publish(&self, event: &str, payload: &[u8]) -> Result<(), PublishError> {
        publishable(event, payload, b"")?;
        if self.subscribing.total() == 0 && !self.is_of_site {
            self.stats.publish();
            return Ok(());
        }
        let to = SessionId::shard_itself(ShardId(0));
        let payload = Bytes::copy_from_slice(payload);
        self.handle
            .reply(
                to,
                BrokerMessage::Publish {
                    event: event.into(),
                    payload,
                },
            )
            .map_err(|_| PublishError::Full)
    }
}

/// Binds and starts a broker.
///
/// # Errors
/// What keeps it from starting, for the administrator.
pub fn start(options: &Options) -> Result<Running, StartError> {
    bind(options.clone())?.start()
}

/// Takes a broker's port and socket. No thread is made.
///
/// # Errors
/// If one can't be taken.
pub fn bind(options: Options) -> Result<Bound, StartError> {
    options.broker.check().map_err(StartError::Limits)?;
    let contradict = |contradiction: Contradiction| StartError::Limits(contradiction.to_string());
    let limits = limits(&options);
    limits.check().map_err(contradict)?;
    let count = usize::from(options.shards);
    let mut listening = Vec::new();
    let mut listeners: Vec<Vec<OwnedFd>> = Vec::new();
    listeners.resize_with(count, Vec::new);
    let mut steering = Vec::new();
    let tcp = ("ens", &*options.port_option, options.tcp);
    let tls = ("enps", "ens.sslport", options.tls);
    for (name, option, address) in [tcp, tls] {
        let Some(address) = address else { continue };
        let ports = listen::listeners(name, option, address, count)?;
        if let Some(address) = ports.first().and_then(|port| port.local_addr().ok()) {
            listening.push(format!("{name} listening on {address}"));
        }
        steering.extend(ports.first().and_then(|port| Steering::of(port).ok()));
        for (own, port) in listeners.iter_mut().zip(ports) {
            own.push(port.into());
        }
    }
    if let Some(path) = &options.unix {
        let socket = unix_listener(path).map_err(|why| StartError::Unix(path.clone(), why))?;
        listening.push(format!("ens listening on {}", path.display()));
        listeners[0].push(socket.into());
    }
    Ok(Bound {
        options,
        limits,
        listeners,
        listening,
        steering,
        certificates: None,
        coming: vec![],
    })
}

impl Bound {
    /// Other descriptors of what is listened on, with names by which another process inherits them.
    ///
    /// # Errors
    /// If the process may have no more.
    pub fn copies(&self) -> io::Result<Vec<(&'static str, OwnedFd)>> {
        let Options { tcp, tls, .. } = &self.options;
        let ports = [tcp.map(|_| "ens"), tls.map(|_| "enps")]
            .into_iter()
            .flatten();
        let names: Vec<&str> = ports.chain([SOCKET]).collect();
        let of_shard = |listeners: &Vec<OwnedFd>| -> Vec<_> {
            let named = names.iter().copied().zip(listeners);
            let copy = |(name, listener): (_, &OwnedFd)| Ok((name, listener.try_clone()?));
            named.map(copy).collect()
        };
        self.listeners.iter().flat_map(of_shard).collect()
    }

    /// Shows these certificates on the port of TLS, where without any no handshake succeeds.
    #[must_use]
    pub fn with_certificates(self, certificates: Arc<tls::Config>) -> Self {
        let certificates = Some(certificates);
        Self {
            certificates,
            ..self
        }
    }

    /// How many shards it has.
    pub fn shards(&self) -> u16 {
        self.options.shards
    }

    /// What proves receipts to be this broker's: the process that follows goes on with it.
    pub fn secret(&self) -> [u8; 32] {
        self.options.broker.secret
    }

    /// With the connections of another process, for each shard, which knows this secret. Nobody is
    /// served before [`Mesh::go_on`].
    #[must_use]
    pub fn following(mut self, secret: Option<[u8; 32]>, coming: Vec<Coming>) -> Self {
        let own = self.options.broker.secret;
        self.options.broker.secret = secret.unwrap_or(own);
        Self { coming, ..self }
    }

    /// Starts the broker's threads.
    ///
    /// # Errors
    /// If the kernel refuses a thread or a ring.
    pub fn start(self) -> Result<Running, StartError> {
        let Self {
            options,
            limits,
            listeners,
            listening,
            steering,
            certificates,
            coming,
        } = self;
        let handle = engine::mesh(options.shards, &limits);
        let joining = options.site.map(Joining::new);
        let (secret, follows) = (options.broker.secret, !coming.is_empty());
        let subscribing = Arc::new(SubscribingShards::new(options.shards));
        let stats = Arc::new(Stats::default());
        let shared = Shared {
            subscribing: subscribing.clone(),
            stats: stats.clone(),
            placement: Arc::new(Placement::new(steering)),
            joins: Arc::new(Joins::new(options.shards)),
            site: joining.as_ref().map(|joining| joining.port.clone()),
        };
        let mut coming = coming.into_iter();
        let config = Arc::new(BrokerConfig {
            tcp_listeners: u8::from(options.tcp.is_some()) + u8::from(options.tls.is_some()),
            ..options.broker
        });
        let mut running = Running {
            handle: handle.clone(),
            threads: vec![],
            listening,
            unix: options.unix,
            subscribing,
            stats,
            site: None,
        };
        if let Some(joining) = joining {
            let subscribing = running.subscribing.clone();
            running.site = Some(joining.start(handle.clone(), subscribing, secret, follows)?);
        }
        for (id, listeners) in (0..).map(ShardId).zip(listeners) {
            let broker = Broker::new(id, config.clone(), shared.clone());
            let uring = uring::Options {
                spin_ns: options.spin_ns,
                restricted: options.restricted_rings,
                receive_buffers: RECEIVE_BUFFERS,
                receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
                ..uring::Options::for_connections(limits.connections_max + 64)
            };
            let doors = Doors {
                tls: certificates.clone(),
                // Behind that in plain text, if there is one.
                implicit: options
                    .tls
                    .map(|_| u8::from(options.tcp.is_some()))
                    .into_iter()
                    .collect(),
            };
            let plane = (id, broker, uring, limits.clone(), handle.clone(), doors);
            let thread =
                start_shard(plane, listeners, coming.next()).map_err(StartError::Kernel)?;
            running.threads.push(thread);
        }
        Ok(running)
    }
}

/// The engine's bounds, for each shard.
fn limits(options: &Options) -> Limits {
    let connections_max = options.broker.connections_max;
    let share = connections_max.div_ceil(options.shards.into());
    Limits {
        // Who is one too many is counted by all shards together, and told so by the broker. They
        // may be spread unevenly, and some may be on their way out.
        connections_max: share + share / 8 + 64,
        replies_queue: MESSAGES_QUEUE,
        posts_bytes_max: options.pending_bytes_max,
        // A post may be larger than what may wait, and answers come on top.
        outbox_bytes_max: options.pending_bytes_max + 4 * FRAME_BYTES_MAX,
        write_timeout_ns: options.write_timeout_s.max(1) * SECOND_NS,
        ..Limits::default()
    }
}

type Plane = (
    ShardId,
    Broker,
    uring::Options,
    Limits,
    Handle<(), BrokerMessage>,
    Doors<Option<Arc<tls::Config>>>,
);

fn start_shard(
    plane: Plane,
    listeners: Vec<OwnedFd>,
    coming: Option<Coming>,
) -> io::Result<JoinHandle<()>> {
    let (id, broker, uring, limits, handle, doors) = plane;
    let (sender, started) = mpsc::channel();
    let run = move || {
        let uring = match Uring::new(uring, listeners) {
            Ok(uring) => uring,
            Err(error) => return drop(sender.send(Err(error))),
        };
        let mut shard = Shard::with_tls(id, uring, broker, limits, handle, doors);
        // The starter waits; it can't be gone.
        let started = move || drop(sender.send(Ok(())));
        let Some(coming) = coming else {
            started();
            return shard.run();
        };
        let mut shard = shard.awaiting();
        started();
        if coming.take(&mut shard) {
            shard.run();
        }
    };
    let thread = Builder::new().name(format!("ens-{}", id.0)).spawn(run)?;
    match started.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("a shard ended before it began")),
    }
}

/// A path whose owner is gone is taken over; one where somebody answers is not.
fn unix_listener(path: &Path) -> io::Result<UnixListener> {
    if let Some(socket) = listen::inherited_at(SOCKET, path) {
        return Ok(socket.into());
    }
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        outcome => outcome,
    }
}

impl Running {
    /// Where it listens, a line each.
    pub fn listening(&self) -> &[String] {
        &self.listening
    }

    /// What it counts.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Whether a shard has ended although nobody stopped the broker.
    pub fn has_failed(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Subscriptions of all clients, and the bytes that keeping them takes.
    pub fn subscriptions(&self) -> (usize, usize) {
        self.subscribing.held()
    }

    /// Its shards, for a handover.
    pub fn mesh(&self) -> Box<dyn Mesh> {
        Box::new(self.handle.clone())
    }

    /// For publishing from this process.
    pub fn local(&self) -> Local {
        Local {
            handle: self.handle.clone(),
            subscribing: self.subscribing.clone(),
            stats: self.stats.clone(),
            is_of_site: self.site.is_some(),
        }
    }

    /// What is counted of the site, if it has joined one.
    pub fn site(&self) -> Option<&Arc<site::Counters>> {
        self.site.as_ref().map(Joined::counters)
    }

    /// By which another thread can take leave of the site, if it has joined one.
    pub fn leaving(&self) -> Option<&site::Leaving> {
        self.site.as_ref().map(Joined::leaving)
    }

    /// Has shards give members of pools what has come for them, and other hosts the rest. What one
    /// shard gives another is behind the message of the next round.
    fn retire_pools(&self) {
        for _ in 0..RETIRE_ROUNDS {
            let (sender, heard) = mpsc::channel();
            for shard in (0..self.handle.shards()).map(ShardId) {
                for _ in 0..RETIRE_TRIES {
                    let message = BrokerMessage::Retire(sender.clone());
                    if self
                        .handle
                        .reply(SessionId::shard_itself(shard), message)
                        .is_ok()
                    {
                        break;
                    }
                    let _ = heard.recv_timeout(Duration::from_millis(1));
                }
            }
            drop(sender);
            // Nobody says anything: it ends when all have dropped the message.
            let _ = heard.recv_timeout(RETIRED_WITHIN);
        }
    }

    /// Says BYE to all clients and ends.
    pub fn stop(self) {
        if let Some(site) = &self.site {
            site.leaving().retire();
            self.retire_pools();
        }
        self.handle.shutdown();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a shard of the broker had failed");
            }
        }
        if let Some(site) = self.site {
            site.stop();
        }
        if let Some(path) = self.unix
            && crate::handover::owns_names()
        {
            let _ = std::fs::remove_file(path);
        }
    }
}
