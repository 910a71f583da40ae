//! `imsbackup`: see [`server::tools::backup`].

use std::process::ExitCode;

use clap::Parser;
use server::arguments::imsbackup::Arguments;
use server::tools::{backup, keeper};

fn main() -> ExitCode {
    if let Some(code) = keeper::keep_if_asked("imsbackup") {
        return code;
    }
    let arguments = Arguments::parse();
    admin::tools::run("imsbackup", |base, out| backup::run(base, &arguments, out))
}
