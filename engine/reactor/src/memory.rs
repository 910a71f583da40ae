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
