//! `cargo xtask demo`: the whole path with one command, to look at and to try by hand.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::base::{Base, Ports};
use crate::install::{self, Profile};
use crate::{paths, shell};

/// The users that loadgen idles.
const LOAD_USERS: usize = 4000;
/// Name and password of the user to try it by hand.
const DEMO_USER: &str = "demo";
/// How long the server may take to greet.
const GREETING_WITHIN: Duration = Duration::from_secs(10);

/// `cargo xtask demo`
#[derive(Args)]
pub struct Options {
    /// Stop the server after the table instead of leaving it running
    #[arg(long)]
    pub once: bool,
    /// How many clients to idle, a mailbox each
    #[arg(long, default_value_t = LOAD_USERS)]
    pub sessions: usize,
    /// How many messages to deliver, each when the one before was heard
    #[arg(long, default_value_t = 500)]
    pub deliveries: usize,
}

/// Builds and shows.
pub fn run(options: &Options) -> Result<()> {
    println!("building ...");
    install::build(Profile::current())?;
    show(options)
}

/// Shows what was built before.
pub fn show(options: &Options) -> Result<()> {
    let base = Base::fresh(paths::target().join("demo"), Profile::current())?;
    println!(
        "a fresh base directory stands in {}",
        base.folder().display()
    );
    install::certify(&admin::Base::new(base.folder()))?;
    let count = options.sessions.to_string();
    let users = shell::capture(base.sbin("loadgen").args(["users", "--count", &count]))?;
    base.import(&format!("{users}{DEMO_USER}:{DEMO_USER}\n"))?;
    let ports = base.start_anywhere()?;
    println!(
        "the server runs: imap on {}, lmtp on {}\n",
        ports.imap, ports.lmtp
    );

    load(&base, ports, options)?;
    println!("\nThe greeting:\n{}", greeting(ports.imap)?);
    if !options.once {
        leave_running(&base, ports)?;
    }
    base.stop()?;
    println!("the server is stopped");
    Ok(())
}

/// Idles many clients and delivers to them; prints the table of latencies.
fn load(base: &Base, ports: Ports, options: &Options) -> Result<()> {
    let mut load = base.sbin("loadgen");
    load.arg("idle")
        .args(["--imap", &ports.imap.to_string()])
        .args(["--lmtp", &ports.lmtp.to_string()])
        .args(["--sessions", &options.sessions.to_string()])
        .args(["--deliveries", &options.deliveries.to_string()])
        .args(["--rate", "200"]);
    if let Some(server) = base.running()? {
        load.args(["--server-pid", &server.as_raw_nonzero().to_string()]);
    }
    shell::run(&mut load)
}

/// The line by which the server says that it is there.
pub fn greeting(imap: SocketAddr) -> Result<String> {
    let stream = TcpStream::connect(imap)?;
    stream.set_read_timeout(Some(GREETING_WITHIN))?;
    let mut line = String::new();
    BufReader::new(stream)
        .read_line(&mut line)
        .context("the server does not greet")?;
    Ok(line.trim_end().to_owned())
}

/// Prints what to try, and waits for Ctrl-C.
fn leave_running(base: &Base, ports: Ports) -> Result<()> {
    // Registered before anything invites to press it.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let imaps = shell::capture(base.sbin("configutil").args(["-o", "service.imap.sslport"]))?;
    println!("\n{}", by_hand(base.folder(), ports, imaps.trim()));
    signals.forever().next();
    println!();
    Ok(())
}

/// Lines for people who want to see for themselves.
fn by_hand(folder: &Path, ports: Ports, imaps: &str) -> String {
    let Ports { imap, lmtp, .. } = ports;
    let folder = folder.display();
    format!(
        "The server keeps running. To try it by hand, in one terminal:\n\n\
         \x20   telnet {0} {1}\n\
         \x20   a login {DEMO_USER} {DEMO_USER}\n\
         \x20   b select inbox\n\
         \x20   c idle\n\n\
         or the same over TLS, whose certificate signs itself:\n\n\
         \x20   openssl s_client -quiet -crlf -connect {0}:{imaps}\n\n\
         and in another, to see `* 1 EXISTS` in the first:\n\n\
         \x20   swaks --protocol LMTP --server {lmtp} --from you@localhost \\\n\
         \x20     --to {DEMO_USER}@localhost --header 'Subject: hello'\n\n\
         The administrator's commands are in {folder}/sbin, the configuration is in\n\
         {folder}/config. Ctrl-C stops the server.",
        imap.ip(),
        imap.port(),
    )
}
