//! The store, opened for a tool by a process of its own: what is written there must be the service
//! user's, while the tool may be root's, and keeps root's right to read and write files.
//!
//! The process is the same program, with the argument `--keep-store` and a Unix socket as its
//! standard input. It says over it that the store is open, or why not, and gets a connection for
//! each part of the tool that asks; once the tool closes its end, it closes the store.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use admin::command::{DONE, FAILED};
use admin::service_user::ServiceUser;
use admin::{Base, Config, Users};
use ens::handover::wire::{Kind, Wire};
use serde_json::json;
use store::Store;

use crate::admin_socket::{Keeper, serve_alone};
use crate::options::Options;

/// The argument by which a tool knows that it is to keep the store for another process.
const KEEP_STORE: &str = "--keep-store";
/// How long the store may take to open: after a loss of power it reads its journal first.
const OPEN_WITHIN: Duration = Duration::from_secs(3600);

/// Opens the store of a base directory in which no server runs.
///
/// # Errors
/// If it can't be opened, or the user directory can't be read.
pub(super) fn open(base: &Base, config: &Config) -> Result<Keeper, Box<dyn Error>> {
    let users = Arc::new(Users::open(base.users())?);
    let options = Options::new(base, config, &users);
    let message_bytes_max = options.store.message_bytes_max;
    let (store, _) = Store::open(&options.data, options.store, Box::new(|_| {}))?;
    Ok(Keeper {
        store,
        users,
        message_bytes_max,
    })
}

/// A process that keeps the store for this one. It ends when this is dropped.
pub(super) struct KeeperProcess {
    wire: Mutex<Option<Wire>>,
    child: Child,
}

impl KeeperProcess {
    /// Starts it; it has opened the store then.
    ///
    /// # Errors
    /// If it can't be started, or says why the store can't be opened.
    pub fn start() -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new(std::env::current_exe()?)
            .arg(KEEP_STORE)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        let mut wire = Wire::new(ours, OPEN_WITHIN)?;
        let opened = wire.expect(Kind::Ready);
        // Dropped here if the store is not open: the process has ended then.
        let process = Self {
            wire: Mutex::new(Some(wire)),
            child,
        };
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                io::Error::other("the process that was to open the store ended without a word")
            }
            _ => error,
        })?;
        Ok(process)
    }

    /// A connection over which it is asked.
    ///
    /// # Errors
    /// If it is gone.
    pub fn connect(&self) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        let wire = wire.as_mut().expect("it is there until it is dropped");
        wire.send(Kind::Descriptors, b"", &[theirs.into()])?;
        Ok(ours)
    }
}

impl Drop for KeeperProcess {
    fn drop(&mut self) {
        // It closes the store once it hears that nobody comes any more.
        let wire = self.wire.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(wire.take());
        let _ = self.child.wait();
    }
}

/// Keeps the store, if this process was started for that; None if not. To be called first, while
/// the process has one thread.
pub fn keep_if_asked(name: &str) -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != KEEP_STORE {
        return None;
    }
    Some(admin::command::run(name, |base| {
        let link = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        match become_and_open(base) {
            Ok(keeper) => serve(Wire::new(link, OPEN_WITHIN)?, Arc::new(keeper)).map(|()| DONE),
            Err(error) => {
                writeln!(&link, "{}", json!({ "error": error.to_string() }))?;
                Ok(FAILED)
            }
        }
    }))
}

fn become_and_open(base: &Base) -> Result<Keeper, Box<dyn Error>> {
    let config = Config::load(base)?;
    // Before the first start there may be no folder for it: root can make one, others can't.
    fs::create_dir_all(base.data())?;
    ServiceUser::assume(base, &config)?;
    open(base, &config)
}

/// Serves every connection that comes, until the other end is closed and all are done.
fn serve(mut wire: Wire, keeper: Arc<Keeper>) -> Result<(), Box<dyn Error>> {
    wire.send(Kind::Ready, b"", &[])?;
    let mut threads = vec![];
    loop {
        let frame = match wire.receive() {
            Ok(frame) => frame,
            // A tool that is at work for long opens no more connections meanwhile.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error.into()),
        };
        for connection in frame.descriptors {
            let keeper = keeper.clone();
            let thread = std::thread::Builder::new().name("admin".into());
            let thread = thread.spawn(move || serve_alone(connection.into(), &keeper))?;
            threads.push(thread);
        }
    }
    for thread in threads {
        // What broke is said by the other end of the connection.
        let _ = thread.join();
    }
    Ok(())
}
