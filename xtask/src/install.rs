//! Laying out a base directory: what the administration guide calls msg-svr-base.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use admin::service_user::ServiceUser;
use admin::{Config, config};
use anyhow::{Context, Result};

use crate::{paths, shell, units};

/// The packages whose binaries an installation holds.
const PACKAGES: [&str; 5] = ["server", "admin", "ens", "ibiff", "loadgen"];
/// What goes to `sbin/`.
const SBIN: [&str; 9] = [
    "apub",
    "asub",
    "start-msg",
    "stop-msg",
    "refresh",
    "configutil",
    "msguser",
    "reconstruct",
    "loadgen",
];
/// What goes to `lib/`.
const LIB: [&str; 4] = ["imapd", "enpd", "watcher", "libibiff.so"];
/// Where the headers and examples of C programmers are.
const C_SOURCES: &str = "engine/ibiff";
/// Where what other programs of the host need to know is, and where it goes.
const FAIL2BAN: [&str; 2] = ["imap-front/server/share/fail2ban", "share/fail2ban"];
/// Folders that exist from the beginning.
const FOLDERS: [&str; 8] = [
    "sbin", "lib", "include", "examples", "config", "data", "log", "run",
];

/// Those of them that only their owner may enter: the server checks them when it starts.
const PRIVATE: [&str; 4] = ["config", "data", "log", "run"];

/// The administrator's own configuration, as it begins.
const MSG_CONF: &str = "\
# Options of this site, one a line: name = value. They go before those in msg.conf.defaults,
# which lists all options with what they do, and which every installation writes anew.
";

/// How to build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quickly, with checks.
    Debug,
    /// For use.
    Release,
}

impl Profile {
    /// The folder below the target folder that holds what was built so.
    pub fn folder(self) -> PathBuf {
        paths::target().join(match self {
            Profile::Debug => "debug",
            Profile::Release => "release",
        })
    }
}

/// Builds, lays out `prefix` for services that run as `user`, and says so. Root makes the user if
/// there is none.
pub fn run(prefix: &Path, profile: Profile, user: &str) -> Result<()> {
    let prefix = std::path::absolute(prefix)?;
    build(profile)?;
    make_user(user)?;
    lay_out(&prefix, profile, user)?;
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
    let folder = base.tls();
    if folder.exists() {
        return Ok(());
    }
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let host = Config::load(base)?.hostname();
    let names = vec![host.clone(), "localhost".into()];
    let [pem, key] = self_signed(&host, names).context("cannot make a certificate")?;
    for (name, text) in [("default.pem", pem), ("default.key", key)] {
        let path = folder.join(name);
        admin::files::replace(&path, 0o600, |to| to.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
    println!(
        "made a self-signed certificate for {host} in {}: clients must be told to trust it; \
         put your own in its place (NAME.pem and NAME.key) and run refresh",
        folder.display()
    );
    Ok(())
}

/// A certificate for a host under these names, and its key.
fn self_signed(host: &str, names: Vec<String>) -> Result<[String; 2], rcgen::Error> {
    let mut params = rcgen::CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let subject = &mut params.distinguished_name;
    subject.push(rcgen::DnType::CommonName, host);
    let key = rcgen::KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    Ok([pem, key.serialize_pem()])
}

/// Builds every program that an installation holds.
pub fn build(profile: Profile) -> Result<()> {
    let mut command = shell::cargo(&["build", "--bins", "--lib"]);
    for package in PACKAGES {
        command.args(["-p", package]);
    }
    if profile == Profile::Release {
        command.arg("--release");
    }
    shell::run(&mut command)
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
    for name in FOLDERS {
        let folder = prefix.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        if PRIVATE.contains(&name) {
            fs::set_permissions(&folder, Permissions::from_mode(0o700))
                .with_context(|| format!("cannot close {} to others", folder.display()))?;
        }
    }
    let built = profile.folder();
    for (folder, programs) in [("sbin", &SBIN[..]), ("lib", &LIB[..])] {
        for program in programs {
            replace(&built.join(program), &prefix.join(folder).join(program))?;
        }
    }
    for folder in ["include", "examples"] {
        copy_all(
            &paths::root().join(C_SOURCES).join(folder),
            &prefix.join(folder),
        )?;
    }
    let [from, to] = FAIL2BAN;
    fs::create_dir_all(prefix.join(to)).with_context(|| format!("cannot make {to}"))?;
    copy_all(&paths::root().join(from), &prefix.join(to))?;
    let link = prefix.join("configutil");
    if !link.is_symlink() {
        symlink("sbin/configutil", &link).context("cannot link configutil")?;
    }
    write_configuration(prefix, user)?;
    units::write(prefix)
}

/// Writes the defaults, which belong to the release, and an empty `msg.conf` if there is none.
fn write_configuration(prefix: &Path, user: &str) -> Result<()> {
    let base = admin::Base::new(prefix);
    let defaults = base.msg_conf_defaults();
    config::write_defaults(&defaults, user)
        .with_context(|| format!("cannot write {}", defaults.display()))?;
    let own = base.msg_conf();
    if !own.exists() {
        fs::write(&own, MSG_CONF).with_context(|| format!("cannot write {}", own.display()))?;
        fs::set_permissions(&own, Permissions::from_mode(0o600))
            .with_context(|| format!("cannot close {} to others", own.display()))?;
    }
    Ok(())
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
