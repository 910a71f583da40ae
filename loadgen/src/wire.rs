//! A blocking connection that speaks lines: for those who work, those who attack, and those who
//! measure one command after the other.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

/// How often a wait looks whether it shall end.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a connect may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);
/// What the kernel keeps of what an attacker has sent and the server hasn't taken, in bytes. More
/// of it, up to 4 MB a connection, would only keep this machine busy with copying.
const SENT_BYTES_MAX: usize = 256 << 10;
/// Longest line: a SORT of some 500,000 messages.
const LINE_BYTES_MAX: usize = 4 << 20;

/// From where connections come, so that limits by address meet those they are meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// 127.2.0.1
    Attacker,
    /// 127.3.0.1
    Population,
}

/// How long a wait may last.
#[derive(Clone, Copy, Debug)]
pub struct Until<'a> {
    /// Waits end when this is set.
    pub stop: &'a AtomicBool,
    /// And after this time without a byte.
    pub patience: Duration,
}

/// The connection.
pub struct Wire<'a> {
    stream: TcpStream,
    input: Vec<u8>,
    at: usize,
    tag: u64,
    until: Until<'a>,
}

impl<'a> Wire<'a> {
    /// Connects.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn connect(to: SocketAddr, from: From, until: Until<'a>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        if to.ip().is_loopback() && to.is_ipv4() {
            let own = match from {
                From::Attacker => Ipv4Addr::new(127, 2, 0, 1),
                From::Population => Ipv4Addr::new(127, 3, 0, 1),
            };
            socket.bind(&SocketAddr::from((own, 0)).into())?;
        }
        if from == From::Attacker {
            socket.set_send_buffer_size(SENT_BYTES_MAX)?;
        }
        socket.connect_timeout(&to.into(), CONNECT_WITHIN)?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK_EVERY))?;
        stream.set_write_timeout(Some(LOOK_EVERY))?;
        Ok(Self {
            stream,
            input: Vec::new(),
            at: 0,
            tag: 0,
            until,
        })
    }

    /// Sends everything.
    ///
    /// # Errors
    /// If the connection is cut, or nothing is taken for too long.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        let mut last = Instant::now();
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    rest = &rest[count..];
                    last = Instant::now();
                }
                Err(error) => self.go_on(error, last)?,
            }
        }
        Ok(())
    }

    /// As much as is taken at once; gives how much.
    ///
    /// # Errors
    /// If the connection is cut.
    pub fn send_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_nonblocking(true)?;
        let sent = self.stream.write(bytes);
        self.stream.set_nonblocking(false)?;
        match sent {
            Err(error) if is_timeout(&error) => Ok(0),
            sent => sent,
        }
    }

    /// Whether the wait may go on after this error.
    fn go_on(&self, error: io::Error, last: Instant) -> io::Result<()> {
        if !is_timeout(&error) {
            return Err(error);
        }
        if self.until.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("stopped"));
        }
        if last.elapsed() > self.until.patience {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    /// Receives up to as many bytes as there is room for.
    ///
    /// # Errors
    /// If the connection is cut, or nothing comes for too long.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let last = Instant::now();
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => return Ok(count),
                Err(error) => self.go_on(error, last)?,
            }
        }
    }

    /// The next line, without its end.
    ///
    /// # Errors
    /// As [`Wire::receive`].
    pub fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut seen = 0;
        loop {
            let from = self.at + seen;
            if let Some(end) = memchr::memchr(b'\n', &self.input[from..]) {
                let line = self.input[self.at..from + end].trim_ascii_end().to_vec();
                self.at = from + end + 1;
                return Ok(line);
            }
            if self.input.len() - self.at > LINE_BYTES_MAX {
                // Only its end matters of a line as long as this.
                self.at = self.input.len() - LINE_BYTES_MAX / 2;
            }
            seen = self.input.len() - self.at;
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.input.drain(..self.at);
        self.at = 0;
        let mut buffer = [0; 64 * 1024];
        let count = self.receive(&mut buffer)?;
        self.input.extend_from_slice(&buffer[..count]);
        Ok(())
    }

    fn skip(&mut self, mut bytes: usize) -> io::Result<()> {
        loop {
            let there = (self.input.len() - self.at).min(bytes);
            self.at += there;
            bytes -= there;
            if bytes == 0 {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Sends an IMAP command without waiting; gives its tag.
    ///
    /// # Errors
    /// As [`Wire::send`].
    pub fn begin(&mut self, command: &str) -> io::Result<String> {
        self.begin_bytes(command.as_bytes())
    }

    /// As [`Wire::begin`], with literals.
    ///
    /// # Errors
    /// As [`Wire::send`].
    pub fn begin_bytes(&mut self, command: &[u8]) -> io::Result<String> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.send(&[tag.as_bytes(), b" ", command, b"\r\n"].concat())?;
        Ok(tag)
    }

    /// Reads up to the response with this tag and gives what follows the tag; literals are skipped.
    ///
    /// # Errors
    /// As [`Wire::receive`].
    pub fn end(&mut self, tag: &str) -> io::Result<String> {
        self.listen(tag, |_| {})
    }

    /// As [`Wire::end`]; is told each line before it, without literals.
    ///
    /// # Errors
    /// As [`Wire::receive`].
    pub fn listen(&mut self, tag: &str, mut hear: impl FnMut(&[u8])) -> io::Result<String> {
        loop {
            let line = self.line()?;
            if let Some(bytes) = literal(&line) {
                hear(&line);
                self.skip(bytes)?;
                continue;
            }
            let rest = line.strip_prefix(tag.as_bytes());
            if let Some(rest) = rest.and_then(|rest| rest.strip_prefix(b" ")) {
                return Ok(String::from_utf8_lossy(rest).into_owned());
            }
            if line.starts_with(b"* BYE") {
                return Err(io::Error::other(
                    String::from_utf8_lossy(&line).into_owned(),
                ));
            }
            hear(&line);
        }
    }

    /// An IMAP command and its result.
    ///
    /// # Errors
    /// As [`Wire::send`] and [`Wire::receive`].
    pub fn command(&mut self, command: &str) -> io::Result<String> {
        let tag = self.begin(command)?;
        self.end(&tag)
    }

    /// A command that must succeed.
    ///
    /// # Errors
    /// Also if it is answered by anything but OK.
    pub fn must(&mut self, command: &str) -> io::Result<()> {
        let result = self.command(command)?;
        match result.starts_with("OK") {
            true => Ok(()),
            false => Err(io::Error::other(result)),
        }
    }

    /// Waits for the greeting and logs in.
    ///
    /// # Errors
    /// If it is refused.
    pub fn login(&mut self, user: &str, password: &str) -> io::Result<()> {
        let greeting = self.line()?;
        if !greeting.starts_with(b"* OK") {
            let text = String::from_utf8_lossy(&greeting).into_owned();
            return Err(io::Error::other(text));
        }
        self.must(&format!("LOGIN {user} {password}"))
    }

    /// Appends a message to a mailbox.
    ///
    /// # Errors
    /// If it is refused.
    pub fn append(&mut self, mailbox: &str, message: &[u8]) -> io::Result<()> {
        let tag = self.begin(&format!("APPEND {mailbox} {{{}}}", message.len()))?;
        loop {
            let line = self.line()?;
            if line.starts_with(b"+") {
                break;
            }
            if line.starts_with(tag.as_bytes()) {
                return Err(io::Error::other(
                    String::from_utf8_lossy(&line).into_owned(),
                ));
            }
        }
        self.send(message)?;
        self.send(b"\r\n")?;
        let result = self.end(&tag)?;
        match result.starts_with("OK") {
            true => Ok(()),
            false => Err(io::Error::other(result)),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    use ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// The size of the literal that a line announces.
fn literal(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let from = inner.iter().rposition(|&byte| byte == b'{')? + 1;
    std::str::from_utf8(&inner[from..]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_result_is_found_behind_literals() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = listener.local_addr().expect("bound");
        let stop = AtomicBool::new(false);
        let until = Until {
            stop: &stop,
            patience: Duration::from_secs(5),
        };
        let mut wire = Wire::connect(to, From::Attacker, until).expect("it listens");
        let (mut peer, _) = listener.accept().expect("it connects");
        peer.write_all(b"* 1 FETCH (BODY[] {7}\r\nt1 NO\r\n)\r\nt1 OK done\r\nnext\r\n")
            .expect("it reads");
        assert_eq!(wire.command("NOOP").expect("answered"), "OK done");
        assert_eq!(wire.line().expect("there"), b"next");
        assert_eq!(
            peer.peer_addr().expect("connected").ip(),
            Ipv4Addr::new(127, 2, 0, 1)
        );
    }
}
