//! A trial of the package in a Debian of its own: installed, used, upgraded, removed, purged.
//!
//! debootstrap makes the Debian once, a copy of it takes the package. The trial runs in namespaces
//! of its own: no process, mount or port of it is left when it ends, whatever happens.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::crash::imap::Imap;
use crate::crash::lmtp::{Lmtp, Outcome};
use crate::{packages, shell};

/// The release that is tried, and what of it is there beside the smallest set: what the package
/// depends on, since the trial has no network.
const SUITE: &str = "bookworm";
const INCLUDED: &str = "systemd-standalone-sysusers,debconf,logrotate";
/// Where packages are got, unless apt is configured for another place.
const MIRROR: &str = "http://deb.debian.org/debian";
/// How soon an idling client must hear of a delivery.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
const USER: &str = "fred";
const PASSWORD: &str = "correct horse";

/// Tries a package, and the upgrade to the next.
pub fn run(package: &Path, next: &Path) -> Result<()> {
    packages::debootstrap()?;
    let bare = bare_debian()?;
    let root = root();
    if root.exists() {
        fs::remove_dir_all(&root).context("cannot remove the Debian of an earlier trial")?;
    }
    shell::run(
        Command::new("cp")
            .args(["-a", "--reflink=auto"])
            .arg(bare)
            .arg(&root),
    )?;
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "--pid", "--net", "--fork", "--kill-child"]);
    inside
        .arg(std::env::current_exe()?)
        .args(["package", "--inside"]);
    shell::run(inside.arg(package).arg(next))?;
    println!("the package was installed, used, upgraded, removed and purged");
    Ok(())
}

fn root() -> PathBuf {
    super::folder().join("trial")
}

/// A small Debian, made once.
fn bare_debian() -> Result<PathBuf> {
    let bare = super::folder().join(format!("debian-{SUITE}"));
    if !bare.exists() {
        println!("making a small Debian");
        let half = bare.with_extension("half");
        if half.exists() {
            fs::remove_dir_all(&half)?;
        }
        let mut make = Command::new("debootstrap");
        make.args(["--variant=minbase", "--include", INCLUDED, SUITE]);
        let mirror = packages::mirror(SUITE).unwrap_or(MIRROR.into());
        let made = shell::capture(make.arg(&half).arg(mirror));
        made.context("cannot make a small Debian; see debootstrap/debootstrap.log in it")?;
        fs::rename(half, &bare)?;
    }
    Ok(bare)
}

