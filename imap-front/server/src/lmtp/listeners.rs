//! Where deliverers come in: a TCP listener a shard, and a Unix socket.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use reactor::listen::{self, ListenError};

use crate::handover;

/// Connections that may wait to be accepted on a Unix socket.
const BACKLOG: i32 = 1024;
/// Everybody who reaches the path may deliver; its folder's mode says who does.
const SOCKET_MODE: u32 = 0o666;

/// Why LMTP can't listen, for the administrator.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// On TCP.
    #[error(transparent)]
    Tcp(#[from] ListenError),
    /// On a Unix socket.
    #[error("lmtp: can't listen on {}: {cause}; set service.lmtp.socket to a path that can be \
             used", path.display())]
    Unix {
        /// The path.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// All listeners of LMTP.
pub struct Listeners {
    /// On TCP, one a shard; none if that is off.
    pub tcp: Vec<TcpListener>,
    /// On a Unix socket, if there is one.
    pub unix: Option<OwnedFd>,
    /// Where that is.
    pub path: Option<SocketPath>,
}

/// A Unix socket's name; dropping it removes it.
pub struct SocketPath(PathBuf);

impl Drop for SocketPath {
    fn drop(&mut self) {
        if handover::owns_names() {
            // A socket that nobody listens on; the next start removes it, too.
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

impl Listeners {
    /// Listens on an address with so many listeners, a Unix socket, or both. Nobody is accepted
    /// yet.
    ///
    /// # Errors
    /// If one can't be bound.
    pub fn bind(
        address: Option<SocketAddr>,
        socket: Option<&Path>,
        count: usize,
    ) -> Result<Self, BindError> {
        let tcp = match address {
            Some(address) => listen::listeners("lmtp", "service.lmtp.port", address, count)?,
            None => vec![],
        };
        let unix = socket
            .map(|path| {
                let inherited = listen::inherited_at(handover::LMTP_SOCKET, path);
                let socket = inherited.map_or_else(|| unix(path), |it| Ok(it.into()));
                socket.map_err(|cause| BindError::Unix {
                    path: path.to_owned(),
                    cause,
                })
            })
            .transpose()?;
        Ok(Self {
            tcp,
            path: unix
                .is_some()
                .then_some(socket)
                .flatten()
                .map(|path| SocketPath(path.to_owned())),
            unix: unix.map(OwnedFd::from),
        })
    }

    /// Lines such as `lmtp listening on 127.0.0.1:24`.
    pub fn listening(&self) -> Vec<String> {
        let tcp = self.tcp.first().and_then(|first| first.local_addr().ok());
        let tcp = tcp.map(|address| address.to_string());
        let unix = self.path.as_ref().map(|path| path.0.display().to_string());
        let names = tcp.into_iter().chain(unix);
        names
            .map(|name| format!("lmtp listening on {name}"))
            .collect()
    }
}

/// Listens on a path. A socket that a server left there is replaced; one that a server listens on,
/// or anything else, is not.
fn unix(path: &Path) -> io::Result<Socket> {
    let address = SockAddr::unix(path)?;
    if let Ok(there) = std::fs::symlink_metadata(path) {
        let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        if !there.file_type().is_socket() || probe.connect(&address).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&address)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_left_behind_are_replaced_and_used_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let bind = || Listeners::bind(None, Some(&path), 1);
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let first = bind().unwrap();
        let error = bind().err().unwrap().to_string();
        assert!(error.contains("service.lmtp.socket"), "{error}");
        drop(first);
        assert!(!path.exists());
        std::fs::write(&path, "precious").unwrap();
        assert!(bind().is_err());
        assert!(path.exists());
    }
}
