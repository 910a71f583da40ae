//! The eventfd that ends a sleep, and the clock.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::waker::Alarm;

/// An eventfd, non-blocking. It is only ever watched by an edge-triggered poll, so nobody takes
/// its count back: 2^64 rings fit.
pub struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    /// A new eventfd.
    ///
    /// # Errors
    /// If no more files can be opened.
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd })
    }

    /// Its descriptor.
    pub fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl Alarm for EventFd {
    fn ring(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the kernel reads the 8 bytes given. A full eventfd has rung already.
        unsafe { libc::write(self.raw(), one.as_ptr().cast(), one.len()) };
    }
}

/// CLOCK_MONOTONIC in nanoseconds: the same clock for all threads and processes of a machine.
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the one struct that the call writes.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    assert_eq!(result, 0, "every Linux has this clock");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
