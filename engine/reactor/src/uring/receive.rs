//! Watching for bytes and receiving them.
//!
//! A receive carries MSG_DONTWAIT: it runs while it is submitted, or fails with EAGAIN. So it can
//! be given a buffer of the shared pool directly, the pool serves all rings, and a connection for
//! which there is no buffer waits its turn instead of failing.

use std::collections::VecDeque;

use io_uring::{cqueue, opcode};

use super::Uring;
use super::op::{Op, fixed};
use super::ring::Done;
use super::slots::{Slot, ring_of};
use super::token::{Kind, Token};
use crate::pool::{BufferPool, Lease};
use crate::{Completion, Conn};

/// Receives wanted and under way.
pub(super) struct Receives {
    pool: BufferPool,
    /// Connections to receive from, in order.
    wanted: VecDeque<(Conn, u16)>,
    /// Nothing is received for now.
    pub held: bool,
    /// Receives of the batch. The kernel writes into their leases during the submit.
    batch: Vec<Option<Receive>>,
}

struct Receive {
    conn: Conn,
    generation: u16,
    lease: Lease,
}

impl Receives {
    pub fn new(buffers: usize, buffer_bytes: usize) -> Self {
        Self {
            pool: BufferPool::new(buffers, buffer_bytes),
            wanted: VecDeque::new(),
            held: false,
            batch: Vec::new(),
        }
    }

    /// All receives of the batch have completed.
    pub fn end_batch(&mut self) {
        self.batch.clear();
    }
}

impl Uring {
    /// Watches a connection that the host reads, and receives if something is there.
    pub(super) fn want_bytes(&mut self, conn: Conn) {
        let slot = self.slot(conn);
        if !slot.has(Slot::READING) || slot.has(Slot::HUNG_UP) {
            return;
        }
        let generation = slot.generation;
        let watch = !slot.has(Slot::POLLED);
        slot.set(Slot::POLLED, true);
        let receive =
            slot.flags & (Slot::READABLE | Slot::ENDING) != 0 && !slot.has(Slot::RECEIVING);
        if receive {
            slot.set(Slot::RECEIVING, true);
            self.receives.wanted.push_back((conn, generation));
        }
        if watch {
            self.ops.push(Op::Poll(conn, generation));
        }
    }

    pub(super) fn polled(&mut self, token: Token, done: &Done) {
        let conn = Conn(token.low);
        let Some(slot) = self.current(conn, token.generation) else {
            return;
        };
        if !cqueue::more(done.flags) {
            slot.set(Slot::POLLED, false);
        }
        const END: i32 = (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) as i32;
        if done.result > 0 && done.result & END != 0 {
            slot.set(Slot::ENDING, true);
        }
        slot.set(Slot::READABLE, true);
        self.want_bytes(conn);
    }

    /// Whether a receive is wanted and there is a buffer for it.
    pub(super) fn can_receive(&self) -> bool {
        !self.receives.held && !self.receives.wanted.is_empty() && self.receives.pool.free() > 0
    }

    /// Queues a receive for each connection that wants one, while there are buffers.
    pub(super) fn push_receives(&mut self) {
        if self.receives.held {
            return;
        }
        for _ in 0..self.receives.wanted.len() {
            let Some(mut lease) = self.receives.pool.lease() else {
                return;
            };
            let Some((conn, generation)) = self.receives.wanted.pop_front() else {
                return;
            };
            let Some(slot) = self.current(conn, generation) else {
                continue;
            };
            if !slot.has(Slot::READING) {
                slot.set(Slot::RECEIVING, false);
                continue;
            }
            slot.set(Slot::READABLE, false);
            let space = lease.space();
            let place = self.receives.batch.len() as u32;
            let entry = opcode::Recv::new(fixed(conn), space.as_mut_ptr(), space.len() as u32)
                .flags(libc::MSG_DONTWAIT)
                .build()
                .user_data(Token::new(Kind::Receive, place).pack());
            self.receives.batch.push(Some(Receive {
                conn,
                generation,
                lease,
            }));
            // SAFETY: the entry points into a lease, which the batch owns until it has completed,
            // and which nobody else touches until then; with MSG_DONTWAIT it completes during the
            // submit.
            unsafe { self.push(ring_of(conn), 1, entry) };
        }
    }

    pub(super) fn received(&mut self, place: u32, done: &Done) {
        let receive = self.receives.batch[place as usize].take();
        let Receive {
            conn,
            generation,
            lease: mut data,
        } = receive.expect("a receive completes once, and before its batch ends");
        let Some(slot) = self.current(conn, generation) else {
            return;
        };
        slot.set(Slot::RECEIVING, false);
        match done.result {
            0 => self.hang_up(conn, None),
            count if count > 0 => {
                data.filled(count as usize);
                if cqueue::sock_nonempty(done.flags) || data.space().len() == count as usize {
                    slot.set(Slot::READABLE, true);
                }
                self.out.push(Completion::Received { conn, data });
            }
            error => match -error {
                // Nothing there after all: the next poll tells. But if the poll saw the end, then a
                // send has taken the error, and nothing will come any more.
                libc::EAGAIN => {
                    if slot.has(Slot::ENDING) {
                        self.hang_up(conn, Some(libc::ECONNRESET));
                    }
                }
                libc::EINTR | libc::ENOBUFS | libc::ENOMEM => slot.set(Slot::READABLE, true),
                error => self.hang_up(conn, Some(error)),
            },
        }
        self.want_bytes(conn);
    }

    fn hang_up(&mut self, conn: Conn, error: Option<i32>) {
        let slot = self.slot(conn);
        slot.set(Slot::HUNG_UP, true);
        self.out.push(Completion::Hangup { conn, error });
    }
}
