//! Proxies in front of the server: which connections begin with a header of theirs
//! ([`proto::proxy`]), and those whose header has not come.
//!
//! On a marked listener a proxy of the trusted networks must send a header, and of anybody else
//! none is looked for: what would be one is the client's own words then.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use admin::Config;
use admin::config::Networks;
use proto::proxy::{Header, Origin};

use crate::front::Behind;

/// How long a header may take to come.
pub const HEADER_NS: u64 = 5_000_000_000;

/// Which proxies are trusted, and where.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    networks: Networks,
    imap: bool,
    lmtp: bool,
    /// TLS that ends at them is as good as ours.
    tls: bool,
}

/// Whose address nobody knows who came to a proxy of this host: it counts as one that is not this
/// host's.
const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Proxies {
    /// As configured.
    pub fn from_config(config: &Config) -> Self {
        Self {
            networks: config.networks("service.proxy.networks"),
            imap: config.switch("service.imap.proxyprotocol"),
            lmtp: config.switch("service.lmtp.proxyprotocol"),
            // A certificate that the proxy has seen, or not, does not come here.
            tls: config.word("ssl.clientcerts") != "required",
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

    /// What a header tells of a connection.
    pub(crate) fn behind(&self, origin: &Origin) -> Behind {
        Behind {
            tls: self.tls && origin.tls,
            known: origin.own || origin.client.is_some(),
        }
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
    /// another's is the proxy itself. Whom a proxy here doesn't know is not this host.
    pub fn peer(&self, origin: &Origin) -> SocketAddr {
        let here = self.proxy.ip().to_canonical().is_loopback();
        match origin.client {
            Some(client) if here || !is_nowhere(client.ip()) => client,
            None if here && !origin.own => UNKNOWN,
            _ => self.proxy,
        }
    }
}

fn is_nowhere(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_at_a_proxy_is_none_where_clients_must_show_certificates() {
        let folder = tempfile::tempdir().unwrap();
        let base = admin::Base::new(folder.path());
        std::fs::create_dir_all(folder.path().join("config")).unwrap();
        let origin = Origin {
            client: None,
            own: false,
            tls: true,
        };
        for (text, tls) in [("", true), ("ssl.clientcerts = required\n", false)] {
            std::fs::write(base.msg_conf(), text).unwrap();
            let proxies = Proxies::from_config(&Config::load(&base).unwrap());
            let known = false;
            assert_eq!(proxies.behind(&origin), Behind { tls, known });
        }
    }

    #[test]
    fn loopback_of_another_host_is_that_host() {
        let peer = |proxy: &str, said: &str| {
            let arriving = Arriving {
                listener: 0,
                proxy: format!("{proxy}:1").parse().unwrap(),
                header: Header::default(),
            };
            let mut header = Header::default();
            let line = match said {
                "UNKNOWN" => "PROXY UNKNOWN\r\n".to_owned(),
                client => format!("PROXY TCP4 {client} 192.0.2.1 2 143\r\n"),
            };
            let (origin, _) = header.take(line.as_bytes()).unwrap().unwrap();
            arriving.peer(&origin).ip().to_string()
        };
        assert_eq!(peer("192.0.2.10", "203.0.113.7"), "203.0.113.7");
        assert_eq!(peer("192.0.2.10", "127.0.0.1"), "192.0.2.10");
        assert_eq!(peer("192.0.2.10", "0.0.0.0"), "192.0.2.10");
        assert_eq!(peer("127.0.0.2", "127.0.0.1"), "127.0.0.1");
        assert_eq!(peer("192.0.2.10", "UNKNOWN"), "192.0.2.10");
        assert_eq!(peer("127.0.0.2", "UNKNOWN"), "0.0.0.0");
    }
}
