//! The map of users and hosts: lines `user address`, `@domain address`, `* address`; `moving` in
//! the place of an address.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use ahash::AHashMap;

use crate::lines::{self, LinesError};
use crate::users::canonical;

/// The longest line of the map, in bytes.
const LINE_BYTES_MAX: usize = 256;
/// The word in the place of a host's address.
const MOVING: &str = "moving";

/// Where a user's mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the host with that address.
    Host(IpAddr),
    /// On its way from one host to another: nobody may come now.
    Moving,
}

/// The map.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// By users' canonical names, `@domain` and `*`.
    places: AHashMap<Box<str>, Place>,
}

impl Hosts {
    /// Reads the map. A file that doesn't exist names nobody.
    ///
    /// # Errors
    /// The first line that is not in order, or a file that can't be read.
    pub fn read(path: &Path) -> Result<Self, LinesError> {
        let mut places = AHashMap::new();
        lines::each(path, |number, line| {
            if lines::is_blank(line) {
                return Ok(());
            }
            let (name, place) =
                parse(line).map_err(|reason| LinesError::line(path, number, reason))?;
            match places.insert(name, place) {
                None => Ok(()),
                Some(_) => Err(LinesError::line(
                    path,
                    number,
                    "an earlier line has that name",
                )),
            }
        })?;
        Ok(Self { places })
    }

    /// Where the mail is of whoever calls themselves that, as far as the map names them.
    pub fn find(&self, name: &str) -> Option<Place> {
        let name = canonical(name).ok()?;
        self.places.get(&name).copied()
    }

    /// Where the mail is of those of the name's domain, or of everybody, whom the map doesn't name.
    pub fn find_others(&self, name: &str) -> Option<Place> {
        let name = canonical(name).ok()?;
        let of_domain = name.find('@').and_then(|at| self.places.get(&name[at..]));
        of_domain.or_else(|| self.places.get("*")).copied()
    }

    /// The map as a passwd-file of Dovecot (`proxy=y` and the port are the passdb's defaults).
    /// Dovecot knows no domains there; `*` is for a second passdb.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_for_dovecot(&self, to: &mut dyn Write) -> io::Result<()> {
        for (name, place) in self.sorted(|name| !name.starts_with(['@', '*'])) {
            match place {
                Place::Host(address) => writeln!(to, "{name}:::::::host={address}")?,
                Place::Moving => writeln!(to, "{name}:::::::nologin")?,
            }
        }
        Ok(())
    }

    /// The map as a table for Postfix's transport_maps. Users without a domain get that one; what
    /// is for `*` is for the domain's others.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_for_postfix(&self, domain: &str, port: u16, to: &mut dyn Write) -> io::Result<()> {
        let own = format!("@{domain}");
        for (name, place) in self.sorted(|_| true) {
            let key = match name.split_once('@') {
                None if name == "*" && self.places.contains_key(&*own) => continue,
                None if name == "*" => domain.to_owned(),
                None => format!("{name}{own}"),
                Some(("", domain)) => domain.to_owned(),
                Some(_) => name.to_owned(),
            };
            match place {
                Place::Host(address) => {
                    let address = SocketAddr::new(address, port);
                    match address {
                        SocketAddr::V4(_) => writeln!(to, "{key} lmtp:inet:{address}")?,
                        SocketAddr::V6(_) => {
                            writeln!(to, "{key} lmtp:inet:[ipv6:{}]:{port}", address.ip())?;
                        }
                    }
                }
                // RFC 3463: a persistent transient failure of the mailbox's system.
                Place::Moving => writeln!(to, "{key} retry:4.2.1 {MOVES}")?,
            }
        }
        Ok(())
    }

    fn sorted(&self, wanted: impl Fn(&str) -> bool) -> Vec<(&str, Place)> {
        let named = self.places.iter().map(|(name, place)| (&**name, *place));
        let mut all: Vec<_> = named.filter(|(name, _)| wanted(name)).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }
}

/// What is said of a user who is kept out.
pub(super) const MOVES: &str = "This mailbox is being moved, try again in a few minutes";

