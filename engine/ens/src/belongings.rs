//! What `enpd` has besides connections: the keys of its TLS tickets, and its place among the
//! brokers of a site.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::handover::{Kept, put_parts, take_part};
use crate::site::Leaving;

/// Bytes of the keys of tickets, of which there are two.
const TICKETS_BYTES_MAX: usize = 128;

/// Of a running broker.
#[derive(Default)]
pub struct Belongings {
    /// What its door for TLS works with, if it has one.
    pub tls: Option<Arc<tls::Config>>,
    /// Its end as one of a site, if it has joined one.
    pub site: Option<Leaving>,
}

impl Belongings {
    /// Pools on other hosts behind their length in four bytes, then the tickets.
    fn hand_over(&self) -> Zeroizing<Vec<u8>> {
        let pools = self.site.as_ref().map(Leaving::hand_over);
        let mut output = put_parts(&[&pools.unwrap_or_default()], TICKETS_BYTES_MAX);
        if let Some(tls) = &self.tls {
            tls.hand_over_tickets(&mut output);
        }
        output
    }

    /// Knows what a predecessor had in memory, as far as it can be read. One without a door for TLS
    /// has no tickets.
    pub fn take_over(&self, memory: &[u8]) {
        let taken = take_part(memory).is_some_and(|(pools, tickets)| {
            self.site.iter().for_each(|site| site.take_over(pools));
            let tls = self.tls.as_ref().filter(|_| !tickets.is_empty());
            tls.is_none_or(|tls| tls.take_tickets(tickets))
        });
        if !taken {
            tracing::warn!("TLS tickets of before can't be read: handshakes cost more once");
        }
    }
}

impl Kept for Belongings {
    fn let_go(&self) {
        self.site.iter().for_each(Kept::let_go);
    }

    fn memory(&self) -> Zeroizing<Vec<u8>> {
        self.hand_over()
    }

    fn undo(&self, let_go: bool) {
        self.site.iter().for_each(|site| site.undo(let_go));
    }

    fn end(&self) {
        self.site.iter().for_each(Kept::end);
    }
}
