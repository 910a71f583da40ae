//! The study of IMAP servers side by side: Ensign, Dovecot, Dovecot with hibernation, Cyrus with
//! idled (Debian's packages), on loopback, one after the other, under the same load generator.
//!
//! In reading order: [`daemon`] (a foreign server in a folder of its own), [`dovecot`], [`cyrus`],
//! [`table`] (the columns and the ratios).

mod cyrus;
mod daemon;
mod dovecot;
mod table;

pub(super) use table::{machine, pictures};

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::relative;
use crate::base::Base;
use crate::install::Profile;
use crate::{packages, paths, shell};
use cyrus::Cyrus;
use daemon::Folder;
use dovecot::Dovecot;

/// The password of all users; that which loadgen takes, unless told otherwise.
const PASSWORD: &str = "secret";
/// How long everyone may take to hear of a delivery, in seconds: there are servers that poll.
const PATIENCE_S: &str = "90";

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Sessions.
    pub(super) sessions: usize,
    /// Deliveries one after the other.
    pub(super) deliveries: usize,
    /// How many of them a second.
    pub(super) rate: f64,
    /// Deliveries to one mailbox that all sessions watch.
    pub(super) crowds: usize,
    /// Seconds of deliveries as fast as they go.
    pub(super) burst_s: u64,
    /// Seconds that a server may settle: to hibernate, and to tell late news.
    pub(super) settle_s: u64,
    /// The servers.
    pub(super) peers: &'static [Peer],
}

/// The study.
pub(super) const FULL: Sizes = Sizes {
    sessions: 1000,
    deliveries: 100,
    rate: 1.5,
    crowds: 5,
    burst_s: 10,
    settle_s: 10,
    peers: &PEERS,
};

/// Its small twin, which needs no package.
pub(super) const TINY: Sizes = Sizes {
    sessions: 20,
    deliveries: 5,
    rate: 20.0,
    crowds: 2,
    burst_s: 1,
    settle_s: 1,
    peers: PEERS.split_at(1).0,
};

/// A server of the study.
#[derive(Debug)]
pub(super) struct Peer {
    /// Of its folder.
    name: &'static str,
    /// Of its column.
    title: &'static str,
    /// The package that tells its version, unless it is Ensign.
    package: Option<&'static str>,
    kind: Kind,
}

/// Which server.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Ensign,
    Dovecot { hibernates: bool },
    Cyrus,
}

/// All servers; the others are held against the first.
const PEERS: [Peer; 4] = [
    Peer {
        name: "ensign",
        title: "Ensign",
        package: None,
        kind: Kind::Ensign,
    },
    Peer {
        name: "dovecot",
        title: "Dovecot",
        package: Some("dovecot-core"),
        kind: Kind::Dovecot { hibernates: false },
    },
    Peer {
        name: "hibernating",
        title: "Dovecot, hibernating",
        package: Some("dovecot-core"),
        kind: Kind::Dovecot { hibernates: true },
    },
    Peer {
        name: "cyrus",
        title: "Cyrus + idled",
        package: Some("cyrus-common"),
        kind: Kind::Cyrus,
    },
];

/// The two runs against each server.
const EACH: &str = "each";
/// All in one mailbox.
const CROWD: &str = "crowd";

/// Where a server listens, and the process whose descendants it is.
pub(super) struct Address {
    pub(super) imap: String,
    pub(super) lmtp: String,
    pub(super) tree: u32,
}

impl Address {
    fn new(imap: u16, lmtp: u16, tree: u32) -> Self {
        let [imap, lmtp] = [imap, lmtp].map(|port| format!("127.0.0.1:{port}"));
        Self { imap, lmtp, tree }
    }
}

/// A server that can be started again on what it has stored. Dropping it stops it.
pub(super) trait Server {
    fn start(&mut self) -> Result<Address>;
    fn stop(&mut self) -> Result<()>;
    /// Its configuration with the usual ports: names of files, and what they say.
    fn configuration(&self) -> Vec<(&'static str, String)>;
}

/// The base, and its folder, which goes after the server has stopped.
struct Ensign(
    Base,
    #[expect(dead_code, reason = "dropping it removes the folder")] Folder,
);

impl Server for Ensign {
    fn start(&mut self) -> Result<Address> {
        let ports = self.0.start_anywhere()?;
        let server = self.0.running()?.context("Ensign ended at once")?;
        Ok(Address {
            imap: ports.imap.to_string(),
            lmtp: ports.lmtp.to_string(),
            tree: server.as_raw_nonzero().get().cast_unsigned(),
        })
    }

    fn stop(&mut self) -> Result<()> {
        self.0.stop()
    }

