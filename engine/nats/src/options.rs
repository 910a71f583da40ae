//! How a cluster is reached.

use std::{fmt, io};

use async_nats::ServerAddr;
use nkeys::KeyPair;

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
    #[error("{0:?} is no address of a NATS server, such as nats://host:4222 or tls://host: {1}")]
    Url(String, String),
    /// An address that says who asks.
    #[error("the address of {0} has a user: that belongs into a file of credentials")]
    User(String),
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

impl Options {
    /// Whether its addresses are some.
    ///
    /// # Errors
    /// The first that is none.
    pub fn check(&self) -> Result<(), StartError> {
        self.addresses().map(drop)
    }

    /// The servers' addresses.
    pub(crate) fn addresses(&self) -> Result<Vec<ServerAddr>, StartError> {
        let parse = |url: &String| {
            let none = |why: String| StartError::Url(url.clone(), why);
            let address: ServerAddr = url
                .parse()
                .map_err(|error: io::Error| none(error.to_string()))?;
            if address.has_user_pass() || address.password().is_some() {
                return Err(StartError::User(shown(&address)));
            }
            if address.is_websocket() {
                return Err(none("WebSockets are not spoken".into()));
            }
            if address.host().is_empty() {
                return Err(none("it names no host".into()));
            }
            Ok(address)
        };
        self.urls.iter().map(parse).collect()
    }
}

/// An address without what is nobody's business.
pub(crate) fn shown(address: &ServerAddr) -> String {
    let (scheme, host, port) = (address.scheme(), address.host(), address.port());
    match host.contains(':') {
        true => format!("{scheme}://[{host}]:{port}"),
        false => format!("{scheme}://{host}:{port}"),
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
        if !line.starts_with("SU") {
            return Err("its line is neither an nkey's seed (SU…) nor user:password".into());
        }
        match KeyPair::from_seed(line) {
            Ok(_) => Ok(Self::Nkey(line.into())),
            Err(_) => Err("its line is no nkey's seed, or not the whole of it".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_seed_or_a_password() {
        let read = |text: &str| Credentials::read(text);
        let seed = KeyPair::new_user().seed().expect("it has one");
        let file =
            format!("-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n");
        assert!(matches!(read(&file), Ok(Credentials::Nkey(read)) if read == seed));
        assert!(read("SUAB").is_err() && read(&seed[..seed.len() - 1]).is_err());
        let password = read("# of the bus\nens:a:b\n");
        assert!(
            matches!(password, Ok(Credentials::Password { user, password })
                if user == "ens" && password == "a:b")
        );
        assert!(read("").is_err() && read("SU-1").is_err() && read("a:b\nc:d").is_err());
    }

    #[test]
    fn an_address_has_a_host_and_no_password() {
        let check = |url: &str| {
            let options = Options {
                urls: vec![url.into()],
                name: String::new(),
                credentials: Credentials::None,
                tls: None,
                waiting_bytes_max: 0,
            };
            options.check().map_err(|error| error.to_string())
        };
        for url in [
            "nats://h:1",
            "tls://h",
            "h",
            "127.0.0.1:4222",
            "nats://[::1]:4222",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        for url in [
            "",
            " ",
            "nats://",
            "http://h",
            "ws://h",
            "nats://h:x",
            "nats://a b",
        ] {
            let error = check(url).expect_err(url);
            assert!(error.contains("is no address of a NATS server"), "{error}");
        }
        let error = check("nats://ens:secret@h:1").expect_err("it has a password");
        assert!(
            error.contains("nats://h:1") && !error.contains("secret"),
            "{error}"
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", Credentials::Nkey("SUAB".into()));
        assert_eq!(shown, "Nkey");
    }
}
