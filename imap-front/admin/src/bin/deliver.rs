//! `deliver`: see [`admin::tools::deliver`].

use std::io;
use std::process::ExitCode;

use admin::tools::{self, deliver};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = deliver::Arguments::parse();
    tools::run("deliver", |base, out| {
        deliver::run(base, &arguments, &mut io::stdin().lock(), out)
    })
}