/// The trial itself, in namespaces of its own.
pub fn inside(package: &Path, next: &Path) -> Result<()> {
    let root = root();
    let mut mount = Command::new("mount");
    shell::run(mount.args(["-t", "proc", "proc"]).arg(root.join("proc")))?;
    let mut mount = Command::new("mount");
    shell::run(mount.args(["--bind", "/dev"]).arg(root.join("dev")))?;
    shell::run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    for (from, to) in [(package, "package.deb"), (next, "next.deb")] {
        fs::copy(from, root.join(to)).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let debian = Debian { root };
    install(&debian)?;
    use_it(&debian)?;
    let before = upgrade(&debian)?;
    remove(&debian, &before)?;
    purge(&debian, &before)
}

/// A Debian below a folder.
struct Debian {
    root: PathBuf,
}

impl Debian {
    /// Runs a command line there; gives what it says, complaints among the rest.
    fn run(&self, line: &str) -> Result<String> {
        let mut command = Command::new("chroot");
        command
            .arg(&self.root)
            .args(["/bin/sh", "-c"])
            .arg(format!("exec 2>&1; {line}"));
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C.UTF-8");
        command.env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        let output = command.output().context("cannot run chroot")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{line}: {}: {said}", output.status);
        Ok(said)
    }

    /// Whether there is such a file or folder; a link counts as what it leads to.
    fn has(&self, path: &str) -> bool {
        self.run(&format!("test -e {path}")).is_ok()
    }

    fn must_have(&self, wanted: bool, paths: &[&str]) -> Result<()> {
        for path in paths {
            let there = if wanted { "is not there" } else { "is there" };
            ensure!(self.has(path) == wanted, "{path} {there}");
        }
        Ok(())
    }

    /// The server's process.
    fn server(&self) -> Result<u32> {
        let said = self.run("head -n 1 /opt/ensign/run/imapd.pid")?;
        said.trim().parse().context("run/imapd.pid has no number")
    }
}

fn install(debian: &Debian) -> Result<()> {
    println!("{}", debian.run("dpkg -i /package.deb")?.trim());
    debian.run("id ensign")?;
    let modes =
        debian.run("cd /opt/ensign; stat -c '%n %a %U %G' config config/tls data log run")?;
    let expected = "config 750 root ensign\nconfig/tls 750 root ensign\n\
                    data 700 ensign ensign\nlog 700 ensign ensign\nrun 700 ensign ensign\n";
    ensure!(modes == expected, "owners and modes are:\n{modes}");
    debian.must_have(
        true,
        &[
            "/opt/ensign/config/msg.conf",
            "/opt/ensign/config/tls/default.pem",
            "/usr/sbin/msguser",
            "/usr/share/man/man8/msguser-add.8.gz",
            "/usr/share/bash-completion/completions/start-msg",
            "/usr/share/doc/ensign/THIRD-PARTY.gz",
            "/etc/fail2ban/filter.d/ensign.conf",
            "/etc/logrotate.d/ensign",
            "/etc/systemd/system/multi-user.target.wants/ensign-imap.service",
        ],
    )?;
    debian.run("logrotate --debug /etc/logrotate.d/ensign")?;
    println!("installed: user, owners, certificate, pages, units");
    Ok(())
}

/// What a client sees of INBOX.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    uid_validity: u64,
    uids: Vec<u64>,
}

fn use_it(debian: &Debian) -> Result<()> {
    for option in [
        "local.store.notifyplugin -v lib/libibiff",
        "local.store.notifyplugin.enseventkey -v enp://127.0.0.1/store/%M",
        "local.store.notifyplugin.noneinbox.enable -v 1",
    ] {
        debian.run(&format!("configutil -o {option}"))?;
    }
    debian.run(&format!(
        "echo '{PASSWORD}' | msguser add {USER} --password-stdin"
    ))?;
    println!("{}", debian.run("start-msg")?.trim());
    let status = debian.run(&format!("cat /proc/{}/status", debian.server()?))?;
    let uid = debian.run("id -u ensign")?;
    let runs = format!("Uid:\t{0}\t{0}\t{0}\t{0}", uid.trim());
    ensure!(
        status.contains(&runs),
        "the server does not run as ensign:\n{status}"
    );
    TcpStream::connect(loopback(993)).context("IMAP over TLS")?;
    let mut idler = Idler::begin()?;
    deliver("first")?;
    let told = idler.told()?;
    ensure!(told == "* 1 EXISTS", "the idling client was told {told}");
    println!("used: a user, a delivery, an idling client that was told");
    Ok(())
}

/// Delivers a message.
fn deliver(subject: &str) -> Result<()> {
    let mut lmtp = Lmtp::connect(loopback(24))?;
    let message = format!("Subject: {subject}\r\n\r\nHello.\r\n");
    let outcomes = lmtp.deliver(&[USER], &message)?;
    let is_taken = outcomes == [Outcome::Accepted];
    ensure!(is_taken, "the delivery was {outcomes:?}");
    Ok(())
}

/// The next package, while a client idles: it stays, and is told of what comes to the new process.
fn upgrade(debian: &Debian) -> Result<Seen> {
    let (old, before) = (debian.server()?, look()?);
    let mut idler = Idler::begin()?;
    println!("{}", debian.run("dpkg -i /next.deb")?.trim());
    ensure!(debian.server()? != old, "the old process still serves");
    let after = look()?;
    ensure!(
        after == before,
        "before the upgrade {before:?}, after it {after:?}"
    );
    deliver("second")?;
    let told = idler.told()?;
    ensure!(told == "* 2 EXISTS", "the idling client was told {told}");
    println!("upgraded: another process, the same mail and clients, no question asked");
    look()
}

