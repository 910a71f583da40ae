//! `loadgen soak`: sessions come, idle, act and go, messages are delivered, flagged and expunged,
//! for as long as one likes; and everything that is heard is held against a model.
//!
//! In reading order: [`view`] (a mailbox by message numbers), [`command`] and [`reading`] (the two
//! directions of IMAP), [`client`] (the machine that speaks it, and notices what may not come),
//! [`mailbox`] (the model of one mailbox) with its strict checks in `audit`, `judge` (sessions
//! against models), `member` (what a session does next), [`layout`] (who shares a mailbox),
//! `driver` (all of them on a reactor), `run` (set-up, churn, quiet, end), [`memory`], [`sockets`],
//! [`upgrades`] and [`report`].
//!
//! What the judge holds true: a view agrees with its mailbox whenever the mailbox held still while
//! it was asked; an idling session hears of every change within [`DEADLINE_NS`]; UIDs are never
//! used twice; and what was answered with success stays until somebody expunges it.

pub mod args;
mod audit;
pub mod client;
pub mod command;
mod driver;
pub mod faults;
mod judge;
pub mod layout;
pub mod mailbox;
mod member;
pub mod memory;
pub mod reading;
pub mod report;
mod run;
pub mod sockets;
pub mod upgrades;
pub mod view;

use std::net::SocketAddr;

pub use faults::Faults;
pub use judge::{Counts, DEADLINE_NS, Times};

const SECOND_NS: u64 = 1_000_000_000;

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// IMAP server.
    pub imap: SocketAddr,
    /// LMTP server.
    pub lmtp: SocketAddr,
    /// Sessions.
    pub sessions: usize,
    /// Mailboxes that they share.
    pub mailboxes: usize,
    /// How long sessions churn.
    pub churn_ns: u64,
    /// Deliveries a second.
    pub rate: f64,
    /// Commands a second.
    pub command_rate: f64,
    /// Sessions that go, and come back, a second.
    pub reconnect_rate: f64,
    /// User names, with `%d`.
    pub users: String,
    /// Their password.
    pub password: String,
    /// Messages in a mailbox, about.
    pub messages_max: usize,
    /// Bytes of a delivered message.
    pub message_bytes: usize,
    /// Sessions being set up at a time.
    pub setup_concurrency: usize,
    /// LMTP connections.
    pub lmtp_connections: usize,
    /// The server's processes.
    pub server_pids: Vec<u32>,
    /// Upgrades of the server meanwhile.
    pub upgrades: Option<upgrades::Upgrades>,
    /// Seed of everything that is drawn.
    pub seed: u64,
}

/// What was seen.
#[derive(Debug)]
pub struct Findings {
    /// Seconds until all sessions idled.
    pub setup_s: f64,
    /// How much was done and checked.
    pub counts: Counts,
    /// Times.
    pub times: Times,
    /// The server's memory, and one's own.
    pub memory: memory::Series,
    /// Sessions that idled at the end.
    pub idling: usize,
    /// Server CPU in microseconds, while sessions churned.
    pub server_cpu_us: u64,
    /// What became of upgrades.
    pub upgraded: Option<upgrades::Upgraded>,
    /// What was wrong.
    pub faults: Faults,
}

/// Why a run could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum SoakError {
    /// A file or the ring failed.
    #[error("{0}: {1}")]
    Io(&'static str, std::io::Error),
    /// The server can't be used.
    #[error("the server can't be used: {0}")]
    Unusable(String),
}

impl Plan {
    /// The server's processes at the moment.
    fn pids(&self) -> Vec<u32> {
        match &self.upgrades {
            Some(upgrades) => upgrades.pid().into_iter().collect(),
            None => self.server_pids.clone(),
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// If the server can't be used; whatever else is wrong with it is a finding.
    pub fn run(&self) -> Result<Findings, SoakError> {
        run::run(self)
    }
}
