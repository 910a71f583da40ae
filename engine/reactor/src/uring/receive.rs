//! Watching for bytes and receiving them.
//!
//! A receive carries MSG_DONTWAIT: it runs while it is submitted, or fails with EAGAIN. So it can
//! be given a buffer of the shared pool directly, the pool serves all rings, and a connection for
//! which there is no buffer waits its turn instead of failing.
//!
//! Polls are one-shot, and asked for again once all that was there is received. A poll that is over
//! needs no cancel when its connection ends; to find one for that the kernel goes through a list of
//! every 256th of the ring's polls.

use std::collections::VecDeque;

use io_uring::{cqueue, opcode};

use super::Uring;
use super::op::fixed;
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
    /// Connections whose polls are to be armed.
    to_poll: Vec<(Conn, u16)>,
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
            to_poll: Vec::new(),
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
    /// Receives from a connection that the host reads if something is there, and watches it if not.
    pub(super) fn want_bytes(&mut self, conn: Conn) {
        let slot = self.slot(conn);
        if !slot.has(Slot::READING) || slot.has(Slot::HUNG_UP) {
            return;
        }
        let generation = slot.generation;
        if slot.has(Slot::RECEIVING) {
            // What comes of that is looked at first.
        } else if slot.has(Slot::READABLE | Slot::ENDING) {
            slot.set(Slot::RECEIVING, true);
            self.receives.wanted.push_back((conn, generation));
        } else if !slot.has(Slot::POLLED | Slot::TO_POLL) {
            slot.set(Slot::TO_POLL, true);
            self.receives.to_poll.push((conn, generation));
        }
    }

    /// Whether there are polls to be armed.
    pub(super) fn has_polls(&self) -> bool {
        !self.receives.to_poll.is_empty()
    }

    /// Arms the polls of connections that are read still.
    pub(super) fn push_polls(&mut self) {
        let mut polls = std::mem::take(&mut self.receives.to_poll);
        for (conn, generation) in polls.drain(..) {
            self.push_poll(conn, generation);
        }
        // What completions of a full batch have noted meanwhile.
        polls.append(&mut self.receives.to_poll);
        self.receives.to_poll = polls;
    }

    fn push_poll(&mut self, conn: Conn, generation: u16) {
        let Some(slot) = self.current(conn, generation) else {
            return;
        };
        slot.set(Slot::TO_POLL, false);
        if !slot.has(Slot::READING) {
            return;
        }
        slot.set(Slot::POLLED, true);
        let events = (libc::POLLIN | libc::POLLRDHUP) as u32;
        let poll = opcode::PollAdd::new(fixed(conn), events);
        let token = Token::of(Kind::Poll, conn, generation);
        self.watch(ring_of(conn), poll, token);
    }

    pub(super) fn polled(&mut self, token: Token, done: &Done) {
        let conn = Conn(token.low);
        let Some(slot) = self.current(conn, token.generation) else {
            return;
        };
        slot.set(Slot::POLLED, false);
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
