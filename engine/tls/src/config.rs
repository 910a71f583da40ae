//! What a door speaks TLS with: certificates, versions, ticket keys, the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::UnixTime;
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::TimeProvider;
use rustls::{ServerConfig, version};

use crate::Version;
use crate::clients::Clients;
use crate::identity::Identity;
use crate::names::Names;
use crate::provider::provider;
use crate::secrets::Listener;
use crate::tickets::{TICKET_LIFETIME_S, Tickets};

/// What is said once.
#[derive(Debug, Clone)]
pub struct Options {
    /// The oldest version that is spoken.
    pub oldest: Version,
    /// Protocols by ALPN (RFC 7301). A client that offers others only is refused, so that no
    /// browser's request is taken for mail's; one that offers none is not.
    pub protocols: Vec<Vec<u8>>,
    /// Whether clients may resume by tickets.
    pub tickets: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            oldest: Version::Tls12,
            protocols: Vec::new(),
            tickets: true,
        }
    }
}

/// The configuration of one or more doors, shared by all shards. Handshakes take what holds when
/// they begin; sessions keep what they have.
pub struct Config {
    options: Options,
    current: ArcSwap<Current>,
    tickets: Arc<Tickets>,
    clock: Arc<Clock>,
    /// When the ticket keys were last rotated.
    rotated: AtomicU64,
}

/// What handshakes begin with: nothing while there is no identity.
struct Current {
    /// Without a word of certificates of clients.
    plain: Option<Arc<ServerConfig>>,
    /// Asking for them, and the authorities, if there are any. Nobody resumes: a ticket would carry
    /// a certificate past its end, or that of its authority.
    asking: Option<(Clients, Option<Arc<ServerConfig>>)>,
}

impl Config {
    /// With these identities, the first of which is shown to clients that name none. Without any
    /// there is no handshake until a [`Config::reload`] brings some. `now` is in seconds since
    /// 1970.
    ///
    /// # Errors
    ///
    /// What rustls said.
    pub fn new(identities: &[Identity], options: Options, now: u64) -> Result<Self, rustls::Error> {
        let clock = Arc::new(Clock(AtomicU64::new(now)));
        let tickets = Arc::new(Tickets::new());
        let plain = build(identities, &options, &tickets, &clock, None)?;
        let current = Current {
            plain,
            asking: None,
        };
        Ok(Self {
            options,
            current: ArcSwap::from_pointee(current),
            tickets,
            clock,
            rotated: AtomicU64::new(now),
        })
    }

    /// Takes other identities for the handshakes to come, all or, on an error, none; tickets that
    /// are out stay good.
    ///
    /// # Errors
    ///
    /// What rustls said.
    pub fn reload(&self, identities: &[Identity]) -> Result<(), rustls::Error> {
        let current = self.current.load();
        let clients = current.asking.as_ref().map(|(clients, _)| clients.clone());
        self.reload_with(identities, clients)
    }

    /// The same, and asks clients for certificates, or no more, where a handshake is begun
    /// [with](crate::Handshake::with) that.
    ///
    /// # Errors
    ///
    /// What rustls said.
    pub fn reload_with(
        &self,
        identities: &[Identity],
        clients: Option<Clients>,
    ) -> Result<(), rustls::Error> {
        let build = |clients: Option<&Clients>| {
            build(
                identities,
                &self.options,
                &self.tickets,
                &self.clock,
                clients,
            )
        };
        let asking = match clients {
            Some(clients) => {
                let config = build(Some(&clients))?;
                Some((clients, config))
            }
            None => None,
        };
        let plain = build(None)?;
        self.current.store(Arc::new(Current { plain, asking }));
        Ok(())
    }

    /// Says what time it is, in seconds since 1970; once a minute will do. Ticket keys are rotated
    /// when they are [`TICKET_LIFETIME_S`] old.
    pub fn set_time(&self, now: u64) {
        self.clock.0.store(now, Ordering::Relaxed);
        let rotated = self.rotated.load(Ordering::Relaxed);
        let due = now.abs_diff(rotated) >= u64::from(TICKET_LIFETIME_S);
        let (order, failed) = (Ordering::Relaxed, Ordering::Relaxed);
        if due
            && self
                .rotated
                .compare_exchange(rotated, now, order, failed)
                .is_ok()
        {
            self.tickets.rotate();
        }
    }

    /// Appends the keys of tickets, for a process that takes over: it may keep them in memory only.
    pub fn hand_over_tickets(&self, output: &mut Vec<u8>) {
        output.extend(self.rotated.load(Ordering::Relaxed).to_be_bytes());
        self.tickets.hand_over(output);
    }

    /// Takes tickets of another process, and makes them as it did. False if these are not its
    /// bytes.
    pub fn take_tickets(&self, input: &[u8]) -> bool {
        let Some((rotated, keys)) = input.split_first_chunk() else {
            return false;
        };
        let is_whole = self.tickets.take_over(keys);
        if is_whole {
            let rotated = u64::from_be_bytes(*rotated);
            self.rotated.store(rotated, Ordering::Relaxed);
        }
        is_whole
    }

    /// A connection that is rustls's own from the first byte to the last, for doors with few
    /// clients; none while there is no identity.
    ///
    /// # Errors
    ///
    /// What rustls said.
    pub fn connection(&self) -> Result<Option<rustls::ServerConnection>, rustls::Error> {
        let config = self.current(false);
        config.map(rustls::ServerConnection::new).transpose()
    }

    pub(crate) fn current(&self, asks: bool) -> Option<Arc<ServerConfig>> {
        let current = self.current.load();
        match &current.asking {
            Some((_, asking)) if asks => asking.clone(),
            _ => current.plain.clone(),
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn build(
    identities: &[Identity],
    options: &Options,
    tickets: &Arc<Tickets>,
    clock: &Arc<Clock>,
    clients: Option<&Clients>,
) -> Result<Option<Arc<ServerConfig>>, rustls::Error> {
    if identities.is_empty() {
        return Ok(None);
    }
    let versions = match options.oldest {
        Version::Tls12 => &[&version::TLS13, &version::TLS12][..],
        Version::Tls13 => &[&version::TLS13],
    };
    let builder = ServerConfig::builder_with_details(provider(), clock.clone());
    let builder = builder.with_protocol_versions(versions)?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients.verifier()),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Names::new(identities)));
    let tickets_made = options.tickets && clients.is_none();
    // Ours comes first: AES-128-GCM has the smallest state.
    config.ignore_client_order = true;
    config.alpn_protocols = options.protocols.clone();
    config.enable_secret_extraction = true;
    config.key_log = Arc::new(Listener);
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // A client needs one for its next connection; that one brings another.
    config.send_tls13_tickets = usize::from(tickets_made);
    if tickets_made {
        config.ticketer = tickets.clone();
    }
    Ok(Some(Arc::new(config)))
}

/// What time the host says it is.
#[derive(Debug)]
struct Clock(AtomicU64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = self.0.load(Ordering::Relaxed);
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
