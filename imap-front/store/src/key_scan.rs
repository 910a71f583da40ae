//! Rows whose keys can be read without their values.

use crate::Error;
use crate::kv::{Kv, Space};

/// As [`Kv`], and keys alone.
pub(crate) trait KeyScan: Kv {
    /// Visits the keys of a keyspace in order.
    ///
    /// # Errors
    /// If the disk fails.
    fn keys(&self, space: Space, visit: &mut dyn FnMut(&[u8])) -> Result<(), Error>;
}
