//! Starting and stopping the server.

mod door;
mod login;
mod refreshing;
mod taking_over;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use admin::users::{Edition, Login};
use admin::{Base, Config, Users};
use engine::event::ShardId;
use engine::stats::Counter;
use ens::ready::Ready;
use ens::statistics::Statistics;
use ens::supervisor::Supervisor;
use proto::imap::SessionConfig;
use reactor::uring;
use store::Store;

use crate::admin_socket::{AdminSocket, Asking, Serving};
use crate::announce;
use crate::bounds::Bounds;
use crate::certificates::{Certificates, CertificatesError};
use crate::control::{
    self, Authenticator, Control, MailHandle, Rate, Replier, SEARCHES_MAX, Workers,
};
use crate::descriptors::{Descriptors, TooFewFiles};
use crate::front::{Cleartext, Logins, Revocations, Shares, Visits};
use crate::handover::{self, Belongings, Coming, Gate, Giving, Looks, Memory, Shards, TakingError};
use crate::host::ImapPlaces;
use crate::http::HttpDoor;
use crate::lines::{Directory, Lines, Writing};
use crate::lmtp::{self, Lmtp, SocketPath};
use crate::metrics::Measured;
use crate::notify::{Notifications, Queue};
use crate::options::Options;
use crate::planes::{self, DataPlane};
use crate::ports::{self, Ports, ShardPorts};
use crate::scram::Scram;
use crate::stalls::Stalls;
use crate::statistics;
use crate::tokens::{Tokens, TokensError};

use login::login;
use refreshing::UsersTrouble;
use taking_over::open_store;

pub use taking_over::Origin;

/// Threads for searches through bodies and for parsing large messages.
const SEARCH_THREADS: usize = 2;
/// Sessions packed away between two looks, at most, for the server to count as quiet.
const QUIET_PARKS: u64 = 100;
/// Sessions packed away that are worth giving memory back.
const MANY_PARKS: u64 = 1000;
/// Connections beyond the limit that a shard can tell so at a time.
const REFUSALS: usize = 64;

