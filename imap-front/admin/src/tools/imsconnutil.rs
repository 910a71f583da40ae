//! `imsconnutil`: who is connected.

use std::error::Error;
use std::io::Write;

use clap::{ArgGroup, Parser};
use serde_json::{Value, json};

use super::ask::Asker;
use super::{EXIT_CODES, printable, shown, verdict};
use crate::Base;
use crate::command::DONE;

/// Shows who is connected to the running IMAP server, and ends sessions.
///
/// What a session did (bytes, commands) is forgotten when it is packed away, in IDLE or after 15
/// quiet seconds: a dash stands there.
#[derive(Parser)]
#[command(name = "imsconnutil", version, after_help = EXIT_CODES)]
#[command(group(ArgGroup::new("whom").multiple(true).args(["user", "address", "session"])))]
pub struct Arguments {
    /// Only sessions of this user.
    #[arg(short, long)]
    user: Option<String>,
    /// Only sessions from this address; `local` is this host.
    #[arg(short, long)]
    address: Option<String>,
    /// Only this session, as the log and this list name it.
    #[arg(short, long)]
    session: Option<String>,
    /// End them: their clients are told so. A client may come back; msguser lock keeps a user out.
    #[arg(short, long, requires = "whom")]
    kick: bool,
    /// A line of JSON for each session; null is what is not known.
    #[arg(long)]
    json: bool,
}

/// Shows or ends them.
///
/// # Errors
/// If the server can't be asked, or refuses.
pub fn run(base: &Base, arguments: &Arguments, out: &mut dyn Write) -> Result<u8, Box<dyn Error>> {
    let question = json!({
        "ask": if arguments.kick { "kick" } else { "sessions" },
        "user": arguments.user,
        "address": arguments.address,
        "session": arguments.session,
    });
    let mut asker = Asker::of(base)?;
    if !arguments.json {
        writeln!(
            out,
            "{:14} {:20} {:20} {:7} {:>9} {:>9} {:>10} {:>10} {:>8}  MAILBOX",
            "SESSION",
            "USER",
            "ADDRESS",
            "STATE",
            "SECONDS",
            "QUIET",
            "RECEIVED",
            "SENT",
            "COMMANDS"
        )?;
    }
    let count = asker.ask(&question, |line| match arguments.json {
        true => writeln!(out, "{line}"),
        false => told(out, line),
    })?;
    if arguments.kick {
        return Ok(verdict(count, "imsconnutil: nobody such is connected"));
    }
    Ok(DONE)
}

fn told(out: &mut dyn Write, line: &Value) -> std::io::Result<()> {
    let of = |name: &str| shown(line, name);
    let whose = match line["owner"].as_str() {
        Some(owner) => format!("{owner}'s "),
        None => String::new(),
    };
    writeln!(
        out,
        "{:14} {:20} {:20} {:7} {:>9} {:>9} {:>10} {:>10} {:>8}  {}{}",
        of("session"),
        of("user"),
        of("address"),
        of("state"),
        of("seconds"),
        of("quiet"),
        of("received"),
        of("sent"),
        of("commands"),
        printable(&whose),
        of("mailbox"),
    )
}
