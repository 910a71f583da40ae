//! Fuzzing: [`targets`] are functions of any bytes that panic when the code breaks a promise.

pub mod targets;

#[allow(dead_code, clippy::unwrap_used, reason = "it belongs to the tests")]
#[path = "../../tests/support/peer.rs"]
mod peer;
