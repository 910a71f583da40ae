//! The fan-out engine: topics, events, shards. Knows no IMAP.
//!
//! In reading order: [`limits`], [`topic`] (what events are about, and who owns it), [`event`],
//! [`protocol`] (what a shard hosts), `queue` and `mesh` (what shards send each other),
//! [`tail`] (recent events), `timer`, `row` (a connection), `topics` (who watches what), `watches`
//! (who watches more than one),
//! [`secure`] (what TLS is to a shard), [`shard`] (the turn), [`runtime`] (the handle for everyone
//! else), [`stats`], [`handover`] (all of it, to another process).
//!
//! Invariants: no `async`, no lock on the way of an event; a slow reader owns a cursor and at most
//! what a send cut short; every queue has a bound in [`limits`] and every drop a reason in
//! [`stats`].

pub mod event;
pub mod handover;
pub mod limits;
pub mod protocol;
pub mod runtime;
pub mod secure;
pub mod shard;
pub mod stats;
pub mod tail;
pub mod topic;

mod hash_tables;
mod mesh;
mod mutant;
mod queue;
mod row;
mod rows;
#[cfg(test)]
mod simulation;
mod timer;
mod topics;
mod watches;

pub use limits::{Contradiction, Limits};
pub use row::row_bytes;
pub use runtime::{Handle, mesh};
pub use shard::{Adopted, Shard};
pub use watches::{Beside, Mark};
