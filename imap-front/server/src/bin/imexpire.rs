//! `imexpire`: see [`server::tools::expire`].

use std::process::ExitCode;

use clap::Parser;
use server::arguments::imexpire::Arguments;
use server::tools::expire;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    admin::tools::run("imexpire", |base, out| expire::run(base, &arguments, out))
}
