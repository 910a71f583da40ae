//! FETCH data items as bytes (RFC 3501 §7.4.2).

mod bodystructure;
mod envelope;
mod section;

pub use bodystructure::{Shape, bodystructure};
pub use envelope::envelope;
pub use section::{section_label, what};
