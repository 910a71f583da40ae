//! `imapd` itself, spoken to over sockets: what a client, a deliverer and an operator see.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod deliverers;
mod idle;
mod limits;
mod loss;
mod notified;
mod offer;
mod site;
mod stop;
mod supervised;
