//! The command line of `authhost`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Parser;

/// Tells proxies on which host a user's mail is: answers nginx's mail proxy (auth_http), and writes
/// the tables of Postfix and Dovecot.
///
/// The map (config/hosts) has a line for each user, `fred@example.org 192.0.2.11`; or for all
/// others of a domain, `@example.org 192.0.2.12`, or for everybody else, `* 192.0.2.12`. `moving`
/// in the place of the address keeps a user out for a while. It is read again when it is replaced.
/// Passwords are not looked at: the user's host does that.
#[derive(Parser)]
#[command(name = "authhost", version)]
#[command(group(clap::ArgGroup::new("table").args(["dovecot", "postfix"])))]
pub struct Arguments {
    /// Where to answer, on this host only.
    #[arg(short, long, default_value = "127.0.0.1:9143", value_name = "ADDRESS:PORT",
          value_parser = loopback, conflicts_with = "table")]
    pub listen: SocketAddr,
    /// The map of users and hosts, instead of config/hosts.
    #[arg(short, long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Users of config/users whom the map does not name are on this host, which has that address.
    #[arg(long, value_name = "ADDRESS")]
    pub here: Option<IpAddr>,
    /// The port of IMAP on the hosts.
    #[arg(long, value_name = "PORT", default_value_t = 143,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Clients for a host are led to another address, such as that of a tunnel to it. Once for each
    /// host.
    #[arg(long, value_name = "HOST=ADDRESS:PORT", value_parser = way, conflicts_with = "table")]
    pub way: Vec<(IpAddr, SocketAddr)>,
    /// Print the map as a passwd-file of Dovecot, and end.
    #[arg(long)]
    pub dovecot: bool,
    /// Print the map as a transport table of Postfix, and end. Users without a domain are taken for
    /// those of this one.
    #[arg(long, value_name = "DOMAIN")]
    pub postfix: Option<String>,
    /// The port of LMTP on the hosts, for Postfix.
    #[arg(long, value_name = "PORT", default_value_t = 24, requires = "postfix",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub lmtp_port: u16,
}

/// Whoever can ask learns which users there are.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "not ADDRESS:PORT".to_owned())?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err("answers are for this host only: an address of 127.0.0.0/8, or [::1]".into()),
    }
}

fn way(text: &str) -> Result<(IpAddr, SocketAddr), String> {
    let parts = text.split_once('=');
    let parsed = parts.and_then(|(host, to)| Some((host.parse().ok()?, to.parse().ok()?)));
    parsed.ok_or_else(|| "not HOST=ADDRESS:PORT, such as 192.0.2.11=127.0.0.1:10011".into())
}
