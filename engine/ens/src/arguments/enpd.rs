//! The command line of `enpd`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Parser;

use crate::frame::Scope;

/// The event notification broker. Who may connect is in the environment: ENS_ACCESS
#[derive(Parser)]
#[command(name = "enpd", version)]
pub struct Cli {
    /// Address to listen on
    #[arg(long, default_value = "0.0.0.0")]
    pub listen: IpAddr,
    /// TCP port; 0 turns it off
    #[arg(long, default_value_t = 7997)]
    pub port: u16,
    /// TCP port on which TLS is spoken; 0 turns it off
    #[arg(long, default_value_t = 0)]
    pub tls_port: u16,
    /// Folder of certificates: a chain NAME.pem and its private key NAME.key for each name
    #[arg(long, value_name = "FOLDER")]
    pub certificates: Option<PathBuf>,
    /// Speak TLS 1.3 only
    #[arg(long)]
    pub tls13: bool,
    /// File that is written when a hang-up signal was worked on: what went wrong, if anything did
    #[arg(long, value_name = "FILE")]
    pub refreshed: Option<PathBuf>,
    /// Unix socket to listen on as well
    #[arg(long)]
    pub socket: Option<PathBuf>,
    /// Unix socket at which another version of this program asks for all connections
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    /// Take over all connections of the broker that listens at --control, which ends then; if that
    /// fails, it goes on. This is what start-msg upgrade ens does
    #[arg(long, requires = "control")]
    pub take_over: bool,
    /// Shards, a thread each; by default as many as cores
    #[arg(long)]
    pub shards: Option<u16>,
    /// Connections at a time; more are told to come back later
    #[arg(long, default_value_t = 100_000)]
    pub max_connections: usize,
    /// Subscriptions of one client
    #[arg(long, default_value_t = 100_000)]
    pub max_subscriptions: usize,
    /// Bytes that the subscriptions of one client may take
    #[arg(long, default_value_t = 64 << 20)]
    pub max_subscription_bytes: usize,
    /// Subscriptions of all clients together
    #[arg(long, default_value_t = 1_000_000)]
    pub max_all_subscriptions: usize,
    /// Bytes that the subscriptions of all clients together may take
    #[arg(long, default_value_t = 512 << 20)]
    pub max_all_subscription_bytes: usize,
    /// Bytes that may wait for a subscriber before it is told that it lags
    #[arg(long, default_value_t = 1 << 20)]
    pub max_pending: usize,
    /// Seconds after which a subscriber that takes nothing is disconnected
    #[arg(long, default_value_t = 120)]
    pub write_timeout: u64,
    /// Seconds of silence after which a client is asked for a sign of life; 0 is never
    #[arg(long, default_value_t = 120)]
    pub keepalive: u16,
    /// Microseconds for which a shard looks for work before it sleeps: faster, for a core's price
    #[arg(long, default_value_t = 0)]
    pub spin: u64,
    /// NATS servers, such as nats://HOST:4222 or tls://HOST:4222, with commas between them, by
    /// which brokers of several hosts are one
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    pub nats: Vec<String>,
    /// The site that the broker joins there: those with the same one hear each other's events. Up
    /// to 64 letters, digits, - and _
    #[arg(long, value_name = "NAME", default_value = "ensign", requires = "nats")]
    pub nats_site: String,
    /// What subscriptions hear that don't say: site for the events of all its brokers, local for
    /// those of this one's publishers. What is published here the others hear either way
    #[arg(long, value_name = "SCOPE", default_value_t = Scope::Site, requires = "nats")]
    pub nats_scope: Scope,
    /// File with an nkey's seed, or user:password
    #[arg(long, value_name = "FILE", requires = "nats")]
    pub nats_credentials: Option<PathBuf>,
    /// File of certificates of authorities, PEM, one of which has signed the servers'
    #[arg(long, value_name = "FILE", requires = "nats")]
    pub nats_ca: Option<PathBuf>,
    /// File with a certificate, its chain and its private key, PEM, for servers that want to see
    /// one
    #[arg(long, value_name = "FILE", requires = "nats")]
    pub nats_certificate: Option<PathBuf>,
    /// Bytes of events that may wait for the servers, and as many that came from them
    #[arg(
        long, value_name = "BYTES", default_value_t = 16 << 20, requires = "nats",
        value_parser = clap::value_parser!(u64).range(65_536..)
    )]
    pub nats_pending: u64,
    /// Leave all files of the user within reach
    #[arg(long)]
    pub no_landlock: bool,
    /// Allow every system call
    #[arg(long)]
    pub no_seccomp: bool,
    /// Allow rings every operation
    #[arg(long)]
    pub no_restricted_rings: bool,
    /// Say whether ADDRESS may connect and by which rule, and do nothing else
    #[arg(long, value_name = "ADDRESS")]
    pub check_access: Option<IpAddr>,
}
