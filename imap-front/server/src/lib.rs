//! `imapd`: the one place that knows engine, protocols and store.
//!
//! In reading order: [`settings`] (the configuration), [`run`] (start and stop), [`planes`] (the
//! threads), [`front`] (sessions in shards), [`control`] (requests to store and passwords),
//! [`lmtp`] (deliveries), [`announce`] (committed events to the engine), [`log`].

pub mod announce;
pub mod control;
pub mod front;
pub mod lmtp;
pub mod log;
pub mod planes;
pub mod run;
pub mod settings;
