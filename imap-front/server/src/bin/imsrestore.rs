//! `imsrestore`: see [`server::tools::restore`].

use std::process::ExitCode;

use clap::Parser;
use server::arguments::imsrestore::Arguments;
use server::tools::{keeper, restore};

fn main() -> ExitCode {
    if let Some(code) = keeper::keep_if_asked("imsrestore") {
        return code;
    }
    let arguments = Arguments::parse();
    admin::tools::run("imsrestore", |base, out| {
        restore::run(base, &arguments, out)
    })
}
