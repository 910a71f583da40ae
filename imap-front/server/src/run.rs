//! Starting and stopping the server.

use std::sync::Arc;
use std::thread::JoinHandle;

use admin::users::Login;
use admin::{Base, Config, Users};
use engine::event::ShardId;
use glommio::ExecutorJoinHandle;
use reactor::uring::Options;
use store::Store;

use crate::announce::as_engine_event;
use crate::control::{Answer, Control, MailHandle, Port};
use crate::front::Cleartext;
use crate::listen::{self, ListenError};
use crate::lmtp::{self, BindError, Lmtp, Part};
use crate::planes::{self, DataPlane};
use crate::ready::Ready;
use crate::settings::Settings;

/// Verified passwords that are remembered.
const LOGINS_REMEMBERED: usize = 64 * 1024;

/// Why the server can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error("{0}")]
    Config(#[from] admin::config::ConfigError),
    /// The user directory.
    #[error("{0}")]
    Users(#[from] admin::users::UsersError),
    /// A port.
    #[error("{0}")]
    Listen(#[from] ListenError),
    /// A port or path of LMTP.
    #[error("{0}")]
    Lmtp(#[from] BindError),
    /// The store.
    #[error("{0}")]
    Store(#[from] store::OpenError),
    /// The kernel.
    #[error("can't start {0}: {1}")]
    Kernel(&'static str, std::io::Error),
}

/// A running server.
pub struct Server {
    store: Store,
    users: Arc<Users>,
    handle: MailHandle,
    lmtp: Lmtp,
    ports: Vec<Arc<Port>>,
    data: Vec<JoinHandle<()>>,
    control: Vec<ExecutorJoinHandle<()>>,
}

impl Server {
    /// Starts all planes and reports each bound port.
    ///
    /// # Errors
    /// What keeps the server from starting, for the administrator.
    pub fn start(base: &Base, ready: &mut Ready) -> Result<Self, StartError> {
        let config = Config::load(base)?;
        let users = Arc::new(Users::open(base.users())?);
        let settings = Settings::new(base, &config, &users);
        let imap = match settings.imap {
            Some(address) => {
                let count = usize::from(settings.shards);
                listen::listeners("imap", "service.imap.port", address, count)?
            }
            None => vec![],
        };
        let handle: MailHandle = engine::mesh(settings.shards, &settings.limits);
        let announce = handle.clone();
        let announcer = Box::new(move |events: &[Arc<mail::Event>]| {
            events
                .iter()
                .for_each(|event| announce.publish(as_engine_event(event)));
        });
        let (store, recovery) = Store::open(&settings.data, settings.store.clone(), announcer)?;
        tracing::info!("the store has {} commits", recovery.commits);
        let shards = usize::from(settings.shards);
        let options = lmtp::Options::from_config(&config);
        let mut lmtp = Lmtp::bind(&options, store.clone(), users.clone(), shards)?;
        if let Some(address) = imap.first().and_then(|first| first.local_addr().ok()) {
            ready.line(&format!("imap listening on {address}"));
        }
        lmtp.listening().iter().for_each(|line| ready.line(line));
        let login = Arc::new(Login::new(users.clone(), LOGINS_REMEMBERED));
        let parts: Vec<Part> = (0..shards).map(|shard| lmtp.part(shard)).collect();
        lmtp.start()
            .map_err(|error| StartError::Kernel("LMTP", error))?;
        let mut server = Self {
            store,
            users,
            handle,
            lmtp,
            ports: vec![],
            data: vec![],
            control: vec![],
        };
        let mut imap = imap.into_iter();
        for (id, part) in (0..settings.shards).zip(parts) {
            server.start_shard(&settings, id, imap.next(), part, &login)?;
        }
        Ok(server)
    }

    fn start_shard(
        &mut self,
        settings: &Settings,
        id: u16,
        listener: Option<std::net::TcpListener>,
        part: Part,
        login: &Arc<Login>,
    ) -> Result<(), StartError> {
        let port = Port::new();
        let control = Control {
            port: port.clone(),
            store: self.store.clone(),
            login: login.clone(),
            answer: Answer::new(self.handle.clone()),
        };
        let plane = planes::start_control(id, control, move || lmtp::serve(part))
            .map_err(|error| StartError::Kernel("a control plane", error))?;
        self.control.push(plane);
        self.ports.push(port.clone());
        let Some(listener) = listener else {
            return Ok(());
        };
        let loopback = listener
            .local_addr()
            .is_ok_and(|address| address.ip().is_loopback());
        let mut options = Options::for_connections(settings.limits.connections_max);
        if settings.rings > 0 {
            options.rings = settings.rings;
        }
        options.spin_ns = settings.spin_ns;
        let plane = DataPlane {
            id: ShardId(id),
            listener,
            options,
            limits: settings.limits.clone(),
            handle: self.handle.clone(),
            session: settings.session.clone(),
            timeouts: settings.timeouts,
            cleartext: if loopback {
                Cleartext::ListenerIsLoopback
            } else {
                Cleartext::Loopback
            },
            port,
        };
        let thread = plane
            .start()
            .map_err(|error| StartError::Kernel("io_uring", error))?;
        self.data.push(thread);
        Ok(())
    }

    /// Reads the user directory again.
    pub fn refresh(&self) {
        match self.users.reload_if_changed() {
            Ok(true) => tracing::info!("the user directory was read again"),
            Ok(false) => {}
            Err(error) => tracing::error!("{error}; the users known before are kept"),
        }
    }

    /// Stops cleanly: sessions get BYE, deliveries under way are finished, everything is durable.
    pub fn stop(mut self) {
        self.lmtp.stop();
        self.handle.shutdown();
        for thread in self.data {
            if thread.join().is_err() {
                tracing::error!("a data plane had failed");
            }
        }
        self.ports.iter().for_each(|port| port.close());
        for executor in self.control {
            if let Err(error) = executor.join() {
                tracing::error!("a control plane had failed: {error}");
            }
        }
        self.store.close();
    }
}
