//! The command line of `loadgen`.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::brokers::Broker;
use crate::link::Security;
use crate::login::Auth;
use crate::plan::Mailboxes;
use crate::report::bars::Bars;
use crate::report::chart::Chart;
use crate::report::curves::Curve;
use crate::study::StormKind;
use crate::users::Scheme;
use crate::{active, hostile, shake, site, soak, verify};

/// The command line, for its man page.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Idles many IMAP clients, delivers mail and measures notification
#[derive(Parser)]
#[command(name = "loadgen", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What there is to do.
#[derive(Subcommand)]
pub enum Command {
    /// Idle sessions, single deliveries, a crowd or a burst, under an oracle.
    ///
    /// Any IMAP server with IDLE and any LMTP server that delivers to it may be loaded. It needs
    /// users by a pattern, with one password, who may log in (without TLS, unless --tls is given),
    /// and mailboxes of their own or one that as many connections may watch as there are sessions:
    /// mind its limits of processes, of connections, and of connections by user and address. Give
    /// the LMTP addresses as --recipients, if they aren't the users' names; --server-tree for a
    /// server of many processes; --patience-seconds for one that polls. Only servers of this host
    /// are loaded, unless --allow-remote says otherwise: mail is delivered to them, and it stays
    /// there.
    Idle(Box<Idle>),
    /// Sessions that come, act and go for hours, under an oracle.
    Soak(Box<soak::args::Args>),
    /// Attacks, one after the other, beside a quiet population under an oracle: what others felt.
    ///
    /// It delivers mail and makes mailboxes and large messages; give it a server of its own.
    Hostile(Box<hostile::args::Args>),
    /// What a client asks for that has woken up, one command after the other, and how long it
    /// takes.
    ///
    /// It fills a mailbox; give it a user without one of that name.
    Active(Box<active::Args>),
    /// Print the public key by which a server checks the tokens of `idle --auth oauthbearer`: the
    /// file of its option oauth.keys.
    Issuer {
        /// The users' password: the key comes from it.
        #[arg(long, default_value = "secret")]
        password: String,
    },
    /// Print users for `msguser import`.
    Users {
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        count: u32,
        /// Their names, with `%d`.
        #[arg(long, default_value = "load%d")]
        pattern: String,
        /// Their password.
        #[arg(long, default_value = "secret")]
        password: String,
        /// What stands for it in the user directory.
        #[arg(long, value_enum, default_value = "ssha256")]
        scheme: Scheme,
    },
    /// Count verifications of a password a second, on one core.
    Verify(verify::Args),
    /// Count the server's side of TLS handshakes a second, on one core.
    Shake(shake::Args),
    /// Measure event brokers side by side: latency, fan-out, CPU, memory, throughput.
    Brokers(Brokers),
    /// Brokers of three hosts that are one site over a cluster of NATS servers, while cables are
    /// cut and programs killed, under an oracle: each event is heard once and in order, or told as
    /// missed.
    ///
    /// It starts all of them, in network namespaces of their own, which only root may.
    Site(site::Args),
    /// Draw one measure of several results folders.
    Plot {
        /// Its name in their tables.
        #[arg(long)]
        measure: String,
        /// What stands above the picture; the measure, unless given.
        #[arg(long)]
        title: Option<String>,
        /// The SVG to write.
        #[arg(long)]
        out: PathBuf,
        /// A curve: NAME=FOLDER, or NAME=FOLDER,FOLDER for all times of these, and =MEASURE behind
        /// it if it is of another one.
        #[arg(required = true)]
        curves: Vec<Curve>,
    },
    /// Draw the pictures of results folders again, from the data in them.
    Redraw {
        /// Folders; those below them are drawn too.
        #[arg(required = true)]
        folders: Vec<PathBuf>,
    },
    /// Draw curves from points; started by `cargo xtask results`.
    #[command(hide = true)]
    Chart {
        /// The SVG to write.
        #[arg(long)]
        out: PathBuf,
        /// What to draw.
        #[command(flatten)]
        chart: Chart,
    },
    /// Draw bars; started by `cargo xtask results`.
    #[command(hide = true)]
    Bars {
        /// The SVG to write.
        #[arg(long)]
        out: PathBuf,
        /// What to draw.
        #[command(flatten)]
        bars: Bars,
    },
    /// Print which machine this is; started by `cargo xtask results`.
    #[command(hide = true)]
    Machine,
    /// One subscriber; started by `brokers`.
    #[command(hide = true)]
    Listen {
        /// Whose.
        #[arg(long)]
        broker: Broker,
        /// How many events to wait for.
        #[arg(long)]
        count: usize,
        /// By the client library of NATS.
        #[arg(long)]
        library: bool,
    },
    /// The bare send loop; started by `idle`.
    #[command(hide = true)]
    Sendloop {
        /// How many.
        #[arg(long)]
        connections: usize,
    },
}

