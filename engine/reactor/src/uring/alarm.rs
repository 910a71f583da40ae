//! The eventfd that ends a sleep.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::waker::Alarm;

/// An eventfd, non-blocking.
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
        Ok(Self {
            fd: unsafe { OwnedFd::from_raw_fd(fd) },
        })
    }

    /// Its descriptor.
    pub fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Takes the count back to 0.
    pub fn drain(&self) {
        let mut count = [0u8; 8];
        // SAFETY: the kernel writes at most the 8 bytes given. An empty eventfd is no error here.
        unsafe { libc::read(self.raw(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl Alarm for EventFd {
    fn ring(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the kernel reads the 8 bytes given. A full eventfd has rung already.
        unsafe { libc::write(self.raw(), one.as_ptr().cast(), one.len()) };
    }
}
