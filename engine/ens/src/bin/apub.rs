//! `apub HOST PORT`: publishes what is typed, a line an event; `.` ends.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use ens::arguments::{self, APUB, Arguments};
use ens::client::{Address, ClientEvent, Connection, Options};

/// Longest line, in bytes, as in the sample.
const LINE_BYTES_MAX: usize = 1024;
/// How long the broker may take to accept an event.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    ens::output::end_when_nobody_reads();
    let arguments = match arguments::parse::<Arguments>(APUB) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let (sender, answers) = mpsc::channel();
    let on_news = move |_: &Connection, news| drop(sender.send(news));
    let options = Options {
        name: "apub".into(),
        ca: arguments.ca.clone(),
        ..Options::default()
    };
    let address = Address::new(&arguments.host, arguments.port);
    let connection = match Connection::open(address, options, on_news) {
        Ok(connection) => connection,
        Err(error) => return fatal(&error),
    };
    let mut input = std::io::stdin().lock();
    loop {
        if !arguments.json {
            print!("apub> ");
            let _ = std::io::stdout().flush();
        }
        let mut line = String::new();
        match input.read_line(&mut line) {
            Ok(0) => return ExitCode::SUCCESS,
            Ok(_) => {}
            Err(error) => return fatal(&error),
        }
        let mut payload = line.trim_end_matches(['\r', '\n']);
        if payload == "." {
            return ExitCode::SUCCESS;
        }
        if payload.len() > LINE_BYTES_MAX {
            payload = &payload[..payload.floor_char_boundary(LINE_BYTES_MAX)];
        }
        let id = match connection.publish(&arguments.event, payload.as_bytes(), b"", true) {
            Ok(id) => id,
            Err(error) => return fatal(&error),
        };
        if let Err(why) = accepted(&answers, id) {
            return fatal(&why);
        }
        if arguments.json {
            println!("{}", arguments::json(&arguments.event, payload.as_bytes()));
        }
    }
}

fn accepted(answers: &mpsc::Receiver<ClientEvent>, id: u32) -> Result<(), String> {
    loop {
        match answers.recv_timeout(ACCEPTED_WITHIN) {
            Ok(ClientEvent::Accepted(have)) if have == id => return Ok(()),
            Ok(ClientEvent::Refused { id: have, why }) if have == id => return Err(why),
            Ok(ClientEvent::Over(why)) => return Err(why),
            Ok(_) => {}
            Err(_) => return Err("the broker does not answer".into()),
        }
    }
}

fn fatal(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("apub: {error}");
    ExitCode::FAILURE
}
