//! `imsimport`: see [`server::tools::import`].

use std::process::ExitCode;

use clap::Parser;
use server::arguments::imsimport::Arguments;
use server::tools::import;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    admin::tools::run("imsimport", |base, out| import::run(base, &arguments, out))
}
