//! Conversations as they stand in `transcripts/*.txt`, each replayed whole, byte by byte, and cut
//! off at every byte.
//!
//! `C:` is a line from the client, `S:` one from the server, `O:` a command of another client of
//! the same user, whose answers don't matter but for being OK; `<<` before a message stands for its
//! literal. `!` lines are the host's: `scram` (it is offered from now on), `users` (there are
//! `mary` and `public`, whose mailboxes are shared), `submitter` and who submits messages for
//! others, `admin` and a command of the administrator `root`, `keepalive`, `timeout`, `shutdown`,
//! `hold` (the answer to the next request waits), `progress` and the UID that the request comes to
//! next, `answer` (it comes now). `#` begins a remark. The user is `fred` with the password
//! `secret`, and by SCRAM the `user` of RFC 7677.
//!
//! Lists of capabilities in codes stand as `[CAPABILITY IMAP4rev1]`; answers to CAPABILITY are
//! whole.
//!
//! `TRANSCRIPTS=write cargo test -p proto --test transcripts` writes what the server says into the
//! files, to be read before it is believed.

#[allow(dead_code, reason = "each test uses a part")]
mod host;
mod strict;

use std::path::{Path, PathBuf};

use host::World;
use proto::imap::Session;

/// A line of a transcript.
#[derive(Clone, Debug, PartialEq)]
enum Line {
    Remark(String),
    Client(String),
    Server(String),
    Other(String),
    Host(String),
}

/// What is done between two looks at what the server said.
#[derive(Debug)]
enum Step {
    Input(Vec<u8>),
    Other(String),
    Host(String),
}

fn read(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).expect("a transcript");
    let line = |line: &str| match line.split_at_checked(2) {
        Some(("C:", rest)) => Line::Client(rest.strip_prefix(' ').unwrap_or(rest).into()),
        Some(("S:", rest)) => Line::Server(rest.strip_prefix(' ').unwrap_or(rest).into()),
        Some(("O:", rest)) => Line::Other(rest.trim().into()),
        Some(("! ", rest)) => Line::Host(rest.trim().into()),
        _ if line.is_empty() || line.starts_with('#') => Line::Remark(line.into()),
        _ => panic!("{}: what is {line:?}?", path.display()),
    };
    text.lines().map(line).collect()
}

/// Steps, and what the server must have said after each.
fn steps(lines: &[Line]) -> Vec<(Step, Vec<u8>)> {
    let mut steps = vec![(Step::Input(vec![]), vec![])];
    let mut open = false;
    for line in lines {
        match line {
            Line::Remark(text) => open &= !text.is_empty(),
            Line::Client(text) => {
                if !open {
                    steps.push((Step::Input(vec![]), vec![]));
                }
                open = true;
                if let Some((Step::Input(bytes), _)) = steps.last_mut() {
                    bytes.extend_from_slice(text.as_bytes());
                    bytes.extend_from_slice(b"\r\n");
                }
            }
            Line::Server(text) => {
                open = false;
                let said = &mut steps.last_mut().expect("there is one").1;
                said.extend_from_slice(text.as_bytes());
                said.extend_from_slice(b"\r\n");
            }
            Line::Other(text) => {
                open = false;
                steps.push((Step::Other(text.clone()), vec![]));
            }
            Line::Host(text) => {
                open = false;
                steps.push((Step::Host(text.clone()), vec![]));
            }
        }
    }
    steps
}

/// Does a step and gives what the server says to it.
fn step(world: &mut World, step: &Step, byte_by_byte: bool) -> Vec<u8> {
    match step {
        Step::Input(bytes) if byte_by_byte => {
            bytes.iter().for_each(|byte| world.input(false, &[*byte]));
        }
        Step::Input(bytes) => world.input(false, bytes),
        Step::Other(command) => world.other(command),
        Step::Host(what) => world.host(what),
    }
    abridged(&world.said())
}

/// What was said, with the lists of capabilities in codes cut down.
fn abridged(said: &[u8]) -> Vec<u8> {
    const CODE: &[u8] = b"[CAPABILITY ";
    let mut left = Vec::with_capacity(said.len());
    let mut rest = said;
    while let Some(at) = rest.windows(CODE.len()).position(|it| it == CODE) {
        let list = &rest[at + CODE.len()..];
        let end = list.iter().position(|&b| b == b']').unwrap_or(list.len());
        left.extend_from_slice(&rest[..at + CODE.len()]);
        left.extend_from_slice(b"IMAP4rev1");
        rest = &list[end..];
    }
    left.extend_from_slice(rest);
    left
}

