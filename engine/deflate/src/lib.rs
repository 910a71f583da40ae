//! DEFLATE (RFC 1951) without I/O, for connections of which most are silent.
//!
//! What leaves goes in *bursts*: each ends on a byte and refers to nothing before it, so nothing is
//! kept between two of them. A [`Deflater`] is scratch space for any number of connections, and
//! [`store`] does without it: short pieces leave as stored blocks, which are the same bytes for
//! everybody. What comes needs an [`Inflater`] for each connection: the window that its peer may
//! refer to, of which only what has really come is kept, and where in the stream it stands. The
//! tables that inflating needs are in a [`Workspace`], one for all.

mod burst;
mod inflater;
mod workspace;

pub use burst::{Deflater, STORED_EXTRA_BYTES, store};
pub use inflater::{INFLATER_BYTES_MAX, Inflater};
pub use workspace::{Fault, INFLATED_BYTES_MAX, Inflated, Workspace};
