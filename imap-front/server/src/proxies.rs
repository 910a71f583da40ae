//! Proxies in front of the server: which connections begin with a header of theirs
//! ([`proto::proxy`]), and those whose header has not come.
//!
//! On a marked listener a proxy of the trusted networks must send a header, and of anybody else
//! none is looked for: what would be one is the client's own words then.

use std::net::{IpAddr, SocketAddr};

use admin::Config;
use admin::config::Networks;
use proto::proxy::{Header, Origin};

/// How long a header may take to come.
pub const HEADER_NS: u64 = 5_000_000_000;

/// Which proxies are trusted, and where.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    networks: Networks,
    imap: bool,
    lmtp: bool,
}

impl Proxies {
    /// As configured.
    pub fn from_config(config: &Config) -> Self {
        Self {
            networks: config.networks("service.proxy.networks"),
            imap: config.switch("service.imap.proxyprotocol"),
            lmtp: config.switch("service.lmtp.proxyprotocol"),
        }
    }

    /// Whether a listener's option and the networks agree.
    ///
    /// # Errors
    /// What to set.
    pub fn check(&self) -> Result<(), String> {
        let option = match (self.imap, self.lmtp) {
            (true, _) => "service.imap.proxyprotocol",
            (_, true) => "service.lmtp.proxyprotocol",
            (false, false) => return Ok(()),
        };
        if !self.networks.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{option} is on and service.proxy.networks names nobody: set it to the addresses of \
             your proxies"
        ))
    }

    /// Whether they may come to IMAP's listeners.
    pub fn come_to_imap(&self) -> bool {
        self.imap
    }

    /// Whether they may come to LMTP's TCP listeners.
    pub fn come_to_lmtp(&self) -> bool {
        self.lmtp
    }

    /// Whether what comes from an address to a marked door begins with a header.
    pub fn trust(&self, address: IpAddr) -> bool {
        self.networks.contain(address)
    }
}

/// A connection whose header has not come.
pub struct Arriving {
    /// The listener's number.
    pub listener: u8,
    /// The proxy.
    pub proxy: SocketAddr,
    /// What came of it.
    pub header: Header,
}

impl Arriving {
    /// Whose connection it is, by a header. Loopback is this host only if the proxy is here, too:
    /// another's is the proxy itself.
    pub fn peer(&self, origin: &Origin) -> SocketAddr {
        let here = self.proxy.ip().to_canonical().is_loopback();
        let is_elsewhere = |client: &SocketAddr| {
            let ip = client.ip();
            here || !ip.is_loopback() && !ip.is_unspecified()
        };
        origin.client.filter(is_elsewhere).unwrap_or(self.proxy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_of_another_host_is_that_host() {
        let peer = |proxy: &str, client: &str| {
            let arriving = Arriving {
                listener: 0,
                proxy: format!("{proxy}:1").parse().unwrap(),
                header: Header::default(),
            };
            let mut header = Header::default();
            let line = format!("PROXY TCP4 {client} 192.0.2.1 2 143\r\n");
            let (origin, _) = header.take(line.as_bytes()).unwrap().unwrap();
            arriving.peer(&origin).ip().to_string()
        };
        assert_eq!(peer("192.0.2.10", "203.0.113.7"), "203.0.113.7");
        assert_eq!(peer("192.0.2.10", "127.0.0.1"), "192.0.2.10");
        assert_eq!(peer("192.0.2.10", "0.0.0.0"), "192.0.2.10");
        assert_eq!(peer("127.0.0.2", "127.0.0.1"), "127.0.0.1");
    }
}
