//! `deliver`: a message from standard input to users' folders.

use std::error::Error;
use std::io::{Read, Write};

use clap::Parser;
use mail::mime::with_crlf;
use serde_json::json;

use super::EXIT_CODES;
use super::ask::{AskError, Asker};
use crate::Base;
use crate::command::{self, DONE, FAILED};

/// Delivers the message on standard input through the running server. It is durable once this ends
/// with 0. A line `From ` before the header, as mbox has it, is left out; ends of lines may be LF.
#[derive(Parser)]
#[command(name = "deliver", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The folder; the INBOX if it is not there.
    #[arg(short, long, value_name = "FOLDER", default_value = "INBOX")]
    mailbox: String,
    /// The users.
    #[arg(required = true)]
    users: Vec<String>,
    /// A line of JSON for each delivery.
    #[arg(long)]
    json: bool,
}

/// Delivers what `message` gives.
///
/// # Errors
/// If the server can't be asked, or the message can't be read.
pub fn run(
    base: &Base,
    arguments: &Arguments,
    message: &mut dyn Read,
    out: &mut dyn Write,
) -> Result<u8, Box<dyn Error>> {
    // Before anything is read: whoever pipes a message should not wait for nothing.
    let mut asker = Asker::of(base)?;
    let mut text = vec![];
    message.read_to_end(&mut text)?;
    let text = as_message(&text);
    let mut code = DONE;
    for user in &arguments.users {
        let question = json!({
            "ask": "deliver",
            "user": user,
            "mailbox": arguments.mailbox,
            "size": text.len(),
        });
        let asked = asker.ask_with(&question, &text, |line| match arguments.json {
            true => writeln!(out, "{line}"),
            false => Ok(()),
        });
        if let Err(error) = asked {
            command::complain(format_args!("deliver: {user}: {error}"));
            code = FAILED;
            if !matches!(error, AskError::Refused(_)) {
                asker = Asker::of(base)?;
            }
        }
    }
    Ok(code)
}

/// The message with CRLF at its lines' ends, without mbox's first line.
fn as_message(text: &[u8]) -> Vec<u8> {
    let rest = match text.starts_with(b"From ") {
        true => {
            let end = text.iter().position(|byte| *byte == b'\n');
            &text[end.map_or(text.len(), |end| end + 1)..]
        }
        false => text,
    };
    with_crlf(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_in_messages() {
        let of = |text: &str| String::from_utf8(as_message(text.as_bytes())).unwrap();
        assert_eq!(
            of("From a@b Fri\nSubject: x\n\ny\r\nz"),
            "Subject: x\r\n\r\ny\r\nz"
        );
        assert_eq!(of("From: a\n"), "From: a\r\n");
        assert_eq!(of(""), "");
    }
}
