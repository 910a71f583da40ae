//! The kernel's reactor against ordinary sockets and against itself, with one ring and with three.
#![allow(clippy::disallowed_methods, reason = "tests wait and measure")]

mod accept;
mod churn;
mod connect;
mod exchange;
mod handover;
mod hangup;
mod host;
mod sending;
mod wake;
