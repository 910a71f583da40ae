//! Networks as options name them.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::kind;

/// Networks: addresses, and addresses with the length of a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// From a text such as `192.0.2.1, 10.0.0.0/8 2001:db8::/32`.
    ///
    /// # Errors
    /// Which part is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let network = |part: &str| {
            let alone = |_| part.parse::<IpAddr>().map(IpNet::from);
            let parsed = part.parse::<IpNet>().or_else(alone);
            parsed.map(canonical).map_err(|_| part.to_owned())
        };
        kind::names(text)
            .map(network)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is in one of them. One of IPv4 that came by an IPv6 socket is of IPv4.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// A network of IPv4 that is written as one of IPv6 is of IPv4.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else {
        return network;
    };
    let prefix = mapped.prefix_len().checked_sub(96);
    let address = mapped.addr().to_ipv4_mapped();
    let of_ipv4 = address
        .zip(prefix)
        .map(|(it, prefix)| Ipv4Net::new(it, prefix));
    of_ipv4.and_then(Result::ok).map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_prefixes() {
        let networks = Networks::parse("192.0.2.1, 10.0.0.0/8 2001:db8::/32").unwrap();
        let contain = |address: &str| networks.contain(address.parse().unwrap());
        for inside in ["192.0.2.1", "10.9.8.7", "2001:db8:1::1", "::ffff:10.0.0.1"] {
            assert!(contain(inside), "{inside}");
        }
        for outside in ["192.0.2.2", "11.0.0.1", "2001:db9::1", "::1", "127.0.0.1"] {
            assert!(!contain(outside), "{outside}");
        }
        assert!(Networks::parse("").unwrap().is_empty());
        let mapped = Networks::parse("::ffff:192.0.2.10, ::ffff:10.0.0.0/104").unwrap();
        for inside in ["192.0.2.10", "::ffff:192.0.2.10", "10.1.1.1"] {
            assert!(mapped.contain(inside.parse().unwrap()), "{inside}");
        }
        for bad in ["10.0.0.0/33", "10.0.0", "localhost", "10.0.0.0/255.0.0.0"] {
            assert_eq!(Networks::parse(bad), Err(bad.to_owned()));
        }
    }
}
