//! The phases of a run: set-up, quiet, single deliveries, a crowd, a burst.

mod baseline;
mod phases;
mod reconnect;
mod returning;
mod setup;
mod storms;
mod sweep;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use hdrhistogram::Histogram;
use reactor::uring::Uring;

use crate::account::{self, Account};
use crate::batches::PlainFile;
use crate::client::{self, Credentials};
use crate::fleet::{Fleet, Heard};
use crate::link::{self, Security};
use crate::login::Auth;
use crate::oracle::{Faults, Oracle};
use crate::plan::{self, Mailboxes};
use crate::processes::Server;

pub use baseline::Baseline;
pub use phases::{Burst, Crowd, Singles};
pub use reconnect::Reconnect;
pub use returning::Again;
pub use setup::{Idle, Setup};
pub use storms::{Kind as StormKind, Storm};
pub use sweep::Sweep;

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
    /// How many each watches by NOTIFY; 0 is one, in IDLE.
    pub notify: u32,
    /// User names, with `%d`.
    pub users: String,
    /// Their password.
    pub password: String,
    /// How they log in.
    pub auth: Auth,
    /// They wait for no answer behind it.
    pub pipelined: bool,
    /// When they begin TLS, if they do.
    pub security: Option<Security>,
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
    /// Seconds of watching CPU while everybody idles; 0 leaves it out.
    pub idle_s: u64,
    /// Recipients a message while each mailbox gets one; 0 leaves that out.
    pub sweep_recipients: usize,
    /// Other sessions, of the users behind theirs, which reconnect while single deliveries are
    /// heard of; 0 leaves that out.
    pub reconnecting: usize,
    /// How often they do.
    pub reconnect_rounds: usize,
    /// Storms at the end, in order.
    pub storms: Vec<StormKind>,
    /// What restarts the server, for the shell.
    pub restart_command: Option<String>,
    /// Where the server writes its statistics on SIGUSR1.
    pub statistics: Option<PathBuf>,
    /// A folder for a plain file that does after the burst what the store did.
    pub plain_file: Option<PathBuf>,
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
    /// Growth of memory during set-up.
    pub memory: Memory,
    /// CPU while everybody idles.
    pub idle: Option<Idle>,
    /// A message for each mailbox.
    pub sweep: Option<Sweep>,
    /// Storms.
    pub storms: Vec<Storm>,
    /// Single deliveries.
    pub singles: Option<Singles>,
    /// The same while others reconnect.
    pub reconnect: Option<Reconnect>,
    /// Deliveries that everyone watches.
    pub crowd: Option<Crowd>,
    /// The bare send loop.
    pub baseline: Option<Baseline>,
    /// Deliveries as fast as they go.
    pub burst: Option<Burst>,
    /// A plain file, at the burst's sizes of commits.
    pub plain_file: Option<PlainFile>,
    /// The oracle's verdict.
    pub faults: Faults,
}

/// Growth of memory during set-up, in bytes a session; the server's is known if it was named.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// The server's user memory.
    pub server: Option<f64>,
    /// The same with files and what is shared.
    pub server_all: Option<f64>,
    /// The load generator's user memory.
    pub own: f64,
    /// The kernel's, for both ends of the connection.
    pub kernel: Option<f64>,
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
    credentials: Rc<Credentials>,
    /// The most that the server has taken in a storm.
    peak: Account,
    /// Number of the last message. Numbers differ from run to run: servers may drop a message
    /// whose Message-ID they have seen before.
    number: u64,
}

impl Study {
    fn mailbox_count(&self) -> usize {
        match self.mailboxes {
            Mailboxes::Each => self.sessions * self.watched_by_each() as usize,
            Mailboxes::One => 1,
        }
    }

    fn mailbox_of(&self, session: usize) -> u32 {
        match self.mailboxes {
            Mailboxes::Each => session as u32,
            Mailboxes::One => 0,
        }
    }

    /// Mailboxes that a session watches. For the oracle each of them is a session.
    fn watched_by_each(&self) -> u32 {
        self.notify.max(1)
    }

    /// What a session is to the oracle as one that watches one of its mailboxes.
    fn watch(&self, session: usize, mailbox: u32) -> usize {
        session * self.watched_by_each() as usize + mailbox as usize
    }

