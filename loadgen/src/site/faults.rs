//! What breaks in a round, when and for how long.

use std::fmt;
use std::io;
use std::time::Duration;

use reactor::Rng;
use rustix::process::Signal;

use super::hosts::{Hosts, Service};
use super::network::Cut;

/// Something that breaks and is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Killed, and started again.
    Kill(usize, Service),
    /// Asked to end, and started again.
    End(usize, Service),
    /// Another process takes over all connections of a broker.
    Upgrade(usize),
    /// Stands still, and goes on.
    Stop(usize, Service),
    /// The cable between two hosts.
    Cut(usize, usize, Cut),
    /// All cables of a host.
    Part(usize, Cut),
    /// All servers are killed.
    NoBus,
    /// Subscribers come to a host, and leave: what its broker asks the bus for changes.
    Crowd(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(host, service) => write!(f, "kill {service} of {host}"),
            Self::End(host, service) => write!(f, "end {service} of {host}"),
            Self::Upgrade(host) => write!(f, "upgrade enpd of {host}"),
            Self::Stop(host, service) => write!(f, "stop {service} of {host}"),
            Self::Cut(one, other, how) => write!(f, "cut {one}-{other} ({how:?})"),
            Self::Part(host, how) => write!(f, "part {host} ({how:?})"),
            Self::NoBus => f.write_str("kill all servers"),
            Self::Crowd(host) => write!(f, "crowd at {host}"),
        }
    }
}

/// One of a round.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    /// What.
    pub fault: Fault,
    /// When it breaks, after the round's begin.
    pub begin: Duration,
    /// When it is mended.
    pub end: Duration,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasts = (self.end - self.begin).as_secs_f64();
        write!(f, "{} for {lasts:.1} s", self.fault)
    }
}

/// What breaks in a round; cables only where there are any.
pub fn plan(rng: &mut Rng, hosts: usize, has_cables: bool) -> Vec<Planned> {
    let mut plan = some(rng, hosts, has_cables);
    // Who is upgraded is left in peace otherwise.
    let upgraded = |it: &Planned| match it.fault {
        Fault::Upgrade(host) => Some(host),
        _ => None,
    };
    let peaceful: Vec<usize> = plan.iter().filter_map(upgraded).collect();
    plan.retain(|it| match it.fault {
        Fault::Kill(host, Service::Broker)
        | Fault::End(host, Service::Broker)
        | Fault::Stop(host, Service::Broker) => !peaceful.contains(&host),
        _ => true,
    });
    // One after the other.
    let mut seen = vec![];
    plan.retain(|it| match it.fault {
        Fault::Upgrade(host) => {
            let is_new = !seen.contains(&host);
            seen.push(host);
            is_new
        }
        _ => true,
    });
    plan
}

fn some(rng: &mut Rng, hosts: usize, has_cables: bool) -> Vec<Planned> {
    let count = 1 + rng.below(3);
    let is_long = rng.chance(1, 8);
    (0..count)
        .map(|_| {
            let begin = 200 + rng.below(3000);
            let lasts = match is_long {
                true => 1000 + rng.below(14_000),
                false => 20 + rng.below(3000),
            };
            Planned {
                fault: fault(rng, hosts, has_cables),
                begin: Duration::from_millis(begin),
                end: Duration::from_millis(begin + lasts),
            }
        })
        .collect()
}

fn fault(rng: &mut Rng, hosts: usize, has_cables: bool) -> Fault {
    let one = rng.below(hosts as u64) as usize;
    let other = (one + 1 + rng.below(hosts as u64 - 1) as usize) % hosts;
    let service = match rng.chance(1, 3) {
        true => Service::Broker,
        false => Service::Nats,
    };
    let how = match rng.below(3) {
        0 => Cut::Down,
        1 => Cut::Silent,
        _ => Cut::OneWay,
    };
    match rng.below(if has_cables { 15 } else { 9 }) {
        0..=2 => Fault::Kill(one, service),
        3 => Fault::End(one, service),
        4..=5 => Fault::Stop(one, service),
        6 => Fault::Crowd(one),
        7 => Fault::NoBus,
        8 => Fault::Upgrade(one),
        9..=12 => Fault::Cut(one, other, how),
        _ => Fault::Part(one, how),
    }
}

impl Fault {
    /// What it is, wherever it is.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Kill(_, Service::Nats) => "server killed",
            Self::Kill(_, Service::Broker) => "broker killed",
            Self::End(_, Service::Nats) => "server ended",
            Self::End(_, Service::Broker) => "broker ended",
            Self::Upgrade(_) => "broker upgraded",
            Self::Stop(_, Service::Nats) => "server stopped",
            Self::Stop(_, Service::Broker) => "broker stopped",
            Self::Cut(.., Cut::Down) => "cable cut",
            Self::Cut(.., Cut::Silent) => "cable cut silently",
            Self::Cut(.., Cut::OneWay) => "cable cut one way",
            Self::Part(..) => "host cut off",
            Self::NoBus => "all servers killed",
            Self::Crowd(_) => "crowd",
        }
    }

    /// Whether a broker ends by it, so that others wait in vain for its word.
    pub fn ends_broker(self) -> bool {
        matches!(
            self,
            Self::Kill(_, Service::Broker) | Self::End(_, Service::Broker)
        )
    }

    fn cables(self, hosts: usize) -> Vec<(usize, usize, Cut)> {
        match self {
            Self::Cut(one, other, how) => vec![(one, other, how)],
            Self::Part(host, how) => {
                let others = (0..hosts).filter(|other| *other != host);
                others.map(|other| (host, other, how)).collect()
            }
            _ => vec![],
        }
    }

    /// Breaks it.
    ///
    /// # Errors
    /// If it can't be broken.
    pub fn begin(self, hosts: &mut Hosts) -> io::Result<()> {
        match self {
            Self::Kill(host, service) => hosts.end(host, service, Signal::KILL)?,
            Self::End(host, service) => {
                // It may stand still, and would not hear it.
                hosts.signal(host, service, Signal::CONT)?;
                hosts.end(host, service, Signal::TERM)?;
            }
            Self::Stop(host, service) => hosts.signal(host, service, Signal::STOP)?,
            Self::Upgrade(host) => hosts.begin_upgrade(host)?,
            Self::NoBus => {
                for host in 0..hosts.count() {
                    hosts.end(host, Service::Nats, Signal::KILL)?;
                }
            }
            Self::Cut(..) | Self::Part(..) | Self::Crowd(_) => {}
        }
        if let Some(network) = hosts.network() {
            for (one, other, how) in self.cables(hosts.count()) {
                network.cut(one, other, how)?;
            }
        }
        Ok(())
    }

    /// Mends it.
    ///
    /// # Errors
    /// If it can't be mended.
    pub fn end(self, hosts: &mut Hosts) -> io::Result<()> {
        match self {
            Self::Kill(host, service) | Self::End(host, service) => hosts.start(host, service)?,
            Self::Stop(host, service) => hosts.signal(host, service, Signal::CONT)?,
            Self::Upgrade(host) => hosts.end_upgrade(host)?,
            Self::NoBus => {
                for host in 0..hosts.count() {
                    hosts.start(host, Service::Nats)?;
                }
            }
            Self::Cut(..) | Self::Part(..) | Self::Crowd(_) => {}
        }
        if let Some(network) = hosts.network() {
            for (one, other, _) in self.cables(hosts.count()) {
                network.mend(one, other)?;
            }
        }
        Ok(())
    }
}
