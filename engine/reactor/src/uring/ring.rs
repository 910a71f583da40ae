//! One ring: its file table, its slots, and the batch that the next submit carries.

use std::io;

use bytes::Bytes;
use io_uring::{IoUring, cqueue, squeue, types};

use super::options::Options;
use crate::Conn;
use crate::pool::Lease;

/// State of a direct descriptor. Four bytes: there are as many as connections.
#[derive(Clone, Copy, Default)]
pub(super) struct Slot {
    pub generation: u16,
    pub flags: u8,
    /// The batch (modulo 256) that carries a send to this slot.
    pub batch: u8,
}

impl Slot {
    pub const OPEN: u8 = 1;
    /// The host wants received bytes.
    pub const READING: u8 = 2;
    pub const POLLED: u8 = 4;
    /// There may be bytes to receive.
    pub const READABLE: u8 = 8;
    pub const HUNG_UP: u8 = 16;
    /// An `Unsent` of it waits to be delivered.
    pub const UNSENT: u8 = 32;
    pub const WRITE_POLLED: u8 = 64;
    /// A receive of it is in the batch or waits for a buffer.
    pub const RECEIVING: u8 = 128;

    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub fn set(&mut self, flag: u8, on: bool) {
        if on {
            self.flags |= flag
        } else {
            self.flags &= !flag
        }
    }
}

/// Multiplier that tells rings apart in a [`Conn`].
const RING_SHIFT: u32 = 24;

/// The ring of a connection.
pub(super) fn ring_of(conn: Conn) -> usize {
    (conn.0 >> RING_SHIFT) as usize
}

/// The slot of a connection.
pub(super) fn slot_of(conn: Conn) -> usize {
    (conn.0 & ((1 << RING_SHIFT) - 1)) as usize
}

/// What a completion says, copied out of the queue.
pub(super) struct Done {
    pub user_data: u64,
    pub result: i32,
    pub flags: u32,
}

/// One io_uring instance.
pub(super) struct Ring {
    io: IoUring,
    number: u32,
    pub slots: Vec<Slot>,
    pub free: u32,
    /// Sends of the batch: kept until the submit has returned.
    pub sends: Vec<(Conn, Bytes)>,
    /// Receives of the batch: the kernel writes into these leases during the submit.
    pub receives: Vec<(Conn, u16, Option<Lease>)>,
    pub batch: u8,
}

impl Ring {
    pub fn new(number: usize, options: &Options) -> io::Result<Self> {
        let io = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(options.batch * 4)
            .build(options.batch)?;
        io.submitter()
            .register_files_sparse(options.files_per_ring)?;
        Ok(Self {
            io,
            number: number as u32,
            slots: vec![Slot::default(); options.files_per_ring as usize],
            free: options.files_per_ring,
            sends: Vec::with_capacity(options.batch as usize),
            receives: Vec::new(),
            batch: 1,
        })
    }

    pub fn conn(&self, slot: u32) -> Conn {
        Conn(self.number << RING_SHIFT | slot)
    }

    pub fn fd(&self, conn: Conn) -> types::Fixed {
        types::Fixed(slot_of(conn) as u32)
    }

    pub fn slot(&mut self, conn: Conn) -> &mut Slot {
        &mut self.slots[slot_of(conn)]
    }

    /// Deferred work of this ring rings `eventfd`.
    pub fn ring_eventfd(&self, eventfd: i32) -> io::Result<()> {
        self.io.submitter().register_eventfd(eventfd)
    }

    pub fn queued(&mut self) -> usize {
        self.io.submission().len()
    }

    pub fn is_full(&mut self) -> bool {
        self.io.submission().is_full()
    }

    /// Queues an operation; the caller has made sure that there is room.
    pub fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: what the entry points to (batch sends and receives, boxed addresses) is owned by
        // this ring or its reactor until the operation has completed.
        let pushed = unsafe { self.io.submission().push(entry) };
        assert!(pushed.is_ok(), "the caller looks at is_full first");
    }

    /// Whether completions wait in the kernel for this thread to run them.
    pub fn has_work(&mut self) -> bool {
        let queue = self.io.submission();
        queue.taskrun() || queue.cq_overflow()
    }

    /// Carries out what is queued, and deferred work if there is any. Does not wait.
    pub fn submit(&mut self) -> io::Result<()> {
        if self.queued() == 0 && !self.has_work() {
            return Ok(());
        }
        self.enter(|io| io.submitter().submit())
    }

    /// Carries out what is queued and waits for a completion, at most `wait_ns` if given.
    pub fn submit_and_wait(&mut self, wait_ns: Option<u64>) -> io::Result<()> {
        match wait_ns {
            None => self.enter(|io| io.submitter().submit_and_wait(1)),
            Some(ns) => {
                let time = types::Timespec::new()
                    .sec(ns / 1_000_000_000)
                    .nsec((ns % 1_000_000_000) as u32);
                let args = types::SubmitArgs::new().timespec(&time);
                self.enter(|io| io.submitter().submit_with_args(1, &args))
            }
        }
    }

    fn enter(&mut self, call: impl Fn(&IoUring) -> io::Result<usize>) -> io::Result<()> {
        match call(&self.io) {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // Interrupted, timed out, or completions must be taken first: all are tried again
                // by the next turn.
                Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Takes the completions that are there.
    pub fn take(&mut self, into: &mut Vec<Done>) {
        into.extend(self.io.completion().map(|entry: cqueue::Entry| Done {
            user_data: entry.user_data(),
            result: entry.result(),
            flags: entry.flags(),
        }));
    }

    pub fn has_completions(&mut self) -> bool {
        !self.io.completion().is_empty()
    }
}
