//! `imsimport`: see [`server::tools::import`].

use std::process::ExitCode;

use clap::Parser;
use server::arguments::imsimport::Arguments;
use server::tools::{import, keeper};

fn main() -> ExitCode {
    if let Some(code) = keeper::keep_if_asked("imsimport") {
        return code;
    }
    let arguments = Arguments::parse();
    admin::tools::run("imsimport", |base, out| import::run(base, &arguments, out))
}
