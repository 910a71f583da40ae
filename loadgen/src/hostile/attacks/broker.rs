//! Attacks on the event broker.

use std::io;
use std::time::{Duration, Instant};

use super::Stage;
use crate::hostile::enp;
use crate::wire::{From, Wire};

/// Parameters of an event that has many.
const PARAMETERS: usize = 1000;
/// Frames in one write.
const BLOCK: usize = 500;

fn connect<'a>(stage: &Stage<'a>) -> io::Result<Wire<'a>> {
    let to = stage
        .plan
        .ens
        .ok_or_else(|| io::Error::other("give the broker's address"))?;
    let mut wire = Wire::connect(to, From::Attacker, stage.until())?;
    wire.send(&enp::hello())?;
    Ok(wire)
}

/// Subscribes as often as it may; gives how often that was.
fn subscribe_often(stage: &Stage<'_>, wire: &mut Wire<'_>) -> io::Result<usize> {
    let count = stage.plan.sizes.requests;
    let mut block = Vec::new();
    for id in 1..=count as u32 {
        block.extend(enp::subscribe(
            id,
            &format!("enp://127.0.0.1/store?p{id}=x"),
        ));
        if (id as usize).is_multiple_of(BLOCK) || id as usize == count {
            wire.send(&block)?;
            block.clear();
            if stage.stopped() {
                return Ok(id as usize);
            }
        }
    }
    Ok(count)
}

/// Waits until the broker has taken everything.
fn settled(wire: &mut Wire<'_>) -> io::Result<Duration> {
    let begun = Instant::now();
    wire.send(&enp::question())?;
    let (answer, mut last) = (enp::answer(), Vec::new());
    let mut buffer = [0; 64 * 1024];
    loop {
        let count = wire.receive(&mut buffer)?;
        last.extend_from_slice(&buffer[..count]);
        if last.windows(answer.len()).any(|bytes| bytes == answer) {
            return Ok(begun.elapsed());
        }
        let keep = last.len().saturating_sub(answer.len());
        last.drain(..keep);
    }
}

/// Very many subscriptions of one client, and its leave.
pub fn subscribe(stage: &Stage<'_>) -> io::Result<String> {
    let mut wire = connect(stage)?;
    let count = subscribe_often(stage, &mut wire)?;
    let took = settled(&mut wire)?;
    Ok(format!(
        "{count} subscriptions sent, taken {:.2} s after the last",
        took.as_secs_f64()
    ))
}

/// Events with very many parameters against very many subscriptions of one key.
pub fn match_many(stage: &Stage<'_>) -> io::Result<String> {
    let mut subscriber = connect(stage)?;
    let count = subscribe_often(stage, &mut subscriber)?;
    settled(&mut subscriber)?;
    let parameters: Vec<String> = (0..PARAMETERS).map(|at| format!("q{at}=x")).collect();
    let event = format!("enp://127.0.0.1/store?{}", parameters.join("&"));
    let mut publisher = connect(stage)?;
    let mut worst = Duration::ZERO;
    let mut published = 0;
    while !stage.stopped() && published < 20 {
        publisher.send(&enp::publish(&event))?;
        worst = worst.max(settled(&mut publisher)?);
        published += 1;
    }
    Ok(format!(
        "{count} subscriptions, {published} events, the worst took {:.2} s",
        worst.as_secs_f64()
    ))
}
