//! The phases of a run: set-up, quiet, single deliveries, a crowd, a burst.

mod baseline;
mod phases;
mod setup;

use std::net::SocketAddr;

use hdrhistogram::Histogram;
use reactor::uring::Uring;

use crate::fleet::{Fleet, Heard};
use crate::oracle::{Faults, Oracle};
use crate::plan::{self, Mailboxes};
use crate::processes::{Memory, Server};

pub use baseline::Baseline;
pub use phases::{Burst, Crowd, Singles};
pub use setup::Setup;

const SECOND_NS: u64 = 1_000_000_000;

/// What to do.
#[derive(Clone, Debug)]
pub struct Study {
    /// IMAP server.
    pub imap: SocketAddr,
    /// LMTP server.
    pub lmtp: SocketAddr,
    /// Idle sessions.
    pub sessions: usize,
    /// Whose mailboxes they watch.
    pub mailboxes: Mailboxes,
    /// User names, with `%d`.
    pub users: String,
    /// Their password.
    pub password: String,
    /// Addresses for LMTP, with `%d`.
    pub recipients: String,
    /// Single deliveries.
    pub deliveries: usize,
    /// How many of them a second.
    pub rate: f64,
    /// Seconds of the burst; 0 leaves it out.
    pub burst_s: u64,
    /// LMTP connections of the burst.
    pub lmtp_connections: usize,
    /// Bytes of a message.
    pub message_bytes: usize,
    /// Sessions being set up at a time.
    pub setup_concurrency: usize,
    /// Rounds of the bare send loop; 0 leaves it out.
    pub sendloop_rounds: usize,
    /// The server's processes, whose memory and CPU are reported.
    pub server: Server,
    /// Seconds without news after which a wait ends, and seconds that a delivery may take until
    /// everyone heard of it.
    pub patience_s: u64,
    /// Seconds that the server may settle before memory is read, and after the last delivery.
    pub settle_s: u64,
    /// Seed of the plan.
    pub seed: u64,
    /// Show progress.
    pub progress: bool,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Findings {
    /// Set-up.
    pub setup: Setup,
    /// Growth of the server's user memory, in bytes a session.
    pub memory_per_session: Option<f64>,
    /// Growth of all its memory, with files and what is shared, in bytes a session.
    pub pss_per_session: Option<f64>,
    /// Single deliveries.
    pub singles: Option<Singles>,
    /// Deliveries that everyone watches.
    pub crowd: Option<Crowd>,
    /// The bare send loop.
    pub baseline: Option<Baseline>,
    /// Deliveries as fast as they go.
    pub burst: Option<Burst>,
    /// The oracle's verdict.
    pub faults: Faults,
}

/// Why a run could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// A socket or file failed.
    #[error("{0}: {1}")]
    Io(&'static str, std::io::Error),
    /// A session or a delivery was refused.
    #[error("{0}")]
    Refused(String),
    /// What should have come did not.
    #[error("gave up waiting: {0}")]
    TimedOut(&'static str),
}

/// A run under way.
pub(crate) struct Run<'a> {
    study: &'a Study,
    fleet: Fleet<Uring>,
    oracle: Oracle,
    heard: Vec<(u64, Heard)>,
    /// Number of the last message. Numbers differ from run to run: servers may drop a message
    /// whose Message-ID they have seen before.
    number: u64,
}

impl Study {
    fn mailbox_count(&self) -> usize {
        match self.mailboxes {
            Mailboxes::Each => self.sessions,
            Mailboxes::One => 1,
        }
    }

    fn mailbox_of(&self, session: usize) -> u32 {
        match self.mailboxes {
            Mailboxes::Each => session as u32,
            Mailboxes::One => 0,
        }
    }

    /// Runs all phases.
    ///
    /// # Errors
    /// If the servers can't be reached or refuse; faults of notification are findings instead.
    pub fn run(&self) -> Result<Findings, StudyError> {
        let mut findings = Findings::default();
        let mut run = Run::new(self)?;
        let before = self.memory()?;
        findings.setup = run.set_up()?;
        run.settle();
        if let (Some(before), Some(after)) = (before, self.memory()?) {
            let each = |after: u64, before: u64| {
                Some((after as f64 - before as f64) / self.sessions as f64)
            };
            findings.memory_per_session = each(after.user, before.user);
            findings.pss_per_session = each(after.all, before.all);
        }
        run.connect_deliverers()?;
        if self.deliveries > 0 {
            match self.mailboxes {
                Mailboxes::Each => findings.singles = Some(run.singles()?),
                Mailboxes::One => findings.crowd = Some(run.crowd()?),
            }
        }
        if self.sendloop_rounds > 0 {
            findings.baseline = Some(run.baseline()?);
        }
        if self.burst_s > 0 {
            findings.burst = Some(run.burst()?);
        }
        findings.faults = run.finish();
        Ok(findings)
    }

    fn recipient(&self, mailbox: u32) -> String {
        plan::user(&self.recipients, mailbox)
    }

    fn memory(&self) -> Result<Option<Memory>, StudyError> {
        if !self.server.is_known() {
            return Ok(None);
        }
        let failed = |error| StudyError::Io("can't read the server's memory", error);
        self.server.memory().map(Some).map_err(failed)
    }

    fn cpu_us(&self) -> u64 {
        self.server.cpu_us().unwrap_or(0)
    }

    fn patience_ns(&self) -> u64 {
        self.patience_s * SECOND_NS
    }
}

/// A percentile of times in microseconds.
pub fn percentile(times: &Histogram<u64>, percent: f64) -> u64 {
    times.value_at_percentile(percent)
}
