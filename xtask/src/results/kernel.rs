//! What the kernel must allow for a million connections on one host, set while a study runs.

use std::fs;

/// Pages of memory for TCP: little, under pressure, at most (tcp(7)). Each socket holds on to a
/// page or so once it has sent or received, and both ends are on this host: two million pages for a
/// million connections. With the usual 9 % of memory the kernel drops segments, and their
/// retransmission takes seconds.
const TCP_MEM: &str = "/proc/sys/net/ipv4/tcp_mem";
/// Its values, for each million connections or part of one.
const PAGES_A_MILLION: [u64; 3] = [1_048_576, 1_572_864, 3_145_728];
/// Connections from which on this is needed.
const CONNECTIONS_MIN: u32 = 200_000;

/// A setting that was changed; dropped, it is as it was.
pub(super) struct Tuned {
    before: Option<String>,
}

impl Tuned {
    /// For so many connections to this host. A kernel that does not let us is left as it is, and
    /// that is said.
    pub(super) fn for_connections(count: u32) -> Self {
        let before = fs::read_to_string(TCP_MEM).ok();
        let before = before.filter(|_| count >= CONNECTIONS_MIN);
        if before.is_some() {
            let millions = u64::from(count.div_ceil(1_000_000));
            let value = PAGES_A_MILLION.map(|pages| (pages * millions).to_string());
            let value = value.join(" ");
            match fs::write(TCP_MEM, &value) {
                Ok(()) => println!("net.ipv4.tcp_mem is {value} for this study"),
                Err(error) => println!("net.ipv4.tcp_mem can't be set: {error}"),
            }
        }
        Self { before }
    }
}

impl Drop for Tuned {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // What could not be set needs no setting back.
            let _ = fs::write(TCP_MEM, before);
        }
    }
}
