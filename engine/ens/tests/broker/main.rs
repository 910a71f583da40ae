//! A broker at work, spoken to over sockets.
#![allow(clippy::disallowed_methods, reason = "tests wait and measure")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod clients;
mod flood;
mod goodbye;
mod nats_enemy;
mod nats_servers;
mod pools;
mod programs;
mod scope;
mod secure;
mod site;
mod site_start;
mod strangers;
mod talk;
mod tickets;
mod trusted;
