//! Asking the running server, over `run/control`: a line of JSON, answered by lines of JSON, the
//! last of them `{"done": N}` or `{"error": "why"}`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::Value;

use crate::Base;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("no server runs here: nobody listens on {}; start-msg imap starts it", .0.display())]
    NoServer(PathBuf),
    /// This user may not ask.
    #[error("{}: {cause}; run this as root or as the service user", path.display())]
    NotAllowed {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Too many tools ask.
    #[error("the server is busy with other tools, try again")]
    Busy,
    /// The server said no.
    #[error("{0}")]
    Refused(String),
    /// The connection broke.
    #[error("the server broke off: {0}")]
    Broken(#[from] io::Error),
}

/// How long the server may say nothing, and take nothing.
const PATIENCE: Duration = Duration::from_secs(120);

/// Connects to a Unix socket; `WouldBlock` if too many wait there already.
fn connect_to(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Connects to the server of a base directory.
///
/// # Errors
/// If none runs, or this user may not ask it.
pub fn connect(base: &Base) -> Result<UnixStream, AskError> {
    let path = base.control();
    connect_to(&path).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NoServer(path),
        io::ErrorKind::WouldBlock => AskError::Busy,
        _ => AskError::NotAllowed { path, cause },
    })
}

/// A part of an answer.
#[derive(Debug)]
pub enum Part<'a> {
    /// A line.
    Line(&'a Value),
    /// Bytes that a line has announced.
    Bytes(&'a [u8]),
}

/// The most bytes that a line may announce.
const BYTES_MAX: u64 = 16 << 20;

/// A connection to the running server.
pub struct Asker {
    input: BufReader<UnixStream>,
    output: UnixStream,
}

impl Asker {
    /// Connects to the server of a base directory.
    ///
    /// # Errors
    /// If none runs, or this user may not ask it.
    pub fn of(base: &Base) -> Result<Self, AskError> {
        let output = connect(base)?;
        output.set_read_timeout(Some(PATIENCE))?;
        output.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            input: BufReader::new(output.try_clone()?),
            output,
        })
    }

    /// Takes a connection over.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn on(output: UnixStream) -> io::Result<Self> {
        Ok(Self {
            input: BufReader::new(output.try_clone()?),
            output,
        })
    }

    /// Asks, and calls `each` with every line of the answer but the last. Gives its number.
    ///
    /// # Errors
    /// What the server refuses, or if the connection breaks, or what `each` gives.
    pub fn ask(
        &mut self,
        question: &Value,
        each: impl FnMut(&Value) -> io::Result<()>,
    ) -> Result<u64, AskError> {
        self.ask_with(question, &[], each)
    }

    /// The same, with bytes that follow the question.
    ///
    /// # Errors
    /// As [`Asker::ask`].
    pub fn ask_with(
        &mut self,
        question: &Value,
        bytes: &[u8],
        mut each: impl FnMut(&Value) -> io::Result<()>,
    ) -> Result<u64, AskError> {
        self.ask_for_bytes(question, bytes, |part| match part {
            Part::Line(line) => each(line),
            Part::Bytes(_) => Ok(()),
        })
    }

    /// The same, and the answer has bytes too.
    ///
    /// # Errors
    /// As [`Asker::ask`].
    pub fn ask_for_bytes(
        &mut self,
        question: &Value,
        bytes: &[u8],
        mut each: impl FnMut(Part<'_>) -> io::Result<()>,
    ) -> Result<u64, AskError> {
        let written = writeln!(self.output, "{question}");
        // A server that refuses doesn't take the bytes, and says why.
        let written = written.and_then(|()| self.output.write_all(bytes));
        loop {
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                written?;
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let line: Value = serde_json::from_str(&line).map_err(io::Error::from)?;
            if let Some(why) = line["error"].as_str() {
                return Err(AskError::Refused(why.to_owned()));
            }
            if let Some(done) = line["done"].as_u64() {
                return Ok(done);
            }
            if let Some(count) = line["follow"].as_u64() {
                let mut bytes = vec![0; count.min(BYTES_MAX) as usize];
                self.input.read_exact(&mut bytes)?;
                each(Part::Bytes(&bytes))?;
                continue;
            }
            each(Part::Line(&line))?;
        }
    }
}
