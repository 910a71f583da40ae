//! Attacks by logins.

use std::io;
use std::time::Instant;

use super::{Prepared, Stage, why};
use crate::plan;

/// Threads that guess.
const GUESSERS: usize = 8;
/// Sessions of each user with a costly password.
const SESSIONS_EACH: u32 = 15;

/// Logins that are sent and not waited for.
pub fn guess(stage: &Stage<'_>) -> io::Result<String> {
    let each = stage.plan.sizes.requests / GUESSERS;
    let (good, error) = stage.many(GUESSERS, |_| {
        for _ in 0..each {
            if stage.stopped() {
                break;
            }
            let mut wire = stage.connect()?;
            wire.begin("LOGIN nobody guess")?;
        }
        Ok(())
    });
    Ok(format!(
        "{good} of {GUESSERS} guessers through{}",
        why(error)
    ))
}

/// Users who were never there log in, all at once.
pub fn cold<'a>(stage: &Stage<'a>, held: &mut Prepared<'a>) -> io::Result<String> {
    let sessions = stage.plan.sizes.connections.min(300) as u32;
    let mut begun = Vec::new();
    let start = Instant::now();
    for number in 0..sessions {
        let user = plan::user(&stage.plan.cold_users, number / SESSIONS_EACH);
        let mut wire = stage.connect()?;
        let tag = wire.begin(&format!("LOGIN {user} {}", stage.plan.password))?;
        begun.push((wire, tag));
    }
    let (mut good, mut first) = (0, None);
    for (mut wire, tag) in begun {
        match wire.end(&tag) {
            Ok(result) if result.starts_with("OK") => good += 1,
            Ok(result) => first = first.or(Some(io::Error::other(result))),
            Err(error) => first = first.or(Some(error)),
        }
        held.push(wire);
    }
    let took = start.elapsed().as_secs_f64();
    Ok(format!(
        "{good} of {sessions} logged in within {took:.2} s{}",
        why(first)
    ))
}
