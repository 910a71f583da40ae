//! `ENS_ACCESS`: which addresses may connect.
//!
//! Rules are read in order and the last that matches wins; an address that none matches is refused.
//! Without rules only this host may connect. The guide's own examples all hold, so `;` may stand
//! for `|` before a mask, a rule may be followed by a backslash and a new line, and the sign may be
//! a typographic dash.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The environment variable.
pub const ENS_ACCESS: &str = "ENS_ACCESS";

/// Who may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// None: only this host.
    rules: Option<Vec<Rule>>,
}

/// One rule: these addresses are let in, or kept out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    allow: bool,
    address: IpAddr,
    mask: IpAddr,
    text: String,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a list of rules can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ENS_ACCESS: rule {number} ({text:?}): {why}")]
pub struct AccessError {
    /// Which rule, from 1.
    pub number: usize,
    /// As it stands there.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Whether an address may connect, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// It may.
    pub allowed: bool,
    /// The rule that says so.
    pub because: Because<'a>,
}

/// What a verdict rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because<'a> {
    /// This rule, counted from 1.
    Rule(usize, &'a Rule),
    /// No rule matches.
    NoRule,
    /// There are no rules: only this host may connect.
    Unset,
}

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(number, rule) => write!(f, "rule {number}, {rule}"),
            Self::NoRule => f.write_str("no rule of ENS_ACCESS matches"),
            Self::Unset => f.write_str("ENS_ACCESS is not set, so only this host may connect"),
        }
    }
}

impl Access {
    /// From the environment.
    ///
    /// # Errors
    /// If a rule can't be read.
    pub fn from_env() -> Result<Self, AccessError> {
        match std::env::var_os(ENS_ACCESS) {
            None => Ok(Self { rules: None }),
            Some(text) => Self::parse(&text.to_string_lossy()),
        }
    }

    /// Reads rules: `(+|-) ADDRESS | MASK`, with `;` between them. An IPv6 rule is
    /// `(+|-) ADDRESS/PREFIX`, which IPv4 may use too. An empty text is the same as none.
    ///
    /// # Errors
    /// Which rule can't be read, and why.
    pub fn parse(text: &str) -> Result<Self, AccessError> {
        let text = text.replace("\\\r\n", " ").replace("\\\n", " ");
        let mut parts = text
            .split(';')
            .map(|part| part.trim_matches(|c: char| c.is_whitespace() || c == '\\'))
            .filter(|part| !part.is_empty())
            .peekable();
        let mut rules = Vec::new();
        while let Some(part) = parts.next() {
            let mut whole = part.to_owned();
            let alone = !part.contains('|') && !part.contains('/');
            if alone
                && parts
                    .peek()
                    .is_some_and(|next| next.parse::<Ipv4Addr>().is_ok())
            {
                whole = format!("{part}|{}", parts.next().unwrap_or_default());
            }
            let number = rules.len() + 1;
            rules.push(rule(&whole).map_err(|why| AccessError {
                number,
                text: whole,
                why,
            })?);
        }
        let rules = (!rules.is_empty()).then_some(rules);
        Ok(Self { rules })
    }

    /// Whether an address may connect.
    pub fn verdict(&self, address: IpAddr) -> Verdict<'_> {
        let address = address.to_canonical();
        let Some(rules) = &self.rules else {
            let allowed = address.is_loopback();
            return Verdict {
                allowed,
                because: Because::Unset,
            };
        };
        let last = rules
            .iter()
            .enumerate()
            .rev()
            .find(|(_, rule)| rule.holds_for(address));
        match last {
            Some((at, rule)) => Verdict {
                allowed: rule.allow,
                because: Because::Rule(at + 1, rule),
            },
            None => Verdict {
                allowed: false,
                because: Because::NoRule,
            },
        }
    }
}

