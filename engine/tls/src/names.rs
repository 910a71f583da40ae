//! Which certificate a client is shown (RFC 6066 §3, RFC 6125 §6.4.3).

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::identity::Identity;

/// Certificates by name. A client that names none, or one that nobody has, is shown the first.
#[derive(Debug)]
pub(crate) struct Names {
    by_name: HashMap<String, Vec<Arc<CertifiedKey>>>,
    first: Vec<Arc<CertifiedKey>>,
}

impl Names {
    pub fn new(identities: &[Identity]) -> Self {
        let mut by_name: HashMap<String, Vec<Arc<CertifiedKey>>> = HashMap::default();
        for identity in identities {
            for name in identity.names() {
                let keys = by_name.entry(name.clone()).or_default();
                keys.push(identity.certified());
            }
        }
        // Those with the first one's name may have a key of another kind, which more clients take.
        let first = identities.first().map(|first| {
            let same = identities
                .iter()
                .skip(1)
                .filter(|it| !it.names().is_empty() && it.names() == first.names());
            std::iter::once(first).chain(same)
        });
        let first = first.into_iter().flatten().map(Identity::certified);
        Self {
            first: first.collect(),
            by_name,
        }
    }

    /// The certificates of a name: its own, else those for all names beside it, else the first.
    fn find(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            return &self.first;
        };
        let beside = || {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(&format!("*.{parent}"))
        };
        let found = self.by_name.get(&name).or_else(beside);
        found.map_or(&self.first, Vec::as_slice)
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = self.find(hello.server_name());
        let takes = |key: &&Arc<CertifiedKey>| {
            let schemes = hello.signature_schemes();
            key.key.choose_scheme(schemes).is_some()
        };
        keys.iter().find(takes).or(keys.first()).cloned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
    use super::*;

    fn identity(names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = made.signing_key.serialize_pem();
        Identity::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).unwrap()
    }

    #[test]
    fn a_name_is_found_exactly_then_by_its_wildcard_then_the_first() {
        let all = [
            identity(&["first.example"]),
            identity(&["*.Example.org"]),
            identity(&["mail.example.org"]),
        ];
        let names = Names::new(&all);
        let found = |name| names.find(name)[0].cert[0].clone();
        let is = |at: usize| all[at].certified().cert[0].clone();
        assert_eq!(found(Some("MAIL.example.ORG")), is(2));
        assert_eq!(found(Some("imap.example.org")), is(1));
        // A wildcard is one label, and not the domain itself.
        assert_eq!(found(Some("a.b.example.org")), is(0));
        assert_eq!(found(Some("example.org")), is(0));
        assert_eq!(found(Some("nobody")), is(0));
        assert_eq!(found(None), is(0));
    }
}
