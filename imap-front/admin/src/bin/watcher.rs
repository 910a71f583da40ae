//! `watcher`: starts services again that have died; `start-msg` starts it.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use admin::arguments::watcher::Arguments;
use admin::command::{self, DONE};
use admin::service;
use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    command::run("watcher", |base| {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            signal_hook::flag::register(signal, stop.clone())?;
        }
        // Who gives up at once must not be taken for somebody who watches.
        if let Some(dead) = service::died(base).filter(|_| arguments.ha) {
            return Err(format!(
                "{} server has died; high availability: giving up",
                dead.name
            )
            .into());
        }
        service::report_ready()?;
        service::watch(base, arguments.ha, &stop, |line| {
            command::say(format_args!("watcher: {line}"))
        })?;
        Ok(DONE)
    })
}
