//! One ring: its queues, its file table and the state of its slots.

use std::io;
use std::sync::atomic::{Ordering, fence};

use io_uring::{IoUring, cqueue, squeue, types};

use super::denied::explained;
use super::options::Options;
use super::restrict::restrict;
use super::slots::{Slot, Slots, slot_of};
use crate::Conn;

/// Completion queue entries: room for a burst of accepts, and the kernel sizes its table of polls
/// (which every cancel searches) by it.
const COMPLETIONS: u32 = 8192;
/// Submits in a row that may fail for want of memory before that is an error.
const ATTEMPTS_MAX: u32 = 10_000;
/// IORING_ENTER_GETEVENTS: run deferred work.
const GETEVENTS: u32 = 1;

/// What a completion says, copied out of the queue.
#[derive(Clone, Copy)]
pub(super) struct Done {
    pub user_data: u64,
    pub result: i32,
    pub flags: u32,
}

/// One io_uring instance.
pub(super) struct Ring {
    io: IoUring,
    slots: Slots,
    /// Descriptors that are not open.
    pub free: u32,
    /// Of these, promised to single accepts and sockets under way.
    pub promised: u32,
}

impl Ring {
    /// A ring of this thread, which is its only user. Deferred work rings `eventfd`, if there is
    /// one.
    pub fn new(options: &Options, eventfd: Option<i32>) -> io::Result<Self> {
        let io = IoUring::builder()
            // Until it is restricted.
            .setup_r_disabled()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS.max(options.batch * 4))
            .build(options.batch)
            .map_err(explained)?;
        io.submitter()
            .register_files_sparse(options.files_per_ring)
            .map_err(explained)?;
        // Saves a lookup in each call; a kernel that can't do it does without.
        let _ = io.submitter().register_ring_fd();
        if let Some(eventfd) = eventfd {
            io.submitter().register_eventfd(eventfd)?;
        }
        if options.restricted {
            restrict(&io)?;
        }
        io.submitter().register_enable_rings().map_err(explained)?;
        Ok(Self {
            io,
            slots: Slots::default(),
            free: options.files_per_ring,
            promised: 0,
        })
    }

    /// A descriptor was installed at `number`.
    pub fn open(&mut self, number: u32) -> &mut Slot {
        self.free -= 1;
        self.slots.reach(number);
        let slot = self.slots.at(number);
        slot.flags = Slot::OPEN;
        slot
    }

    pub fn slot(&mut self, conn: Conn) -> &mut Slot {
        self.slots.at(slot_of(conn))
    }

    /// Descriptors that nobody has or was promised.
    pub fn room(&self) -> u32 {
        self.free - self.promised
    }

    /// Whether deferred work rings. Off while the reactor runs: its own submits would ring, too.
    pub fn ring_while(&mut self, asleep: bool) {
        let queue = self.io.completion();
        if asleep {
            queue.enable_eventfd();
            // Work that came before is seen by `has_news` after this, later work rings.
            fence(Ordering::SeqCst);
        } else {
            queue.disable_eventfd();
        }
    }

    /// Operations in the batch.
    pub fn queued(&mut self) -> usize {
        self.io.submission().len()
    }

    /// Whether so many more operations fit into the batch.
    pub fn fits(&mut self, operations: usize) -> bool {
        let queue = self.io.submission();
        queue.len() + operations <= queue.capacity()
    }

    /// Adds an operation to the batch; the caller has made sure that it fits.
    ///
    /// # Safety
    /// What the entry points to must stay until the operation has completed; for operations that
    /// run while they are submitted (or only read their arguments then), until the next
    /// [`Ring::submit`] has returned.
    pub unsafe fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: as the caller promises.
        let pushed = unsafe { self.io.submission().push(entry) };
        assert!(pushed.is_ok(), "the caller looks at `fits` first");
    }

    /// Whether completions are there, or in the kernel for this thread to run them.
    pub fn has_news(&mut self) -> bool {
        let (_, submission, completion) = self.io.split();
        !completion.is_empty() || submission.taskrun() || submission.cq_overflow()
    }

    /// Carries out the whole batch, runs deferred work once, and takes all completions. After it
    /// every operation that runs while it is submitted has completed. Does not wait.
    ///
    /// # Errors
    /// If the kernel refuses for good: nothing that this process could go on from.
    pub fn submit(&mut self, into: &mut Vec<Done>) -> io::Result<()> {
        for _ in 0..ATTEMPTS_MAX {
            let queued = self.queued() as u32;
            // SAFETY: the flags ask for no argument and none is given.
            let entered = unsafe {
                let submitter = self.io.submitter();
                submitter.enter::<libc::sigset_t>(queued, 0, GETEVENTS, None)
            };
            tolerate(entered)?;
            self.take(into);
            if self.queued() == 0 && !self.io.submission().cq_overflow() {
                return Ok(());
            }
        }
        Err(io::Error::other("the kernel takes no more operations"))
    }

    /// Carries out the batch, waits for a completion, at most `wait_ns` if given, and takes all
    /// that are there.
    ///
    /// # Errors
    /// As of [`Ring::submit`].
    pub fn submit_and_wait(
        &mut self,
        wait_ns: Option<u64>,
        into: &mut Vec<Done>,
    ) -> io::Result<()> {
        let ns = wait_ns.unwrap_or(u64::MAX);
        let time = types::Timespec::new()
            .sec(ns / 1_000_000_000)
            .nsec((ns % 1_000_000_000) as u32);
        let entered = match wait_ns {
            None => self.io.submit_and_wait(1),
            Some(_) => {
                let args = types::SubmitArgs::new().timespec(&time);
                self.io.submitter().submit_with_args(1, &args)
            }
        };
        tolerate(entered)?;
        self.take(into);
        if self.queued() > 0 || self.io.submission().cq_overflow() {
            self.submit(into)?;
        }
        Ok(())
    }

    fn take(&mut self, into: &mut Vec<Done>) {
        into.extend(self.io.completion().map(|entry: cqueue::Entry| Done {
            user_data: entry.user_data(),
            result: entry.result(),
            flags: entry.flags(),
        }));
    }
}

/// Interrupted, timed out, out of memory for now, or completions must be taken first: all of these
/// are tried again.
fn tolerate(entered: io::Result<usize>) -> io::Result<()> {
    const PASSING: [i32; 5] = [
        libc::EINTR,
        libc::ETIME,
        libc::EBUSY,
        libc::EAGAIN,
        libc::ENOMEM,
    ];
    match entered {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error().is_some_and(|e| PASSING.contains(&e)) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use io_uring::opcode;

    use super::*;

    /// What the kernel answers to an operation that no file of this folder uses.
    fn outcome_of_nop(restricted: bool) -> i32 {
        let options = Options {
            restricted,
            files_per_ring: 4,
            ..Options::default()
        };
        let mut ring = Ring::new(&options, None).expect("io_uring");
        let nop = opcode::Nop::new().build();
        // SAFETY: it points to nothing.
        unsafe { ring.push(&nop) };
        let mut done = Vec::new();
        ring.submit(&mut done).expect("io_uring");
        done.first().expect("one completion").result
    }

    #[test]
    fn a_ring_does_nothing_but_what_the_reactor_uses() {
        assert_eq!(outcome_of_nop(true), -libc::EACCES);
        assert_eq!(outcome_of_nop(false), 0);
    }

    #[test]
    fn a_ring_stays_restricted() {
        let ring = Ring::new(&Options::default(), None).expect("io_uring");
        let refused = ring.io.submitter().register_files_sparse(8).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EACCES));
    }
}
