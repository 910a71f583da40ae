//! One subscriber in a process of its own: it says when each event came.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::Broker;
use super::dialect::{MARK, TOPIC};
use crate::measure::now_ns;

/// The child's side: subscribes, says so, waits for so many events, and prints when each came.
///
/// # Errors
/// If the connection fails or ends.
pub fn listen(broker: &Broker, count: usize) -> io::Result<()> {
    let mut stream = TcpStream::connect(broker.address)?;
    stream.set_nodelay(true)?;
    let dialect = broker.dialect;
    stream.write_all(&[dialect.hello(), dialect.subscribe(TOPIC)].concat())?;
    println!("subscribed");
    stream.set_nonblocking(broker.spins)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut times = Vec::with_capacity(count);
    while times.len() < count {
        let length = match stream.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            other => other?,
        };
        let now = now_ns();
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let said = &buffer[..length];
        let marks = said.iter().filter(|&&byte| byte == MARK).count();
        times.extend(std::iter::repeat_n(now, marks));
        if let Some(answer) = dialect.duty(said) {
            stream.write_all(answer)?;
        }
    }
    let mut out = std::io::stdout().lock();
    times.iter().try_for_each(|time| writeln!(out, "{time}"))
}

/// The parent's side.
pub struct Listener {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Listener {
    /// Starts the child: this program again.
    ///
    /// # Errors
    /// If it can't be started or doesn't subscribe.
    pub fn start(broker: &Broker, count: usize) -> io::Result<Self> {
        Self::start_with(broker, count, &[])
    }

    /// The same with further options.
    ///
    /// # Errors
    /// The same.
    pub fn start_with(broker: &Broker, count: usize, options: &[&str]) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([
                "listen",
                "--broker",
                &broker.to_string(),
                "--count",
                &count.to_string(),
            ])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().expect("it is piped");
        let mut listener = Self {
            child,
            output: BufReader::new(output),
        };
        let mut line = String::new();
        listener.output.read_line(&mut line)?;
        if line.trim() == "subscribed" {
            Ok(listener)
        } else {
            Err(io::Error::other("the listener did not subscribe"))
        }
    }

    /// When each event came, in order.
    ///
    /// # Errors
    /// If it ended before all came.
    pub fn times(mut self) -> io::Result<Vec<u64>> {
        let lines = self.output.by_ref().lines();
        let times: io::Result<Vec<u64>> = lines
            .map(|line| line?.parse().map_err(io::Error::other))
            .collect();
        times
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
