//! Publishers and subscribers: [`Machine`] knows the protocol and no sockets, [`Connection`] keeps
//! one to a broker alive.

mod address;
mod connection;
mod machine;
mod secure;
mod stream;

pub use address::Address;
pub use connection::{Connection, OpenError, Options, PublishError};
pub use machine::{ClientEvent, Machine};
pub use secure::ENS_CA_FILE;
pub(crate) use secure::{roots_of, roots_of_system, trusting, trusting_and_showing};
