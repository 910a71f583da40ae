//! The kernel's reactor: io_uring with direct descriptors on one or more rings.
