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
