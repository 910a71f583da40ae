//! The base directory (msg-svr-base): every program finds it from where it lies itself.

use std::io;
use std::path::{Path, PathBuf};

/// A base directory.
#[derive(Clone, Debug)]
pub struct Base {
    root: PathBuf,
}

impl Base {
    /// The base directory at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The base directory that holds the running program in its `sbin/` or `lib/`.
    ///
    /// # Errors
    /// If the program's own path can't be found, or it has no folder two levels up.
    pub fn of_this_program() -> io::Result<Self> {
        let program = std::env::current_exe()?.canonicalize()?;
        let root = program.parent().and_then(Path::parent).ok_or_else(|| {
            io::Error::other(format!("{} lies in no base directory", program.display()))
        })?;
        Ok(Self::new(root))
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `path` as it is, if it is absolute; else below the base directory.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// What the administrator set.
    pub fn msg_conf(&self) -> PathBuf {
        self.root.join("config/msg.conf")
    }

    /// What the release sets.
    pub fn msg_conf_defaults(&self) -> PathBuf {
        self.root.join("config/msg.conf.defaults")
    }

    /// The user directory.
    pub fn users(&self) -> PathBuf {
        self.root.join("config/users")
    }

    /// On which host each user's mail is, for proxies in front of several.
    pub fn hosts(&self) -> PathBuf {
        self.root.join("config/hosts")
    }

    /// Certificates and their keys.
    pub fn tls(&self) -> PathBuf {
        self.root.join("config/tls")
    }

    /// The broker's environment, such as who may connect.
    pub fn ens_environment(&self) -> PathBuf {
        self.root.join("config/ens.env")
    }

    /// The message store.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Verifiers for SCRAM that the server made at logins.
    pub fn verifiers(&self) -> PathBuf {
        self.data().join("verifiers")
    }

    /// What whoever looks at metrics from another host has to show.
    pub fn http_token(&self) -> PathBuf {
        self.data().join("http.token")
    }

    /// Log files.
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Process ids, sockets and locks.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The socket on which the running server answers the administrator's tools.
    pub fn control(&self) -> PathBuf {
        self.run().join("control")
    }

    /// What the running server has in force.
    pub fn status(&self) -> PathBuf {
        self.run().join("imapd.status")
    }

    /// What the server has counted, as of the last SIGUSR1.
    pub fn statistics(&self) -> PathBuf {
        self.run().join("imapd.statistics")
    }

    /// Where another version of the broker asks for all connections.
    pub fn broker_control(&self) -> PathBuf {
        self.run().join("enpd.control")
    }

    /// What a service, by its program, answered when it was last told to refresh.
    pub fn refreshed(&self, program: &str) -> PathBuf {
        self.run().join(format!("{program}.refreshed"))
    }

    /// A program that is not for people to start: `imapd`, `enpd`, `watcher`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.root.join("lib").join(name)
    }
}
