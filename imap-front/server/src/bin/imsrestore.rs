//! `imsrestore`: see [`server::tools::restore`].

use std::process::ExitCode;

use clap::Parser;
use server::arguments::imsrestore::Arguments;
use server::tools::restore;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    admin::tools::run("imsrestore", |base, out| {
        restore::run(base, &arguments, out)
    })
}
