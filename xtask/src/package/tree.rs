//! The files of the package, laid out below a folder as they will be below `/`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use admin::Config;
use anyhow::{Context, Result};

use super::licences;
use crate::install::{self, Profile};
use crate::{logrotate, paths, shell, units};

/// The base directory. Programs find what is theirs from where they lie, and the server looks at
/// the owners and modes of its folders, not at what links lead to.
const BASE: &str = "opt/ensign";
/// Whom the services run as.
const USER: &str = "ensign";
/// Programs with words for names that another package may have; they are called by their path.
const COMMON_WORDS: [&str; 5] = ["configure", "deliver", "loadgen", "reconstruct", "refresh"];
/// Files that are as they are in the checkout, and where they go.
const COPIED: [[&str; 2]; 9] = [
    [
        "xtask/debian/sysusers.conf",
        "usr/lib/sysusers.d/ensign.conf",
    ],
    [
        "xtask/debian/tmpfiles.conf",
        "usr/lib/tmpfiles.d/ensign.conf",
    ],
    [
        "xtask/debian/sysctl.conf",
        "usr/lib/sysctl.d/60-ensign.conf",
    ],
    [
        "imap-front/server/share/fail2ban/ensign.conf",
        "etc/fail2ban/filter.d/ensign.conf",
    ],
    ["xtask/debian/copyright", "usr/share/doc/ensign/copyright"],
    ["LICENSE-MIT", "usr/share/doc/ensign/LICENSE-MIT"],
    ["LICENSE-APACHE", "usr/share/doc/ensign/LICENSE-APACHE"],
    ["README.md", "usr/share/doc/ensign/README.md"],
    ["CHANGELOG.md", "usr/share/doc/ensign/changelog"],
];
/// Files that are compressed.
const COMPRESSED: [&str; 2] = [
    "usr/share/doc/ensign/changelog",
    "usr/share/doc/ensign/THIRD-PARTY",
];
/// Below the base directory, what is looked for below `usr/share` as well, for the same programs.
const LINKED: [&str; 3] = [
    "bash-completion/completions",
    "zsh/vendor-completions",
    "fish/vendor_completions.d",
];

/// Lays out everything from what was built; gives the path of each file below `tree`.
pub fn lay_out(tree: &Path, profile: Profile) -> Result<Vec<PathBuf>> {
    if tree.exists() {
        fs::remove_dir_all(tree).with_context(|| format!("cannot remove {}", tree.display()))?;
    }
    let base = tree.join(BASE);
    install::lay_out_release(&base, profile)?;
    install::write_manual(&base, profile)?;
    for program in programs(tree) {
        // Names of functions stay, for the log's backtraces.
        shell::run(Command::new("strip").arg("--strip-debug").arg(program))?;
    }
    write_configured(tree)?;
    for [from, to] in COPIED {
        let to = made(tree.join(to))?;
        fs::copy(paths::root().join(from), to).with_context(|| format!("cannot copy {from}"))?;
    }
    copy_pages(tree)?;
    licences::write(&made(tree.join(COMPRESSED[1]))?)?;
    for name in COMPRESSED {
        shell::run(Command::new("gzip").args(["-9", "-n"]).arg(tree.join(name)))?;
    }
    link_programs(tree)?;
    let mut files = Vec::new();
    collect(tree, tree, &mut files)?;
    files.sort();
    Ok(files)
}

/// What is linked with libraries of the system.
pub fn programs(tree: &Path) -> Vec<PathBuf> {
    let base = tree.join(BASE);
    install::programs()
        .map(|program| base.join(program))
        .collect()
}

/// Files that name the base directory and the user.
fn write_configured(tree: &Path) -> Result<()> {
    let scratch = admin::Base::new(super::folder().join("defaults"));
    admin::installation::make_folders(&scratch)?;
    admin::installation::write_configuration(&scratch, USER)?;
    let config = Config::load(&scratch)?;
    let base = Path::new("/").join(BASE);
    let rotated = tree.join("etc/logrotate.d/ensign");
    logrotate::write(&rotated, &base, &config)?;
    units::write(&tree.join("usr/lib/systemd/system"), &base, config)
}

/// The pages for people.
fn copy_pages(tree: &Path) -> Result<()> {
    let pages = paths::root().join("docs");
    for page in fs::read_dir(&pages).into_iter().flatten() {
        let page = page?.path();
        if let Some(name) = page.file_name().filter(|_| page.is_file()) {
            let to = made(tree.join("usr/share/doc/ensign/docs").join(name))?;
            fs::copy(&page, to).with_context(|| format!("cannot copy {}", page.display()))?;
        }
    }
    Ok(())
}

/// Links to programs and their completions from where shells look for them. Pages are copied:
/// cargo-deb compresses what lies there.
fn link_programs(tree: &Path) -> Result<()> {
    let share = format!("{BASE}/share");
    let mut places: Vec<[String; 2]> = vec![[format!("{BASE}/sbin"), "usr/sbin".into()]];
    let pages = [1, 8].map(|section| format!("man/man{section}"));
    for folder in LINKED.map(str::to_owned).into_iter().chain(pages) {
        places.push([format!("{share}/{folder}"), format!("usr/share/{folder}")]);
    }
    for [from, to] in places {
        for entry in fs::read_dir(tree.join(&from)).with_context(|| format!("no {from}"))? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().context("a file's name is no text")?;
            if !is_linked(name) {
                continue;
            }
            let place = made(tree.join(&to).join(name))?;
            if to.contains("/man/") {
                fs::copy(entry.path(), place).context("cannot copy a page")?;
            } else {
                symlink(format!("/{from}/{name}"), place).context("cannot make a link")?;
            }
        }
    }
    Ok(())
}

/// Whether a program, page or completion is found outside of the base directory: its name's first
/// part is the program's, all of it or up to a subcommand's.
fn is_linked(file: &str) -> bool {
    let stem = file.trim_start_matches('_');
    let stem = stem.split('.').next().unwrap_or(stem);
    install::SBIN.iter().any(|program| {
        let rest = stem.strip_prefix(program);
        let is_its = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        is_its && !COMMON_WORDS.contains(program)
    })
}

/// The path, once the folder that it lies in is there.
fn made(path: PathBuf) -> Result<PathBuf> {
    let folder = path.parent().context("it lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(path)
}

/// Every file and link below `folder`, with the modes that the package has.
fn collect(tree: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            collect(tree, &path, files)?;
            continue;
        }
        if kind.is_file() {
            let mode = if entry.metadata()?.permissions().mode() & 0o100 != 0 {
                0o755
            } else {
                0o644
            };
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
        }
        files.push(path.strip_prefix(tree)?.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_linked;

    #[test]
    fn names_that_others_may_have_are_not_linked() {
        for name in [
            "msguser",
            "msguser.8",
            "msguser-add.8",
            "_msguser",
            "start-msg.fish",
        ] {
            assert!(is_linked(name), "{name}");
        }
        for name in [
            "refresh",
            "refresh.8",
            "_reconstruct",
            "imapd.8",
            "loadgen-idle.1",
        ] {
            assert!(!is_linked(name), "{name}");
        }
    }
}