fn remove(debian: &Debian, before: &Seen) -> Result<()> {
    println!("{}", debian.run("dpkg -r ensign")?.trim());
    ensure!(
        TcpStream::connect(loopback(143)).is_err(),
        "the server still runs"
    );
    debian.must_have(
        false,
        &[
            "/opt/ensign/sbin",
            "/opt/ensign/lib/imapd",
            "/usr/sbin/msguser",
        ],
    )?;
    debian.must_have(true, &["/opt/ensign/config/users", "/opt/ensign/data"])?;
    debian.run("dpkg -i /package.deb && start-msg")?;
    ensure!(look()? == *before, "the mail is not what it was");
    println!("removed: programs gone, configuration and mail kept, and there again with it");
    Ok(())
}

fn purge(debian: &Debian, before: &Seen) -> Result<()> {
    let said = debian.run("dpkg -P ensign")?;
    println!("{}", said.trim());
    ensure!(
        said.contains("the mail is kept in /opt/ensign/data"),
        "it says nothing of mail"
    );
    let configured = [
        "/opt/ensign/config",
        "/opt/ensign/log",
        "/etc/fail2ban/filter.d/ensign.conf",
    ];
    debian.must_have(false, &configured)?;
    // Somebody else meanwhile: the first users' lines must not be lost by a second purge.
    debian.run("dpkg -i /package.deb && echo secret | msguser add barney --password-stdin")?;
    println!("{}", debian.run("dpkg -P ensign")?.trim());
    debian.run("grep -q ^fred: /opt/ensign/users.kept")?;
    debian.run("grep -q ^barney: /opt/ensign/users.kept.1")?;
    let modes = debian.run("stat -c '%a %U' /opt/ensign/users.kept*")?;
    ensure!(modes == "600 root\n600 root\n", "lists of users: {modes}");
    debian.run("dpkg -i /package.deb && msguser import /opt/ensign/users.kept && start-msg")?;
    ensure!(look()? == *before, "the mail is not what it was");
    let answer = "ensign ensign/purge-mail boolean true";
    debian.run(&format!(
        "echo '{answer}' | debconf-set-selections && dpkg -P ensign"
    ))?;
    debian.must_have(false, &["/opt/ensign"])?;
    println!("purged: the mail kept and given back to its user; deleted when asked for");
    Ok(())
}

/// What is in INBOX.
fn look() -> Result<Seen> {
    let mut imap = Imap::login(loopback(143), USER, &format!("\"{PASSWORD}\""))?;
    let snapshot = imap.snapshot()?;
    imap.logout()?;
    Ok(Seen {
        uid_validity: snapshot.uid_validity,
        uids: snapshot
            .messages
            .iter()
            .map(|message| message.uid)
            .collect(),
    })
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A client in IDLE.
struct Idler {
    stream: BufReader<TcpStream>,
}

impl Idler {
    fn begin() -> Result<Self> {
        let stream = TcpStream::connect(loopback(143)).context("IMAP")?;
        stream.set_read_timeout(Some(TOLD_WITHIN))?;
        let mut idler = Self {
            stream: BufReader::new(stream),
        };
        let login = format!("a LOGIN {USER} \"{PASSWORD}\"\r\n");
        for (command, answer) in [
            (login.as_str(), "a OK"),
            ("b SELECT INBOX\r\n", "b OK"),
            ("c IDLE\r\n", "+ "),
        ] {
            idler.stream.get_mut().write_all(command.as_bytes())?;
            let mut line = idler.told()?;
            while !line.starts_with(answer) {
                if line.contains(" NO ") || line.contains(" BAD ") {
                    bail!("{} was answered {line}", command.trim());
                }
                line = idler.told()?;
            }
        }
        Ok(idler)
    }

    /// The next line.
    fn told(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream
            .read_line(&mut line)
            .context("the client was told nothing")?;
        Ok(line.trim_end().to_owned())
    }
}