impl Rule {
    fn holds_for(&self, address: IpAddr) -> bool {
        match (self.address, self.mask, address) {
            (IpAddr::V4(ours), IpAddr::V4(mask), IpAddr::V4(theirs)) => {
                ours & mask == theirs & mask
            }
            (IpAddr::V6(ours), IpAddr::V6(mask), IpAddr::V6(theirs)) => {
                ours & mask == theirs & mask
            }
            // A rule for more than all IPv4-mapped addresses.
            (IpAddr::V6(ours), IpAddr::V6(mask), IpAddr::V4(theirs)) => {
                ours.to_ipv4_mapped().is_some() && ours & mask == theirs.to_ipv6_mapped() & mask
            }
            _ => false,
        }
    }
}

fn rule(text: &str) -> Result<Rule, &'static str> {
    let mut chars = text.chars();
    let allow = match chars.next() {
        Some('+') => true,
        Some('-' | '\u{2010}'..='\u{2015}' | '\u{2212}') => false,
        _ => return Err("it must begin with + (allow) or - (deny)"),
    };
    let rest = chars.as_str().trim();
    let (address, mask) = match (rest.split_once('|'), rest.split_once('/')) {
        (Some((address, mask)), _) => {
            let address: Ipv4Addr = parsed(address, "the address is no dotted-decimal IP address")?;
            let mask: Ipv4Addr = parsed(mask, "the mask is no dotted-decimal IP address mask")?;
            (address.into(), mask.into())
        }
        (None, Some((address, prefix))) => {
            let address: IpAddr = parsed(address, "the address is no IP address")?;
            let prefix: u32 = parsed(prefix, "the prefix is no number")?;
            let mask = mask_of(address, prefix)?;
            // Addresses are compared in their canonical form, so rules have it, too.
            match (address.to_canonical(), mask) {
                (IpAddr::V4(address), IpAddr::V6(mask)) if prefix >= 96 => {
                    let mask = Ipv4Addr::from(u128::from(mask) as u32);
                    (address.into(), mask.into())
                }
                _ => (address, mask),
            }
        }
        (None, None) => return Err("there is no mask; write ADDRESS|MASK"),
    };
    let text = text.to_owned();
    Ok(Rule {
        allow,
        address,
        mask,
        text,
    })
}

