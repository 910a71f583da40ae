//! Installing what tests need beyond the toolchain, by package name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::{paths, shell};

/// Programs, and the Debian package that has each.
const DEBIAN: [(&str, &str); 25] = [
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("dovecot", "dovecot-imapd"),
    ("fetchmail", "fetchmail"),
    ("getmail", "getmail6"),
    ("gnutls-cli", "gnutls-bin"),
    ("haproxy", "haproxy"),
    ("imapfilter", "imapfilter"),
    ("mbsync", "isync"),
    ("msmtp", "msmtp"),
    ("neomutt", "neomutt"),
    ("nginx", "nginx"),
    (
        "/usr/lib/nginx/modules/ngx_mail_module.so",
        "libnginx-mod-mail",
    ),
    (
        "/usr/lib/nginx/modules/ngx_stream_module.so",
        "libnginx-mod-stream",
    ),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("postfix", "postfix"),
    ("promtool", "prometheus"),
    ("python3", "python3"),
    ("swaks", "swaks"),
    ("tcsh", "tcsh"),
    ("telnet", "telnet"),
    ("testssl", "testssl.sh"),
    ("tmux", "tmux"),
    ("valgrind", "valgrind"),
];
/// Other event brokers, and the Debian package that has each.
const BROKERS: [(&str, &str); 2] = [
    ("nats-server", "nats-server"),
    ("redis-server", "redis-server"),
];
/// What hosts of a site are made of, and the Debian package that has each.
const SITE: [(&str, &str); 4] = [
    ("nats-server", "nats-server"),
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nsenter", "util-linux"),
];
/// Programs of other IMAP servers, and the Debian package that has each. Postfix is the mail server
/// that Cyrus wants beside it, so that none comes that would be set up and started.
const PEERS: [(&str, &str); 4] = [
    ("postfix", "postfix"),
    ("/usr/lib/dovecot/imap", "dovecot-imapd"),
    ("/usr/lib/dovecot/lmtp", "dovecot-lmtpd"),
    ("/usr/lib/cyrus/bin/master", "cyrus-common"),
];
/// Answers to questions that packages ask: no instance of Postfix but those that the tests start.
const ANSWERS: &str = "postfix postfix/main_mailer_type select No configuration\n";

/// Everything of the clients' that can lie below the target folder lies here.
pub fn folder() -> PathBuf {
    paths::target().join("clients")
}

/// The Python of the clients' own environment.
pub fn python() -> PathBuf {
    folder().join("venv/bin/python")
}

/// Where the drivers are.
pub fn drivers() -> PathBuf {
    paths::root().join("tests/clients")
}

/// Where npm's packages are.
pub fn node() -> PathBuf {
    folder().join("node")
}

/// Installs what the clients miss from PyPI and npm, below the target folder.
pub fn install() -> Result<()> {
    debian()?;
    install_python()?;
    node_packages()
}

/// Installs what is missing of Debian's, for the system.
pub fn debian() -> Result<()> {
    let mut missing = missing(&DEBIAN);
    if !can_make_environments() {
        missing.push("python3-venv");
    }
    apt_install(&missing)
}

/// Installs the package of one of Debian's programs if it is missing.
pub fn debian_one(program: &str) -> Result<()> {
    let of = |(name, _): &(&str, &str)| *name == program;
    let wanted: Vec<_> = DEBIAN.into_iter().filter(of).collect();
    apt_install(&missing(&wanted))
}

/// Installs the other event brokers that Ensign's is measured against.
pub fn brokers() -> Result<()> {
    apt_install(&missing(&BROKERS))
}

/// Installs what hosts of a site are made of.
pub fn site() -> Result<()> {
    apt_install(&missing(&SITE))
}

/// Installs the other IMAP servers that Ensign is measured against.
pub fn peers() -> Result<()> {
    apt_install(&missing(&PEERS))
}

