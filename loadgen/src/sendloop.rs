//! What the kernel alone takes: one thread that sends the same few bytes to many connections with
//! `write`, one after the other. The floor for every fan-out, measured by the same receivers.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use socket2::{Domain, Socket, Type};

use crate::measure::now_ns;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// What it sends: as long as an EXISTS and a RECENT.
pub const PAYLOAD: &[u8] = b"* 1 EXISTS\r\n* 1 RECENT\r\n";

/// The child's side: accepts, then sends once for each line on standard input, and prints when it
/// began and ended.
///
/// # Errors
/// If a socket fails.
pub fn serve(connections: usize) -> std::io::Result<()> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    listener.listen(BACKLOG)?;
    let listener = TcpListener::from(listener);
    println!("{}", listener.local_addr()?);
    let mut peers: Vec<TcpStream> = Vec::with_capacity(connections);
    while peers.len() < connections {
        let (peer, _) = listener.accept()?;
        peer.set_nodelay(true)?;
        peers.push(peer);
    }
    println!("accepted");
    for line in std::io::stdin().lines() {
        line?;
        let began = now_ns();
        for peer in &mut peers {
            peer.write_all(PAYLOAD)?;
        }
        println!("{began} {}", now_ns());
    }
    Ok(())
}

/// The parent's side.
pub struct SendLoop {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl SendLoop {
    /// Starts the child: this program again.
    ///
    /// # Errors
    /// If it can't be started or can't listen.
    pub fn start(connections: usize) -> std::io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["sendloop", "--connections", &connections.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().expect("it is piped");
        let mut output = BufReader::new(output);
        let address = line(&mut output)?.parse().map_err(std::io::Error::other)?;
        Ok(Self {
            child,
            input,
            output,
            address,
        })
    }

    /// Waits until all connections are accepted.
    ///
    /// # Errors
    /// If the child ended.
    pub fn wait_accepted(&mut self) -> std::io::Result<()> {
        line(&mut self.output).map(drop)
    }

    /// Makes it send once.
    ///
    /// # Errors
    /// If the child ended.
    pub fn trigger(&mut self) -> std::io::Result<()> {
        match &mut self.input {
            Some(input) => writeln!(input, "go"),
            None => Ok(()),
        }
    }

    /// When the last round began and ended, on the clock of [`now_ns`].
    ///
    /// # Errors
    /// If the child ended.
    pub fn times(&mut self) -> std::io::Result<(u64, u64)> {
        let text = line(&mut self.output)?;
        let mut numbers = text.split(' ').filter_map(|number| number.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(began), Some(ended)) => Ok((began, ended)),
            _ => Err(std::io::Error::other(format!(
                "the send loop said {text:?}"
            ))),
        }
    }
}

impl Drop for SendLoop {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> std::io::Result<String> {
    let mut text = String::new();
    if output.read_line(&mut text)? == 0 {
        return Err(std::io::Error::other("the send loop ended"));
    }
    Ok(text.trim().to_owned())
}
