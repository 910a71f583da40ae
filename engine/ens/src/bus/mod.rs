//! One event bus for many hosts: what brokers of a site say to each other, without I/O.
//!
//! Brokers meet on a bus (NATS) that loses what it can't deliver, and keeps the order of each
//! publisher. Events are spread over [`BUCKETS`] buckets by their key; a broker hears those of the
//! buckets in which it has subscriptions. Each broker, while its process lives, is an *origin*: it
//! numbers what it publishes in each bucket, and once a second says how far it is. So whoever hears
//! it knows what was lost, and how much: each event is either heard once, in order, or told as
//! missed. Subscribers can't know which of them they would have wanted.
//!
//! In reading order: `bucket`, `interest` (which buckets are wanted), `wire` (what is said),
//! `outgoing` (numbers and batches), `incoming` (what other origins have said), `pools` (members of
//! one pool on several hosts), `streams` (what is sent to them), `links` (acknowledgements from end
//! to end), `machine` (all of it), `port` (what shards give it).

mod bucket;
mod incoming;
mod interest;
mod links;
mod machine;
mod mutant;
mod outgoing;
mod pools;
mod port;
mod streams;
mod wire;

#[cfg(test)]
mod enemy;
#[cfg(test)]
mod simulation;

pub use bucket::{BUCKETS, bucket_of, bucket_of_pattern, hears_others};
pub use incoming::{FAMILY_SHIFT, Missed};
pub use interest::{Interest, Wanted};
pub use machine::{Action, Counts, Limits, Machine, in_order};
pub use port::{Given, Port};
pub use streams::Pooled;
pub use wire::{Crossing, MESSAGE_BYTES_MIN, Subject, Token, belongs_at};
