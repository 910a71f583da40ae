//! `imexpire`: see [`server::tools::expire`].

use std::process::ExitCode;

use clap::Parser;
use server::arguments::imexpire::Arguments;
use server::tools::{expire, keeper};

fn main() -> ExitCode {
    if let Some(code) = keeper::keep_if_asked("imexpire") {
        return code;
    }
    let arguments = Arguments::parse();
    admin::tools::run("imexpire", |base, out| expire::run(base, &arguments, out))
}
