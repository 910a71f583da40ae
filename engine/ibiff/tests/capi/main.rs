//! The C API, as C programs see it: they are compiled here, and run against a live broker.
#![allow(clippy::disallowed_methods, reason = "tests wait and measure")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod build;
mod crash;
mod examples;
mod plugin;
mod program;
mod secure;