    fn configuration(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// Runs the study, or only the named servers' part of it; the others' earlier runs stay in `out`.
pub(super) fn run(sizes: &Sizes, only: &[String], out: &Path) -> Result<()> {
    let wanted: Vec<&Peer> = sizes
        .peers
        .iter()
        .filter(|peer| only.is_empty() || only.iter().any(|name| name == peer.name))
        .collect();
    if wanted.is_empty() {
        bail!("there is no such server; there are {}", names(sizes));
    }
    if wanted.iter().any(|peer| peer.package.is_some()) {
        packages::peers()?;
    }
    let mut faults = Vec::new();
    for peer in wanted {
        println!("-- {}", peer.title);
        let clean = measure(peer, sizes, &out.join(peer.name))
            .with_context(|| format!("cannot measure {}", peer.title))?;
        if !clean && peer.package.is_none() {
            faults.push(peer.title);
        }
    }
    table::write(sizes, out)?;
    if !faults.is_empty() {
        bail!("{} missed, doubled or disordered news", faults.join(", "));
    }
    Ok(())
}

fn names(sizes: &Sizes) -> String {
    let names: Vec<&str> = sizes.peers.iter().map(|peer| peer.name).collect();
    names.join(", ")
}

/// Both runs against one server, each after a fresh start on a store whose users have all been
/// there before. Tells whether the oracle found no fault.
fn measure(peer: &Peer, sizes: &Sizes, out: &Path) -> Result<bool> {
    let mut server = prepare(peer, sizes)?;
    let sessions = sizes.sessions.to_string();
    let address = server.start()?;
    idle(
        &address,
        &[
            "--sessions",
            &sessions,
            "--deliveries",
            "0",
            "--settle-seconds",
            "0",
        ],
    )?;
    server.stop()?;
    let (deliveries, rate) = (sizes.deliveries.to_string(), sizes.rate.to_string());
    let (crowds, burst) = (sizes.crowds.to_string(), sizes.burst_s.to_string());
    let settle = sizes.settle_s.to_string();
    let mut each = vec!["--sessions", &sessions, "--deliveries", &deliveries];
    each.extend(["--rate", &rate, "--burst-seconds", &burst]);
    let mut crowd = vec!["--sessions", &sessions, "--mailboxes", "one"];
    crowd.extend([
        "--deliveries",
        &crowds,
        "--rate",
        "1",
        "--lmtp-connections",
        "1",
    ]);
    let mut clean = true;
    for (run, mut load) in [(EACH, each), (CROWD, crowd)] {
        let address = server.start()?;
        let folder = out.join(run);
        let folder = relative(&folder)
            .to_str()
            .context("the folder's name is no text")?;
        load.extend(["--patience-seconds", PATIENCE_S]);
        load.extend(["--settle-seconds", &settle, "--out", folder]);
        clean &= idle(&address, &load)?;
        server.stop()?;
    }
    for (name, text) in server.configuration() {
        fs::write(out.join(name), text)?;
    }
    Ok(clean)
}

fn prepare(peer: &Peer, sizes: &Sizes) -> Result<Box<dyn Server>> {
    Ok(match peer.kind {
        Kind::Ensign => ensign(peer.name, sizes.sessions)?,
        Kind::Dovecot { hibernates } => Box::new(Dovecot::fresh(peer.name, hibernates)?),
        Kind::Cyrus => Box::new(Cyrus::fresh(peer.name, sizes.sessions)?),
    })
}

/// Ensign, with so many users.
pub(super) fn ensign(name: &str, users: usize) -> Result<Box<dyn Server>> {
    let folder = Folder::fresh(paths::target().join("peers").join(name))?;
    let base = Base::fresh(folder.path().to_owned(), Profile::current())?;
    let count = users.to_string();
    base.import(&shell::capture(
        base.sbin("loadgen").args(["users", "--count", &count]),
    )?)?;
    Ok(Box::new(Ensign(base, folder)))
}

/// Dovecot or Cyrus, with so many users.
pub(super) fn foreign(name: &str, users: usize) -> Result<Box<dyn Server>> {
    Ok(match name {
        "cyrus" => Box::new(Cyrus::fresh(name, users)?),
        _ => Box::new(Dovecot::fresh(name, false)?),
    })
}

/// Runs the load generator; tells whether its oracle found no fault.
fn idle(address: &Address, arguments: &[&str]) -> Result<bool> {
    let mut load = loadgen();
    load.args(["idle", "--imap", &address.imap, "--lmtp", &address.lmtp])
        .args(["--server-tree", &address.tree.to_string()])
        .args(arguments);
    let status = shell::status(&mut load)?;
    match status.code() {
        Some(0) => Ok(true),
        // Faults are findings.
        Some(1) => Ok(false),
        _ => bail!("loadgen ended with {status}"),
    }
}

pub(super) fn loadgen() -> Command {
    let mut loadgen = Command::new(Profile::current().folder().join("loadgen"));
    loadgen.current_dir(paths::root());
    loadgen
}