fn transcripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 25, "all transcripts are there");
    paths
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn replayed_whole_and_byte_by_byte() {
    if std::env::var_os("TRANSCRIPTS").is_some_and(|what| what == "write") {
        return transcripts().iter().for_each(|path| write(path));
    }
    for path in transcripts() {
        for byte_by_byte in [false, true] {
            let mut world = World::new();
            for (step, expected) in steps(&read(&path)) {
                let said = self::step(&mut world, &step, byte_by_byte);
                let place = format!("{}, after {step:?}", path.display());
                assert_eq!(shown(&said), shown(&expected), "{place}");
            }
        }
    }
}

#[test]
fn a_strict_client_reads_all_that_is_said() {
    for path in transcripts() {
        let said: Vec<u8> = steps(&read(&path))
            .into_iter()
            .flat_map(|(_, said)| said)
            .collect();
        if let Err(line) = strict::read(&said) {
            panic!("{}: {line}", path.display());
        }
    }
}

/// A client that vanishes at any byte has heard the beginning of what it would have heard, and
/// leaves nothing behind.
#[test]
fn cut_off_at_every_byte() {
    for path in transcripts() {
        let steps = steps(&read(&path));
        let whole: Vec<u8> = steps.iter().flat_map(|(_, said)| said.clone()).collect();
        for (last, (step, _)) in steps.iter().enumerate() {
            let Step::Input(bytes) = step else { continue };
            for cut in 0..bytes.len() {
                let mut world = World::new();
                let mut said = Vec::new();
                for (step, _) in &steps[..last] {
                    said.extend(self::step(&mut world, step, false));
                }
                let cut_off = Step::Input(bytes[..cut].to_vec());
                said.extend(self::step(&mut world, &cut_off, false));
                let place = format!("{} at byte {cut} of {step:?}", path.display());
                assert!(whole.starts_with(&said), "{place}: {}", shown(&said));
                world.with(false, Session::handle_closed);
                assert!(world.said().is_empty(), "{place}: nobody hears");
            }
        }
    }
}

/// Writes what the server says into a transcript.
fn write(path: &Path) {
    let mut world = World::new();
    let mut text = String::new();
    let mut input = String::new();
    let hear = |text: &mut String, world: &mut World, step: Step| {
        for line in shown(&self::step(world, &step, false)).split_terminator("\r\n") {
            // A continuation without text ends in a blank (RFC 3501 §7.5), which is kept.
            let line = format!("S: {line}");
            text.push_str(if line == "S: " { "S:" } else { &line });
            text.push('\n');
        }
    };
    let mut greeted = false;
    let mut lines = read(path);
    lines.retain(|line| !matches!(line, Line::Server(_)));
    lines.push(Line::Remark(String::new()));
    for line in lines {
        let (prefix, rest) = match &line {
            Line::Remark(rest) => ("", rest),
            Line::Client(rest) => ("C: ", rest),
            Line::Other(rest) => ("O: ", rest),
            Line::Host(rest) => ("! ", rest),
            Line::Server(_) => continue,
        };
        let goes_on = matches!(&line, Line::Client(_)) || !rest.is_empty() && prefix.is_empty();
        let in_header = !greeted && prefix.is_empty() && !rest.is_empty();
        if !in_header && !greeted || !goes_on && !input.is_empty() {
            greeted = true;
            let bytes = std::mem::take(&mut input).into_bytes();
            hear(&mut text, &mut world, Step::Input(bytes));
        }
        text.push_str(format!("{prefix}{rest}").trim_end());
        text.push('\n');
        match line {
            Line::Client(rest) => input.push_str(&format!("{rest}\r\n")),
            Line::Other(rest) => hear(&mut text, &mut world, Step::Other(rest)),
            Line::Host(rest) => hear(&mut text, &mut world, Step::Host(rest)),
            Line::Remark(_) | Line::Server(_) => {}
        }
    }
    let text = text.trim_end().to_owned() + "\n";
    std::fs::write(path, text).expect("a transcript can be written");
}
