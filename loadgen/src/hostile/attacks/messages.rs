//! Attacks by many messages, and by large ones.

use std::io;
use std::time::{Duration, Instant};

use super::{Prepared, Stage, why};
use crate::hostile::message;

/// The large mailbox.
const LARGE: &str = "large";
/// Bytes of its messages.
const SMALL_BYTES: usize = 300;
/// Messages that are appended; the others are copies.
const APPENDED: u32 = 100;
/// Sessions that ask for a large message.
const SESSIONS: usize = 40;
/// Commands in one write.
const PIPELINED: usize = 20;

fn count(result: &str, what: &str) -> u32 {
    let mut words = result.split([' ', '(', ')']);
    let found = words.find(|word| *word == what).and_then(|_| words.next());
    found.and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn status(stage: &Stage<'_>, number: u32) -> io::Result<u32> {
    let mut wire = stage.log_in(number)?;
    let tag = wire.begin(&format!("STATUS {LARGE} (MESSAGES)"))?;
    let line = String::from_utf8_lossy(&wire.line()?).into_owned();
    if line.starts_with(&*tag) {
        return Ok(0);
    }
    wire.end(&tag)?;
    Ok(count(&line, "MESSAGES"))
}

/// A large mailbox of attacker `number`; one that is there is filled up.
pub fn fill(stage: &Stage<'_>, number: u32) -> io::Result<()> {
    let wanted = stage.plan.sizes.messages;
    let mut there = status(stage, number)?;
    let mut wire = stage.log_in(number)?;
    if there == 0 {
        // It may be there, and empty.
        wire.command(&format!("CREATE {LARGE}"))?;
    }
    while there < wanted.min(APPENDED) {
        wire.append(LARGE, &message(SMALL_BYTES))?;
        there += 1;
    }
    wire.must(&format!("SELECT {LARGE}"))?;
    while there < wanted {
        let more = there.min(wanted - there);
        wire.must(&format!("COPY 1:{more} {LARGE}"))?;
        there += more;
    }
    wire.must("UNSELECT").or_else(|_| wire.must("CLOSE"))
}

/// A session that has the large mailbox in view, with all numbers and UIDs.
pub fn in_view<'a>(stage: &Stage<'a>) -> io::Result<Prepared<'a>> {
    fill(stage, 0)?;
    let mut viewer = stage.log_in(0)?;
    viewer.must(&format!("SELECT {LARGE}"))?;
    viewer.must("FETCH 1:10 (UID)")?;
    Ok(vec![viewer])
}

/// Another session expunges a tenth, and the viewer is told.
pub fn expunge_in_view(stage: &Stage<'_>, prepared: &mut Prepared<'_>) -> io::Result<String> {
    let text = expunge(stage)?;
    let viewer = prepared.first_mut().expect("it was prepared");
    let begun = Instant::now();
    viewer.must("NOOP")?;
    Ok(format!(
        "{text}; the viewer was told in {}",
        shown(begun.elapsed())
    ))
}

fn shown(took: Duration) -> String {
    format!("{:.2} s", took.as_secs_f64())
}

/// Runs commands in the large mailbox and tells how long each took.
fn timed(stage: &Stage<'_>, commands: &[&str]) -> io::Result<String> {
    let mut wire = stage.log_in(0)?;
    wire.must(&format!("SELECT {LARGE}"))?;
    let mut told = Vec::new();
    for command in commands {
        let begun = Instant::now();
        let result = wire.command(command)?;
        let short: String = command.chars().take(24).collect();
        let word: String = result.chars().take(40).collect();
        told.push(format!("{short}: {word} in {}", shown(begun.elapsed())));
    }
    Ok(told.join("; "))
}

/// Flags of all messages.
pub fn store(stage: &Stage<'_>) -> io::Result<String> {
    timed(
        stage,
        &[
            "UID STORE 1:* +FLAGS.SILENT (\\Flagged)",
            "UID STORE 1:* -FLAGS.SILENT (\\Flagged)",
        ],
    )
}

/// A copy of all messages.
pub fn copy(stage: &Stage<'_>) -> io::Result<String> {
    stage.log_in(0)?.command("CREATE copies")?;
    timed(stage, &["UID COPY 1:* copies"])
}

/// A tenth of the messages goes.
pub fn expunge(stage: &Stage<'_>) -> io::Result<String> {
    let tenth = (stage.plan.sizes.messages / 10).max(1);
    let mark = format!("STORE 1:{tenth} +FLAGS.SILENT (\\Deleted)");
    timed(stage, &[&mark, "EXPUNGE"])
}

/// What looks at a whole mailbox.
pub fn search(stage: &Stage<'_>) -> io::Result<String> {
    timed(
        stage,
        &[
            "UID SEARCH ALL",
            "SEARCH UNSEEN",
            "SEARCH 1:*",
            "UID FETCH 1:* (FLAGS)",
        ],
    )
}

/// SELECT of a large mailbox with a recent message, EXPUNGE of the last one, EXAMINE.
pub fn select(stage: &Stage<'_>) -> io::Result<String> {
    let mut wire = stage.log_in(0)?;
    let (mut rounds, mut worst) = (0, Duration::ZERO);
    while !stage.stopped() && rounds < stage.plan.sizes.requests {
        wire.append(LARGE, &message(SMALL_BYTES))?;
        for command in [
            &*format!("SELECT {LARGE}"),
            "STORE * +FLAGS.SILENT (\\Deleted)",
            "EXPUNGE",
            &*format!("EXAMINE {LARGE}"),
            &*format!("STATUS {LARGE} (MESSAGES UNSEEN RECENT)"),
        ] {
            let begun = Instant::now();
            wire.must(command)?;
            worst = worst.max(begun.elapsed());
        }
        rounds += 1;
    }
    Ok(format!(
        "{rounds} rounds, the worst command in {}",
        shown(worst)
    ))
}

/// A large message of attacker 0, in INBOX.
pub fn large(stage: &Stage<'_>) -> io::Result<()> {
    let mut wire = stage.log_in(0)?;
    wire.append("INBOX", &message(stage.plan.sizes.message_bytes))
}

/// Sessions pipeline FETCH ENVELOPE and BODYSTRUCTURE of it.
pub fn envelope(stage: &Stage<'_>) -> io::Result<String> {
    let each = (stage.plan.sizes.requests / SESSIONS).max(1);
    let (good, error) = stage.many(SESSIONS, |_| {
        let mut wire = stage.log_in(0)?;
        wire.must("SELECT INBOX")?;
        let mut left = each;
        while left > 0 && !stage.stopped() {
            let now = left.min(PIPELINED);
            let mut last = String::new();
            for _ in 0..now {
                last = wire.begin("FETCH * (ENVELOPE BODYSTRUCTURE)")?;
            }
            wire.end(&last)?;
            left -= now;
        }
        Ok(())
    });
    Ok(format!(
        "{good} of {SESSIONS} sessions through{}",
        why(error)
    ))
}
