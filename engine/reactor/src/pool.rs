//! Receive buffers: leased to whoever handles the bytes, given back by being dropped.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;

/// A pool of equally large receive buffers on one thread.
#[derive(Clone)]
pub struct Pool {
    inner: Rc<Inner>,
}

struct Inner {
    memory: Box<[u8]>,
    buffer_bytes: usize,
    /// Buffers whose lease ended since the reactor last looked.
    returned: RefCell<Vec<u16>>,
}

/// Bytes received into one buffer of a [`Pool`].
pub struct Lease {
    pool: Rc<Inner>,
    buffer: u16,
    len: u32,
}
