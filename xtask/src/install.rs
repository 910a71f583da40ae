//! Laying out a base directory: what the administration guide calls msg-svr-base.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use admin::service_user::ServiceUser;
use admin::{Config, installation};
use anyhow::{Context, Result};

use crate::{logrotate, paths, shell, units};

/// The packages whose binaries an installation holds.
pub const PACKAGES: [&str; 5] = ["server", "admin", "ens", "ibiff", "loadgen"];
/// What goes to `sbin/`.
pub const SBIN: [&str; 20] = [
    "apub",
    "asub",
    "authhost",
    "configure",
    "start-msg",
    "stop-msg",
    "refresh",
    "configutil",
    "counterutil",
    "deliver",
    "imexpire",
    "imquotacheck",
    "imsbackup",
    "imsconnutil",
    "imsimport",
    "imsrestore",
    "mboxutil",
    "msguser",
    "reconstruct",
    "loadgen",
];
/// What goes to `lib/`.
const LIB: [&str; 4] = ["imapd", "enpd", "watcher", "libibiff.so"];
/// The programs whose speed matters: in packages each of these is optimised as a whole. For the
/// others, which ask these, it would take long and change nothing.
const WHOLE: [&str; 3] = ["imapd", BROKER, "loadgen"];
const BROKER: &str = "enpd";
/// The profile of such builds, and their folder below the target folder.
const DIST: &str = "dist";
/// Where the headers and examples of C programmers are.
const C_SOURCES: &str = "engine/ibiff";
/// Where what other programs need to know is, in folders that go to `share/`.
const SHARE: &str = "imap-front/server/share";
const SHARED: [&str; 3] = ["fail2ban", "grafana", "prometheus"];
/// Where systemd's units stand; `systemctl link` takes them from there.
const UNITS: &str = "lib/systemd";
/// Folders of what belongs to the release.
const FOLDERS: [&str; 5] = ["sbin", "lib", "include", "examples", "share"];

/// How to build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quickly, with checks.
    Debug,
    /// The same, as the tests have built it: chosen otherwise, packages have other features, and
    /// all is built anew.
    Tested,
    /// For use.
    Release,
    /// As packages hold it: a release, of which [`WHOLE`] are optimised each as a whole, which
    /// takes as long as everything else.
    Packaged,
}

/// What this process runs servers from, if that is not the release.
static TESTED: AtomicBool = AtomicBool::new(false);

impl Profile {
    /// What servers are run from: the release, unless [`run_what_is_tested`] was called.
    pub fn current() -> Self {
        match TESTED.load(Ordering::Relaxed) {
            true => Self::Tested,
            false => Self::Release,
        }
    }

    /// The folder below the target folder that holds what was built so, but [`WHOLE`] of
    /// packages.
    pub fn folder(self) -> PathBuf {
        paths::target().join(match self {
            Profile::Debug | Profile::Tested => "debug",
            Profile::Release | Profile::Packaged => "release",
        })
    }

    /// The folder that holds a program or library of this name.
    fn folder_of(self, name: &str) -> PathBuf {
        match self {
            Profile::Packaged if WHOLE.contains(&name) => paths::target().join(DIST),
            _ => self.folder(),
        }
    }
}

/// Builds, lays out `prefix` for services that run as `user`, and says so. Root makes the user if
/// there is none.
pub fn run(prefix: &Path, profile: Profile, user: &str) -> Result<()> {
    let prefix = std::path::absolute(prefix)?;
    build(profile)?;
    make_user(user)?;
    lay_out(&prefix, profile, user)?;
    write_manual(&prefix, profile)?;
    let base = admin::Base::new(&prefix);
    certify(&base)?;
    if let Some(user) = ServiceUser::of(&Config::load(&base)?)? {
        user.take_over(&base)?;
    }
    println!("installed in {}", prefix.display());
    Ok(())
}

/// Makes a certificate that signs itself where there is none, so that TLS works at once.
pub fn certify(base: &admin::Base) -> Result<()> {
    if let Some(made) = installation::certify(base)? {
        println!("{made}");
    }
    Ok(())
}

/// From now on servers are run from what the tests have built, which has more checks and is there
/// already: to build the release, too, takes a quarter of the time of all tests.
pub fn run_what_is_tested() {
    TESTED.store(true, Ordering::Relaxed);
}

/// Builds every program that an installation holds.
pub fn build(profile: Profile) -> Result<()> {
    match profile {
        Profile::Tested => shell::run(&mut shell::cargo(&["test", "--workspace", "--no-run"])),
        Profile::Debug | Profile::Release => {
            shell::run(build_command(profile, &PACKAGES).args(["--bins", "--lib"]))
        }
        Profile::Packaged => {
            build(Profile::Release)?;
            build_whole(&WHOLE)
        }
    }
}

