//! Receive buffers: leased to whoever handles the bytes, given back by being dropped.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// A pool of equally large receive buffers on one thread.
#[derive(Clone)]
pub struct BufferPool {
    inner: Rc<Inner>,
}

struct Inner {
    buffer_bytes: usize,
    free: RefCell<Vec<Box<[u8]>>>,
}

impl BufferPool {
    /// A pool of `buffers` buffers of `buffer_bytes` bytes each. They are written once, so that the
    /// memory is there from the start: no first message waits for it, and it is not mistaken for
    /// memory of connections.
    pub fn new(buffers: usize, buffer_bytes: usize) -> Self {
        let free = (0..buffers)
            .map(|_| vec![b'-'; buffer_bytes].into_boxed_slice())
            .collect();
        Self {
            inner: Rc::new(Inner {
                buffer_bytes,
                free: RefCell::new(free),
            }),
        }
    }

    /// Bytes in each buffer.
    pub fn buffer_bytes(&self) -> usize {
        self.inner.buffer_bytes
    }

    /// Buffers that are not leased.
    pub fn free(&self) -> usize {
        self.inner.free.borrow().len()
    }

    /// Leases a buffer, or none if all are out.
    pub fn lease(&self) -> Option<Lease> {
        let buffer = self.inner.free.borrow_mut().pop()?;
        Some(Lease {
            pool: self.inner.clone(),
            buffer,
            len: 0,
        })
    }
}

/// A leased buffer; reads as the bytes that were received into it.
pub struct Lease {
    pool: Rc<Inner>,
    buffer: Box<[u8]>,
    len: usize,
}

impl Lease {
    /// The whole buffer, to receive into.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// Says how many bytes at the front of [`Lease::space`] were received.
    pub fn filled(&mut self, len: usize) {
        assert!(len <= self.buffer.len(), "more bytes than the buffer holds");
        self.len = len;
    }
}

impl Deref for Lease {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.len]
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool
            .free
            .borrow_mut()
            .push(std::mem::take(&mut self.buffer));
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lease({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_lease_returns() {
        let pool = BufferPool::new(1, 16);
        let mut lease = pool.lease().expect("one is free");
        assert!(pool.lease().is_none());
        lease.space()[..3].copy_from_slice(b"abc");
        lease.filled(3);
        assert_eq!(&*lease, b"abc");
        drop(lease);
        assert_eq!(pool.free(), 1);
        assert_eq!(pool.lease().expect("returned").len(), 0);
    }
}
