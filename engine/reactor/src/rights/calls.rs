//! The system calls that this process can make: seccomp. What rings do is beyond it, which has its
//! own list (`uring::restrict`).
//!
//! A call that is not listed fails with EPERM; nobody is killed for it, unless it is one of another
//! architecture. A million sessions should not end because a library tries something new, and what
//! was refused has done no harm.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};

use super::Confinement;

/// Calls that serve one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// What every program of ours does once it has started: threads, memory, time, chance, rings
    /// that are there, reading and writing what is open.
    Base,
    /// Opening files to read, and looking at what there is.
    Reading,
    /// Removing a file, such as a socket at its listener's end.
    Removing,
    /// Making, changing, moving and removing files and folders.
    Writing,
    /// Connections of others that come to a socket which is listened on, without a ring, and
    /// sockets that are handed to them.
    Accepting,
    /// Connections to others over TCP, UDP (names of hosts) and Unix sockets.
    Connecting,
}

/// Why it can't be done.
#[derive(Debug, thiserror::Error)]
#[error("seccomp: {0}")]
pub struct CallsError(String);

/// What an argument must be: its number, the bits that are looked at, and their value.
type When = (u8, u64, u64);
/// A call that is made with some arguments only, and the ways in which it is.
type Conditional = (c_long, Vec<Vec<When>>);

const BASE: &[c_long] = &[
    // Threads: their beginnings are in `conditional`.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_membarrier,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    // Memory: what maps pages is in `conditional`.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Time and chance.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    // Rings, and other ways to wait.
    libc::SYS_io_uring_enter,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    // What is open.
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fstat,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_lseek,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_write,
    libc::SYS_writev,
];

/// What the process is and has; nothing of it changes anything.
const LOOKING: &[c_long] = &[
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpriority,
    libc::SYS_getresuid,
    libc::SYS_getrusage,
    libc::SYS_getuid,
    libc::SYS_sysinfo,
    libc::SYS_times,
    libc::SYS_umask,
    libc::SYS_uname,
];

const READING: &[c_long] = &[
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_flock,
    libc::SYS_fstatfs,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_newfstatat,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_readlinkat,
    libc::SYS_statfs,
    libc::SYS_statx,
];

const WRITING: &[c_long] = &[
    libc::SYS_copy_file_range,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_fchmodat,
    libc::SYS_fdatasync,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_linkat,
    libc::SYS_mkdirat,
    libc::SYS_msync,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_sync_file_range,
    libc::SYS_utimensat,
];

const REMOVING: &[c_long] = &[libc::SYS_unlinkat];

const ACCEPTING: &[c_long] = &[libc::SYS_accept4];

const CONNECTING: &[c_long] = &[
    libc::SYS_connect,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_sendmmsg,
];

/// Calls of old that only this machine's kernel has, and its C library may still make.
#[cfg(target_arch = "x86_64")]
mod of_old {
    use libc::c_long;

    pub const BASE: &[c_long] = &[
        libc::SYS_dup2,
        libc::SYS_getrlimit,
        libc::SYS_poll,
        libc::SYS_select,
        libc::SYS_time,
    ];
    pub const READING: &[c_long] = &[
        libc::SYS_access,
        libc::SYS_lstat,
        libc::SYS_readlink,
        libc::SYS_stat,
    ];
    pub const WRITING: &[c_long] = &[
        libc::SYS_chmod,
        libc::SYS_link,
        libc::SYS_mkdir,
        libc::SYS_rename,
        libc::SYS_rmdir,
    ];
    pub const REMOVING: &[c_long] = &[libc::SYS_unlink];
    pub const CONNECTING: &[c_long] = &[libc::SYS_epoll_wait, libc::SYS_pipe];
}

#[cfg(not(target_arch = "x86_64"))]
mod of_old {
    use libc::c_long;

    pub const BASE: &[c_long] = &[];
    pub const READING: &[c_long] = &[];
    pub const WRITING: &[c_long] = &[];
    pub const REMOVING: &[c_long] = &[];
    pub const CONNECTING: &[c_long] = &[];
}

/// Has every thread of this process, and those to come, make the calls of these groups and no
/// others, for good. With it goes the right to gain any by running a program.
///
/// # Errors
/// If the kernel has seccomp and refuses.
pub fn allow_only(groups: &[Group]) -> Result<Confinement, CallsError> {
    let Ok(machine) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Ok(Confinement::None);
    };
    if !is_there() {
        return Ok(Confinement::None);
    }
    for filter in filters(groups, machine)? {
        apply_filter_all_threads(&filter).map_err(|error| CallsError(error.to_string()))?;
    }
    Ok(Confinement::Whole)
}

