//! Tools that ask the running server: thin, as the server does the work, and sees to it that its
//! sessions hear of what is changed. [`ask`] is how they ask.
//!
//! Their exit codes: 0 done, 1 not done, 2 usage, 3 no server runs here.

pub mod ask;
pub mod counterutil;
pub mod deliver;
pub mod imsconnutil;
pub mod mboxutil;

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use serde_json::Value;

use crate::Base;
use crate::command::{self, DONE, FAILED};
use ask::AskError;

/// No server runs here.
pub const NO_SERVER: u8 = 3;

/// What all tools print of their exit codes.
const EXIT_CODES: &str = "Exit codes: 0 done, 1 not done, 2 usage, 3 no server runs here.";

/// The command lines of all of them, for manual pages and completions.
pub fn commands() -> Vec<Command> {
    vec![
        counterutil::Arguments::command(),
        deliver::Arguments::command(),
        imsconnutil::Arguments::command(),
        mboxutil::Arguments::command(),
    ]
}

/// Runs a tool in the base directory that holds it.
pub fn run(
    name: &str,
    tool: impl FnOnce(&Base, &mut dyn Write) -> Result<u8, Box<dyn Error>>,
) -> ExitCode {
    command::run(name, |base| {
        let mut out = BufWriter::new(io::stdout().lock());
        let done = tool(base, &mut out);
        let flushed = out.flush();
        match done {
            Err(error) if matches!(error.downcast_ref(), Some(AskError::NoServer(_))) => {
                command::complain(format_args!("{name}: {error}"));
                Ok(NO_SERVER)
            }
            Err(error) => Err(error),
            Ok(code) => {
                flushed?;
                Ok(code)
            }
        }
    })
}

/// A value of a line as people read it; nothing known is a dash.
fn shown(line: &Value, name: &str) -> String {
    match &line[name] {
        Value::Null => "-".into(),
        Value::String(text) => printable(text),
        other => other.to_string(),
    }
}

/// Names of mailboxes are their users' own: nothing in them does anything to a terminal, or turns a
/// line about (Unicode's controls of direction).
fn printable(text: &str) -> String {
    let directs = |letter: char| {
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() || directs(letter) {
            true => shown.extend(letter.escape_unicode()),
            false => shown.push(letter),
        }
    }
    shown
}

/// Done, if anything was.
fn verdict(count: u64, nothing: &str) -> u8 {
    if count == 0 {
        command::complain(nothing);
        return FAILED;
    }
    DONE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_nothing_to_a_terminal() {
        assert_eq!(printable("Ge\u{f6}ffnet/\u{5d0}"), "Ge\u{f6}ffnet/\u{5d0}");
        let turned = "a\u{202e}b\u{1b}[2J\u{2066}";
        assert_eq!(printable(turned), r"a\u{202e}b\u{1b}[2J\u{2066}");
    }
}
