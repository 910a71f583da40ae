//! A connection to a NATS cluster, on a thread of its own with a runtime of its own: the only place
//! with tokio. What is said there is a [`Driver`]'s affair, which does no I/O and never waits.
//!
//! The client is `async-nats`. It connects again by itself, with jitter, to any server that it
//! knows of; a server that falls silent is noticed within [`SILENT`]. What was under way when a
//! connection ended is lost, as NATS has it, and the driver hears of the end.

mod client;
mod driver;
mod options;
mod thread;
mod waker;

pub use driver::{Driver, Message, News, Order};
pub use options::{Credentials, Options, StartError};
pub use thread::Link;
pub use waker::Waker;

/// A server that says nothing for so long is taken for dead, about.
pub const SILENT: std::time::Duration = std::time::Duration::from_secs(3);
