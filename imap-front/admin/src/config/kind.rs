//! What a configuration option is, and which values it takes.

use std::net::IpAddr;

/// One configuration option.
#[derive(Debug)]
pub struct ConfigOption {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Which values it takes.
    pub kind: Kind,
    /// Its value if nobody sets it.
    pub default: &'static str,
    /// Whether a running server takes a new value at `refresh`; else it must be restarted.
    pub refreshable: bool,
    /// What it does, for `configutil -H`.
    pub help: &'static str,
}

/// Which values an option takes.
#[derive(Debug)]
pub enum Kind {
    /// `yes` or `no`; `1`, `true`, `on` and `0`, `false`, `off` mean the same.
    Switch,
    /// A whole number in a range, ends included.
    Number {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// Bytes: a whole number, with `K`, `M` or `G` for powers of 1024; −1 if `unlimited`.
    Bytes {
        /// Whether −1, no limit, is a value.
        unlimited: bool,
        /// The least.
        min: i64,
    },
    /// A whole number of at least 1, or −1 for no limit.
    Limit,
    /// An IPv4 or IPv6 address.
    Address,
    /// One of some words, without regard to case.
    Word(&'static [&'static str]),
    /// Host or domain names with commas or blanks between them.
    Names,
    /// Addresses, and networks as address and length of the prefix.
    Networks,
    /// Notification plug-ins.
    PlugIns,
    /// The key of events: `scheme://…`.
    EventKey,
    /// A host's name or address, or the path of a Unix socket.
    Host,
    /// A path, absolute or below the base directory.
    Path,
    /// Any text without control characters.
    Text,
}

impl Kind {
    /// Whether the value can be taken; if not, what would be.
    ///
    /// # Errors
    /// What is expected in its place.
    pub fn check(&self, value: &str) -> Result<(), String> {
        // Cleared: the built-in default holds.
        if value.is_empty() {
            return Ok(());
        }
        if value.chars().any(char::is_control) {
            return Err("text without control characters".into());
        }
        let fits = match self {
            Kind::Switch => switch(value).is_some(),
            Kind::Number { .. } | Kind::Bytes { .. } | Kind::Limit => self.number(value).is_some(),
            Kind::Address => value.parse::<IpAddr>().is_ok(),
            Kind::Word(words) => words.iter().any(|word| word.eq_ignore_ascii_case(value)),
            Kind::Names => names(value).all(is_host_name),
            Kind::Networks => super::Networks::parse(value).is_ok(),
            Kind::PlugIns => {
                return super::plugins::parse(value)
                    .map(drop)
                    .map_err(|why| format!("lib$instance$$lib$instance, one to five ({why})"));
            }
            Kind::EventKey => value.contains("://") && !value.contains([' ', '?']),
            Kind::Host => {
                let host = value.strip_prefix("enps://").unwrap_or(value);
                value.starts_with('/') || host.parse::<IpAddr>().is_ok() || is_host_name(host)
            }
            Kind::Path | Kind::Text => true,
        };
        if fits { Ok(()) } else { Err(self.expected()) }
    }

    /// The value of a number of this kind, if it is one.
    pub fn number(&self, value: &str) -> Option<i64> {
        match *self {
            Kind::Number { min, max } => value
                .parse()
                .ok()
                .filter(|number| (min..=max).contains(number)),
            Kind::Bytes {
                unlimited: true, ..
            } if value == "-1" => Some(-1),
            Kind::Limit => value
                .parse()
                .ok()
                .filter(|number| *number == -1 || *number >= 1),
            Kind::Bytes { min, .. } => bytes(value).filter(|number| *number >= min),
            _ => None,
        }
    }

