//! Frames over a Unix socket, with descriptors: a kind, their number, and a body.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use zeroize::Zeroizing;

/// Descriptors in a frame: the kernel's limit (SCM_MAX_FD).
pub const DESCRIPTORS_MAX: usize = 253;
/// Bytes of a body: rows of some tens of kilobytes, and more only for a client that is owed much.
const BODY_BYTES_MAX: usize = 256 << 20;
/// Kind, number of descriptors, two that are 0, length of the body.
const HEADER_BYTES: usize = 8;
/// Too many descriptors are on their way: it is tried again after this time, and so often.
const CROWDED: Duration = Duration::from_millis(1);
const CROWDED_TRIES: u32 = 10_000;
/// What a refusal begins with, in the place of a kind: a line of JSON.
const REFUSAL: u8 = b'{';
/// Bytes of one.
const REFUSAL_BYTES_MAX: u64 = 4096;

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Listening sockets; the body has their names, a line each.
    Sockets = 1,
    /// A socket for each shard, and no more sockets.
    Streams = 2,
    /// The successor has prepared everything. With a descriptor, if there is one, by which whoever
    /// has started it hears how it went ([`crate::ready`]).
    Prepared = 3,
    /// The store is closed, and all rows were written. With what was in memory besides.
    Released = 4,
    /// The successor has all.
    Ready = 5,
    /// It is to go on.
    Commit = 6,
    /// It goes on.
    Taken = 7,
    /// Descriptors of connections; the body has what each is called, in eight bytes.
    Descriptors = 8,
    /// Rows.
    Rows = 9,
    /// What connections are called whose rows came and count no more, in eight bytes each.
    Gone = 12,
    /// No more of either.
    End = 10,
    /// What both must know and nobody else.
    Secret = 11,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Sockets,
        Self::Streams,
        Self::Prepared,
        Self::Released,
        Self::Ready,
        Self::Commit,
        Self::Taken,
        Self::Descriptors,
        Self::Rows,
        Self::End,
        Self::Secret,
        Self::Gone,
    ];
}

/// A frame that came.
pub struct Frame {
    /// What it says.
    pub kind: Kind,
    /// What belongs to it, of the kind's own form.
    pub body: Zeroizing<Vec<u8>>,
    /// Descriptors of this process now.
    pub descriptors: Vec<OwnedFd>,
}

/// A way for frames.
pub struct Wire {
    stream: UnixStream,
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Wire {
    /// Over a stream on which neither end waits longer than this.
    ///
    /// # Errors
    /// If the time is 0.
    pub fn new(stream: UnixStream, patience: Duration) -> io::Result<Self> {
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { stream })
    }

