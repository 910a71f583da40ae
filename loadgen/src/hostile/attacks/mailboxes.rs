//! Attacks by mailboxes and their names.

use std::io;

use super::{Stage, done};

/// Bytes of a long name, and of one for servers that take none as long.
const NAME_BYTES: [usize; 2] = [900, 200];
/// The attacker with many mailboxes, who may have no room for others' large one.
const NAMER: u32 = 1;
/// The attacker who renames.
const RENAMER: u32 = 2;
/// Connections that make mailboxes.
const MAKERS: usize = 8;
/// Wildcards of a pattern.
const WILDCARDS: usize = 400;
/// A letter of three bytes, as mailbox names have it (RFC 3501 section 5.1.3), so often that an
/// event has no room for two such names.
const CJK_LETTERS: usize = 341;

fn name(number: u32, bytes: usize) -> String {
    format!("{:a<width$}{number:06}", "m", width = bytes - 6)
}

/// Mailboxes with long names.
pub fn fill(stage: &Stage<'_>) -> io::Result<()> {
    let count = stage.plan.sizes.mailboxes;
    let (_, error) = stage.many(MAKERS, |maker| {
        let mut wire = stage.log_in(NAMER)?;
        for number in (maker as u32..count).step_by(MAKERS) {
            for bytes in NAME_BYTES {
                let made = wire.command(&format!("CREATE {}", name(number, bytes)))?;
                // It may be there from the last time.
                if made.starts_with("OK") || made.contains("exist") {
                    break;
                }
            }
        }
        Ok(())
    });
    error.map_or(Ok(()), Err)
}

/// LIST by patterns that cost, and by the plain one.
pub fn list(stage: &Stage<'_>) -> io::Result<String> {
    let mut wire = stage.log_in(NAMER)?;
    let costly = format!("LIST \"\" \"{}zz\"", "*".repeat(WILDCARDS));
    let mixed = format!("LIST \"\" \"{}zz\"", "*a%".repeat(WILDCARDS / 3));
    let deep = format!("LIST \"\" \"{}zz\"", "a*".repeat(WILDCARDS));
    let mut answers = Vec::new();
    for command in [&*costly, &*mixed, &*deep, "LIST \"\" *", "LSUB \"\" *"] {
        answers.push(wire.command(command)?);
    }
    Ok(answers.join("; "))
}

/// A mailbox that is named again and again.
pub fn one_long(stage: &Stage<'_>) -> io::Result<()> {
    let mut wire = stage.log_in(RENAMER)?;
    // What an earlier run has left.
    for number in 0..CJK_LETTERS {
        wire.begin(&format!("DELETE {}", cjk(number)))?;
    }
    let made = wire.command(&format!("CREATE {}", cjk(0)))?;
    match made.starts_with("OK") {
        true => Ok(()),
        false => Err(io::Error::other(made)),
    }
}

/// `&…-` of modified UTF-7 for a name of many letters, U+4E00 and its neighbour.
fn cjk(number: usize) -> String {
    use base64::Engine as _;
    let utf16: Vec<u8> = (0..CJK_LETTERS)
        .flat_map(|at| (0x4E00 + u16::from(at == number)).to_be_bytes())
        .collect();
    let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(utf16);
    format!("&{}-", text.replace('/', ","))
}

/// RENAMEs whose names an event has no room for.
pub fn rename(stage: &Stage<'_>) -> io::Result<String> {
    let mut wire = stage.log_in(RENAMER)?;
    let (mut good, mut refused) = (0, None);
    let numbers = (0..CJK_LETTERS).chain((0..CJK_LETTERS - 1).rev()).skip(1);
    let mut from = 0;
    for to in numbers.take(stage.plan.sizes.requests) {
        if stage.stopped() {
            break;
        }
        let result = wire.command(&format!("RENAME {} {}", cjk(from), cjk(to)))?;
        match result.starts_with("OK") {
            true => (good, from) = (good + 1, to),
            false => refused = refused.or(Some(result)),
        }
    }
    done(
        good,
        format!(
            "{good} renamed{}",
            refused.map_or(String::new(), |it| format!(", then {it}"))
        ),
    )
}
