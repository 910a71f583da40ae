//! `libibiff.so`, the notification plug-in, and how a host loads such plug-ins.
//!
//! In reading order: `abi` (`include/ensign_plugin.h` in Rust), [`biff`] (events to event
//! references and payloads; no foreign memory), `entry` (what the library exports), [`host`]
//! (loading a library and calling it), `trust` (whose libraries it loads), `capi` (the ENS
//! functions for C programs).
//!
//! `unsafe` stands in `entry`, `host` and `capi` alone: they touch memory of the other side.

mod abi;
pub mod biff;
mod capi;
mod crash;
mod entry;
pub mod host;
mod trust;