    /// How long is waited from now on.
    ///
    /// # Errors
    /// If the time is 0.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))?;
        self.stream.set_write_timeout(Some(patience))
    }

    /// Another descriptor of the stream.
    ///
    /// # Errors
    /// If this process has no more descriptors.
    pub fn stream(&self) -> io::Result<UnixStream> {
        self.stream.try_clone()
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// If the other end is gone, or takes nothing for too long.
    ///
    /// # Panics
    /// With more descriptors than [`DESCRIPTORS_MAX`].
    pub fn send(&mut self, kind: Kind, body: &[u8], descriptors: &[OwnedFd]) -> io::Result<()> {
        assert!(descriptors.len() <= DESCRIPTORS_MAX, "as many as fit");
        let mut header = [0; HEADER_BYTES];
        header[0] = kind as u8;
        header[1] = descriptors.len() as u8;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        header[4..].copy_from_slice(&length.to_be_bytes());
        let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        let sent = self.send_header(&header, &borrowed)?;
        self.stream.write_all(&header[sent..])?;
        self.stream.write_all(body)
    }

    fn send_header(
        &mut self,
        header: &[u8],
        descriptors: &[std::os::fd::BorrowedFd<'_>],
    ) -> io::Result<usize> {
        let mut tries = 0;
        loop {
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(descriptors));
            }
            let parts = [IoSlice::new(header)];
            match sendmsg(&self.stream, &parts, &mut control, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                Err(Errno::TOOMANYREFS) if tries < CROWDED_TRIES => {
                    tries += 1;
                    std::thread::park_timeout(CROWDED);
                }
                sent => return Ok(sent?),
            }
        }
    }

    /// The next frame.
    ///
    /// # Errors
    /// If there is none, within the time; if it is none; or what the other end refuses.
    pub fn receive(&mut self) -> io::Result<Frame> {
        let mut header = [0; HEADER_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let came = loop {
            let mut parts = [IoSliceMut::new(&mut header)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            match recvmsg(&self.stream, &mut parts, &mut control, flags) {
                Err(Errno::INTR) => {}
                came => break came?,
            }
        };
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                descriptors.extend(some);
            }
        }
        if came.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if came.flags.contains(ReturnFlags::CTRUNC) {
            return Err(damaged("descriptors that this process may not have"));
        }
        if header[0] == REFUSAL {
            return Err(self.refusal(&header[..came.bytes]));
        }
        self.stream.read_exact(&mut header[came.bytes..])?;
        let [kind, count, 0, 0, length @ ..] = header else {
            return Err(damaged("a frame that is none"));
        };
        let kind = Kind::ALL.into_iter().find(|known| *known as u8 == kind);
        let kind = kind.ok_or_else(|| damaged("a frame of an unknown kind"))?;
        let length = u32::from_be_bytes(length) as usize;
        if length > BODY_BYTES_MAX || usize::from(count) != descriptors.len() {
            return Err(damaged("a frame that is too large, or lacks descriptors"));
        }
        // All at once: a vector that grows leaves copies behind that nobody clears.
        let mut body = Zeroizing::new(vec![0; length]);
        self.stream.read_exact(&mut body)?;
        Ok(Frame {
            kind,
            body,
            descriptors,
        })
    }

    /// The next frame, which must be of this kind.
    ///
    /// # Errors
    /// As of [`Wire::receive`], or if it is another.
    pub fn expect(&mut self, kind: Kind) -> io::Result<Frame> {
        let frame = self.receive()?;
        if frame.kind != kind {
            return Err(damaged(&format!("{:?} where {kind:?} belongs", frame.kind)));
        }
        Ok(frame)
    }

    fn refusal(&mut self, first: &[u8]) -> io::Error {
        let mut line = first.to_vec();
        let _ = (&mut self.stream)
            .take(REFUSAL_BYTES_MAX)
            .read_to_end(&mut line);
        let value = serde_json::from_slice::<serde_json::Value>(&line).unwrap_or_default();
        let why = value["error"]
            .as_str()
            .unwrap_or("the other process says no");
        io::Error::other(why.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    fn pair() -> (Wire, Wire) {
        let (one, other) = UnixStream::pair().unwrap();
        let wire = |stream| Wire::new(stream, Duration::from_secs(10)).unwrap();
        (wire(one), wire(other))
    }

    #[test]
    fn frames_and_descriptors_come_whole() {
        let (mut one, mut other) = pair();
        let files: Vec<OwnedFd> = (0..DESCRIPTORS_MAX)
            .map(|_| std::fs::File::open("/dev/null").unwrap().into())
            .collect();
        let body = vec![7; 100_000];
        let sender = std::thread::Builder::new();
        let sender = sender.spawn(move || {
            one.send(Kind::Descriptors, &body, &files).unwrap();
            one.send(Kind::End, b"", &[]).unwrap();
        });
        let frame = other.expect(Kind::Descriptors).unwrap();
        assert_eq!((frame.body.len(), frame.descriptors.len()), (100_000, 253));
        assert!(frame.descriptors.iter().all(|it| it.as_raw_fd() > 2));
        assert!(other.expect(Kind::End).unwrap().body.is_empty());
        sender.unwrap().join().unwrap();
        let end = other.receive().err().unwrap();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bytes in [
            &[0; 8][..],
            &[13, 0, 0, 0, 0, 0, 0, 0],
            &[10, 1, 0, 0, 0, 0, 0, 0],
            &[10, 0, 1, 0, 0, 0, 0, 0],
            &[9, 0, 0, 0, 255, 255, 255, 255],
            &[9, 0, 0, 0, 0, 0, 0, 9, 1, 2],
            &[9, 0],
        ] {
            let (one, mut other) = pair();
            (&one.stream).write_all(bytes).unwrap();
            drop(one);
            assert!(other.receive().is_err(), "{bytes:?}");
        }
        let (one, mut other) = pair();
        (&one.stream)
            .write_all(b"{\"error\": \"not now\"}\n")
            .unwrap();
        drop(one);
        assert_eq!(other.receive().err().unwrap().to_string(), "not now");
    }
}