/// Why the server can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The user directory.
    #[error("{0}")]
    Users(#[from] admin::users::UsersError),
    /// The store.
    #[error("{0}")]
    Store(#[from] store::OpenError),
    /// The certificates.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
    /// The keys of tokens.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// Limits that contradict each other.
    #[error("{0}")]
    Limits(String),
    /// The limit of open files.
    #[error(transparent)]
    Files(#[from] TooFewFiles),
    /// What another process has.
    #[error(transparent)]
    Taking(#[from] TakingError),
    /// The kernel.
    #[error("can't start {0}: {1}")]
    Kernel(&'static str, std::io::Error),
}

/// A running server.
pub struct Server {
    store: Store,
    giving: Arc<Giving>,
    /// Lets tools ask.
    gate: Arc<Gate>,
    looks: Arc<Looks>,
    certificates: Certificates,
    /// Whether IMAP over TLS has its port.
    has_imaps: bool,
    users: Arc<Users>,
    users_trouble: UsersTrouble,
    handle: MailHandle,
    lmtp: Lmtp,
    /// Removed at the end.
    lmtp_socket: Option<SocketPath>,
    data: Vec<JoinHandle<()>>,
    control: Vec<JoinHandle<()>>,
    broker: Option<ens::server::Running>,
    broker_statistics: Statistics,
    notifications: Notifications,
    authenticator: Arc<Authenticator>,
    tokens: Option<Arc<Tokens>>,
    bounds: Arc<Bounds>,
    stalls: Arc<Stalls>,
    lines: Arc<Lines>,
    writing: Writing,
    visits: Visits,
    admin: Option<Serving>,
    measured: Arc<Measured>,
    /// Where figures are told, until they are.
    http: Option<TcpListener>,
    door: Option<HttpDoor>,
    addresses: Option<Arc<Shares>>,
    user_shares: Option<Arc<Shares>>,
    edition: Edition,
    revocations: Revocations,
    scram: Scram,
    parks_seen: u64,
    parks_tidied: u64,
}

impl Server {
    /// Starts all planes on the ports that were taken, and reports each.
    ///
    /// # Errors
    /// What keeps the server from starting, for the administrator.
    pub fn start(
        base: &Base,
        config: &Config,
        ports: Ports,
        origin: &mut Origin,
        ready: &mut Ready,
    ) -> Result<Self, StartError> {
        let config = &Arc::new(config.clone());
        let users = Arc::new(Users::open(base.users())?);
        let mut options = checked_options(base, config, &users)?;
        let mut certificates = Certificates::load(config)?;
        let tokens = Tokens::load(config)?.map(Arc::new);
        let of_imap = ports.listening(certificates.offered().load(Ordering::Relaxed));
        of_imap.iter().for_each(|line| ready.line(line));
        let handle: MailHandle = engine::mesh(options.shards, &options.limits);
        let kernel = |error| StartError::Kernel("handing over", error);
        let sockets = ports.copies().map_err(kernel)?;
        let coming = origin.coming(options.shards).map_err(kernel)?;
        let (broker, secret) =
            start_broker((ports.broker, origin), &mut certificates, config, ready)?;
        let mut notifications = Notifications::new(config);
        options.store.observer = notifications.observer();
        let stalls = Arc::new(Stalls::new(options.stall_ns));
        options.store.timekeeper = Some(stalls.timekeeper());
        let store = open_store(&mut options, origin, &handle, ready)?;
        let local = broker.as_ref().map(|it| it.local());
        notifications
            .start(base, config, &store, &users, local)
            .map_err(|error| StartError::Kernel("the plug-ins' thread", error))?;
        (options.session.idle, options.session.idle_announced) = notifications.idle();
        say_ports(broker.as_ref(), &ports.lmtp, ready);
        let bounds = Arc::default();
        let watch = (Arc::clone(&bounds), Arc::clone(&stalls));
        let (lines, writing) = write_lines(&store, &users)?;
        let doorman = (Rate::new(options.logins_a_minute), lines.clone());
        let login = (login(base, config, &users)?, doorman);
        let control = control(&store, (login, tokens.clone()), &handle, watch)?;
        let memory = Memory::of(&control.authenticator, &certificates, broker.as_ref());
        let kept = (store.clone(), notifications.queue(), origin.gate(), memory);
        let (giving, gate, looks) = giving(&handle, broker.as_ref(), kept, (sockets, secret));
        let measured = door::measured(
            options.shards,
            (&handle, &store, &lines),
            (&bounds, &stalls),
            (&control.authenticator, broker.as_ref(), base, config),
            certificates.shown(),
            notifications.conditions(),
        );
        let mut server = Self {
            giving,
            gate,
            looks,
            store,
            certificates,
            has_imaps: config.imap_tls_address().is_none() || !ports.imaps.is_empty(),
            edition: users.edition(),
            revocations: Revocations::default(),
            scram: Scram::new(&options.session),
            users,
            users_trouble: UsersTrouble::default(),
            handle,
            lmtp: Lmtp::new(&lmtp::Options::from_config(config)),
            lmtp_socket: ports.lmtp.path,
            data: vec![],
            control: vec![],
            broker,
            broker_statistics: Statistics::from_env(),
            notifications,
            authenticator: control.authenticator.clone(),
            tokens,
            bounds,
            stalls,
            lines,
            writing,
            visits: Visits::default(),
            admin: None,
            measured: Arc::new(measured),
            http: ports.http,
            door: None,
            addresses: shares(options.address_max, 0),
            user_shares: shares(options.user_max, options.sessions_max),
            parks_seen: 0,
            parks_tidied: 0,
        };
        server.look_at_scram();
        let of_lmtp = (ports.lmtp.tcp, ports.lmtp.unix);
        let by_shard = ports::by_shard(ports.imap, ports.imaps, of_lmtp, options.shards);
        server.start_shards(&options, by_shard, control, coming)?;
        server.with_tools(ports.admin, &options.session)
    }

    /// Lets the administrator's tools ask.
    fn with_tools(
        mut self,
        socket: Option<AdminSocket>,
        session: &SessionConfig,
    ) -> Result<Self, StartError> {
        let asking = Asking {
            handle: self.handle.clone(),
            visits: self.visits.clone(),
            store: self.store.clone(),
            users: self.users.clone(),
            measured: self.measured.clone(),
            message_bytes_max: session.append_bytes_max,
            namespaces: session.namespaces.clone(),
            giving: self.giving.clone(),
            gate: self.gate.clone(),
        };
        let serving = socket.map(|socket| Serving::start(socket, asking));
        let failed = |error| StartError::Kernel("the socket of the administrator's tools", error);
        self.admin = serving.transpose().map_err(failed)?;
        Ok(self)
    }

    /// Opens the store, which recovers it, and closes it. Gives what was lost, if that was
    /// accepted.
    ///
    /// # Errors
    /// If the store can't be used, or has lost something and not `accept_loss`.
    pub fn recover(
        base: &Base,
        config: &Config,
        accept_loss: bool,
    ) -> Result<Option<String>, StartError> {
        let users = Arc::new(Users::open(base.users())?);
        let mut options = Options::new(base, config, &users);
        options.store.accept_loss = accept_loss;
        let (store, recovery) = Store::open(&options.data, options.store, Box::new(|_| {}))?;
        store.close();
        let lost = recovery.messages_lost;
        Ok(recovery.loss.map(|loss| accepted(&loss, lost)))
    }

    fn start_shards(
        &mut self,
        options: &Options,
        ports: Vec<ShardPorts>,
        control: Control,
        coming: Vec<Coming>,
    ) -> Result<(), StartError> {
        let common = ShardsCommon {
            options,
            places: Arc::new(ImapPlaces::new(options.sessions_max)),
            control,
        };
        let mut coming = coming.into_iter();
        for (id, ports) in (0..).map(ShardId).zip(ports) {
            self.start_shard(&common, id, (ports, coming.next()))?;
        }
        Ok(())
    }

    fn start_shard(
        &mut self,
        common: &ShardsCommon<'_>,
        id: ShardId,
        (ports, coming): (ShardPorts, Option<Coming>),
    ) -> Result<(), StartError> {
        let (options, control) = (common.options, common.control.clone());
        let (backend, requests) = control::port(&control);
        let plane = planes::start_control(id, control, requests)
            .map_err(|error| StartError::Kernel("a control plane", error))?;
        self.control.push(plane);
        // A proxy on this host passes on others' connections.
        let named = options.proxies.come_to_imap() || !options.trusted.is_empty();
        let loopback = ports.loopback && !named;
        let mut rings = uring::Options::for_connections(places(options));
        if options.rings > 0 {
            rings.rings = options.rings;
        }
        rings.restricted = options.restricted_rings;
        rings.spin_ns = options.spin_ns;
        let plane = DataPlane {
            id,
            ports,
            tls: self.certificates.config(),
            starttls: self.certificates.offered(),
            named_by: options.named_by,
            rings,
            limits: options.limits.clone(),
            handle: self.handle.clone(),
            session: Arc::new(SessionConfig {
                commands: self.measured.commands[usize::from(id.0)].clone(),
                ..options.session.clone()
            }),
            counts: self.measured.sessions[usize::from(id.0)].clone(),
            timeouts: options.timeouts,
            cleartext: if loopback {
                Cleartext::ListenerIsLoopback
            } else {
                Cleartext::Loopback
            },
            logins: Logins::new(self.notifications.logins()),
            bounds: self.bounds.clone(),
            stalls: self.stalls.clone(),
            revocations: self.revocations.clone(),
            visits: self.visits.clone(),
            addresses: self.addresses.clone().filter(|_| !loopback),
            users: self.user_shares.clone().filter(|_| !loopback),
            lines: self.lines.clone(),
            places: common.places.clone(),
            proxies: options.proxies.clone(),
            trusted: options.trusted.clone(),
            lmtp: self.lmtp.shard(id, options.shards, self.bounds.clone()),
            backend,
            coming,
        };
        let thread = plane
            .start()
            .map_err(|error| StartError::Kernel("io_uring", error))?;
        self.data.push(thread);
        Ok(())
    }

    /// Whom to tell which process the service is, when another one takes over.
    pub fn tell(&self, supervisor: Option<Supervisor>) {
        self.giving.tell(supervisor);
    }

    /// Looks whether brokers have come or gone: IDLE is offered while one is there. Prints the
    /// statistics of the one in this process, if they are wanted.
    pub fn look_at_brokers(&mut self) {
        self.notifications.look();
        if let Some(broker) = &self.broker {
            self.broker_statistics.print_if_due(broker.stats());
        }
    }

    /// Writes what the shards and the store have counted to a file.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn write_statistics(&self, path: &Path) -> std::io::Result<()> {
        let counted = statistics::Counted {
            handle: &self.handle,
            store: self.store.stats(),
            bounds: &self.bounds,
            stalls: &self.stalls,
            passwords: self.authenticator.computed(),
            lines_dropped: self.lines.dropped(),
        };
        statistics::write(path, &counted)
    }

    /// Logs which bounds were met since the last time, and what took too long. To be
    /// called once a second.
    pub fn log_trouble(&self) {
        self.bounds.log();
        self.stalls.log(|user| self.store.user_name(user).ok());
    }

    /// The plane that has ended although nobody asked it to, if there is one: the process can't go
    /// on without it.
    pub fn failed_plane(&self) -> Option<String> {
        let planes = self.data.iter().chain(&self.control);
        let mut ended = planes.filter(|plane| plane.is_finished());
        let name = |plane: &JoinHandle<()>| plane.thread().name().unwrap_or("a plane").to_owned();
        let broker = self.broker.as_ref().is_some_and(|it| it.has_failed());
        let others = [
            (self.store.has_failed(), "store-writer"),
            (broker, "ens"),
            (self.notifications.has_failed(), "notify"),
        ];
        let mut failed = others.iter().filter(|(failed, _)| *failed);
        let other = failed.next().map(|(_, name)| (*name).to_owned());
        ended.next().map(name).or(other)
    }

    /// Gives memory back that sessions needed while they were active, if many have come, gone or
    /// moved since the last time and few do now. To be called every few seconds.
    pub fn tidy_memory(&mut self) {
        let moved = |counter| {
            let shards = (0..self.handle.shards()).map(ShardId);
            shards
                .map(|id| self.handle.stats(id).counter(counter))
                .sum::<u64>()
        };
        // Who came and is not there any more has left.
        let came = moved(Counter::Accepted);
        let left = came - moved(Counter::Open).min(came);
        let parks = moved(Counter::Parks) + came + left;
        let since_last_look = parks.saturating_sub(self.parks_seen);
        self.parks_seen = parks;
        if since_last_look < QUIET_PARKS && parks.saturating_sub(self.parks_tidied) > MANY_PARKS {
            self.parks_tidied = parks;
            reactor::memory::give_back();
        }
    }

    /// Stops cleanly: sessions get BYE, deliveries under way are finished, everything is durable.
    pub fn stop(self) {
        self.door.iter().for_each(HttpDoor::announce_stop);
        if let Some(admin) = self.admin {
            admin.stop();
        }
        self.handle.shutdown();
        for thread in self.data.into_iter().chain(self.control) {
            if thread.join().is_err() {
                tracing::error!("a plane had failed");
            }
        }
        self.notifications.stop();
        if let Some(broker) = self.broker {
            broker.stop();
        }
        self.writing.finish();
        self.store.close();
        if let Some(door) = self.door {
            door.close();
        }
        drop(self.lmtp_socket);
    }
}

/// What all shards are started with.
struct ShardsCommon<'a> {
    options: &'a Options,
    places: Arc<ImapPlaces>,
    control: Control,
}

/// Says where the broker and LMTP listen.
fn say_ports(broker: Option<&ens::server::Running>, lmtp: &lmtp::Listeners, ready: &mut Ready) {
    let of_broker = broker.into_iter().flat_map(|broker| broker.listening());
    of_broker.for_each(|line| ready.line(line));
    let of_lmtp = lmtp.listening().into_iter();
    of_lmtp.for_each(|line| ready.line(&line));
}

/// At most so many connections each, where there is a limit, of about so many in all.
fn shares(max: Option<u32>, connections: usize) -> Option<Arc<Shares>> {
    max.map(|max| Arc::new(Shares::new(max, connections)))
}

/// The options, and what the system allows of them.
fn checked_options(
    base: &Base,
    config: &Arc<Config>,
    users: &Arc<Users>,
) -> Result<Options, StartError> {
    let mut options = Options::new(base, config, users);
    options.check().map_err(StartError::Limits)?;
    let descriptors = Descriptors::raise()?;
    tracing::info!("{descriptors}");
    options.store.files_max = descriptors.tables;
    Ok(options)
}

/// Where lines about sessions go, and the thread that writes them.
fn write_lines(store: &Store, users: &Arc<Users>) -> Result<(Arc<Lines>, Writing), StartError> {
    let names = Directory {
        store: store.clone(),
        users: users.clone(),
    };
    let lines = Arc::<Lines>::default();
    let writing = Writing::start(lines.clone(), names);
    let failed = |error| StartError::Kernel("the log's thread", error);
    Ok((lines, writing.map_err(failed)?))
}

/// What a broker's receipts are proved by.
type Secret = [u8; 32];

/// Starts the broker, if it is in this process. Mail doesn't need it. Gives its secret, too.
fn start_broker(
    (broker, origin): (Option<ens::server::Bound>, &mut Origin),
    certificates: &mut Certificates,
    config: &Config,
    ready: &mut Ready,
) -> Result<(Option<ens::server::Running>, Option<Secret>), StartError> {
    let Some(broker) = broker else {
        return Ok((None, None));
    };
    let failed = |error| StartError::Kernel("the broker", error);
    let broker = origin.give_to_broker(broker).map_err(failed)?;
    let secret = broker.secret();
    let shown = certificates.for_broker(config)?;
    let started = broker.with_certificates(shown).start();
    let started = started.inspect_err(|error| ready.part_failed("ens", error));
    Ok((started.ok(), Some(secret)))
}

/// What another process may have, and what waits for that.
fn giving(
    handle: &MailHandle,
    broker: Option<&ens::server::Running>,
    (store, notifications, gate, memory): (Store, Option<Queue>, Arc<Gate>, Memory),
    (sockets, secret): (Vec<(&'static str, OwnedFd)>, Option<Secret>),
) -> (Arc<Giving>, Arc<Gate>, Arc<Looks>) {
    let looks = Arc::<Looks>::default();
    let belongings = Belongings {
        handle: handle.clone(),
        store,
        notifications,
        gate: gate.clone(),
        looks: looks.clone(),
        memory,
        site: broker.and_then(|broker| broker.leaving()).cloned(),
    };
    let giving = Giving::new(handover::FORMAT, shards(handle, broker), sockets);
    let giving = giving.with_kept(Box::new(belongings)).with_secret(secret);
    (Arc::new(giving), gate, looks)
}

/// All shards that are handed over: those of mail, and those of the broker if it is here.
fn shards(mail: &MailHandle, broker: Option<&ens::server::Running>) -> Shards {
    let broker = broker.map(ens::server::Running::mesh);
    let mail = Box::new(mail.clone());
    Shards::new([mail as _].into_iter().chain(broker).collect())
}

/// What is told of a loss that was accepted.
fn accepted(loss: &store::Loss, messages: usize) -> String {
    format!(
        "{loss}; this was accepted: {messages} messages that can't be read any more were dropped \
         (the log names them), and every mailbox has a new UIDVALIDITY"
    )
}

/// Connections of a shard: who comes too many is let in to be told so.
fn places(options: &Options) -> usize {
    options.limits.connections_max + REFUSALS
}

/// Tells the shards of what was committed.
fn announcer(publisher: MailHandle) -> Box<impl Fn(Vec<mail::News>) + Send + Sync> {
    Box::new(move |news| announce::announce(&publisher, news))
}

/// Who checks logins, how many there may be, and who hears of those that are refused.
type Doorman = (Login, (Rate, Arc<Lines>));

/// What all control planes share.
fn control(
    store: &Store,
    (login, tokens): (Doorman, Option<Arc<Tokens>>),
    handle: &MailHandle,
    watch: (Arc<Bounds>, Arc<Stalls>),
) -> Result<Control, StartError> {
    let failed = |error| StartError::Kernel("the control plane", error);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (bounds, stalls) = watch.clone();
    let replier = Replier::start(handle.clone(), bounds.clone()).map_err(failed)?;
    let authenticator =
        Authenticator::start(login, store.clone(), replier.clone(), cores, watch.clone())
            .map_err(failed)?;
    let searches = Workers::start("search", SEARCH_THREADS, SEARCHES_MAX, watch);
    Ok(Control {
        store: store.clone(),
        authenticator: Arc::new(authenticator.with_tokens(tokens)),
        replier,
        searches: searches.map_err(failed)?,
        bounds,
        stalls,
    })
}
