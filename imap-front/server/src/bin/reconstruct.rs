//! `reconstruct [-n]`: checks the store, and repairs what can be repaired.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use admin::command::{DONE, FAILED};
use admin::service_user::ServiceUser;
use admin::{Base, Config, privacy};
use clap::Parser;
use server::arguments::reconstruct::Cli;
use server::log::Log;
use store::reconstruct::{self, Summary};
use store::{OpenError, Options};

fn main() -> ExitCode {
    let cli = Cli::parse();
    privacy::keep_private();
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("reconstruct: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(cli: Cli) -> Result<u8, Box<dyn Error>> {
    let base = match cli.base {
        Some(root) => Base::new(root),
        None => Base::of_this_program()?,
    };
    let config = Config::load(&base)?;
    // What it writes must be the server's.
    ServiceUser::assume(&base, &config)?;
    let _log = Log::start(&config)?;
    let data = base.data();
    if !data.is_dir() {
        return Err(format!("there is no store in {}", data.display()).into());
    }
    let mut out = io::stdout().lock();
    match reconstruct::run(&data, &Options::default(), !cli.check) {
        Ok(summary) => Ok(report(&mut out, &summary, cli.check)?),
        Err(OpenError::Lost(loss) | OpenError::Beyond(loss)) => {
            writeln!(out, "LOST {loss}; nothing else was checked")?;
            Ok(FAILED)
        }
        Err(error) => Err(error.into()),
    }
}

/// Prints what was found; gives the exit code.
fn report(out: &mut impl Write, summary: &Summary, is_check: bool) -> io::Result<u8> {
    if let Some(loss) = &summary.loss {
        writeln!(out, "LOST {loss}; going on without")?;
    }
    for finding in &summary.findings {
        let mark = if finding.is_lost { "LOST " } else { "" };
        writeln!(out, "{mark}{finding}")?;
        if !is_check {
            tracing::warn!("reconstruct: {mark}{finding}");
        }
    }
    let Summary {
        users,
        mailboxes,
        messages,
        bytes,
        repaired,
        ..
    } = summary;
    writeln!(
        out,
        "{users} users, {mailboxes} mailboxes, {messages} messages of {bytes} bytes"
    )?;
    let found = summary.findings.len();
    let lost = summary.findings.iter().filter(|it| it.is_lost).count();
    if found == 0 && summary.loss.is_none() {
        writeln!(out, "nothing is wrong")?;
        return Ok(DONE);
    }
    let after = match is_check {
        true => "nothing was changed".to_owned(),
        false => format!("{repaired} rows were repaired"),
    };
    writeln!(
        out,
        "{found} findings, {lost} of them of lost mail; {after}"
    )?;
    Ok(FAILED)
}
