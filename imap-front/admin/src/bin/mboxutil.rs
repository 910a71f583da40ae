//! `mboxutil`: see [`admin::tools::mboxutil`].

use std::process::ExitCode;

use admin::tools::{self, mboxutil};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = mboxutil::Arguments::parse();
    tools::run("mboxutil", |base, out| mboxutil::run(base, &arguments, out))
}
