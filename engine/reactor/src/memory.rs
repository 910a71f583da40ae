//! Memory that the allocator keeps although nobody uses it.

/// Gives the pages back to the kernel that lie free in the allocator. Takes milliseconds where
/// there are many, and holds up threads that allocate meanwhile: for quiet moments after many
/// connections came or went. Does nothing where the C library has no such call.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "a call into the C library")]
    // SAFETY: malloc_trim takes no pointers and may be called from any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// From this size on an allocation has pages of its own, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BYTES: libc::c_int = 1 << 20;

/// Has large allocations go back to the kernel when they are freed. Otherwise the C library takes
/// the largest that was freed, up to 32 MiB, for a size that is worth keeping, and keeps some in
/// each thread's arena. To be called before threads are started.
pub fn return_large() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "a call into the C library")]
    // SAFETY: mallopt takes no pointers, and no other thread is there yet.
    unsafe {
        // Refused only if there is no such parameter, as in other C libraries.
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
    }
}

/// Has what is freed be joined with its free neighbours by the thread that frees it. Otherwise the
/// C library puts small pieces aside, and the next thread that wants a large one from the same
/// arena has to join them all: tens of milliseconds after another has freed a table of rows. To be
/// called before threads are started.
pub fn join_when_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "a call into the C library")]
    // SAFETY: mallopt takes no pointers, and no other thread is there yet.
    unsafe {
        // As above. What a thread frees and wants again is kept apart, and as fast as before.
        libc::mallopt(libc::M_MXFAST, 0);
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Bytes that are put aside, in all arenas.
    fn put_aside() -> usize {
        #[allow(unsafe_code, reason = "a call into the C library")]
        // SAFETY: it takes nothing and gives numbers.
        unsafe {
            libc::mallinfo2().fsmblks
        }
    }

    #[test]
    fn nothing_is_put_aside_for_others_to_join() {
        join_when_freed();
        let pieces: Vec<Box<[u8; 56]>> = (0..10_000).map(|_| Box::new([1; 56])).collect();
        let before = put_aside();
        drop(pieces);
        let after = put_aside();
        assert!(after <= before, "{before} bytes became {after}");
    }
}
