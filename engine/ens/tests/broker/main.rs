//! A broker at work, spoken to over sockets.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod clients;
mod pools;
mod programs;
mod strangers;
mod talk;
