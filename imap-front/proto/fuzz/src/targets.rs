//! What is promised for any bytes whatsoever.

mod command;
mod conversation;
mod delivery;
mod message;
mod names;
mod proxy;

pub use command::imap_command;
pub use conversation::{answers, session};
pub use delivery::lmtp;
pub use message::{mime, search};
pub use names::{mutf7, sequence_set};
pub use proxy::proxy;
