//! The two threads of each core: a data plane on io_uring, and a control plane for its requests.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};

use admin::config::Networks;
use engine::event::ShardId;
use engine::secure::Doors;
use engine::{Limits, Shard};
use proto::imap::SessionConfig;
use reactor::uring::{Options, Uring};

use crate::bounds::Bounds;
use crate::control::{self, Control, MailHandle, PortBackend, Requests};
use crate::front::{
    Cleartext, Front, Logins, Revocations, SessionCounts, Shares, Timeouts, Visits,
};
use crate::handover::Coming;
use crate::host::{Door, Host, ImapPlaces};
use crate::lines::Lines;
use crate::lmtp::LmtpShard;
use crate::ports::ShardPorts;
use crate::proxies::Proxies;
use crate::stalls::Stalls;

// A million of these are kept: see "What a parked session costs" in ARCHITECTURE.md.
const _: () = assert!(engine::row_bytes::<Host<PortBackend>>() == 88);

/// What a data plane is made of.
pub struct DataPlane {
    /// Which shard it is.
    pub id: ShardId,
    /// Where clients and deliverers come in.
    pub ports: ShardPorts,
    /// What TLS is spoken with.
    pub tls: Arc<tls::Config>,
    /// Whether it can be: there is a certificate.
    pub starttls: Arc<AtomicBool>,
    /// What of a client's certificate is its user's name.
    pub named_by: tls::NamedBy,
    /// The rings.
    pub rings: Options,
    /// The engine's bounds.
    pub limits: Limits,
    /// The mesh.
    pub handle: MailHandle,
    /// What sessions have in common.
    pub session: Arc<SessionConfig>,
    /// How long clients may be quiet.
    pub timeouts: Timeouts,
    /// From where passwords may come.
    pub cleartext: Cleartext,
    /// Who is told of logins.
    pub logins: Logins,
    /// What is refused and dropped.
    pub bounds: Arc<Bounds>,
    /// What takes too long.
    pub stalls: Arc<Stalls>,
    /// Whose sessions are to end.
    pub revocations: Revocations,
    /// Who looks at sessions.
    pub visits: Visits,
    /// How many connections each address has, if that is limited.
    pub addresses: Option<Arc<Shares>>,
    /// And each user.
    pub users: Option<Arc<Shares>>,
    /// Whom something was refused.
    pub lines: Arc<Lines>,
    /// Places for IMAP connections.
    pub places: Arc<ImapPlaces>,
    /// Proxies that say whose connections they pass on.
    pub proxies: Proxies,
    /// Who may name the client by the command ID.
    pub trusted: Arc<Networks>,
    /// Deliveries.
    pub lmtp: LmtpShard,
    /// Where its sessions are counted.
    pub counts: Arc<SessionCounts>,
    /// Where requests go.
    pub backend: PortBackend,
    /// Connections that come from another process, before any others.
    pub coming: Option<Coming>,
}

impl DataPlane {
    /// Starts its thread; returns once the rings are there.
    ///
    /// # Errors
    /// If the kernel refuses the rings.
    pub fn start(self) -> std::io::Result<JoinHandle<()>> {
        let (sender, started) = mpsc::channel();
        let thread = Builder::new()
            .name(format!("data-{}", self.id.0))
            .spawn(move || self.run(&sender))?;
        match started.recv() {
            Ok(Ok(())) => Ok(thread),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(std::io::Error::other("a data plane ended before it began")),
        }
    }

    fn run(self, started: &mpsc::Sender<std::io::Result<()>>) {
        let (doors, listeners): (Vec<Door>, _) = self.ports.listeners.into_iter().unzip();
        let uring = match Uring::new(self.rings, listeners) {
            Ok(uring) => uring,
            Err(error) => return drop(started.send(Err(error))),
        };
        let lmtp = self.lmtp.with_starttls(self.starttls.clone());
        let lmtp = lmtp.with_lines(self.lines.clone());
        let bounds = self.bounds;
        let front = Front::new(self.session, self.timeouts, self.cleartext, self.backend)
            .with_logins(self.logins)
            .with_counts(self.counts)
            .with_memory(self.limits.output_bytes_max)
            .with_watch(bounds.clone(), self.stalls)
            .with_shares(self.addresses, self.users)
            .with_lines(self.lines.clone())
            .with_starttls(self.starttls)
            .with_named_by(self.named_by)
            .with_trusted(self.trusted)
            .with_revocations(&self.revocations)
            .with_visits(&self.visits);
        // Where proxies come in the handshake follows their header.
        let proxied = self.proxies.come_to_imap();
        let implicit = (0..).zip(&doors);
        let implicit = implicit.filter(|(_, door)| **door == Door::Imaps && !proxied);
        let implicit = implicit.map(|(number, _)| number).collect();
        let tls = Doors {
            tls: Some(self.tls),
            implicit,
        };
        let host = Host::new(doors, front, self.places, lmtp);
        let host = host.with_proxies(self.proxies, self.lines, bounds);
        let shard = Shard::with_tls(self.id, uring, host, self.limits, self.handle, tls);
        // The starter waits; it can't be gone.
        let started = || drop(started.send(Ok(())));
        match self.coming {
            None => {
                started();
                let mut shard = shard;
                shard.run();
            }
            Some(coming) => {
                let mut shard = shard.awaiting();
                started();
                if coming.take(&mut shard) {
                    shard.run();
                }
            }
        }
    }
}

/// Starts a control plane, which ends after its data plane.
///
/// # Errors
/// If the system has no more threads.
pub fn start_control(
    id: ShardId,
    control: Control,
    mut requests: Requests,
) -> std::io::Result<JoinHandle<()>> {
    Builder::new()
        .name(format!("control-{}", id.0))
        .spawn(move || control::serve(&control, &mut requests))
}
