//! What is promised of what tools say, for any bytes whatsoever: each line is answered by one line,
//! and records are read or refused. Targets for fuzzing; see `fuzz/`.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use archive::backup::record::Record;
use bytes::Bytes;
use serde_json::Value;

use super::keeping::{Question, receive};
use super::{Asked, Failed, Tool};

/// More lines, and their answers fill the socket before they are read.
const LINES_MAX: usize = 64;
/// More bytes than an input has.
const BYTES_MAX: usize = 64 << 10;

/// A tool that says these bytes: nothing it asks is done, all of it is read.
pub fn control(data: &[u8]) {
    let lines = data.split_inclusive(|byte| *byte == b'\n').count();
    if data.len() > BYTES_MAX || lines > LINES_MAX {
        return;
    }
    let (mut ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    ours.write_all(data).expect("the socket takes it");
    ours.shutdown(Shutdown::Write).expect("it is open");
    let mut tool = Tool::new(theirs, 0, 1).expect("a socket");
    let mut asked = 0;
    let outcome = tool.converse(|question, tool| {
        asked += 1;
        passed_over(question, tool)
    });
    drop(tool);
    let mut said = String::new();
    ours.read_to_string(&mut said)
        .expect("what it is told is text");
    let mut answers = 0;
    for line in said.lines() {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        assert!(line["done"].is_u64() || line["error"].is_string(), "{line}");
        answers += 1;
    }
    assert!(
        asked <= answers && answers <= lines,
        "{asked} {answers} {lines}"
    );
    // Only what is no line of text ends it sooner.
    if outcome.is_err() {
        assert!(std::str::from_utf8(data).is_err() || !data.ends_with(b"\n"));
    }
}

/// Reads what belongs to a question.
fn passed_over(question: Asked, tool: &mut Tool) -> Result<u64, Failed> {
    let mut left = match question {
        Asked::Deliver { size, .. } => {
            tool.pass_over(size);
            return Ok(1);
        }
        Asked::Keep(Question::PutMessages(some)) => some.bytes,
        Asked::Keep(Question::PutEntries { bytes, .. }) => bytes,
        _ => return Ok(1),
    };
    while left > 0 {
        if let Err(failed) = receive(tool, &mut left) {
            tool.pass_over(left);
            return Err(failed);
        }
    }
    Ok(1)
}

/// A record; the first byte is its kind. What was read is written as it was.
pub fn record(data: &[u8]) {
    let Some((&kind, payload)) = data.split_first() else {
        return;
    };
    let Ok(record) = Record::decode(kind, Bytes::copy_from_slice(payload)) else {
        return;
    };
    if matches!(record, Record::Unknown(_)) {
        return;
    }
    assert_eq!(record.kind(), kind);
    let again = Record::decode(kind, record.encode().into());
    assert_eq!(again.ok(), Some(record));
}

#[cfg(test)]
#[path = "../../../../tests/fuzz/inputs.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod inputs;

#[cfg(test)]
mod tests {
    use super::{inputs, *};

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");
    /// Mutations of what goes through a socket.
    const MUTATIONS: usize = 3_000;

    #[test]
    fn any_bytes_are_questions_or_refused() {
        inputs::run_some(FOLDER, "control", control, MUTATIONS);
    }

    #[test]
    fn any_bytes_are_a_record_or_refused() {
        inputs::run(FOLDER, "record", record);
    }
}
