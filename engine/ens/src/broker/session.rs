//! One connection's bytes.

use bytes::{Buf, BytesMut};

/// An active connection: what it has sent of a frame that is not all there.
#[derive(Debug, Default)]
pub struct Session {
    pub(super) buffer: BytesMut,
    /// Which version of ENP it speaks; 0 before its HELLO.
    version: u8,
    /// It was told that it is closed; what it still sends is not read.
    pub(super) closing: bool,
}

/// A connection that only waits: nothing but which version it speaks.
#[derive(Clone, Copy, Debug)]
pub struct Parked(pub(super) u8);

impl Session {
    pub(super) fn greet(&mut self, version: u8) {
        self.version = version;
    }

    pub(super) fn version(&self) -> u8 {
        self.version
    }

    pub(super) fn is_greeted(&self) -> bool {
        self.version != 0
    }

    pub(super) fn park(&self) -> Option<Parked> {
        let rests = self.is_greeted() && self.buffer.is_empty() && !self.closing;
        rests.then_some(Parked(self.version))
    }

    pub(super) fn unpark(parked: Parked) -> Self {
        Self {
            version: parked.0,
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
