//! A connection to a NATS cluster, on a thread of its own with a runtime of its own: the only place
//! with tokio. What is said there is a [`Driver`]'s affair, which does no I/O and never waits.
//!
//! The client is `async-nats`. It connects again by itself, with jitter, to any server that it
//! knows of; a server that falls silent is noticed within [`SILENT`]. What was under way when a
//! connection ended is lost, as NATS has it, and the driver hears of the end.
//!
//! What waits is bounded in bytes, both ways. The connection is read, and messages are taken, on
//! one thread by turns: the client reads some dozens of times (what tokio grants a task at a time),
//! then all that has come is taken, up to [`Options::waiting_bytes_max`]; what is more is dropped,
//! and the driver hears how much. While the driver works nothing is read, and the server waits, or
//! cuts the connection. What is ordered goes to the client by pieces of that size: before the next
//! one is given to it, it has written the last.

mod client;
mod driver;
mod options;
mod subscriptions;
mod thread;
mod told;
mod waker;

pub use driver::{Driver, Message, News, Order};
pub use options::{Credentials, Options, StartError};
pub use thread::Link;
pub use waker::Waker;

/// A server that says nothing for so long is taken for dead, about.
pub const SILENT: std::time::Duration = std::time::Duration::from_secs(3);
