//! What a ring may do: the operations that the reactor uses, and nothing else. io_uring is out of
//! reach of a seccomp filter; this is its own way to say less.

use std::io;

use io_uring::register::Restriction;
use io_uring::{IoUring, opcode};

/// IORING_OP_*: everything that files of this folder submit.
const OPERATIONS: [u8; 14] = [
    opcode::Accept::CODE,
    opcode::AsyncCancel::CODE,
    opcode::Bind::CODE,
    opcode::Close::CODE,
    opcode::Connect::CODE,
    opcode::FilesUpdate::CODE,
    opcode::FixedFdInstall::CODE,
    opcode::PollAdd::CODE,
    opcode::Recv::CODE,
    opcode::Send::CODE,
    opcode::SendMsg::CODE,
    opcode::Shutdown::CODE,
    opcode::Socket::CODE,
    // Socket options, and how much of what was sent is acknowledged.
    opcode::UringCmd16::CODE,
];
/// IOSQE_*: all but IOSQE_ASYNC, IOSQE_IO_DRAIN and selection of kernel-provided buffers.
const FLAGS: u8 = {
    use io_uring::squeue::Flags;
    Flags::FIXED_FILE.bits()
        | Flags::IO_LINK.bits()
        | Flags::IO_HARDLINK.bits()
        | Flags::SKIP_SUCCESS.bits()
};

/// The restrictions of every ring. No io_uring_register call is among them: once it is enabled, a
/// ring's restrictions stay as they are, and files come into it by its own operations.
fn restrictions() -> Vec<Restriction> {
    let operations = OPERATIONS.map(Restriction::sqe_op);
    let flags = Restriction::sqe_flags_allowed(FLAGS);
    operations.into_iter().chain([flags]).collect()
}

/// Restricts a ring that is not enabled yet. False if this kernel can't: the ring does without.
pub(super) fn restrict(ring: &IoUring) -> io::Result<bool> {
    match ring.submitter().register_restrictions(&mut restrictions()) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether this kernel restricts rings: one is made to try it. Where none can be made the answer is
/// yes, and whoever makes those that are needed says why.
pub fn can_restrict() -> bool {
    let ring = IoUring::builder().setup_r_disabled().build(1);
    ring.and_then(|ring| restrict(&ring)).unwrap_or(true)
}
