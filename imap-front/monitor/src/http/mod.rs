//! HTTP/1.1 without I/O (RFC 9112), as much of it as a door for a few needs: requests without a
//! body, answers of a known length, and one that never ends.

mod access;
mod answer;
mod request;

pub use access::{Access, Refused, Token};
pub use answer::{Answer, Body, EVENTS_HEAD, event};
pub use request::{Fault, HEAD_BYTES_MAX, Method, Request, Requests};