    /// Runs all phases.
    ///
    /// # Errors
    /// If the servers can't be reached or refuse; faults of notification are findings instead.
    pub fn run(&self) -> Result<Findings, StudyError> {
        let mut findings = Findings::default();
        let mut run = Run::new(self)?;
        let before = self.account()?;
        findings.setup = run.set_up()?;
        run.settle();
        findings.memory = self.growth(&before, &self.account()?);
        if self.idle_s > 0 {
            findings.idle = Some(run.idle()?);
        }
        run.connect_deliverers()?;
        if self.deliveries > 0 {
            match self.mailboxes {
                Mailboxes::Each => findings.singles = Some(run.singles()?),
                Mailboxes::One => findings.crowd = Some(run.crowd()?),
            }
        }
        if self.reconnecting > 0 {
            findings.reconnect = Some(run.reconnect()?);
        }
        if self.sendloop_rounds > 0 {
            findings.baseline = Some(run.baseline()?);
        }
        if self.burst_s > 0 {
            let burst = run.burst()?;
            findings.plain_file = run.plain_file(&burst)?;
            findings.burst = Some(burst);
        }
        if self.sweep_recipients > 0 {
            findings.sweep = Some(run.sweep()?);
        }
        for kind in &self.storms {
            findings.storms.push(run.storm(*kind)?);
        }
        findings.faults = run.finish();
        Ok(findings)
    }

    /// What sessions begin TLS with, if they do.
    fn tls(&self) -> Result<Option<(tls::ClientConfig, Security)>, StudyError> {
        let begun = self.security.map(|when| Ok((link::config()?, when)));
        let failed = |error: rustls::Error| StudyError::Refused(format!("TLS: {error}"));
        begun.transpose().map_err(failed)
    }

    fn credentials(&self) -> Credentials {
        Credentials {
            auth: self.auth,
            starttls: self.security == Some(Security::Starttls),
            pipelined: self.pipelined,
            notify: self.notify,
            ..Credentials::new(&self.users, &self.password)
        }
    }

    fn recipient(&self, mailbox: u32) -> String {
        let each = self.watched_by_each();
        let user = plan::user(&self.recipients, mailbox / each);
        match (mailbox % each, user.split_once('@')) {
            (0, _) => user,
            (number, None) => format!("{user}+{}", client::mailbox(number)),
            (number, Some((local, domain))) => {
                format!("{local}+{}@{domain}", client::mailbox(number))
            }
        }
    }

    fn account(&self) -> Result<Account, StudyError> {
        Account::take(&self.server)
            .map_err(|error| StudyError::Io("can't look at the server's processes", error))
    }

    fn growth(&self, before: &Account, after: &Account) -> Memory {
        let each = |bytes: f64| bytes / self.sessions as f64;
        Memory {
            server: after.server_growth(before).map(each),
            server_all: after.server_all_growth(before).map(each),
            own: each(after.own_bytes as f64 - before.own_bytes as f64),
            kernel: after.kernel_growth(before).map(each),
        }
    }

    /// The longest turn of the server's shards since this was asked the last time; 0 if it is not
    /// known where the server writes that.
    fn longest_turn_ns(&self) -> Result<u64, StudyError> {
        let statistics = self.ask_statistics()?;
        Ok(statistics.map_or(0, |text| account::longest_turn_ns(&text)))
    }

    /// The server's statistics, if it is known where it writes them.
    fn ask_statistics(&self) -> Result<Option<String>, StudyError> {
        match (&self.statistics, self.server.first()) {
            (Some(file), Some(pid)) => account::statistics(pid, file)
                .map(Some)
                .map_err(|error| StudyError::Io("the server's statistics", error)),
            _ => Ok(None),
        }
    }

    /// For lines of progress.
    fn note(&self) -> String {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        match Account::take(&self.server) {
            Ok(now) => format!(
                ", server {:.0} MB, load generator {:.0} MB, available {:.0} MB",
                megabytes(now.server_bytes.unwrap_or(0)),
                megabytes(now.own_bytes),
                megabytes(now.available_bytes)
            ),
            Err(error) => format!(", {error}"),
        }
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
