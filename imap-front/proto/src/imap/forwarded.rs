//! Fields of the command ID by which proxies and webmail name the client they speak for, as Dovecot
//! and nginx send them: `x-originating-ip` and `x-session-id`. Others (`x-originating-port`,
//! `x-connected-ip`, `x-connected-port`, `x-proxy-ttl`) are of no use here.

use std::net::IpAddr;

use super::ast::IdField;

/// Bytes of a session's name that are kept.
const NAME_MAX: usize = 64;

/// The client behind whoever sent ID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Its address; one of IPv4 as such.
    pub address: Option<IpAddr>,
    /// What its session is called there: printable ASCII.
    pub session: Option<Box<str>>,
}

impl Forwarded {
    /// What the fields say; none if they name nobody. A value that is none says nothing.
    pub(super) fn of(fields: &[IdField]) -> Option<Self> {
        let value = |name: &str| {
            let is_it = |(field, _): &&IdField| field.eq_ignore_ascii_case(name.as_bytes());
            let (_, value) = fields.iter().find(is_it)?;
            std::str::from_utf8(value.as_ref()?).ok()
        };
        let address = value("x-originating-ip").and_then(|it| it.parse::<IpAddr>().ok());
        let address = address.map(|address| address.to_canonical());
        // Loopback there is not loopback here.
        let elsewhere = |it: &IpAddr| !it.is_loopback() && !it.is_unspecified();
        let is_name = |name: &&str| {
            let printable = name.bytes().all(|byte| byte.is_ascii_graphic());
            printable && !name.is_empty() && name.len() <= NAME_MAX
        };
        let it = Self {
            address: address.filter(elsewhere),
            session: value("x-session-id").filter(is_name).map(Into::into),
        };
        (it != Self::default()).then_some(it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(&str, &str)]) -> Option<Forwarded> {
        let field = |(name, value): &(&str, &str)| {
            (name.as_bytes().to_vec(), Some(value.as_bytes().to_vec()))
        };
        Forwarded::of(&fields.iter().map(field).collect::<Vec<_>>())
    }

    #[test]
    fn a_client_is_named_by_its_address_and_its_session() {
        let all = of(&[
            ("name", "nginx"),
            ("X-Originating-IP", "::ffff:203.0.113.7"),
            ("x-originating-port", "8080"),
            ("x-connected-ip", "192.0.2.1"),
            ("x-session-id", "q+1/a"),
            ("x-proxy-ttl", "5"),
        ]);
        let all = all.unwrap();
        assert_eq!(all.address, Some([203, 0, 113, 7].into()));
        assert_eq!(all.session.as_deref(), Some("q+1/a"));
        for nobody in [
            "somewhere",
            "127.0.0.1",
            "::ffff:127.0.0.9",
            "::1",
            "0.0.0.0",
        ] {
            assert_eq!(of(&[("x-originating-ip", nobody)]), None, "{nobody}");
        }
        assert_eq!(of(&[("x-session-id", "a\nlogin failed")]), None);
        assert_eq!(of(&[("x-session-id", &"a".repeat(65))]), None);
        assert_eq!(of(&[("name", "client")]), None);
        assert_eq!(Forwarded::of(&[(b"x-originating-ip".to_vec(), None)]), None);
    }
}
