//! All ports and sockets of the process, taken before it has a second thread: so it can give up the
//! right to take them.

use std::net::TcpListener;

use admin::Config;
use ens::ready::Ready;
use reactor::listen::{self, ListenError};

use crate::broker;
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

/// Everything that is listened on. Nobody is accepted yet.
pub struct Ports {
    /// IMAP, a listener a shard; none if its port is off.
    pub(crate) imap: Vec<TcpListener>,
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
        let imap = match config.imap_address() {
            Some(address) => {
                let count = usize::from(options::shards(config));
                listen::listeners("imap", "service.imap.port", address, count)?
            }
            None => vec![],
        };
        let broker = broker::bind(config).unwrap_or_else(|error| {
            ready.part_failed("ens", &error);
            None
        });
        let socket = config.path("service.lmtp.socket");
        let lmtp = lmtp::Listeners::bind(config.lmtp_address(), socket.as_deref())?;
        Ok(Self { imap, broker, lmtp })
    }
}
