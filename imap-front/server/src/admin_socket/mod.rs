//! `run/control`: the Unix socket of the administrator's tools (`imsconnutil`, `counterutil`,
//! `mboxutil`, `deliver`, `imsbackup`, `imsrestore`, `imsimport`).
//!
//! A tool connects, sends a line of JSON that says what it asks, and gets lines of JSON: facts, and
//! at the end `{"done": N}`, or `{"error": "why"}` at any time. Then it may ask again: what it has
//! sent besides of a question that was refused is read over. `asked` has what can be asked. Only
//! root and the service user are listened to. Threads of their own serve it, a few at a time; data
//! planes are asked for a slice of their sessions at a time.

mod asked;
mod counters;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod keeping;
mod mailboxes;
mod sessions;
mod upgrade;

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use admin::Users;
use ens::own_socket::OwnSocket;
use ens::sparing::Sparing;
use mail::Namespaces;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::Shutdown;
use serde_json::{Value, json};
use store::Store;

use crate::control::MailHandle;
use crate::front::Visits;
use crate::handover::{self, Gate, Giving};
use crate::lines::Directory;
use crate::metrics::Measured;
use crate::panics;
use asked::Asked;
use keeping::Held;
pub use keeping::Keeper;

/// Tools that are served at a time.
const TOOLS_MAX: usize = 8;
/// The longest question, in bytes.
const QUESTION_BYTES_MAX: u64 = 64 << 10;
/// How long a tool may take to ask, and to take what it is told.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a tool may take that has asked for a backup, a restore or an import.
const KEEPING_PATIENCE: Duration = Duration::from_secs(3600);
/// How soon it is tried again to let tools in, if that failed, or if none came.
const AGAIN: Duration = Duration::from_millis(100);

/// The socket; nobody is served yet.
pub struct AdminSocket(OwnSocket);

impl AdminSocket {
    /// Listens at a path, as [`OwnSocket::bind`] has it.
    ///
    /// # Errors
    /// Its own.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let socket = OwnSocket::bind(handover::CONTROL, path)?;
        // The process that follows may take who came here.
        socket.listener().set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Whether somebody comes within a time.
    fn is_come_to(&self, within: Duration) -> bool {
        let within = Timespec::try_from(within).ok();
        let mut ends = [PollFd::new(self.0.listener(), PollFlags::IN)];
        poll(&mut ends, within.as_ref()).is_ok_and(|count| count > 0)
    }

    /// Another descriptor of it.
    pub(crate) fn copy(&self) -> io::Result<OwnedFd> {
        self.0.listener().try_clone().map(OwnedFd::from)
    }
}

/// What is asked about.
pub struct Asking {
    /// The shards.
    pub handle: MailHandle,
    /// Looks at their sessions.
    pub visits: Visits,
    /// The store.
    pub store: Store,
    /// The user directory.
    pub users: Arc<Users>,
    /// What all have counted.
    pub measured: Arc<Measured>,
    /// The longest message, in bytes.
    pub message_bytes_max: u64,
    /// Where others' mailboxes lie among a user's names.
    pub namespaces: Namespaces,
    /// What another process may have.
    pub giving: Arc<Giving>,
    /// Where tools wait while a handover is under way.
    pub gate: Arc<Gate>,
}

/// Who serves the administrator's tools.
pub struct Serving {
    door: Arc<Door>,
    thread: JoinHandle<()>,
}

/// Where tools come in.
struct Door {
    socket: AdminSocket,
    gate: Arc<Gate>,
    is_over: AtomicBool,
}

impl Serving {
    /// Serves from now on.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(socket: AdminSocket, asking: Asking) -> io::Result<Self> {
        let door = Arc::new(Door {
            socket,
            gate: asking.gate.clone(),
            is_over: AtomicBool::new(false),
        });
        let (own, asking) = (door.clone(), Arc::new(asking));
        let thread = panics::spawn_plane("admin-socket", move || accept(&own, &asking))?;
        Ok(Self { door, thread })
    }

    /// Ends it; tools that are being served are cut with the process.
    pub fn stop(self) {
        self.door.is_over.store(true, Ordering::SeqCst);
        self.door.gate.open();
        // Whoever accepts there is told.
        let _ = rustix::net::shutdown(self.door.socket.0.listener(), Shutdown::Both);
        let _ = self.thread.join();
    }
}

fn accept(door: &Door, asking: &Arc<Asking>) {
    let served = Arc::new(AtomicUsize::new(0));
    let failures = Sparing::default();
    while !door.is_over.load(Ordering::SeqCst) {
        // Who comes while a handover is under way waits outside, for this process or the other one.
        drop(door.gate.enter());
        if !door.socket.is_come_to(AGAIN) {
            continue;
        }
        let begun = door.socket.0.listener().accept().and_then(|(stream, _)| {
            let place = Place::take(&served);
            let asking = asking.clone();
            Builder::new().name("admin".into()).spawn(move || {
                let serve = || serve(stream, place.is_some(), &asking);
                // A tool that has left is no fault.
                let _ = panics::catch("a tool's", serve);
                drop(place);
            })
        });
        if let Err(error) = begun
            && error.kind() != io::ErrorKind::WouldBlock
            && !door.is_over.load(Ordering::SeqCst)
        {
            failures.say(|more| {
                tracing::error!("an administrator's tool can't be served: {error}{more}");
            });
            // There may be descriptors, threads or memory again; whoever waits to be let in stays.
            std::thread::park_timeout(AGAIN);
        }
    }
}

