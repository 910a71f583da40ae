//! `cargo xtask package`: a Debian package of an installation.
//!
//! In reading order: [`tree`] lays out the files as the package has them, [`licences`] collects
//! those of the libraries within, [`manifest`] writes what `cargo-deb` makes the package from,
//! [`trial`] tries the package in a Debian of its own.

mod licences;
mod manifest;
mod tree;
mod trial;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::install::{self, Profile};
use crate::{paths, shell};

/// The release of cargo-deb that is used.
const CARGO_DEB: &str = "3.6.2";

/// `cargo xtask package`
#[derive(Args)]
pub struct Options {
    /// The package's revision of this version
    #[arg(long, default_value_t = 1)]
    revision: u32,
    /// Build without optimisation: for a trial of the package, not of the programs
    #[arg(long)]
    debug: bool,
    /// Install, use, upgrade, remove and purge it in a small Debian below the target folder (as
    /// root; the Debian comes from the mirror that apt is configured for)
    #[arg(long = "try")]
    trial: bool,
    /// The part of the trial that runs in namespaces of its own
    #[arg(long, hide = true, num_args = 2, value_names = ["PACKAGE", "NEXT"])]
    inside: Vec<PathBuf>,
}

/// Makes the package, and tries it if that is asked for.
pub fn run(options: &Options) -> Result<()> {
    if let [package, next] = &options.inside[..] {
        return trial::inside(package, next);
    }
    let profile = if options.debug {
        Profile::Debug
    } else {
        Profile::Packaged
    };
    install::build(profile)?;
    let package = make(options.revision, profile)?;
    println!("made {}", package.display());
    if options.trial {
        let next = make(options.revision + 1, profile)?;
        trial::run(&package, &next)?;
    }
    Ok(())
}

/// Where everything of this task lies.
fn folder() -> PathBuf {
    paths::target().join("package")
}

/// Makes a package from what was built; gives its path.
fn make(revision: u32, profile: Profile) -> Result<PathBuf> {
    let tree = folder().join("tree");
    let files = tree::lay_out(&tree, profile)?;
    let depends = libraries(&tree)?;
    let manifest = manifest::write(&folder().join("manifest"), &files, &depends)?;
    let mut cargo_deb = Command::new(cargo_deb()?);
    cargo_deb.args(["--no-build", "--no-strip", "--quiet", "--manifest-path"]);
    cargo_deb.arg(&manifest);
    cargo_deb.args(["--deb-revision", &revision.to_string(), "--output"]);
    let made = shell::capture(cargo_deb.arg(folder()))?;
    let path = made.lines().last().context("cargo-deb names no package")?;
    Ok(path.trim().into())
}

/// cargo-deb, installed below the target folder.
fn cargo_deb() -> Result<PathBuf> {
    let root = paths::target().join("tools");
    let program = root.join("bin/cargo-deb");
    let version = shell::capture(Command::new(&program).arg("--version"));
    if !version.is_ok_and(|version| version.trim().ends_with(CARGO_DEB)) {
        println!("installing cargo-deb {CARGO_DEB}");
        shell::retry("installing cargo-deb", || {
            let install = ["install", "--locked", "--quiet", "--version", CARGO_DEB];
            shell::run(
                shell::cargo(&install)
                    .args(["cargo-deb", "--root"])
                    .arg(&root),
            )
        })?;
    }
    Ok(program)
}

/// Which packages have the libraries that the programs are linked with, and from which version on.
fn libraries(tree: &Path) -> Result<String> {
    // It wants to be called in a source package.
    let folder = folder().join("libraries");
    std::fs::create_dir_all(folder.join("debian"))?;
    let control = "Source: ensign\n\nPackage: ensign\nArchitecture: any\n";
    std::fs::write(folder.join("debian/control"), control)?;
    let mut look = Command::new("dpkg-shlibdeps");
    look.arg("-O").current_dir(&folder);
    for program in tree::programs(tree) {
        look.arg("-e").arg(program);
    }
    let said = shell::capture(&mut look).context("is the package dpkg-dev installed?")?;
    let depends = said
        .lines()
        .find_map(|line| line.strip_prefix("shlibs:Depends="));
    Ok(depends.context("dpkg-shlibdeps names no libraries")?.into())
}