/// Installs what makes a small Debian.
pub fn debootstrap() -> Result<()> {
    apt_install(&missing(&[("debootstrap", "debootstrap")]))
}

/// Where apt is configured to get packages of a release of Debian.
pub fn mirror(suite: &str) -> Option<String> {
    let format = ["--format", "$(REPO_URI) $(CODENAME)"];
    let targets = apt()
        .arg("indextargets")
        .args(format)
        .arg("Created-By: Packages")
        .output();
    let said = String::from_utf8(targets.ok()?.stdout).ok()?;
    let of_suite = |line: &str| Some(line.strip_suffix(suite)?.strip_suffix(' ')?.to_owned());
    said.lines().find_map(of_suite)
}

/// Unpacks a Debian package below a folder: one that can't be installed next to another.
pub fn unpack(package: &str, folder: &Path) -> Result<()> {
    let archives = folder.join("archives");
    fs::create_dir_all(&archives)?;
    shell::retry("fetching a Debian package", || {
        let mut download = apt();
        download.args(["download", "--quiet=2", package]);
        shell::capture(download.current_dir(&archives)).map(drop)
    })?;
    for archive in fs::read_dir(&archives)? {
        let mut unpack = Command::new("dpkg-deb");
        shell::run(unpack.arg("-x").arg(archive?.path()).arg(folder))?;
    }
    Ok(())
}

/// The version of an installed package.
pub fn version(package: &str) -> Result<String> {
    let format = "--showformat=${Version}";
    shell::capture(Command::new("dpkg-query").args(["--show", format, package]))
}

fn missing(wanted: &[(&str, &'static str)]) -> Vec<&'static str> {
    let missing = wanted.iter().filter(|(program, _)| !shell::found(program));
    missing.map(|(_, package)| *package).collect()
}

fn apt_install(missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing {}", missing.join(" "));
    answer_beforehand()?;
    shell::retry("installing Debian packages", || {
        shell::run(apt().args(["update", "--quiet=2"]))?;
        let options = ["install", "--yes", "--quiet=2", "--no-install-recommends"];
        shell::run(apt().args(options).args(missing).stdout(Stdio::null()))
    })
}

/// apt-get that asks nothing; run level 1 keeps it from starting services.
fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1")
        .stdin(Stdio::null());
    apt
}

fn answer_beforehand() -> Result<()> {
    let answers = folder().join("answers");
    fs::create_dir_all(folder())?;
    fs::write(&answers, ANSWERS)?;
    shell::run(Command::new("debconf-set-selections").arg(&answers))
}

fn can_make_environments() -> bool {
    shell::capture(Command::new("python3").args(["-c", "import venv, ensurepip"])).is_ok()
}

fn install_python() -> Result<()> {
    let wanted = drivers().join("requirements.txt");
    let folder = folder().join("venv");
    unless_done(&wanted, &folder, || {
        shell::run(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&folder),
        )?;
        shell::retry("installing Python packages", || {
            let pip = [
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
            ];
            shell::run(Command::new(python()).args(pip).arg(&wanted))
        })
    })
}

/// Installs what is missing from npm, below the target folder.
pub fn node_packages() -> Result<()> {
    let wanted = drivers().join("package.json");
    let folder = node();
    unless_done(&wanted, &folder, || {
        fs::create_dir_all(&folder)?;
        fs::copy(&wanted, folder.join("package.json"))?;
        shell::retry("installing npm packages", || {
            let install = [
                "install",
                "--silent",
                "--no-fund",
                "--no-audit",
                "--no-package-lock",
            ];
            shell::run(Command::new("npm").args(install).current_dir(&folder))
        })
    })
}

/// Does something unless it was done before for a list that reads the same.
fn unless_done(list: &Path, folder: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted =
        fs::read_to_string(list).with_context(|| format!("cannot read {}", list.display()))?;
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    install()?;
    Ok(fs::write(&stamp, wanted)?)
}
