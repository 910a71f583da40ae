//! What cargo-deb makes the package from: a crate without code, with a list of files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::paths;

/// The maintainer, unless Debian's variables `DEBFULLNAME` and `DEBEMAIL` name another.
const MAINTAINER: [&str; 2] = ["The Ensign authors", "ensign@localhost"];
/// What the maintainer scripts call, besides what every Debian has.
const CALLED: &str = "systemd | systemd-standalone-sysusers | systemd-sysusers, \
                      debconf | debconf-2.0";
const DESCRIPTION: &str = "IMAP server that tells a million idle clients at once";
const LONG_DESCRIPTION: &str = "\
Ensign is an IMAP and LMTP server with a mail store of its own. It holds very many connections \
that are silent most of the time, on io_uring, and tells each at once when mail comes (IMAP IDLE). \
Other programs hear of it through its event notification service.

It runs on Linux 6.11 or newer. The base directory is /opt/ensign: configuration, mail, logs and \
programs lie there.";

/// Writes the crate to `folder`; gives the path of its manifest. `files` lie below the tree, and
/// `depends` are the packages of libraries.
pub fn write(folder: &Path, files: &[PathBuf], depends: &str) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(folder.join("lib.rs"), "//! Nothing: see the manifest.\n")?;
    let path = folder.join("Cargo.toml");
    let text = toml::to_string(&manifest(files, depends)?)?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn manifest(files: &[PathBuf], depends: &str) -> Result<Table> {
    let of_debian = ["DEBFULLNAME", "DEBEMAIL"].map(|name| std::env::var(name).ok());
    let [name, address] = of_debian;
    let name = name.as_deref().unwrap_or(MAINTAINER[0]);
    let address = address.as_deref().unwrap_or(MAINTAINER[1]);
    let mut deb = texts(&[
        ("maintainer", &format!("{name} <{address}>")),
        ("copyright", "the authors of Ensign"),
        ("section", "mail"),
        ("priority", "optional"),
        ("depends", &format!("{depends}, {CALLED}")),
        ("recommends", "logrotate"),
        ("suggests", "fail2ban"),
        ("provides", "imap-server"),
        ("extended-description", LONG_DESCRIPTION),
    ]);
    let scripts = paths::root().join("xtask/debian/scripts");
    deb.insert("maintainer-scripts".into(), text(&scripts)?);
    deb.insert("preserve-symlinks".into(), true.into());
    let assets: Result<Vec<Value>> = files.iter().map(|file| asset(file)).collect();
    deb.insert("assets".into(), Value::Array(assets?));
    let mut package = texts(&[
        ("name", "ensign"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("edition", "2024"),
        ("license", env!("CARGO_PKG_LICENSE")),
        ("description", DESCRIPTION),
    ]);
    package.insert("metadata".into(), table("deb", deb));
    let mut whole = Table::new();
    whole.insert("package".into(), Value::Table(package));
    whole.insert("lib".into(), Value::Table(texts(&[("path", "lib.rs")])));
    // A workspace of its own, whatever folder it lies in.
    whole.insert("workspace".into(), Value::Table(Table::new()));
    Ok(whole)
}

/// Where a file is, where it goes, and its mode.
fn asset(file: &Path) -> Result<Value> {
    let path = super::folder().join("tree").join(file);
    let mode = match path.is_symlink() {
        true => 0o644,
        false => path.metadata()?.permissions().mode() & 0o777,
    };
    let mode = Value::String(format!("{mode:o}"));
    Ok(Value::Array(vec![text(&path)?, text(file)?, mode]))
}

fn text(path: &Path) -> Result<Value> {
    let text = path.to_str().context("a path is no text")?;
    Ok(Value::String(text.to_owned()))
}

fn texts(pairs: &[(&str, &str)]) -> Table {
    let pair = |(name, text): &(&str, &str)| ((*name).to_owned(), Value::String((*text).into()));
    pairs.iter().map(pair).collect()
}

fn table(name: &str, inner: Table) -> Value {
    Value::Table(Table::from_iter([(name.to_owned(), Value::Table(inner))]))
}
