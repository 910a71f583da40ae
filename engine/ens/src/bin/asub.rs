//! `asub HOST PORT`: prints each event that is published.

use std::io::Write;
use std::process::ExitCode;
use std::sync::mpsc;

use ens::arguments::{self, ASUB, AsubArguments, EVENT, json};
use ens::client::{Address, ClientEvent, Connection, Options};

/// What the plug-in publishes under if its key ends in `%M`, as IDLE needs it.
const DEEPER: &str = "enp://127.0.0.1/store/*";

fn main() -> ExitCode {
    ens::output::end_when_nobody_reads();
    let (arguments, scope) = match arguments::parse(ASUB) {
        Ok(AsubArguments { common, scope }) => (common, scope),
        Err(code) => return code,
    };
    let (sender, news) = mpsc::channel();
    let on_news = move |_: &Connection, news| drop(sender.send(news));
    let options = Options {
        name: "asub".into(),
        reconnect: true,
        ca: arguments.ca.clone(),
        ..Options::default()
    };
    let address = Address::new(&arguments.host, arguments.port);
    let connection = match Connection::open(address, options, on_news) {
        Ok(connection) => connection,
        Err(error) => {
            eprintln!("asub: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = connection.subscribe_to(&arguments.event, scope) {
        println!("Subscription failed - status 1");
        eprintln!("asub: {error}");
        return ExitCode::FAILURE;
    }
    // Unless something else is asked for, both are.
    let deeper = (arguments.event == EVENT).then(|| connection.subscribe_to(DEEPER, scope));
    let deeper = deeper.and_then(Result::ok);
    for one in news {
        match one {
            ClientEvent::Subscribed(id) if Some(id) == deeper => {}
            ClientEvent::Subscribed(_) if !arguments.json => println!("Subscription successful"),
            ClientEvent::Subscribed(_) => eprintln!("asub: Subscription successful"),
            ClientEvent::Refused { why, .. } => {
                println!("Subscription failed - status 1");
                eprintln!("asub: {why}");
                return ExitCode::FAILURE;
            }
            ClientEvent::Notified { event, payload, .. } => {
                let line = if arguments.json {
                    json(&event, &payload).into_bytes()
                } else if payload.is_empty() {
                    format!("[{event}] (null)").into_bytes()
                } else {
                    [format!("[{event}] ").as_bytes(), &payload].concat()
                };
                let mut out = std::io::stdout().lock();
                let written = out.write_all(&line).and_then(|()| out.write_all(b"\n"));
                if written.and_then(|()| out.flush()).is_err() {
                    return ExitCode::SUCCESS;
                }
            }
            ClientEvent::Lagged(events) => {
                eprintln!("asub: too slow, {events} events were not sent")
            }
            ClientEvent::Missed => {
                eprintln!("asub: events of other hosts were lost; nobody knows how many");
            }
            ClientEvent::Over(why) => eprintln!("asub: {why}; connecting again"),
            ClientEvent::Welcome
            | ClientEvent::Unsubscribed(_)
            | ClientEvent::Accepted(_)
            | ClientEvent::Acknowledged(_) => {}
        }
    }
    ExitCode::SUCCESS
}
