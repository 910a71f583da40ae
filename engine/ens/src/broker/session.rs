//! One connection's bytes.

use bytes::{Buf, BytesMut};

/// An active connection: what it has sent of a frame that is not all there.
#[derive(Debug, Default)]
pub struct Session {
    pub(super) buffer: BytesMut,
    greeted: bool,
    /// It was told that it is closed; what it still sends is not read.
    pub(super) closing: bool,
}

/// A connection that only waits: nothing but that it said hello.
#[derive(Clone, Copy, Debug)]
pub struct Parked;

impl Session {
    pub(super) fn greet(&mut self) {
        self.greeted = true;
    }

    pub(super) fn is_greeted(&self) -> bool {
        self.greeted
    }

    pub(super) fn park(&self) -> Option<Parked> {
        (self.greeted && self.buffer.is_empty() && !self.closing).then_some(Parked)
    }

    pub(super) fn unpark(_: Parked) -> Self {
        Self {
            greeted: true,
            ..Self::default()
        }
    }

    /// Keeps the rest for when more of it comes.
    pub(super) fn keep(&mut self, taken: usize, bytes: &[u8], was_buffered: bool) {
        if was_buffered {
            self.buffer.advance(taken);
            if self.buffer.is_empty() {
                self.buffer = BytesMut::new();
            }
        } else {
            self.buffer.extend_from_slice(&bytes[taken..]);
        }
    }
}