/// Whether this kernel has seccomp.
#[allow(unsafe_code, reason = "a call into the kernel")]
fn is_there() -> bool {
    // SAFETY: it takes and gives numbers only.
    unsafe { libc::prctl(libc::PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 }
}

/// The list, and what makes the C library ask for threads in the way whose arguments can be looked
/// at: it takes `clone` where there is no `clone3`.
fn filters(groups: &[Group], machine: TargetArch) -> Result<[BpfProgram; 2], CallsError> {
    let failed = |error: seccompiler::BackendError| CallsError(error.to_string());
    let mut list: BTreeMap<c_long, Vec<SeccompRule>> = BTreeMap::new();
    let always = always(groups);
    list.extend(always.into_iter().map(|call| (call, vec![])));
    for (call, ways) in conditional(groups) {
        let rules = ways.iter().map(|when| rule(when)).collect::<Result<_, _>>();
        list.insert(call, rules.map_err(failed)?);
    }
    list.insert(libc::SYS_clone3, vec![]);
    let denied = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let list = SeccompFilter::new(list, denied, SeccompAction::Allow, machine);
    let missing = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let clone3 = BTreeMap::from([(libc::SYS_clone3, vec![])]);
    let clone3 = SeccompFilter::new(clone3, SeccompAction::Allow, missing, machine);
    let compiled = |filter: Result<SeccompFilter, _>| filter.and_then(BpfProgram::try_from);
    let (list, clone3) = (compiled(list), compiled(clone3));
    // In this order: the list has no way to add to it.
    Ok([clone3.map_err(failed)?, list.map_err(failed)?])
}

fn always(groups: &[Group]) -> Vec<c_long> {
    let of = |group: &Group| match group {
        Group::Base => [BASE, LOOKING, of_old::BASE].concat(),
        Group::Reading => [READING, of_old::READING].concat(),
        Group::Removing => [REMOVING, of_old::REMOVING].concat(),
        Group::Writing => [WRITING, of_old::WRITING, REMOVING, of_old::REMOVING].concat(),
        Group::Accepting => ACCEPTING.to_vec(),
        Group::Connecting => [CONNECTING, of_old::CONNECTING].concat(),
    };
    groups.iter().flat_map(of).collect()
}

/// Calls whose arguments are looked at.
fn conditional(groups: &[Group]) -> Vec<Conditional> {
    const ALL: u64 = u32::MAX as u64;
    let (writes, runs) = (libc::PROT_WRITE as u64, libc::PROT_EXEC as u64);
    let thread = (libc::CLONE_THREAD | libc::CLONE_VM) as u64;
    let own = u64::from(std::process::id());
    let only = |argument: u8, values: &[u64]| {
        let one = |value: &u64| vec![(argument, ALL, *value)];
        values.iter().map(one).collect::<Vec<_>>()
    };
    // A library may be loaded, and so what is in a file that may be written; but no memory is both
    // written and run.
    let mut calls = vec![
        (
            libc::SYS_mmap,
            vec![vec![(2, writes, 0)], vec![(2, runs, 0)]],
        ),
        (libc::SYS_mprotect, vec![vec![(2, runs, 0)]]),
        // Threads, but no processes.
        (libc::SYS_clone, vec![vec![(0, thread, thread)]]),
        // Neither whom the kernel signals, nor how.
        (libc::SYS_fcntl, only(1, &FCNTL)),
        // Signals to itself, of which an abort is one.
        (libc::SYS_tgkill, only(0, &[own])),
        (libc::SYS_setpriority, vec![vec![(0, ALL, 0), (1, ALL, 0)]]),
        (
            libc::SYS_ioctl,
            only(1, &[libc::FIONBIO, libc::FIONREAD, libc::TCGETS]),
        ),
        // The limits are looked at, of this process.
        (
            libc::SYS_prlimit64,
            vec![vec![(0, ALL, 0), (2, ALL, 0), (2, ALL << 32, 0)]],
        ),
        (
            libc::SYS_prctl,
            only(0, &[PR_SET_NAME, PR_GET_NAME, PR_SET_VMA]),
        ),
    ];
    if groups.contains(&Group::Reading) {
        // To write, make or cut short is for those who may.
        let changes = match groups.contains(&Group::Writing) {
            true => 0,
            false => (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) as u64,
        };
        calls.push((libc::SYS_openat, vec![vec![(2, changes, 0)]]));
        #[cfg(target_arch = "x86_64")]
        calls.push((libc::SYS_open, vec![vec![(1, changes, 0)]]));
    }
    if groups.contains(&Group::Connecting) {
        let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
        calls.push((
            libc::SYS_socket,
            only(0, &families.map(|family| family as u64)),
        ));
    }
    // What is handed over to who comes has ways of its own.
    if groups.contains(&Group::Accepting) {
        calls.push((libc::SYS_socketpair, only(0, &[libc::AF_UNIX as u64])));
    }
    calls
}

/// Copies of descriptors, their flags, and locks.
const FCNTL: [u64; 9] = [
    libc::F_DUPFD as u64,
    libc::F_DUPFD_CLOEXEC as u64,
    libc::F_GETFD as u64,
    libc::F_SETFD as u64,
    libc::F_GETFL as u64,
    libc::F_SETFL as u64,
    libc::F_GETLK as u64,
    libc::F_SETLK as u64,
    libc::F_SETLKW as u64,
];
const PR_SET_NAME: u64 = libc::PR_SET_NAME as u64;
const PR_GET_NAME: u64 = libc::PR_GET_NAME as u64;
/// The C library names what it has mapped.
const PR_SET_VMA: u64 = libc::PR_SET_VMA as u64;

fn rule(when: &[When]) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = |&(argument, mask, value): &When| {
        let (length, is) = (SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(mask));
        SeccompCondition::new(argument, length, is, value)
    };
    SeccompRule::new(when.iter().map(condition).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
