//! The door of the status page, `/metrics`, `/healthz` and `/readyz`, over HTTP/1.1.
//!
//! One thread serves a few clients with `poll`, and gives way to all who serve mail. Who may look
//! is `monitor::http`'s: this host alone, or, by TLS, whoever has the token.
//!
//! In reading order: this (start and stop), `serve` (the thread), `connection` (a client), `site`
//! (what is answered), `status` (what the page shows), `token`.

mod connection;
mod serve;
mod site;
mod status;
mod token;

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use monitor::http::Access;
use rustix::net::Shutdown;

use crate::metrics::Measured;
use crate::panics;

/// How far its thread gives way to all else of this process, as `nice` has it.
const NICE: i32 = 10;
/// How soon it goes on after a fault of its own.
const AGAIN: Duration = Duration::from_secs(1);

/// What a door is opened with.
pub struct Opening {
    /// Where clients come in.
    pub listener: TcpListener,
    /// What TLS is spoken with; none if only this host comes in.
    pub tls: Option<Arc<tls::Config>>,
    /// The file of the token, which is needed with TLS.
    pub token: PathBuf,
    /// What is told.
    pub measured: Arc<Measured>,
    /// What the server is called.
    pub host: String,
}

/// A door that is open.
pub struct HttpDoor {
    inside: Arc<Inside>,
    thread: JoinHandle<()>,
}

/// What its thread and others have in common.
struct Inside {
    listener: TcpListener,
    tls: Option<Arc<tls::Config>>,
    token: PathBuf,
    access: ArcSwap<Access>,
    measured: Arc<Measured>,
    host: String,
    is_stopping: AtomicBool,
    is_over: AtomicBool,
}

impl HttpDoor {
    /// Opens it.
    ///
    /// # Errors
    /// If there is no token and none can be made, or the system has no more threads.
    pub fn open(opening: Opening) -> io::Result<Self> {
        let Opening {
            listener,
            tls,
            token,
            measured,
            host,
        } = opening;
        listener.set_nonblocking(true)?;
        let access = match tls {
            Some(_) => Access::Token(token::read_or_make(&token)?),
            None => Access::OwnHost,
        };
        let inside = Arc::new(Inside {
            listener,
            tls,
            token,
            access: ArcSwap::from_pointee(access),
            measured,
            host,
            is_stopping: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let own = inside.clone();
        let thread = Builder::new().name("http".into()).spawn(move || {
            // Without this it is only less polite.
            let _ = rustix::process::nice(NICE);
            while panics::catch("of the HTTP door", || serve::serve(&own)).is_none() {
                std::thread::park_timeout(AGAIN);
            }
        })?;
        Ok(Self { inside, thread })
    }

    /// Takes the token again, if one is needed.
    ///
    /// # Errors
    /// Why it can't be; the one before stays good.
    pub fn refresh(&self) -> io::Result<()> {
        if self.inside.tls.is_some() {
            let token = token::read_or_make(&self.inside.token)?;
            self.inside.access.store(Arc::new(Access::Token(token)));
        }
        Ok(())
    }

    /// Says from now on that the server is not ready.
    pub fn announce_stop(&self) {
        self.inside.is_stopping.store(true, Ordering::SeqCst);
    }

    /// Closes it.
    pub fn close(self) {
        self.inside.is_over.store(true, Ordering::SeqCst);
        // Its thread is told, if it waits there.
        let _ = rustix::net::shutdown(&self.inside.listener, Shutdown::Both);
        self.thread.thread().unpark();
        let _ = self.thread.join();
    }
}
