//! `imsconnutil`: see [`admin::tools::imsconnutil`].

use std::process::ExitCode;

use admin::tools::{self, imsconnutil};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = imsconnutil::Arguments::parse();
    tools::run("imsconnutil", |base, out| {
        imsconnutil::run(base, &arguments, out)
    })
}
