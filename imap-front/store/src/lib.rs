//! The durable mail store: one writer, group commit, recovery.
//!
//! In reading order: [`options`] and `quota`, [`kv`] (rows in keyspaces, and a transaction over
//! them), `rows` (their encodings), `index`, `index_build`, `index_files`, `index_cache`,
//! `body_cache`, `sort_keys`, `text_cache` (the latter two over `chunk_cache`, all over
//! `bounded_cache`; reads have them in `read_caches`) and `claims` (what is kept in memory),
//! `long_read` (reads in pieces), [`logic`] (what each request means, over any [`kv::Kv`]), `disk`
//! (fjall), `free_space`, `progress` and `commit_marker` (how far it came), `inspect` (what is on
//! the disk before it is opened), `opening` (what is lost, and whether to go on), `loss`, `stats`,
//! `running` (operations that take many slices), `job` (what the writer is given), `group` (what
//! becomes one commit), `hot_rows` (rows that the writer keeps), `committer` (commits a group while
//! the next is applied), `pipeline` (what that needs, and what waits), `writer` (the one thread
//! that changes anything, and what it calls: `callbacks`), `key_maker` (sort keys, beside the
//! writer), [`store`] (the handle), [`frozen`] (what backups read), [`put`] (what restores write),
//! [`notification`] (what notification plug-ins are told), [`reconstruct`] (checks and repairs).
//!
//! Invariants: only the writer changes rows; a reply to a change comes after the fsync that holds
//! it, but for parts of uploads, which nobody outside is told of; each commit carries the next
//! number of a gapless counter, which recovery checks; a store that ends before its commit marker
//! is never served.
#![allow(
    clippy::disallowed_methods,
    reason = "no part of the data plane: the writer measures itself and waits for its disk"
)]

pub mod error;
pub mod frozen;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod kv;
pub mod logic;
pub mod notification;
pub mod options;
pub mod put;
pub mod reconstruct;
mod space;
mod stats;
pub mod store;

mod body_cache;
mod bounded_cache;
mod callbacks;
mod chunk_cache;
mod claims;
mod commit_marker;
mod committer;
mod disk;
mod free_space;
mod group;
mod hot_rows;
mod index;
mod index_build;
mod index_cache;
mod index_files;
mod inspect;
mod job;
mod key_maker;
mod key_scan;
mod long_read;
mod loss;
mod opening;
mod pipeline;
mod progress;
mod quota;
mod read_caches;
mod rows;
mod running;
mod sort_keys;
mod text_cache;
mod writer;
mod written_out;

pub use callbacks::{Announcer, Completion, Directory, Timekeeper};
pub use error::{Error, OpenError};
pub use long_read::LongRead;
pub use loss::{Fault, Loss};
pub use notification::Notification;
pub use opening::Recovery;
pub use options::Options;
pub use quota::Quota;
pub use stats::Stats;
pub use store::{Cold, Store};