/// Builds programs of [`WHOLE`], each optimised as a whole.
fn build_whole(programs: &[&str]) -> Result<()> {
    let mut command = shell::cargo(&["build", "--profile", DIST]);
    for program in programs {
        command.args(["--bin", program]);
    }
    shell::run(&mut command)
}

fn build_command(profile: Profile, packages: &[&str]) -> Command {
    let mut command = shell::cargo(&["build"]);
    for package in packages {
        command.args(["-p", package]);
    }
    match profile {
        Profile::Debug | Profile::Tested => {}
        Profile::Release | Profile::Packaged => drop(command.arg("--release")),
    }
    command
}

/// Builds the broker as packages hold it; gives its path.
pub fn packaged_broker() -> Result<PathBuf> {
    build_whole(&[BROKER])?;
    Ok(Profile::Packaged.folder_of(BROKER).join(BROKER))
}

/// Makes a system user without a password, home or shell, if this process may and there is none.
fn make_user(name: &str) -> Result<()> {
    if !rustix::process::geteuid().is_root() || ServiceUser::named(name).is_ok() {
        return Ok(());
    }
    let mut useradd = Command::new("useradd");
    useradd.args(["--system", "--user-group", "--no-create-home"]);
    useradd.args(["--shell", "/usr/sbin/nologin", name]);
    shell::run(&mut useradd).with_context(|| format!("cannot make the user {name}"))?;
    println!("made the user {name}, whom the services run as");
    Ok(())
}

/// Lays out `prefix` from what was built, for services that run as `user`. Programs are replaced;
/// configuration that an administrator wrote, users and mail are left alone.
pub fn lay_out(prefix: &Path, profile: Profile, user: &str) -> Result<()> {
    lay_out_release(prefix, profile)?;
    let base = admin::Base::new(prefix);
    installation::make_folders(&base)?;
    installation::write_configuration(&base, user)?;
    let config = Config::load(&base)?;
    logrotate::write(&prefix.join(logrotate::PATH), prefix, &config)?;
    units::write(&prefix.join(UNITS), prefix, config)
}

/// Lays out what belongs to the release: programs, libraries, headers, examples.
pub fn lay_out_release(prefix: &Path, profile: Profile) -> Result<()> {
    for name in FOLDERS {
        let folder = prefix.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    for program in programs() {
        let name = program.file_name().and_then(OsStr::to_str);
        let name = name.context("a program has a name")?;
        let built = profile.folder_of(name);
        // Only `cargo build` puts libraries beside the programs, too.
        let folder = match program.extension() {
            Some(_) => built.join("deps"),
            None => built,
        };
        replace(&folder.join(name), &prefix.join(&program))?;
    }
    for folder in ["include", "examples"] {
        copy_all(
            &paths::root().join(C_SOURCES).join(folder),
            &prefix.join(folder),
        )?;
    }
    for name in SHARED {
        let to = prefix.join("share").join(name);
        fs::create_dir_all(&to).with_context(|| format!("cannot make share/{name}"))?;
        copy_all(&paths::root().join(SHARE).join(name), &to)?;
    }
    let link = prefix.join("configutil");
    if !link.is_symlink() {
        symlink("sbin/configutil", &link).context("cannot link configutil")?;
    }
    Ok(())
}

/// Writes man pages and completions, by a program that is built as those are that it describes.
pub fn write_manual(prefix: &Path, profile: Profile) -> Result<()> {
    shell::run(build_command(profile, &["manual"]).arg("--bins"))?;
    shell::run(Command::new(profile.folder().join("manual")).arg(prefix.join("share")))
}

/// The programs and libraries of an installation, below its base directory.
pub fn programs() -> impl Iterator<Item = PathBuf> {
    let folders = [("sbin", &SBIN[..]), ("lib", &LIB[..])];
    let below = |(folder, names): (&'static str, &'static [&'static str])| {
        names.iter().map(move |name| Path::new(folder).join(name))
    };
    folders.into_iter().flat_map(below)
}

/// Copies every file of a folder.
fn copy_all(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        replace(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Copies a file beside its destination and renames it, so that a running program keeps its own.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let beside = to.with_extension("new");
    fs::copy(from, &beside).with_context(|| format!("cannot copy {}", from.display()))?;
    fs::rename(&beside, to).with_context(|| format!("cannot replace {}", to.display()))
}