/// One of the places for tools.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(served: &Arc<AtomicUsize>) -> Option<Self> {
        let more = |served: usize| (served < TOOLS_MAX).then_some(served + 1);
        let order = Ordering::Relaxed;
        let taken = served.fetch_update(order, order, more);
        taken.is_ok().then(|| Self(served.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A tool that is served.
struct Tool {
    input: BufReader<UnixStream>,
    output: BufWriter<UnixStream>,
    /// Who it is, for the log.
    uid: u32,
    pid: i32,
    /// It is told no more.
    is_over: bool,
    /// What is kept between its questions.
    held: Held,
}

/// Why something was not done, for the tool's user.
struct Failed(String);

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl Tool {
    fn new(stream: UnixStream, uid: u32, pid: i32) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            input: BufReader::new(stream.try_clone()?),
            output: BufWriter::new(stream),
            uid,
            pid,
            is_over: false,
            held: Held::default(),
        })
    }

    /// From now on it may take longer: it reads, or writes, elsewhere.
    fn be_patient(&self) -> io::Result<()> {
        let stream = self.input.get_ref();
        stream.set_read_timeout(Some(KEEPING_PATIENCE))?;
        stream.set_write_timeout(Some(KEEPING_PATIENCE))
    }

    /// Answers its questions until it has no more.
    fn converse(
        &mut self,
        mut answer: impl FnMut(Asked, &mut Self) -> Result<u64, Failed>,
    ) -> io::Result<()> {
        while let Some(line) = self.question()? {
            let outcome = match Asked::read(&line) {
                Ok(asked) => answer(asked, self),
                Err(failed) => Err(failed),
            };
            let last = match outcome {
                Ok(done) => json!({ "done": done }),
                Err(Failed(why)) => json!({ "error": why }),
            };
            self.say(&last)?;
            self.output.flush()?;
            if self.is_over {
                break;
            }
        }
        Ok(())
    }

    /// Reads over bytes that belong to a question that was refused.
    fn pass_over(&mut self, bytes: u64) {
        let passed = io::copy(&mut (&mut self.input).take(bytes), &mut io::sink());
        // What else came would be taken for a question.
        self.is_over |= !passed.is_ok_and(|passed| passed == bytes);
    }

    fn say(&mut self, line: &Value) -> io::Result<()> {
        writeln!(self.output, "{line}")
    }

    fn question(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let mut limited = (&mut self.input).take(QUESTION_BYTES_MAX);
        limited.read_line(&mut line)?;
        match line.ends_with('\n') {
            true => Ok(Some(line)),
            false if line.is_empty() => Ok(None),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

fn serve(stream: UnixStream, has_place: bool, asking: &Asking) -> io::Result<()> {
    let peer = rustix::net::sockopt::socket_peercred(&stream)?;
    let uid = peer.uid.as_raw();
    let mut tool = Tool::new(stream, uid, peer.pid.as_raw_nonzero().get())?;
    let own = rustix::process::geteuid().as_raw();
    let refused = if uid != 0 && uid != own {
        Some("only root and the service user may ask")
    } else if !has_place {
        Some("too many tools are being served, try again")
    } else {
        None
    };
    if let Some(why) = refused {
        tool.say(&json!({ "error": why }))?;
        return tool.output.flush();
    }
    let outcome = tool.converse(|asked, tool| {
        // Who asks for everything is not waited for.
        let upgrade = matches!(asked, Asked::Upgrade(_));
        let _within = (!upgrade).then(|| asking.gate.enter());
        asking.answer(asked, tool)
    });
    tool.held.end(&asking.store);
    outcome
}

/// Serves a tool that has opened the store itself, as no server runs: until it has no more
/// questions.
///
/// # Errors
/// If the connection breaks.
pub fn serve_alone(stream: UnixStream, keeper: &Keeper) -> io::Result<()> {
    let uid = rustix::process::geteuid().as_raw();
    let mut tool = Tool::new(stream, uid, std::process::id().cast_signed())?;
    let outcome = tool.converse(|asked, tool| match asked {
        Asked::Keep(question) => keeper.answer(question, tool),
        _ => Err(Failed("that needs a running server".into())),
    });
    tool.held.end(&keeper.store);
    outcome
}

impl Asking {
    /// Answers; gives how many things were told or done.
    fn answer(&self, asked: Asked, tool: &mut Tool) -> Result<u64, Failed> {
        match asked {
            Asked::Counters => self.counters(tool),
            Asked::Upgrade(hello) => self.upgrade(hello, tool),
            Asked::Sessions { who, kick } => self.sessions(&who, kick, tool),
            Asked::Mailboxes { user, pattern } => self.mailboxes(&user, &pattern, tool),
            Asked::Create { user, mailbox } => self.create(&user, &mailbox, tool.uid),
            Asked::Delete { user, mailbox } => self.delete(&user, &mailbox, tool.uid),
            Asked::Rename { user, from, to } => self.rename(&user, (&from, &to), tool.uid),
            Asked::Empty { user } => self.empty(&user, tool.uid),
            Asked::Deliver {
                user,
                mailbox,
                size,
            } => self.deliver((&user, &mailbox), size, tool),
            Asked::Keep(question) => self.keeper().answer(question, tool),
        }
    }

    fn keeper(&self) -> Keeper {
        Keeper {
            store: self.store.clone(),
            users: self.users.clone(),
            message_bytes_max: self.message_bytes_max,
        }
    }

    fn directory(&self) -> Directory {
        Directory {
            store: self.store.clone(),
            users: self.users.clone(),
        }
    }
}

/// An administrator's act, for the log.
fn note_act(act: &'static str, user: &str, mailbox: Option<&str>, uid: u32) {
    tracing::info!(
        target: "imapd", event = %"admin", result = %act, user, mailbox, uid,
        "an administrator's tool"
    );
}
