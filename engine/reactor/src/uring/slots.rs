//! State of direct descriptors: eight bytes each, in chunks that appear as the kernel hands out
//! higher slots, so that growth never copies and an unused table costs nothing.

use crate::Conn;

/// Slots a chunk.
const CHUNK: usize = 4096;
/// Where the ring's number begins in a [`Conn`].
const RING_SHIFT: u32 = 24;

/// State of a direct descriptor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    /// Goes up at each close; completions of another generation are stale.
    pub generation: u16,
    pub flags: u16,
    /// Place in the sends of this turn, counted from 1; 0 if it has none.
    pub queued: u32,
}

const _: () = assert!(size_of::<Slot>() == 8);

impl Slot {
    pub const OPEN: u16 = 1;
    /// The host wants received bytes.
    pub const READING: u16 = 1 << 1;
    /// The poll for bytes is armed.
    pub const POLLED: u16 = 1 << 2;
    /// There may be bytes to receive.
    pub const READABLE: u16 = 1 << 3;
    /// The poll has seen the end: receive until it comes.
    pub const ENDING: u16 = 1 << 4;
    /// The end was delivered.
    pub const HUNG_UP: u16 = 1 << 5;
    /// The one-shot poll for room to write is armed, or about to be.
    pub const WRITE_POLLED: u16 = 1 << 6;
    /// A receive is in the batch, or waits for a buffer.
    pub const RECEIVING: u16 = 1 << 7;
    /// The poll for bytes is about to be armed.
    pub const TO_POLL: u16 = 1 << 8;

    pub fn has(self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    pub fn set(&mut self, flag: u16, on: bool) {
        if on {
            self.flags |= flag
        } else {
            self.flags &= !flag
        }
    }
}

/// The slots of one ring.
#[derive(Default)]
pub(super) struct Slots {
    chunks: Vec<Box<[Slot]>>,
}

impl Slots {
    /// Makes the place of a slot that the kernel has just handed out.
    pub fn reach(&mut self, number: u32) {
        while self.chunks.len() * CHUNK <= number as usize {
            self.chunks.push(vec![Slot::default(); CHUNK].into());
        }
    }

    /// A slot. It must have been handed out before.
    pub fn at(&mut self, number: u32) -> &mut Slot {
        let number = number as usize;
        &mut self.chunks[number / CHUNK][number % CHUNK]
    }
}

/// A connection's number.
pub(super) fn conn_at(ring: usize, slot: u32) -> Conn {
    Conn((ring as u32) << RING_SHIFT | slot)
}

/// The ring of a connection.
pub(super) fn ring_of(conn: Conn) -> usize {
    (conn.0 >> RING_SHIFT) as usize
}

/// The slot of a connection.
pub(super) fn slot_of(conn: Conn) -> u32 {
    conn.0 & ((1 << RING_SHIFT) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_by_chunks_and_keeps_what_it_holds() {
        let mut slots = Slots::default();
        slots.reach(0);
        slots.at(0).generation = 7;
        slots.reach(3 * CHUNK as u32);
        assert_eq!(slots.chunks.len(), 4);
        assert_eq!(slots.at(0).generation, 7);
        assert_eq!(slots.at(3 * CHUNK as u32).flags, 0);
    }

    #[test]
    fn a_connection_is_a_ring_and_a_slot() {
        let conn = conn_at(250, 0xAB_CDEF);
        assert_eq!((ring_of(conn), slot_of(conn)), (250, 0xAB_CDEF));
    }
}
