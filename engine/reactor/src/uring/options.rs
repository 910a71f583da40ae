//! How large the rings are.

/// The default of [`Options::accept_margin`]: a usual backlog of 4096 and what arrives meanwhile.
pub const ACCEPT_MARGIN: u32 = 4096 + 64;

/// The default of [`Options::cancelled_max`]: the kernel looks at some 8 polls to find one.
const CANCELLED_MAX: u32 = 4 << 10;

/// Most direct descriptors that the kernel allows a ring (IORING_MAX_FIXED_FILES).
const FILES_MAX: u32 = 1 << 20;

/// Sizes of a [`super::Uring`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Rings, 1 or more. Each has a file table of its own.
    pub rings: usize,
    /// Direct descriptors a ring; at most RLIMIT_NOFILE.
    pub files_per_ring: u32,
    /// Free descriptors at which a ring stops to accept whole bursts and accepts one by one: more
    /// than the backlog of any listener, or a burst may overrun the table, which closes a client.
    pub accept_margin: u32,
    /// Submission queue entries a ring: how many operations go into one system call.
    pub batch: u32,
    /// Receive buffers, shared by all rings.
    pub receive_buffers: usize,
    /// Bytes in each.
    pub receive_buffer_bytes: usize,
    /// How long to look for work before sleeping, in nanoseconds. Costs a core; saves the wake-up.
    pub spin_ns: u64,
    /// Whether the kernel refuses a ring every operation that the reactor doesn't use, if it
    /// [can](super::can_restrict).
    pub restricted: bool,
    /// With more connections on a ring than these, its polls are not cancelled one by one while the
    /// reactor [winds down](crate::Reactor::wind_down).
    pub cancelled_max: u32,
    /// Seed of [`crate::Reactor::rng`].
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rings: 1,
            files_per_ring: open_files_max().clamp(1, FILES_MAX),
            accept_margin: ACCEPT_MARGIN,
            batch: 512,
            receive_buffers: 128,
            receive_buffer_bytes: 8 * 1024,
            spin_ns: 0,
            restricted: true,
            cancelled_max: CANCELLED_MAX,
            seed: 0,
        }
    }
}

impl Options {
    /// Options for this many connections under the process's limit of open files: as few rings as
    /// will hold them.
    pub fn for_connections(connections: usize) -> Self {
        let limit = open_files_max().clamp(1, FILES_MAX) as usize;
        let rings = connections.div_ceil(limit).clamp(1, 250);
        let files = connections.div_ceil(rings).clamp(1, limit) as u32;
        Self {
            rings,
            files_per_ring: files,
            ..Self::default()
        }
    }
}

/// RLIMIT_NOFILE of this process.
pub fn open_files_max() -> u32 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place for the one struct that the call writes.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    if result != 0 {
        return 1024;
    }
    u32::try_from(limit.rlim_cur).unwrap_or(u32::MAX)
}
