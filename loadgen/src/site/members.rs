//! Members of a pool. They speak the protocol themselves: what comes for a subscription that is
//! being given up counts, too, and the library does not tell of it.

use std::io::{self, Error, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use bytes::{Buf, BytesMut};
use ens::frame::{Frame, VERSION, decode};

use super::clients::named;
use super::judge::Heard;

/// A member, which may leave and come again.
pub struct Member {
    /// For people.
    pub name: String,
    /// Which host's.
    pub host: usize,
    /// It leaves and comes all the time.
    pub is_restless: bool,
    pattern: String,
    stream: UnixStream,
    /// Of its subscriptions: the last one's number.
    id: u32,
    is_member: bool,
    heard: Arc<Mutex<Heard>>,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    /// Connects and subscribes.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn new(name: &str, host: usize, socket: &Path, pattern: &str) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (input, shared) = (stream.try_clone()?, heard.clone());
        let thread = Builder::new().name("member".into());
        let thread = thread.spawn(move || listen(input, &shared))?;
        let mut member = Self {
            name: name.into(),
            host,
            is_restless: false,
            pattern: pattern.into(),
            stream,
            id: 0,
            is_member: false,
            heard,
            thread: Some(thread),
        };
        let hello = Frame::Hello {
            version: VERSION,
            name: "member",
        };
        member.say(&hello)?;
        member.turn();
        Ok(member)
    }

    fn say(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        self.stream.write_all(&frame.to_bytes())
    }

    /// Leaves, or comes again. If its broker is gone it is told so elsewhere.
    pub fn turn(&mut self) {
        self.is_member = !self.is_member;
        let id = self.id + u32::from(self.is_member);
        self.id = id;
        let pattern = self.pattern.clone();
        let _ = self.say(&match self.is_member {
            true => Frame::Subscribe {
                id,
                scope: None,
                pattern: &pattern,
            },
            false => Frame::Unsubscribe { id },
        });
    }

    /// What it has heard since it was asked last.
    pub fn take(&self) -> Heard {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let over = heard.over;
        std::mem::replace(
            &mut heard,
            Heard {
                over,
                ..Heard::default()
            },
        )
    }

    /// Whether its connection has ended.
    pub fn is_over(&self) -> bool {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.over
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(mut stream: UnixStream, heard: &Mutex<Heard>) {
    let mut said = BytesMut::new();
    let mut buffer = vec![0; 64 * 1024];
    let ended = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(count) => said.extend_from_slice(&buffer[..count]),
            Err(error) => break Err(error),
        }
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = take(&mut said, &mut heard) {
            break Err(error);
        }
    };
    if let Err(error) = ended {
        eprintln!("a member of the pool: {error}");
    }
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    heard.over = true;
}

fn take(said: &mut BytesMut, heard: &mut Heard) -> io::Result<()> {
    let wrong = |error| Error::other(format!("the broker says what is no frame: {error:?}"));
    while let Some((frame, length)) = decode(said).map_err(wrong)? {
        match frame {
            Frame::Notify { payload, .. } => {
                let event = named(payload).ok_or_else(|| Error::other("an event of others"))?;
                heard.events.push(event);
            }
            Frame::Lagged { events } => heard.missed += events,
            Frame::Missed => heard.unknown += 1,
            _ => {}
        }
        said.advance(length);
    }
    Ok(())
}
