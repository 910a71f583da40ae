//! `manual FOLDER`: writes the man pages and shell completions of every program of an installation.
//!
//! A program of its own, so that `cargo xtask` need not be built with all crates beneath it: who
//! installs builds this with the programs that it describes. [`programs`] knows which there are,
//! [`pages`] and [`completions`] write.

mod completions;
mod pages;
mod programs;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Writes man pages and shell completions.
#[derive(Parser)]
#[command(name = "manual", version)]
struct Arguments {
    /// The folder that gets man/, bash-completion/, zsh/ and fish/: share/ of an installation.
    folder: PathBuf,
}

fn main() -> ExitCode {
    let folder = Arguments::parse().folder;
    let written = programs::all().iter().try_for_each(|program| {
        pages::write(program, &folder)?;
        completions::write(program, &folder)
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("manual: {failure:#}");
            ExitCode::FAILURE
        }
    }
}
