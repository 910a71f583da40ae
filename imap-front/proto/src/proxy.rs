//! The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`): the header by which a
//! proxy says in front of everything else whose connection it passes on.
//!
//! [`Header`] collects it from bytes in any pieces and knows where it ends; `ppp` reads it.

use std::net::{IpAddr, SocketAddr};

use ppp::{v1, v2};

/// What the first version begins with, up to the end of a line.
const TEXT: &[u8] = b"PROXY ";
/// Its longest line, with CRLF (§2.1).
pub const TEXT_BYTES_MAX: usize = 107;
/// The second version's bytes up to its length (§2.2).
const BINARY_BEGINNING: usize = 16;
/// The longest header of the second version that is taken: proxies add a few hundred bytes of what
/// they know of the client.
pub const BINARY_BYTES_MAX: usize = 4096;
/// Of the extension about TLS (§2.2.6): the client has come over TLS.
const CLIENT_TLS: u8 = 1;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client, an IPv4 address as such; none if the connection is the proxy's own or the proxy
    /// doesn't know.
    pub client: Option<SocketAddr>,
    /// The connection is the proxy's own, as for its probes.
    pub own: bool,
    /// The client speaks TLS with the proxy, as the second version can tell.
    pub tls: bool,
}

impl Origin {
    const OWN: Self = Self {
        client: None,
        own: true,
        tls: false,
    };
    const UNKNOWN: Self = Self {
        own: false,
        ..Self::OWN
    };
}

/// Why there is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It begins otherwise.
    #[error("what came is no header")]
    Missing,
    /// It is longer than headers are.
    #[error("the header is too large")]
    TooLarge,
    /// It begins as one, and can't be understood.
    #[error("the header is malformed")]
    Malformed,
}

/// A header under way.
#[derive(Debug, Default)]
pub struct Header {
    bytes: Vec<u8>,
}

/// What a header needs to go on.
enum Needs {
    /// So many bytes, 1 or more.
    Bytes(usize),
    Nothing,
}

