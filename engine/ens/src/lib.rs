//! The Event Notification Service: a broker takes events from publishers and tells subscribers.
//!
//! In reading order: [`scope`] (whose events), [`event_ref`] (what events are called, what patterns
//! match), [`access`]
//! (`ENS_ACCESS`), [`frame`] (ENP, the wire protocol; specified in `docs/ENP.md`), [`matcher`],
//! [`bus`] (what brokers of a site say to each other), [`broker`] (hosted by the shards of
//! `engine`), [`server`] (its threads and ports), [`site`] (its thread on the bus), [`client`]
//! (publishers and subscribers), [`trace`] (the documented environment variables), [`ready`] (how
//! `start-msg` is told that a service serves), [`sparing`] (lines of the log that may come very
//! often), [`confinement`] (what it gives up then),
//! [`handover`] (all connections of a program to another process), [`belongings`] (what `enpd` has
//! besides), [`control`] (where it is asked for all), [`output`] (that nobody reads), [`planted`]
//! (faults, for tests).

pub mod access;
pub mod arguments;
pub mod belongings;
pub mod broker;
pub mod bus;
pub mod client;
pub mod confinement;
pub mod control;
pub mod event_ref;
pub mod frame;
pub mod handover;
pub mod matcher;
pub mod output;
pub mod own_socket;
pub mod planted;
pub mod ready;
pub mod scope;
pub mod server;
pub mod site;
pub mod sparing;
pub mod statistics;
pub mod supervisor;
mod tables;
pub mod trace;