    /// What is expected, for people.
    pub fn expected(&self) -> String {
        match self {
            Kind::Switch => "yes or no".into(),
            Kind::Number { min, max } if min == max => format!("{min}"),
            Kind::Number { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Bytes { unlimited, min } => {
                let more = if *unlimited {
                    ", or -1 for no limit"
                } else {
                    ""
                };
                format!("bytes, at least {min}, such as 65536, 64K, 50M or 2G{more}")
            }
            Kind::Limit => "a whole number of at least 1, or -1 for no limit".into(),
            Kind::Address => "an IPv4 or IPv6 address".into(),
            Kind::Word(words) => format!("one of {}", words.join(", ")),
            Kind::Names => "host names with commas between them".into(),
            Kind::Networks => {
                "addresses and networks such as 192.0.2.1, 10.0.0.0/8, 2001:db8::/32".into()
            }
            Kind::PlugIns => "lib$instance$$lib$instance, one to five plug-ins".into(),
            Kind::EventKey => "an event key such as enp://127.0.0.1/store/%M".into(),
            Kind::Host => {
                "a host name or IP address, after enps:// if TLS is spoken there, or the path of a \
                 Unix socket"
                    .into()
            }
            Kind::Path => "a path".into(),
            Kind::Text => "text".into(),
        }
    }
}

/// The value of a [`Kind::Switch`].
pub fn switch(value: &str) -> Option<bool> {
    const ON: [&str; 4] = ["yes", "1", "true", "on"];
    const OFF: [&str; 4] = ["no", "0", "false", "off"];
    let is = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
    if is(ON) {
        Some(true)
    } else if is(OFF) {
        Some(false)
    } else {
        None
    }
}

/// The parts of a [`Kind::Names`].
pub fn names(value: &str) -> impl Iterator<Item = &str> {
    value
        .split([',', ' ', '\t'])
        .filter(|part| !part.is_empty())
}

/// The value of a [`Kind::Bytes`]: a whole number, with `K`, `M` or `G` for powers of 1024.
pub fn bytes(value: &str) -> Option<i64> {
    let (digits, shift) = match value.as_bytes().last()? {
        b'k' | b'K' => (&value[..value.len() - 1], 10),
        b'm' | b'M' => (&value[..value.len() - 1], 20),
        b'g' | b'G' => (&value[..value.len() - 1], 30),
        _ => (value, 0),
    };
    let number: u64 = digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())??;
    i64::try_from(number.checked_mul(1 << shift)?).ok()
}

fn is_host_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b) || b > 127)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &Kind, good: &[&str], bad: &[&str]) {
        for value in good {
            assert_eq!(kind.check(value), Ok(()), "{value}");
        }
        for value in bad {
            assert!(kind.check(value).is_err(), "{value}");
        }
    }

    #[test]
    fn values_are_checked_by_kind() {
        check(
            &Kind::Switch,
            &["yes", "NO", "1", "off", ""],
            &["2", "maybe"],
        );
        let number = Kind::Number { min: 30, max: 90 };
        check(
            &number,
            &["30", "90", ""],
            &["29", "91", "3x", "-", " 40", "0x20"],
        );
        let size = Kind::Bytes {
            unlimited: true,
            min: 1024,
        };
        check(
            &size,
            &["-1", "1024", "1K", "50m", "2G"],
            &["-2", "1023", "K", "+2K", "9999999999G"],
        );
        check(&Kind::Limit, &["-1", "1", ""], &["0", "-2", "1K"]);
        check(&Kind::Address, &["::1", "0.0.0.0"], &["localhost", "1.2.3"]);
        check(
            &Kind::Word(&["temporary", "permanent"]),
            &["Temporary"],
            &["temp"],
        );
        check(
            &Kind::Names,
            &["a.example, b.example c"],
            &["a..b", "-x", "a:b"],
        );
        check(
            &Kind::Networks,
            &["", "::1", "192.0.2.1, 10.0.0.0/8"],
            &["10.0.0.0/40", "localhost"],
        );
        check(&Kind::Text, &["%h %p"], &["a\u{7}b"]);
    }
}