fn parse(line: &[u8]) -> Result<(Box<str>, Place), String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("the line is longer than {LINE_BYTES_MAX} bytes"));
    }
    let line = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8")?;
    let mut words = line.split_ascii_whitespace();
    let (Some(name), Some(place), None) = (words.next(), words.next(), words.next()) else {
        return Err("the line must be a name and a host's address, such as fred 192.0.2.11".into());
    };
    let name = match name.strip_prefix('@') {
        // A domain is what may stand behind a user.
        Some(domain) => canonical(&format!("x@{domain}"))?[1..].into(),
        None if name == "*" => name.into(),
        None => canonical(name)?,
    };
    let place = match place.parse() {
        Ok(address) => Place::Host(address),
        Err(_) if place == MOVING => Place::Moving,
        Err(_) => {
            return Err(format!(
                "{place} is neither an address of a host nor {MOVING}"
            ));
        }
    };
    Ok((name, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Result<Hosts, LinesError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        std::fs::write(&path, text).unwrap();
        Hosts::read(&path)
    }

    fn host(text: &str) -> Option<Place> {
        Some(Place::Host(text.parse().unwrap()))
    }

    const TEXT: &str = "# where everybody is\n\nfred 192.0.2.11\nMary@Example.org\t2001:db8::1\n\
                        ann moving\n@example.org 192.0.2.12\n* 192.0.2.13\n";

    #[test]
    fn a_name_comes_before_its_domain_and_that_before_everybody() {
        let map = map(TEXT).unwrap();
        assert_eq!(map.find("Fred"), host("192.0.2.11"));
        assert_eq!(map.find("mary@example.ORG"), host("2001:db8::1"));
        assert_eq!(map.find("ann"), Some(Place::Moving));
        assert_eq!(map.find("bob@example.org"), None);
        assert_eq!(map.find_others("bob@example.org"), host("192.0.2.12"));
        assert_eq!(map.find_others("bob@example.com"), host("192.0.2.13"));
        for no_name in ["", "@example.org", "*", "a b", "x\r\nAuth-Server: 1"] {
            assert_eq!((map.find(no_name), map.find_others(no_name)), (None, None));
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, reason) in [
            ("fred\n", "line 1: the line must be"),
            ("fred 192.0.2.11 143\n", "line 1: the line must be"),
            (
                "\nfred mail.example.org\n",
                "line 2: mail.example.org is neither",
            ),
            ("fred 192.0.2.11:143\n", "line 1: 192.0.2.11:143 is neither"),
            (
                "fred 192.0.2.1\nFRED 192.0.2.1\n",
                "line 2: an earlier line",
            ),
            ("@a@b 192.0.2.1\n", "line 1: a name can contain @ only once"),
            ("a/b 192.0.2.1\n", "line 1: a name can't contain"),
        ] {
            let error = map(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
        assert_eq!(
            Hosts::read(Path::new("/nowhere/hosts")).unwrap(),
            Hosts::default()
        );
    }

    #[test]
    fn tables_of_others_say_the_same() {
        let (mut dovecot, mut postfix) = (Vec::new(), Vec::new());
        let map = map(TEXT).unwrap();
        map.write_for_dovecot(&mut dovecot).unwrap();
        map.write_for_postfix("example.com", 24, &mut postfix)
            .unwrap();
        let dovecot = String::from_utf8(dovecot).unwrap();
        let expected = "ann:::::::nologin\nfred:::::::host=192.0.2.11\n\
                        mary@example.org:::::::host=2001:db8::1\n";
        assert_eq!(dovecot, expected);
        let postfix = String::from_utf8(postfix).unwrap();
        let expected = "example.com lmtp:inet:192.0.2.13:24\n\
                        example.org lmtp:inet:192.0.2.12:24\n\
                        ann@example.com retry:4.2.1 This mailbox is being moved, try again in a \
                        few minutes\n\
                        fred@example.com lmtp:inet:192.0.2.11:24\n\
                        mary@example.org lmtp:inet:[ipv6:2001:db8::1]:24\n";
        assert_eq!(postfix, expected);
    }
}