/// A study of sessions that idle.
#[derive(Args)]
pub struct Idle {
    /// IMAP server.
    #[arg(long, default_value = "127.0.0.1:143")]
    pub imap: String,
    /// LMTP server.
    #[arg(long, default_value = "127.0.0.1:24")]
    pub lmtp: String,
    /// Sessions; where a process may open fewer files, rings hold the rest.
    #[arg(long, default_value_t = 1000)]
    pub sessions: usize,
    /// One mailbox each, or all in one.
    #[arg(long, value_enum, default_value = "each")]
    pub mailboxes: Mailboxes,
    /// Mailboxes that each session watches by NOTIFY, INBOX and some that it makes (f1, f2, …),
    /// instead of INBOX in IDLE; messages are delivered to USER+f1 and so on. 0 is IDLE.
    #[arg(long, default_value_t = 0)]
    pub notify: u32,
    /// User names, with `%d` for the session's number.
    #[arg(long, default_value = "load%d")]
    pub users: String,
    /// Their password.
    #[arg(long, default_value = "secret")]
    pub password: String,
    /// How they log in.
    #[arg(long, value_enum, default_value = "login")]
    pub auth: Auth,
    /// Have them send SELECT and IDLE with the last line of their login, without waiting for the
    /// answers. Few clients do; the report says so.
    #[arg(long, conflicts_with = "notify")]
    pub pipeline: bool,
    /// Speak TLS 1.3, from the first byte (on the port for it), or after STARTTLS. Any certificate
    /// is taken.
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "implicit")]
    pub tls: Option<Security>,
    /// Their addresses for LMTP, with `%d`, such as load%d@example.org; their names, unless given.
    #[arg(long)]
    pub recipients: Option<String>,
    /// Single deliveries; each waits until it was heard.
    #[arg(long, default_value_t = 200)]
    pub deliveries: usize,
    /// How many of them a second.
    #[arg(long, default_value_t = 50.0)]
    pub rate: f64,
    /// Then, for so many seconds, deliveries as fast as they go.
    #[arg(long, default_value_t = 0)]
    pub burst_seconds: u64,
    /// LMTP connections of the burst.
    #[arg(long, default_value_t = 16)]
    pub lmtp_connections: usize,
    /// Bytes of a message.
    #[arg(long, default_value_t = 1024)]
    pub message_bytes: usize,
    /// Sessions being set up at a time.
    #[arg(long, default_value_t = 256)]
    pub setup_concurrency: usize,
    /// Then, for so many seconds, watch how much CPU is taken while everybody idles.
    #[arg(long, default_value_t = 0)]
    pub idle_seconds: u64,
    /// At the end deliver to each mailbox, a message for so many at a time, until everybody was
    /// told.
    #[arg(long, default_value_t = 0)]
    pub sweep: usize,
    /// After the single deliveries more of them, while so many other sessions (of the users behind
    /// those of --sessions) leave and come back at once, again and again.
    #[arg(long, default_value_t = 0)]
    pub reconnecting: usize,
    /// How often they do.
    #[arg(long, default_value_t = 10)]
    pub reconnect_rounds: usize,
    /// Then, storms.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub storm: Vec<StormKind>,
    /// For the storm `restart`: what restarts the server, for the shell; it ends when the server
    /// listens again.
    #[arg(long)]
    pub restart_command: Option<String>,
    /// Where an Ensign server (the first --server-pid) writes its statistics on SIGUSR1:
    /// run/imapd.statistics of its base directory.
    #[arg(long)]
    pub server_statistics: Option<PathBuf>,
    /// After the burst append as many bytes a record to a file of this folder, with an fdatasync
    /// for each commit, of the sizes that the store's had. Needs --server-statistics.
    #[arg(long, requires = "server_statistics")]
    pub plain_file: Option<PathBuf>,
    /// Rounds of a bare send loop to as many connections, for comparison.
    #[arg(long, default_value_t = 0)]
    pub baseline_sendloop: usize,
    /// The server's processes, for their memory and CPU.
    #[arg(long)]
    pub server_pid: Vec<u32>,
    /// A file with the number of such a process, which is another after a restart.
    #[arg(long)]
    pub server_pid_file: Vec<PathBuf>,
    /// A process of the server that counts with all its descendants.
    #[arg(long)]
    pub server_tree: Vec<u32>,
    /// Seconds without news after which a wait ends, and seconds that everyone may take to hear of
    /// a delivery; who did not is reported.
    #[arg(long, default_value_t = 30)]
    pub patience_seconds: u64,
    /// Seconds that the server may settle before its memory is read, and at the end.
    #[arg(long, default_value_t = 2)]
    pub settle_seconds: u64,
    /// Seed of the plan.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Write a results folder.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Allow servers that are not on this host.
    #[arg(long)]
    pub allow_remote: bool,
}

/// A study of brokers.
#[derive(Args)]
pub struct Brokers {
    /// A broker: NAME:(enp|nats|redis)@ADDRESS:PORT#PID. The first is held against the others.
    #[arg(long, required_unless_present = "hosts")]
    pub broker: Vec<Broker>,
    /// Instead of these: so many hosts that are one site over a cluster of NATS servers, all of
    /// which it starts itself, on loopback.
    #[arg(long, conflicts_with = "broker")]
    pub hosts: Option<usize>,
    /// Of a site: subscriptions of one broker.
    #[arg(long, default_value_t = 1_000_000)]
    pub subscriptions: usize,
    /// Of a site: how often each comparison is made, by turns.
    #[arg(long, default_value_t = 3)]
    pub turns: usize,
    /// Of a site: the broker; by default the one beside this program.
    #[arg(long)]
    pub enpd: Option<PathBuf>,
    /// Of a site: the NATS server.
    #[arg(long, default_value = "nats-server")]
    pub nats_server: PathBuf,
    /// An older broker, with which one without a site is compared.
    #[arg(long)]
    pub before: Option<PathBuf>,
    /// Subscribers of one event.
    #[arg(long, default_value_t = 10_000)]
    pub subscribers: usize,
    /// Events published to all of them.
    #[arg(long, default_value_t = 30)]
    pub rounds: usize,
    /// Events published to one subscriber in another process.
    #[arg(long, default_value_t = 2000)]
    pub singles: usize,
    /// Events published without pause.
    #[arg(long, default_value_t = 1_000_000)]
    pub flood: usize,
    /// Write a results folder.
    #[arg(long)]
    pub out: Option<PathBuf>,
}
