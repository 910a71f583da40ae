//! How a cluster is reached.

use std::{fmt, io};

/// Where the cluster is, and who asks.
#[derive(Clone, Debug)]
pub struct Options {
    /// Servers, `nats://host:port` or `tls://host:port`; one is enough, the others are told by it.
    pub urls: Vec<String>,
    /// What the servers call this client.
    pub name: String,
    /// How it proves who it is.
    pub credentials: Credentials,
    /// What TLS is spoken with, where it is; without it by authorities that the system knows.
    pub tls: Option<rustls::ClientConfig>,
    /// Bytes of messages that may have come and not been taken, and as many that were ordered and
    /// have not left. One of any size goes.
    pub waiting_bytes_max: usize,
}

/// Why there can't be a connection, ever.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address.
    #[error("{0} is no address of a NATS server: {1}")]
    Url(String, String),
    /// The kernel.
    #[error("can't start the thread of NATS: {0}")]
    Thread(#[from] io::Error),
}

/// How a client proves who it is.
#[derive(Clone, Default)]
pub enum Credentials {
    /// It doesn't.
    #[default]
    None,
    /// By the seed of an nkey (`SU…`).
    Nkey(String),
    /// By a password.
    Password {
        /// The user.
        user: String,
        /// It.
        password: String,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Nkey(_) => "Nkey",
            Self::Password { .. } => "Password",
        })
    }
}

impl Credentials {
    /// From the text of a file: an nkey's seed on a line of its own, or `user:password`. Lines that
    /// begin with `#` or `-`, as those around a seed do, are passed over.
    ///
    /// # Errors
    /// What the file lacks.
    pub fn read(text: &str) -> Result<Self, String> {
        let is_said = |line: &&str| !line.is_empty() && !line.starts_with(['#', '-']);
        let mut lines = text.lines().map(str::trim).filter(is_said);
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Err("one line is needed: an nkey's seed, or user:password".into());
        };
        if let Some((user, password)) = line.split_once(':') {
            return Ok(Self::Password {
                user: user.into(),
                password: password.into(),
            });
        }
        if line.starts_with("SU") && line.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Self::Nkey(line.into()));
        }
        Err("its line is neither an nkey's seed (SU…) nor user:password".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_seed_or_a_password() {
        let read = |text: &str| Credentials::read(text);
        let seed = "-----BEGIN USER NKEY SEED-----\nSUAB\n------END USER NKEY SEED------\n";
        assert!(matches!(read(seed), Ok(Credentials::Nkey(seed)) if seed == "SUAB"));
        let password = read("# of the bus\nens:a:b\n");
        assert!(
            matches!(password, Ok(Credentials::Password { user, password })
                if user == "ens" && password == "a:b")
        );
        assert!(read("").is_err() && read("SU-1").is_err() && read("a:b\nc:d").is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", Credentials::Nkey("SUAB".into()));
        assert_eq!(shown, "Nkey");
    }
}
