//! The fan-out engine: topics, events, shards. Knows no IMAP.
//!
//! In reading order: [`limits`], [`topic`] (what events are about, and who owns it), [`event`],
//! [`protocol`] (what a shard hosts), [`shard`] (the turn), and the parts the turn is made of.
pub mod event;
pub mod protocol;
pub mod topic;
