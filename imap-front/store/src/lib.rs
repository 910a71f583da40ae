//! The durable mail store: one writer, group commit, recovery.
//!
//! In reading order: [`options`], [`kv`] (rows in keyspaces, and a transaction over them), `rows`
//! (their encodings), [`logic`] (what each request means, over any [`kv::Kv`]), `disk` (fjall),
//! `mark` (how far it came), [`stats`], `writer` (the one thread that changes anything), [`store`]
//! (the handle), [`notice`] (what notification plug-ins are told).
//!
//! Invariants: only the writer changes rows; a reply to a change comes after the fsync that holds
//! it; each commit carries the next number of a gapless counter, which recovery checks.

pub mod error;
pub mod kv;
pub mod logic;
pub mod notice;
pub mod options;
pub mod stats;
pub mod store;

mod disk;
mod mark;
mod rows;
mod writer;

pub use error::{Error, OpenError};
pub use logic::is_write;
pub use notice::Notice;
pub use options::{Options, Quota};
pub use stats::Stats;
pub use store::{Announcer, Completion, Recovery, Store};
