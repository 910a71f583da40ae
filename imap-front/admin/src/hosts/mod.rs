//! On which host a user's mail is, for proxies in front of several: the map (`config/hosts`), and
//! the answers to nginx's mail proxy.

mod answers;
mod map;
mod serve;

pub use answers::{Asked, Led, WANTED, answer};
pub use map::{Hosts, Place};
pub use serve::{Guide, serve};
