//! What `apub` and `asub` have in common; and the command lines of all programs of this crate.

pub mod enpd;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Command, CommandFactory, FromArgMatches, Parser};

use crate::frame::Scope;

/// What the manual's samples end with if they are called in a wrong way.
const USAGE: u8 = 5;
/// The key of the manual's samples: what the plug-in publishes under unless it is told otherwise.
pub const EVENT: &str = "enp://127.0.0.1/store";

/// A program, and what it does.
pub type Program = [&'static str; 2];

/// The publisher.
pub const APUB: Program = [
    "apub",
    "Publishes what is typed, a line an event, for all hosts of the broker's site; a line with a \
     dot alone ends",
];
/// The subscriber.
pub const ASUB: Program = [
    "asub",
    "Prints each event that is published, with its payload",
];

/// The command lines of all programs of this crate.
pub fn commands() -> Vec<Command> {
    vec![
        of::<Arguments>(APUB),
        of::<AsubArguments>(ASUB),
        enpd::Cli::command(),
    ]
}

/// The arguments of both; those of the publisher.
#[derive(Debug, PartialEq, Eq, Parser)]
#[command(version)]
pub struct Arguments {
    /// Where the broker is; a path is a Unix socket, and enps://HOST one that speaks TLS.
    pub host: String,
    /// Its port, such as 7997; of no account for a Unix socket.
    pub port: u16,
    /// Event reference that is published, or pattern of events that are wanted.
    #[arg(long, value_name = "REFERENCE", default_value = EVENT)]
    pub event: String,
    /// Certificates (PEM) of which one must have signed the broker's; without it those of
    /// ENS_CA_FILE or the system
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Print events as JSON, a line each, for programs.
    #[arg(long)]
    pub json: bool,
}

/// The arguments of the subscriber.
#[derive(Debug, PartialEq, Eq, Parser)]
#[command(version)]
pub struct AsubArguments {
    /// Those that it shares.
    #[command(flatten)]
    pub common: Arguments,
    /// Whose events: local for those published at this broker alone, site for those of all brokers
    /// of its site; without it as the broker has it (ens.nats.scope)
    #[arg(long, value_name = "SCOPE")]
    pub scope: Option<Scope>,
}

fn of<A: CommandFactory>([name, about]: Program) -> Command {
    A::command().name(name).about(about)
}

/// Reads the command line of a program.
///
/// # Errors
/// How to end: help or version were shown, or the command line makes no sense.
pub fn parse<A: CommandFactory + FromArgMatches>(program: Program) -> Result<A, ExitCode> {
    let parsed = of::<A>(program)
        .try_get_matches()
        .and_then(|matches| A::from_arg_matches(&matches));
    parsed.map_err(|error| {
        // That nobody reads it ends the program all the same.
        let _ = error.print();
        match error.use_stderr() {
            true => ExitCode::from(USAGE),
            false => ExitCode::SUCCESS,
        }
    })
}

/// An event as a line of JSON. A payload that is no text stands there byte by byte.
pub fn json(event: &str, payload: &[u8]) -> String {
    let payload = match std::str::from_utf8(payload) {
        Ok(text) => serde_json::json!(text),
        Err(_) => serde_json::json!(payload),
    };
    serde_json::json!({ "event": event, "payload": payload }).to_string()
}
