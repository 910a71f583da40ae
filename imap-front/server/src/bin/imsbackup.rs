//! `imsbackup`: see [`server::tools::backup`].

use std::process::ExitCode;

use clap::Parser;
use server::arguments::imsbackup::Arguments;
use server::tools::backup;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    admin::tools::run("imsbackup", |base, out| backup::run(base, &arguments, out))
}
