//! The C programmer's ENS: `ens.h`, `publisher.h`, `subscriber.h`, `pasdisp.h`, `upub.h`.
//!
//! In reading order: `dispatcher` (whose thread calls back, and in which order), `client` (a
//! connection with what waits for answers; no foreign memory in either), then a file a header.
//! Signatures are those of the reference's chapter 2; where the public manuals are silent the
//! headers say what holds here.

mod client;
mod dispatcher;
mod ens_h;
mod foreign;
mod pasdisp_h;
mod publisher_h;
mod renl_h;
mod subscriber_h;
mod upub_h;