impl Header {
    /// Takes what has come. Once the header is there, gives what it says and how many of these
    /// bytes belong to it; the others come behind it.
    ///
    /// # Errors
    /// If it can't become a header any more.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<(Origin, usize)>, HeaderError> {
        let mut taken = 0;
        loop {
            match self.needs()? {
                Needs::Nothing => return Ok(Some((self.read()?, taken))),
                Needs::Bytes(_) if taken == bytes.len() => return Ok(None),
                Needs::Bytes(more) => {
                    let more = more.min(bytes.len() - taken);
                    self.bytes.extend_from_slice(&bytes[taken..taken + more]);
                    taken += more;
                }
            }
        }
    }

    /// What it keeps, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn needs(&self) -> Result<Needs, HeaderError> {
        let signature = v2::PROTOCOL_PREFIX;
        let is_of = |beginning: &[u8]| {
            let both = beginning.len().min(self.bytes.len());
            self.bytes[..both] == beginning[..both]
        };
        if is_of(TEXT) {
            return self.needs_text();
        }
        if !is_of(signature) {
            return Err(HeaderError::Missing);
        }
        let Some(length) = self.bytes.get(BINARY_BEGINNING - 2..BINARY_BEGINNING) else {
            return Ok(Needs::Bytes(BINARY_BEGINNING - self.bytes.len()));
        };
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        match BINARY_BEGINNING + length {
            whole if whole > BINARY_BYTES_MAX => Err(HeaderError::TooLarge),
            whole if whole == self.bytes.len() => Ok(Needs::Nothing),
            whole => Ok(Needs::Bytes(whole - self.bytes.len())),
        }
    }

    /// A line has no length in front: it is taken byte by byte.
    fn needs_text(&self) -> Result<Needs, HeaderError> {
        match self.bytes.last() {
            Some(b'\n') => Ok(Needs::Nothing),
            _ if self.bytes.len() >= TEXT_BYTES_MAX => Err(HeaderError::TooLarge),
            _ => Ok(Needs::Bytes(1)),
        }
    }

    fn read(&self) -> Result<Origin, HeaderError> {
        let client = |ip: IpAddr, port| Origin {
            client: Some(SocketAddr::new(ip.to_canonical(), port)),
            ..Origin::UNKNOWN
        };
        if self.bytes.starts_with(TEXT) {
            let header = v1::Header::try_from(&*self.bytes).map_err(|_| HeaderError::Malformed)?;
            return Ok(match header.addresses {
                v1::Addresses::Tcp4(it) => client(it.source_address.into(), it.source_port),
                v1::Addresses::Tcp6(it) => client(it.source_address.into(), it.source_port),
                v1::Addresses::Unknown => Origin::UNKNOWN,
            });
        }
        let header = v2::Header::try_from(&*self.bytes).map_err(|_| HeaderError::Malformed)?;
        if header.command == v2::Command::Local {
            return Ok(Origin::OWN);
        }
        // Mail comes over streams.
        if header.protocol == v2::Protocol::Datagram {
            return Err(HeaderError::Malformed);
        }
        let mut tls = false;
        for extension in header.tlvs() {
            let extension = extension.map_err(|_| HeaderError::Malformed)?;
            if extension.kind == v2::Type::SSL as u8 {
                let bits = extension.value.first().ok_or(HeaderError::Malformed)?;
                tls = bits & CLIENT_TLS != 0;
            }
        }
        let origin = match header.addresses {
            v2::Addresses::IPv4(it) => client(it.source_address.into(), it.source_port),
            v2::Addresses::IPv6(it) => client(it.source_address.into(), it.source_port),
            v2::Addresses::Unix(_) | v2::Addresses::Unspecified => Origin::UNKNOWN,
        };
        Ok(Origin { tls, ..origin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of the second version.
    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[command, family], &length, rest].concat()
    }

    fn ipv4(extensions: &[u8]) -> Vec<u8> {
        let addresses = [203, 0, 113, 7, 192, 0, 2, 1, 0x1f, 0x90, 0, 143];
        binary(0x21, 0x11, &[&addresses, extensions].concat())
    }

    fn read(bytes: &[u8]) -> Result<Option<(Origin, usize)>, HeaderError> {
        Header::default().take(bytes)
    }

    /// The same whole, with something behind it, and in pieces of each size.
    fn origin(header: &[u8]) -> Origin {
        let (origin, length) = read(&[header, b"a NOOP\r\n"].concat()).unwrap().unwrap();
        assert_eq!(length, header.len());
        for size in 1..=header.len() {
            let mut pieces = header.chunks(size).peekable();
            let mut under_way = Header::default();
            while let Some(piece) = pieces.next() {
                let taken = under_way.take(piece).unwrap();
                let whole = (origin, piece.len());
                assert_eq!(taken, pieces.peek().is_none().then_some(whole));
            }
        }
        origin
    }

    fn client(text: &str) -> Option<SocketAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn both_versions_name_the_client() {
        for (header, expected) in [
            (
                &b"PROXY TCP4 203.0.113.7 192.0.2.1 8080 143\r\n"[..],
                "203.0.113.7:8080",
            ),
            (
                b"PROXY TCP6 2001:db8::7 2001:db8::1 8080 143\r\n",
                "[2001:db8::7]:8080",
            ),
            (
                b"PROXY TCP6 ::ffff:203.0.113.7 ::1 8080 143\r\n",
                "203.0.113.7:8080",
            ),
            (&ipv4(b""), "203.0.113.7:8080"),
        ] {
            let origin = origin(header);
            assert_eq!((origin.client, origin.tls), (client(expected), false));
        }
        let mut addresses = [0; 36];
        addresses[10..16].copy_from_slice(&[0xff, 0xff, 203, 0, 113, 7]);
        addresses[32..34].copy_from_slice(&8080u16.to_be_bytes());
        let mapped = origin(&binary(0x21, 0x21, &addresses));
        assert_eq!(mapped.client, client("203.0.113.7:8080"));
    }

    #[test]
    fn a_proxy_may_speak_for_itself_or_not_know() {
        let unix = [0; 216];
        for (header, expected) in [
            (&b"PROXY UNKNOWN\r\n"[..], Origin::UNKNOWN),
            (
                b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
                Origin::UNKNOWN,
            ),
            (&binary(0x20, 0x00, b""), Origin::OWN),
            (&binary(0x20, 0x11, &[9; 12]), Origin::OWN),
            (&binary(0x21, 0x00, b""), Origin::UNKNOWN),
            (&binary(0x21, 0x31, &unix), Origin::UNKNOWN),
        ] {
            assert_eq!(origin(header), expected, "{}", header.escape_ascii());
        }
    }

    #[test]
    fn extensions_are_read_within_their_bounds() {
        // An authority, nothing, and TLS with its own extensions.
        let tls = [0x20, 0, 8, 1, 0, 0, 0, 0, 0x21, 0, 0];
        let all = [&[2, 0, 1, b'a', 4, 0, 2, 0, 0][..], &tls].concat();
        let with = origin(&ipv4(&all));
        assert_eq!((with.client, with.tls), (client("203.0.113.7:8080"), true));
        assert!(!origin(&ipv4(&[0x20, 0, 5, 0, 0, 0, 0, 1])).tls);
        for bad in [
            &[2, 0][..],
            &[2, 0, 9, b'a'],
            &[0x20, 0, 0],
            &[2, 0xff, 0xff, 0],
        ] {
            assert_eq!(read(&ipv4(bad)), Err(HeaderError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn what_is_none_is_known_at_once() {
        for none in [
            &b"a NOOP\r\n"[..],
            b"G",
            b"PROXX",
            b"\r\n\r\na",
            b"\x16\x03\x01",
        ] {
            assert_eq!(
                read(none),
                Err(HeaderError::Missing),
                "{}",
                none.escape_ascii()
            );
        }
        for bad in [
            &b"PROXY \r\n"[..],
            b"PROXY TCP4 203.0.113.7 192.0.2.1 8080 143\n",
            b"PROXY TCP4 203.0.113.7\r 192.0.2.1 8080 143\r\n",
            b"PROXY TCP4 2001:db8::7 192.0.2.1 8080 143\r\n",
            b"PROXY TCP4 203.0.113.7 192.0.2.1 65536 143\r\n",
            b"PROXY TCP4 203.0.113.7 192.0.2.1 8080 143 a\r\n",
            b"PROXY UDP4 203.0.113.7 192.0.2.1 8080 143\r\n",
            b"PROXY TCP4 \xff\xff\r\n",
            &binary(0x11, 0x11, &[0; 12]),
            &binary(0x22, 0x11, &[0; 12]),
            &binary(0x21, 0x41, &[0; 12]),
            &binary(0x21, 0x12, &[0; 12]),
            &binary(0x21, 0x11, &[0; 11]),
        ] {
            assert_eq!(
                read(bad),
                Err(HeaderError::Malformed),
                "{}",
                bad.escape_ascii()
            );
        }
    }

    #[test]
    fn only_the_length_can_be_too_large() {
        let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 100]].concat();
        assert_eq!(read(&long[..TEXT_BYTES_MAX - 1]), Ok(None));
        assert_eq!(read(&long), Err(HeaderError::TooLarge));
        let rest = BINARY_BYTES_MAX - BINARY_BEGINNING;
        let filled = |length: usize| {
            let value = u16::try_from(length - 12 - 3).unwrap().to_be_bytes();
            ipv4(&[&[4][..], &value, &vec![0; length - 12 - 3]].concat())
        };
        assert!(read(&filled(rest)).unwrap().is_some());
        assert_eq!(read(&filled(rest + 1)[..16]), Err(HeaderError::TooLarge));
        assert_eq!(read(&filled(rest)[..16]), Ok(None));
    }
}
