//! Mail outside of the store: backups of it, and what other programs keep.
//!
//! In reading order: [`backup::record`] (what a backup is made of; the server and its tools say the
//! same to each other), [`backup::file`] (records in a file, so that damage is found),
//! [`backup::order`] (which record may follow which), [`backup::chain`] (a backup and those that
//! add to it, as one), [`elsewhere`] (Maildir and mbox), [`remote`] (another IMAP server).
//!
//! Invariants: nothing here knows the store or the configuration; what is read is bounded by what a
//! record may be, and was written by anybody: it is checked, and never panics.

pub mod backup;
pub mod elsewhere;
pub mod remote;
