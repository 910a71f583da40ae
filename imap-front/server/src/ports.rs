//! All ports and sockets of the process, taken before it has a second thread: so it can give up the
//! right to take them.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;

use admin::Config;
use ens::ready::Ready;
use reactor::listen::{self, ListenError};

use crate::admin_socket::AdminSocket;
use crate::broker;
use crate::certificates;
use crate::handover;
use crate::host::Door;
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

/// Where a shard's clients and deliverers come in.
#[derive(Debug)]
pub struct ShardPorts {
    /// Its listeners, and what each lets in.
    pub listeners: Vec<(Door, OwnedFd)>,
    /// Whether those of IMAP can only be reached from this host.
    pub loopback: bool,
}

/// Everything that is listened on. Nobody is accepted yet.
pub struct Ports {
    /// IMAP, a listener a shard; none if its port is off.
    pub(crate) imap: Vec<TcpListener>,
    /// IMAP over TLS, the same.
    pub(crate) imaps: Vec<TcpListener>,
    /// The broker's, if it is in this process.
    pub(crate) broker: Option<ens::server::Bound>,
    /// LMTP's.
    pub(crate) lmtp: lmtp::Listeners,
    /// The administrator's, if it can be had.
    pub(crate) admin: Option<AdminSocket>,
    /// That of metrics and health, if it is wanted and can be had.
    pub(crate) http: Option<TcpListener>,
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
        let imaps = match config.imap_tls_address() {
            Some(address) => listen::listeners("imaps", "service.imap.sslport", address, count),
            None => Ok(vec![]),
        };
        let imaps = match imaps {
            Err(error) if !certified => {
                tracing::warn!("{error}; config/tls/ holds no certificate, so the rest serves");
                vec![]
            }
            taken => taken?,
        };
        let broker = broker::bind(config).unwrap_or_else(|error| {
            ready.part_failed("ens", &error);
            None
        });
        let socket = config.path("service.lmtp.socket");
        let lmtp = lmtp::Listeners::bind(config.lmtp_address(), socket.as_deref(), count)?;
        let admin = admin::Base::new(config.base()).control();
        // Mail doesn't need it.
        let admin = AdminSocket::bind(&admin).inspect_err(|error| {
            let path = admin.display();
            tracing::error!("can't listen on {path}: {error}; no tool can ask this server");
        });
        let http = config.http_address().map(|address| {
            let listeners = listen::listeners("http", "service.http.port", address, 1);
            listeners.inspect_err(|error| ready.part_failed("http", error))
        });
        let http = http.and_then(|listeners| listeners.ok()?.into_iter().next());
        Ok(Self {
            admin: admin.ok(),
            http,
            imap,
            imaps,
            broker,
            lmtp,
        })
    }

    /// Other descriptors of all that is listened on, with names by which another process inherits
    /// them.
    ///
    /// # Errors
    /// If the process may have no more.
    pub(crate) fn copies(&self) -> io::Result<Vec<(&'static str, OwnedFd)>> {
        let ports = [
            ("imap", &self.imap),
            ("imaps", &self.imaps),
            ("lmtp", &self.lmtp.tcp),
        ];
        let copy = |name, port: &TcpListener| Ok((name, OwnedFd::from(port.try_clone()?)));
        let ports = ports
            .into_iter()
            .flat_map(|(name, ports)| ports.iter().map(move |port| copy(name, port)));
        let mut copies = ports.collect::<io::Result<Vec<_>>>()?;
        if let Some(socket) = &self.lmtp.unix {
            copies.push((handover::LMTP_SOCKET, socket.try_clone()?));
        }
        if let Some(http) = &self.http {
            copies.push(copy("http", http)?);
        }
        if let Some(admin) = &self.admin {
            copies.push((handover::CONTROL, admin.copy()?));
        }
        if let Some(broker) = &self.broker {
            copies.extend(broker.copies()?);
        }
        Ok(copies)
    }

    /// A line for each port of IMAP. That of TLS is of no use yet without a certificate.
    pub(crate) fn listening(&self, certified: bool) -> Vec<String> {
        let services = [("imap", &self.imap), ("imaps", &self.imaps)];
        let line = |(name, listeners): (&str, &Vec<TcpListener>)| {
            let address = listeners.first()?.local_addr().ok()?;
            let waits = match name {
                "imaps" if !certified => ", of use once config/tls/ holds a certificate",
                _ => "",
            };
            Some(format!("{name} listening on {address}{waits}"))
        };
        services.into_iter().filter_map(line).collect()
    }
}

/// Deals the listeners of IMAP and LMTP out to so many shards; the Unix socket is the first one's.
pub(crate) fn by_shard(
    imap: Vec<TcpListener>,
    imaps: Vec<TcpListener>,
    lmtp: (Vec<TcpListener>, Option<OwnedFd>),
    shards: u16,
) -> Vec<ShardPorts> {
    let (lmtp, mut socket) = lmtp;
    let (mut imap, mut imaps, mut lmtp) = (imap.into_iter(), imaps.into_iter(), lmtp.into_iter());
    let each = (0..shards).map(|_| {
        let clients = [(Door::Imap, imap.next()), (Door::Imaps, imaps.next())];
        let loopback = clients.iter().all(|(_, listener)| {
            let address = listener.as_ref().map(TcpListener::local_addr);
            address.is_none_or(|it| it.is_ok_and(|address| address.ip().is_loopback()))
        });
        let tcp = clients.into_iter().chain([(Door::Lmtp, lmtp.next())]);
        let tcp = tcp.map(|(door, listener)| (door, listener.map(OwnedFd::from)));
        let all = tcp.chain([(Door::LmtpSocket, socket.take())]);
        ShardPorts {
            listeners: all.filter_map(|(door, it)| Some((door, it?))).collect(),
            loopback,
        }
    });
    each.collect()
}
