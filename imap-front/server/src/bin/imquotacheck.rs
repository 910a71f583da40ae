//! `imquotacheck`: see [`server::tools::quotacheck`].

use std::process::ExitCode;

use clap::Parser;
use server::arguments::imquotacheck::Arguments;
use server::tools::quotacheck;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    admin::tools::run("imquotacheck", |base, out| {
        quotacheck::run(base, &arguments, out)
    })
}
