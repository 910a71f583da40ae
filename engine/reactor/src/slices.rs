//! How the scheduler treats a thread.

/// The shortest slice that the scheduler grants, in nanoseconds.
const SHORTEST_NS: u64 = 100_000;

/// Has the calling thread ask for the processor in the shortest slices. It gets no more of it than
/// its share, but sooner: of threads that are ready the scheduler takes the one whose slice would
/// end first (EEVDF, Linux 6.12; `sched_runtime` in sched_setattr(2)). For threads that hand
/// something on and sleep. Nothing changes where the kernel is older, or the thread has a policy of
/// its own.
pub fn shortest() {
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code, reason = "a call into the kernel")]
    // SAFETY: the structure is the kernel's own, all zeroes are a value of it, and it outlives the
    // calls, which read and write no more than the size that they are told.
    unsafe {
        let mut attributes: libc::sched_attr = std::mem::zeroed();
        let size = size_of::<libc::sched_attr>() as libc::c_uint;
        let own: libc::pid_t = 0;
        if libc::syscall(libc::SYS_sched_getattr, own, &raw mut attributes, size, 0) != 0
            || attributes.sched_policy != libc::SCHED_OTHER as u32
        {
            return;
        }
        attributes.sched_runtime = SHORTEST_NS;
        libc::syscall(libc::SYS_sched_setattr, own, &raw const attributes, 0);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    #[allow(unsafe_code, reason = "a call into the kernel")]
    fn a_thread_keeps_its_policy_and_priority() {
        let attributes = || {
            // SAFETY: as above.
            unsafe {
                let mut attributes: libc::sched_attr = std::mem::zeroed();
                let size = size_of::<libc::sched_attr>() as libc::c_uint;
                let done = libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0);
                assert_eq!(done, 0);
                attributes
            }
        };
        let slices = std::thread::Builder::new().spawn(move || {
            let before = attributes();
            shortest();
            let after = attributes();
            assert_eq!(after.sched_policy, before.sched_policy);
            assert_eq!(after.sched_nice, before.sched_nice);
            [before, after].map(|it| it.sched_runtime)
        });
        let [before, after] = slices.unwrap().join().unwrap();
        // Kernels before 6.12 say 0 of threads like this one.
        assert!(after == SHORTEST_NS || after == before, "{before} {after}");
    }
}
