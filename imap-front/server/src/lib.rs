//! `imapd`: the one place that knows engine, protocols and store.
//!
//! In reading order: [`options`] (what `imapd` goes by), [`run`] (start and stop), [`planes`] (the
//! threads), [`front`] (sessions in shards), [`control`] (requests to store and passwords),
//! [`lmtp`] (deliveries), [`announce`] (committed events to the engine), [`notify`] (the same to
//! plug-ins), [`broker`] (the event notification broker as a part of this process), [`descriptors`]
//! (who may open how many files), [`certificates`] (what TLS shows), [`tokens`] (by which clients
//! log in), [`proxies`] (who may say whose connection it is), [`admin_socket`] (what the
//! administrator's tools ask), [`tools`] (those that need the store), [`handover`] (all connections
//! to another process), [`log`], [`lines`] (what sessions have done), [`statistics`], [`metrics`]
//! (all that is counted), [`http`] (the door where that is told). What holds
//! them to their measure: [`bounds`] (refusals and drops), [`stalls`] (calls that took too long),
//! [`panics`]. `mark` gives numbers that nobody has had.

mod accounts;
pub mod admin_socket;
pub mod announce;
pub mod arguments;
pub mod bounds;
pub mod broker;
pub mod certificates;
mod child;
pub mod confinement;
pub mod control;
pub mod descriptors;
pub mod front;
pub mod handover;
pub mod host;
pub mod http;
pub mod lines;
pub mod lmtp;
pub mod log;
mod mark;
pub mod metrics;
pub mod notify;
pub mod options;
pub mod panics;
pub mod planes;
pub mod ports;
pub mod proxies;
mod quotas;
pub mod refusals;
pub mod run;
mod scram;
pub mod stalls;
pub mod statistics;
pub mod tokens;
pub mod tools;

use ens::planted;
