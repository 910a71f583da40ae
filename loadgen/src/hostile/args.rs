//! The command line of `loadgen hostile`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::attacks::Attack;
use super::{Plan, Sizes};
use crate::processes::Server;

/// `loadgen hostile`
#[derive(clap::Args)]
pub struct Args {
    /// The attacks, one after the other; all, if none is named.
    pub attacks: Vec<Attack>,
    /// IMAP server.
    #[arg(long, default_value = "127.0.0.1:143")]
    pub imap: String,
    /// LMTP server.
    #[arg(long, default_value = "127.0.0.1:24")]
    pub lmtp: String,
    /// Event broker, for the attacks on it; without it they are left out.
    #[arg(long)]
    pub ens: Option<String>,
    /// User names, with `%d`. It needs idlers + workers + 60 of them.
    #[arg(long, default_value = "load%d")]
    users: String,
    /// Users with costly passwords, with `%d`; it needs 20 of them.
    #[arg(long, default_value = "cold%d")]
    cold_users: String,
    /// Everybody's password.
    #[arg(long, default_value = "secret")]
    password: String,
    /// Their addresses for LMTP, with `%d`; their names, unless given.
    #[arg(long)]
    recipients: Option<String>,
    /// Idling sessions, a mailbox each.
    #[arg(long, default_value_t = 1000)]
    idlers: usize,
    /// Sessions that work: a command ten times a second each.
    #[arg(long, default_value_t = 10)]
    workers: usize,
    /// LMTP connections: a message 25 times a second each.
    #[arg(long, default_value_t = 4)]
    deliverers: usize,
    /// Seconds without an attack, to hold the attack against: as long as an attack, so that the
    /// worst of both has the same chances.
    #[arg(long, default_value_t = 20)]
    quiet_seconds: u64,
    /// Seconds that an attack may last.
    #[arg(long, default_value_t = 20)]
    attack_seconds: u64,
    /// Seconds that the population goes on after an attack.
    #[arg(long, default_value_t = 3)]
    after_seconds: u64,
    /// Seconds that the server may settle before its memory is read.
    #[arg(long, default_value_t = 2)]
    settle_seconds: u64,
    /// Seconds that anything may take.
    #[arg(long, default_value_t = 120)]
    patience_seconds: u64,
    /// Messages of a large mailbox.
    #[arg(long, default_value_t = 100_000)]
    messages: u32,
    /// Mailboxes with names of 900 bytes.
    #[arg(long, default_value_t = 10_000)]
    mailbox_count: u32,
    /// Bytes of a large message.
    #[arg(long, default_value_t = 38_000_000)]
    large_bytes: usize,
    /// Connections of an attack that needs many.
    #[arg(long, default_value_t = 300)]
    connections: usize,
    /// Requests of an attack that needs many.
    #[arg(long, default_value_t = 6000)]
    requests: usize,
    /// The server's processes, for their memory.
    #[arg(long)]
    server_pid: Vec<u32>,
    /// A process of the server that counts with all its descendants.
    #[arg(long)]
    server_tree: Vec<u32>,
    /// Fail if a member of the population was refused anything.
    #[arg(long)]
    strict: bool,
    /// Seed of the population's choices.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Write a results folder.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Allow servers that are not on this host.
    #[arg(long)]
    pub allow_remote: bool,
}

impl Args {
    /// The attacks that are wanted and possible.
    pub fn attacks(&self) -> Vec<Attack> {
        use clap::ValueEnum as _;
        let wanted = match self.attacks.is_empty() {
            true => Attack::value_variants().to_vec(),
            false => self.attacks.clone(),
        };
        let possible = |attack: &Attack| self.ens.is_some() || !attack.needs_broker();
        wanted.into_iter().filter(possible).collect()
    }

    /// Whether refusals fail the run.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// The plan.
    ///
    /// # Errors
    /// If there is nobody to be hurt.
    pub fn plan(
        &self,
        imap: SocketAddr,
        lmtp: SocketAddr,
        ens: Option<SocketAddr>,
    ) -> Result<Plan, String> {
        if self.idlers == 0 || self.deliverers == 0 || self.messages == 0 {
            return Err("--idlers, --deliverers and --messages must be above 0".into());
        }
        Ok(Plan {
            imap,
            lmtp,
            ens,
            users: self.users.clone(),
            cold_users: self.cold_users.clone(),
            password: self.password.clone(),
            recipients: self.recipients.as_ref().unwrap_or(&self.users).clone(),
            idlers: self.idlers,
            workers: self.workers,
            deliverers: self.deliverers,
            quiet: Duration::from_secs(self.quiet_seconds),
            attack: Duration::from_secs(self.attack_seconds),
            after: Duration::from_secs(self.after_seconds),
            settle: Duration::from_secs(self.settle_seconds),
            patience: Duration::from_secs(self.patience_seconds),
            sizes: Sizes {
                messages: self.messages,
                mailboxes: self.mailbox_count,
                message_bytes: self.large_bytes,
                connections: self.connections,
                requests: self.requests,
            },
            server: Server {
                pids: self.server_pid.clone(),
                pid_files: vec![],
                trees: self.server_tree.clone(),
            },
            seed: self.seed,
        })
    }
}