fn parsed<T: std::str::FromStr>(text: &str, why: &'static str) -> Result<T, &'static str> {
    text.trim().parse().map_err(|_| why)
}

fn mask_of(address: IpAddr, prefix: u32) -> Result<IpAddr, &'static str> {
    match address {
        IpAddr::V4(_) if prefix <= 32 => {
            Ok(Ipv4Addr::from(u32::MAX.checked_shl(32 - prefix).unwrap_or(0)).into())
        }
        IpAddr::V6(_) if prefix <= 128 => {
            Ok(Ipv6Addr::from(u128::MAX.checked_shl(128 - prefix).unwrap_or(0)).into())
        }
        _ => Err("the prefix is longer than the address"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allowed(rules: &str, address: &str) -> bool {
        let access = Access::parse(rules).expect("rules");
        access.verdict(address.parse().expect("an address")).allowed
    }

    const LOCAL: &str = "+127.0.0.1|255.255.255.255";
    /// The guide's third example, as it is printed.
    const SUBNET: &str = "+192.168.0.1|255.255.255.0;+127.0.0.1|255.255.255.255; \\\n    \
        -192.168.0.17;255.255.255.255";

    #[test]
    fn the_guides_examples_do_what_their_sentences_say() {
        assert!(allowed(LOCAL, "127.0.0.1"));
        assert!(!allowed(LOCAL, "127.0.0.2"));
        assert!(!allowed(LOCAL, "192.168.0.1"));
        for (address, expected) in [
            ("127.0.0.1", true),
            ("192.168.0.1", true),
            ("192.168.0.16", true),
            ("192.168.0.17", false),
            ("192.168.0.255", true),
            ("192.168.1.1", false),
            ("10.0.0.1", false),
            ("::ffff:192.168.0.16", true),
            ("::ffff:192.168.0.17", false),
            ("::1", false),
        ] {
            assert_eq!(allowed(SUBNET, address), expected, "{address}");
            assert_eq!(
                allowed(&SUBNET.replace("\\\n", ""), address),
                expected,
                "{address}"
            );
            let dashed = SUBNET.replace(" -192", " \u{2014}192");
            assert_eq!(allowed(&dashed, address), expected, "{address}");
        }
    }

    #[test]
    fn the_last_rule_that_matches_wins() {
        assert!(allowed(
            "-10.0.0.0|255.0.0.0;+10.0.0.5|255.255.255.255",
            "10.0.0.5"
        ));
        assert!(!allowed(
            "+10.0.0.5|255.255.255.255;-10.0.0.0|255.0.0.0",
            "10.0.0.5"
        ));
        assert!(allowed("+0.0.0.0|0.0.0.0", "203.0.113.9"));
        assert!(allowed("+fd00::/8", "fd12::1"));
        assert!(!allowed("+fd00::/8", "fe80::1"));
        assert!(allowed("+10.0.0.0/8", "10.9.9.9"));
    }

    #[test]
    fn unset_is_this_host_only() {
        assert!(allowed("", "127.0.0.1"));
        assert!(allowed("", "::1"));
        assert!(!allowed("", "192.168.0.1"));
    }

    #[test]
    fn rules_for_mapped_addresses_are_rules_for_ipv4() {
        let rules = "+0.0.0.0|0.0.0.0;-::ffff:10.0.0.0/104";
        assert!(!allowed(rules, "10.1.1.1"));
        assert!(!allowed(rules, "::ffff:10.1.1.1"));
        assert!(allowed(rules, "11.1.1.1"));
        let all = "+0.0.0.0|0.0.0.0;-::ffff:0.0.0.0/90";
        assert!(!allowed(all, "11.1.1.1"));
        assert!(allowed("+0.0.0.0|0.0.0.0;-::/0", "11.1.1.1"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, number) in [
            ("127.0.0.1|255.255.255.255", 1),
            ("+127.0.0.1", 1),
            ("+127.0.0.1|255.255.255.255;+10.0.0|255.0.0.0", 2),
            ("+127.0.0.1|255.255.255.256", 1),
            ("+::1/129", 1),
            ("+::1|255.255.255.255", 1),
            ("+127.0.0.1|255.255.255.255;255.255.255.255", 2),
        ] {
            assert_eq!(
                Access::parse(text).expect_err(text).number,
                number,
                "{text}"
            );
        }
    }

    /// A rule, and how it is written.
    fn written() -> impl Strategy<Value = (bool, u32, u32, String)> {
        let prefix = (0u32..=32).prop_map(|n| !u32::MAX.checked_shr(n).unwrap_or(0));
        let mask = prop_oneof![prefix, any::<u32>()];
        // Few addresses, so that rules and addresses meet.
        let address = 0u32..8;
        let between = prop_oneof![Just("|"), Just(" | "), Just(";"), Just("; \\\n ")];
        (any::<bool>(), address, mask, between, any::<bool>()).prop_map(
            |(allow, address, mask, between, dash)| {
                let sign = match (allow, dash) {
                    (true, _) => "+",
                    (false, true) => "\u{2014}",
                    (false, false) => "-",
                };
                let (from, to) = (Ipv4Addr::from(address), Ipv4Addr::from(mask));
                (allow, address, mask, format!("{sign}{from}{between}{to}"))
            },
        )
    }

    proptest! {
        #[test]
        fn verdicts_are_those_of_a_naive_reader(
            rules in prop::collection::vec(written(), 1..12),
            blank in prop_oneof![Just(";"), Just(" ; "), Just(";\\\n    ")],
        ) {
            let texts: Vec<&str> = rules.iter().map(|(.., text)| text.as_str()).collect();
            let access = Access::parse(&texts.join(blank)).expect("written well");
            for address in 0u32..8 {
                let mut allowed = false;
                for (allow, base, mask, _) in &rules {
                    if address & mask == base & mask {
                        allowed = *allow;
                    }
                }
                let verdict = access.verdict(Ipv4Addr::from(address).into());
                prop_assert_eq!(verdict.allowed, allowed, "{} of {:?}", address, texts);
            }
        }
    }
}
