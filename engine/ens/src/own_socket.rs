//! The Unix socket at which a service is asked by root and by its own user: `run/control` of
//! `imapd`, and that of `enpd`.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use reactor::listen;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::handover;

/// Only for the service's user, and root.
const MODE: u32 = 0o600;

/// The socket. Dropping it removes its name, unless another process has it by now.
pub struct OwnSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        if handover::owns_names() {
            // A socket that nobody listens on; the next start removes it, too.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl OwnSocket {
    /// Listens at a path: on the socket of that name that the process before has left, or anew. A
    /// socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// If it can't be bound, somebody listens there, or what is there is no socket.
    pub fn bind(name: &str, path: &Path) -> io::Result<Self> {
        let own = |listener| Self {
            listener,
            path: path.to_owned(),
        };
        if let Some(socket) = listen::inherited_at(name, path) {
            return Ok(own(socket.into()));
        }
        if let Ok(there) = std::fs::symlink_metadata(path) {
            if !there.file_type().is_socket() || is_listened_on(path) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
        Ok(own(listener))
    }

    /// Where it listens.
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

/// Whether somebody listens at a path; never waits.
fn is_listened_on(path: &Path) -> bool {
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    match connect() {
        Ok(()) => true,
        // Too many wait there already.
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_socket_and_what_is_listened_on_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control");
        std::fs::write(&path, "mail").expect("written");
        assert!(OwnSocket::bind("of-a-test", &path).is_err());
        assert_eq!(std::fs::read(&path).expect("it stays"), b"mail");
        std::fs::remove_file(&path).expect("removed");
        let first = OwnSocket::bind("of-a-test", &path).expect("bound");
        assert!(OwnSocket::bind("of-a-test", &path).is_err());
        // One that nobody listens on is replaced.
        let left = folder.path().join("left");
        drop(UnixListener::bind(&left).expect("bound"));
        OwnSocket::bind("of-a-test", &left).expect("replaced");
        drop(first);
        assert!(!path.exists());
    }
}
