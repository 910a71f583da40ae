//! How many connections a server holds, as the kernel counts them.

use std::fs;
use std::io;

/// Connections that are established at the server's port, or that only the client has closed.
const OPEN: [&str; 2] = ["01", "08"];

/// Open connections at a port, in the network namespace of a process (proc(5), `/proc/net/tcp`).
///
/// # Errors
/// If the process is not there.
pub fn open_at(pid: u32, port: u16) -> io::Result<usize> {
    let mut count = 0;
    for table in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}"))?;
        count += count_open(&text, port);
    }
    Ok(count)
}

fn count_open(table: &str, port: u16) -> usize {
    let ending = format!(":{port:04X}");
    let open = |line: &&str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let local = words.next().is_some_and(|local| local.ends_with(&ending));
        local && words.nth(1).is_some_and(|state| OPEN.contains(&state))
    };
    table.lines().skip(1).filter(open).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn connections_are_counted_at_one_end() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let pid = std::process::id();
        let count = || open_at(pid, address.port()).expect("readable");
        assert_eq!(count(), 0);
        let client = TcpStream::connect(address).expect("it listens");
        let (server, _) = listener.accept().expect("it connects");
        assert_eq!(count(), 1);
        drop(client);
        drop(server);
        assert_eq!(count(), 0);
    }
}
