//! All ports and sockets of the process, taken before it has a second thread: so it can give up the
//! right to take them.

use std::net::TcpListener;

use admin::Config;
use ens::ready::Ready;
use reactor::listen::{self, ListenError};

use crate::broker;
use crate::certificates;
use crate::lmtp::{self, BindError};
use crate::options;

/// Why a port can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum PortsError {
    /// IMAP's.
    #[error(transparent)]
    Imap(#[from] ListenError),
    /// LMTP's.
    #[error(transparent)]
    Lmtp(#[from] BindError),
}

/// Where a shard's clients come in.
#[derive(Debug)]
pub struct ShardPorts {
    /// Their listeners.
    pub listeners: Vec<TcpListener>,
    /// Which of them begin with a TLS handshake.
    pub implicit: Vec<u8>,
}

/// Everything that is listened on. Nobody is accepted yet.
pub struct Ports {
    /// IMAP, a listener a shard; none if its port is off.
    pub(crate) imap: Vec<TcpListener>,
    /// IMAP over TLS, the same.
    pub(crate) imap_tls: Vec<TcpListener>,
    /// The broker's, if it is in this process.
    pub(crate) broker: Option<ens::server::Bound>,
    /// LMTP's.
    pub(crate) lmtp: lmtp::Listeners,
}

impl Ports {
    /// Takes what the configuration asks for. Mail doesn't need the broker: if it can't have its
    /// port, that is reported, and the rest serves.
    ///
    /// # Errors
    /// If a port of mail can't be taken.
    pub fn bind(config: &Config, ready: &mut Ready) -> Result<Self, PortsError> {
        let count = usize::from(options::shards(config));
        let imap = match config.imap_address() {
            Some(address) => listen::listeners("imap", "service.imap.port", address, count)?,
            None => vec![],
        };
        let certified = certificates::are_there(config.base());
        let imap_tls = match config.imap_tls_address().filter(|_| certified) {
            Some(address) => listen::listeners("imaps", "service.imap.sslport", address, count)?,
            None => vec![],
        };
        let broker = broker::bind(config).unwrap_or_else(|error| {
            ready.part_failed("ens", &error);
            None
        });
        let socket = config.path("service.lmtp.socket");
        let lmtp = lmtp::Listeners::bind(config.lmtp_address(), socket.as_deref())?;
        Ok(Self {
            imap,
            imap_tls,
            broker,
            lmtp,
        })
    }

    /// A line for each port of IMAP.
    pub(crate) fn listening(&self) -> Vec<String> {
        let services = [("imap", &self.imap), ("imaps", &self.imap_tls)];
        let line = |(name, listeners): (&str, &Vec<TcpListener>)| {
            let address = listeners.first()?.local_addr().ok()?;
            Some(format!("{name} listening on {address}"))
        };
        services.into_iter().filter_map(line).collect()
    }
}

/// Deals IMAP's listeners out to the shards.
pub(crate) fn by_shard(imap: Vec<TcpListener>, imap_tls: Vec<TcpListener>) -> Vec<ShardPorts> {
    let count = imap.len().max(imap_tls.len());
    let (mut imap, mut imap_tls) = (imap.into_iter(), imap_tls.into_iter());
    let each = (0..count).map(|_| {
        let mut listeners: Vec<TcpListener> = imap.next().into_iter().collect();
        let first = listeners.len() as u8;
        listeners.extend(imap_tls.next());
        let implicit = (first..listeners.len() as u8).collect();
        ShardPorts {
            listeners,
            implicit,
        }
    });
    each.collect()
}
