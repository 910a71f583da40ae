//! `counterutil`: see [`admin::tools::counterutil`].

use std::process::ExitCode;

use admin::tools::{self, counterutil};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = counterutil::Arguments::parse();
    tools::run("counterutil", |base, out| {
        counterutil::run(base, &arguments, out)
    })
}
