//! `imquotacheck`: see [`server::tools::quotacheck`].

use std::process::ExitCode;

use clap::Parser;
use server::arguments::imquotacheck::Arguments;
use server::tools::{keeper, quotacheck};

fn main() -> ExitCode {
    if let Some(code) = keeper::keep_if_asked("imquotacheck") {
        return code;
    }
    let arguments = Arguments::parse();
    admin::tools::run("imquotacheck", |base, out| {
        quotacheck::run(base, &arguments, out)
    })
}
