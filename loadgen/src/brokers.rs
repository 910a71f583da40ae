//! Publish/subscribe brokers side by side: Ensign's own, NATS and Redis.
//!
//! In reading order: [`dialect`] (what each of them is told), [`crowd`] (many subscribers on one
//! thread), [`listener`] (one subscriber in a process of its own), [`natives`] (a publisher and a
//! subscriber by the client library of NATS), [`measures`] (what is measured), [`report`].

pub mod crowd;
pub mod dialect;
pub mod listener;
pub mod measures;
pub mod natives;
pub mod report;

use std::net::SocketAddr;

use dialect::Dialect;

/// A broker that runs.
#[derive(Clone, Debug)]
pub struct Broker {
    /// What the report calls it.
    pub name: String,
    /// What it speaks.
    pub dialect: Dialect,
    /// Where.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// It spins, and so does its subscriber.
    pub spins: bool,
}

impl std::fmt::Display for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let spins = if self.spins { "+spin" } else { "" };
        let (name, dialect) = (&self.name, self.dialect.name());
        write!(f, "{name}:{dialect}{spins}@{}#{}", self.address, self.pid)
    }
}

impl std::str::FromStr for Broker {
    type Err = String;

    /// `NAME:DIALECT@ADDRESS#PID`, such as `enpd:enp@127.0.0.1:7997#4711`; `+spin` after the
    /// dialect if it spins.
    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (name, rest) = text.split_once(':')?;
            let (dialect, rest) = rest.split_once('@')?;
            let (address, pid) = rest.split_once('#')?;
            let (dialect, spins) = match dialect.strip_suffix("+spin") {
                Some(dialect) => (dialect, true),
                None => (dialect, false),
            };
            Some(Self {
                name: name.into(),
                dialect: Dialect::named(dialect)?,
                address: address.parse().ok()?,
                pid: pid.parse().ok()?,
                spins,
            })
        };
        parse().ok_or_else(|| format!("{text} is not NAME:(enp|nats|redis)@ADDRESS:PORT#PID"))
    }
}
