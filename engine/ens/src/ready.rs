//! Telling the one who started us: bound ports and `ready`, or one line about what is wrong. Before
//! `ready` a process that takes over from another says `committed`: there is no way back.
//!
//! `start-msg` passes the number of an open pipe in `ENSIGN_READY_FD`; without it the lines go to
//! standard output, or standard error if they say what failed. A supervisor that gave us a socket
//! in `NOTIFY_SOCKET` hears of `ready` too.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use crate::supervisor::Supervisor;

/// Where start-up is reported.
pub struct Ready {
    pipe: Option<File>,
    /// Reached at once: a program may give up the right to before it is ready.
    supervisor: Option<Supervisor>,
}

impl Ready {
    /// The reporter named by the environment.
    pub fn from_env() -> Self {
        let pipe = std::env::var("ENSIGN_READY_FD").ok().and_then(|number| {
            let number: u32 = number.parse().ok()?;
            OpenOptions::new()
                .write(true)
                .open(format!("/proc/self/fd/{number}"))
                .ok()
        });
        let supervisor = Supervisor::from_env().unwrap_or_else(|error| {
            tracing::warn!("the supervisor can't be told: {error}");
            None
        });
        Self { pipe, supervisor }
    }

    /// Reports a fact, such as `imap listening on 127.0.0.1:143`.
    pub fn line(&mut self, text: &str) {
        tracing::info!("{text}");
        match &mut self.pipe {
            // Nobody may be listening any more; the server runs on all the same.
            Some(pipe) => drop(writeln!(pipe, "{text}")),
            None => println!("{text}"),
        }
    }

    /// The supervisor of another process, which this one follows, is to be told.
    pub fn tell(&mut self, supervisor: Option<Supervisor>) {
        self.supervisor = supervisor.or(self.supervisor.take());
    }

    /// Another descriptor of the pipe, if there is one.
    ///
    /// # Errors
    /// If this process may have no more.
    pub fn descriptor(&self) -> io::Result<Option<OwnedFd>> {
        let pipe = self.pipe.as_ref().map(File::try_clone).transpose()?;
        Ok(pipe.map(OwnedFd::from))
    }

    /// Reports that from now on this process is the service, in the place of another.
    ///
    /// # Errors
    /// If whoever wanted to hear it is gone.
    pub fn committed(&mut self) -> io::Result<()> {
        match &mut self.pipe {
            Some(pipe) => writeln!(pipe, "committed"),
            None => Ok(()),
        }
    }

    /// Reports that the server serves. Gives the way to the supervisor, if there is one.
    pub fn ready(&mut self) -> Option<Supervisor> {
        self.line("ready");
        self.pipe = None;
        let supervisor = self.supervisor.take()?;
        if let Err(error) = supervisor.ready() {
            tracing::warn!("the supervisor can't be told: {error}");
        }
        Some(supervisor)
    }

    /// Reports that a part of the program can't serve, and why; the rest does.
    pub fn part_failed(&mut self, part: &str, error: &dyn std::error::Error) {
        let text = format!("{part} did not start: {error}").replace('\n', " ");
        tracing::error!("{text}");
        match &mut self.pipe {
            Some(pipe) => drop(writeln!(pipe, "failed: {text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Reports why the program can't serve.
    pub fn failed(&mut self, program: &str, error: &dyn std::error::Error) {
        let text = format!("error: {error}").replace('\n', " ");
        tracing::error!("{text}");
        match &mut self.pipe {
            Some(pipe) => drop(writeln!(pipe, "{text}")),
            None => eprintln!("{program}: {text}"),
        }
    }
}
