//! The command line of `loadgen soak`.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Plan;
use super::layout::SHARED_MAX;
use super::upgrades::Upgrades;

/// Options.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// IMAP server.
    #[arg(long, default_value = "127.0.0.1:143")]
    pub imap: String,
    /// LMTP server.
    #[arg(long, default_value = "127.0.0.1:24")]
    pub lmtp: String,
    /// Sessions that are kept.
    #[arg(long, default_value_t = 50_000)]
    sessions: usize,
    /// Mailboxes, of users from number 0 on; most have one session, some 2 to 5. Four fifths of
    /// the sessions, if not given.
    #[arg(long)]
    mailboxes: Option<usize>,
    /// How long sessions churn.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Deliveries a second.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Commands a second, besides those that log in, select and idle.
    #[arg(long, default_value_t = 1000.0)]
    command_rate: f64,
    /// Sessions that go, with LOGOUT or without, and come back, a second.
    #[arg(long, default_value_t = 50.0)]
    reconnect_rate: f64,
    /// User names, with `%d` for the mailbox's number.
    #[arg(long, default_value = "load%d")]
    users: String,
    /// Their password.
    #[arg(long, default_value = "secret")]
    password: String,
    /// Nothing is added to a mailbox with so many messages.
    #[arg(long, default_value_t = 50)]
    messages_max: usize,
    /// Bytes of a delivered message.
    #[arg(long, default_value_t = 1024)]
    message_bytes: usize,
    /// Sessions being set up at a time.
    #[arg(long, default_value_t = 256)]
    setup_concurrency: usize,
    /// LMTP connections.
    #[arg(long, default_value_t = 16)]
    lmtp_connections: usize,
    /// The server's processes, for their memory and CPU, and their connections at the end.
    #[arg(long)]
    server_pid: Vec<u32>,
    /// Upgrade the server of --base so often while sessions churn, which ends when that is done.
    #[arg(long, default_value_t = 0, requires = "base")]
    upgrades: usize,
    /// Besides, begin so many upgrades and kill the new process at a moment that is drawn.
    #[arg(long, default_value_t = 0, requires = "base")]
    upgrades_killed: usize,
    /// The server's base directory. Its process is the one that counts.
    #[arg(long, value_name = "FOLDER")]
    base: Option<PathBuf>,
    /// Seed of all that is drawn.
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
    /// What they say, with the addresses found.
    ///
    /// # Errors
    /// If a number makes no sense.
    pub fn plan(&self, imap: SocketAddr, lmtp: SocketAddr) -> Result<Plan, String> {
        let mailboxes = self.mailboxes.unwrap_or((self.sessions * 4).div_ceil(5));
        if self.sessions == 0 || mailboxes == 0 {
            return Err("--sessions and --mailboxes must be above 0".into());
        }
        if !(mailboxes..=mailboxes * SHARED_MAX).contains(&self.sessions) {
            return Err(format!(
                "--sessions {} of --mailboxes {mailboxes}: give each mailbox 1 to {SHARED_MAX}",
                self.sessions
            ));
        }
        let rates = [
            self.minutes,
            self.rate,
            self.command_rate,
            self.reconnect_rate,
        ];
        let counts = [
            self.setup_concurrency,
            self.lmtp_connections,
            self.messages_max,
        ];
        if rates.iter().any(|rate| *rate <= 0.0) || counts.contains(&0) {
            return Err("minutes, rates and counts must be above 0".into());
        }
        Ok(Plan {
            imap,
            lmtp,
            sessions: self.sessions,
            mailboxes,
            churn_ns: (self.minutes * 60e9) as u64,
            rate: self.rate,
            command_rate: self.command_rate,
            reconnect_rate: self.reconnect_rate,
            users: self.users.clone(),
            password: self.password.clone(),
            messages_max: self.messages_max,
            message_bytes: self.message_bytes,
            setup_concurrency: self.setup_concurrency,
            lmtp_connections: self.lmtp_connections,
            server_pids: self.server_pid.clone(),
            upgrades: self.base.clone().map(|base| Upgrades {
                base,
                whole: self.upgrades,
                killed: self.upgrades_killed,
                seed: self.seed,
            }),
            seed: self.seed,
        })
    }
}
