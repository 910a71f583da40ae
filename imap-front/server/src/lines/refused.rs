//! The addresses to which something was refused lately, for who looks at the server.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::{Line, Who};

/// Addresses that are remembered.
const ADDRESSES_MAX: usize = 64;

/// An address, and what it was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedAddress {
    /// The address; none is this host.
    pub client: Option<IpAddr>,
    /// What it was refused last, as lines of the log call it.
    pub why: &'static str,
    /// How often something was, since it is remembered.
    pub count: u64,
}

/// Those of the last ones, the newest last.
#[derive(Debug, Default)]
pub(super) struct RefusedAddresses(Mutex<Vec<RefusedAddress>>);

impl RefusedAddresses {
    /// Remembers whom a line turns away.
    pub fn look(&self, line: &Line) {
        let Some((Who { client, .. }, why)) = refusal(line) else {
            return;
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.iter().position(|it| it.client == *client);
        let count = before.map_or(0, |at| all.remove(at).count);
        if all.len() >= ADDRESSES_MAX {
            all.remove(0);
        }
        let (client, count) = (*client, count + 1);
        all.push(RefusedAddress { client, why, count });
    }

    /// The newest first.
    pub fn newest(&self) -> Vec<RefusedAddress> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rev().cloned().collect()
    }
}

fn refusal(line: &Line) -> Option<(&Who, &'static str)> {
    match line {
        Line::Failed { who, expired, .. } => {
            Some((who, if *expired { "expired" } else { "failed" }))
        }
        Line::Refused { who, what, .. } => Some((who, what.told().0)),
        Line::NoRecipient { who, result, .. } => Some((who, result)),
        Line::Ended(ended) if ended.cut => Some((&ended.who, ended.result)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusals::Refused;

    #[test]
    fn the_last_addresses_are_remembered() {
        let all = RefusedAddresses::default();
        let refused = |host: u32| Line::Refused {
            who: Who {
                client: Some(IpAddr::from(host.to_be_bytes())),
                ..Who::default()
            },
            what: Refused::Rate,
            name: Box::default(),
        };
        for host in 0..100 {
            all.look(&refused(host));
        }
        all.look(&refused(50));
        let newest = all.newest();
        assert_eq!((newest.len(), newest[0].count), (ADDRESSES_MAX, 2));
        assert_eq!(newest[0].why, "loginsperminute");
        assert_eq!(newest[1].client, Some(IpAddr::from([0, 0, 0, 99])));
    }
}
