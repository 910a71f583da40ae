//! Where a broker is.

use std::path::PathBuf;

/// What stands before the host of a broker that speaks TLS.
const TLS: &str = "enps://";
/// The same of one that doesn't; it may be left out.
const PLAIN: &str = "enp://";

/// A broker's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host name or IP address, and a TCP port.
    Tcp(String, u16),
    /// The same, where TLS is spoken.
    Tls(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// A host that begins with `/` is the path of a Unix socket; the port doesn't matter then. One
    /// that begins with `enps://` speaks TLS.
    pub fn new(host: &str, port: u16) -> Self {
        if host.starts_with('/') {
            return Self::Unix(host.into());
        }
        match host.strip_prefix(TLS) {
            Some(host) => Self::Tls(host.into(), port),
            None => Self::Tcp(host.strip_prefix(PLAIN).unwrap_or(host).into(), port),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (scheme, host, port) = match self {
            Self::Tcp(host, port) => ("", host, port),
            Self::Tls(host, port) => (TLS, host, port),
            Self::Unix(path) => return write!(f, "{}", path.display()),
        };
        match host.contains(':') {
            true => write!(f, "{scheme}[{host}]:{port}"),
            false => write!(f, "{scheme}{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_says_whether_tls_is_spoken() {
        for (host, shown) in [
            ("broker.example", "broker.example:7997"),
            ("enp://broker.example", "broker.example:7997"),
            ("enps://broker.example", "enps://broker.example:7997"),
            ("enps://::1", "enps://[::1]:7997"),
            ("/run/ens", "/run/ens"),
        ] {
            assert_eq!(Address::new(host, 7997).to_string(), shown);
        }
    }
}
