//! Bodies that messages share, and those that none uses.

use std::collections::BTreeSet;
use std::ops::ControlFlow::Continue;

use super::survey::{Survey, number};
use crate::kv::Space;
use crate::logic::keys;
use crate::rows::u64_row;

pub(super) fn check(survey: &mut Survey<'_>) {
    if survey.is_underway {
        return;
    }
    // Without all messages nobody knows what is in use.
    let is_whole = [
        Space::Messages,
        Space::Mailboxes,
        Space::Spools,
        Space::Kept,
        Space::Departed,
        Space::Expunged,
    ]
    .iter()
    .all(|space| !survey.unread.contains(space.name()));
    check_references(survey, is_whole);
    if is_whole {
        release_unused(survey);
    }
}

fn check_references(survey: &mut Survey<'_>, is_whole: bool) {
    let mut counts = Vec::new();
    let outcome = survey.rows.scan(
        Space::References,
        &[],
        &[0xff; 9],
        false,
        &mut |key, row| {
            counts.push((key.to_vec(), u64_row(row).ok()));
            Continue(())
        },
    );
    if let Err(error) = outcome {
        return survey.unreadable(Space::References, &error);
    }
    let mut wrong = 0;
    let mut counted = survey.bodies.clone();
    counted.retain(|_, count| *count > 1);
    for (key, count) in counts {
        let used = number(&key).and_then(|body| counted.remove(&body));
        if used != count && (is_whole || used > count) {
            wrong += 1;
            match used {
                Some(used) => survey
                    .repair
                    .put(Space::References, key, keys::number(used)),
                None => survey.repair.delete(Space::References, key),
            }
        }
    }
    for (body, count) in counted {
        wrong += 1;
        let key = keys::number(body);
        survey
            .repair
            .put(Space::References, key, keys::number(count));
    }
    if wrong > 0 {
        let what = format!("{wrong} counts of how many messages share a body are wrong");
        survey.find(None, None, false, what);
    }
}

fn release_unused(survey: &mut Survey<'_>) {
    let mut spools = BTreeSet::new();
    let read_spools = survey.rows.keys(Space::Spools, &mut |key| {
        spools.extend(number(key));
    });
    let mut unused = Vec::new();
    let mut highest = 0;
    let read_bodies = survey.rows.keys(Space::Bodies, &mut |key| {
        let body = key.get(..8).and_then(number).unwrap_or(0);
        if survey.gives(body) {
            highest = highest.max(body);
        }
        if !survey.bodies.contains_key(&body) && !spools.contains(&body) {
            unused.push(key.to_vec());
        }
    });
    for (space, outcome) in [(Space::Spools, read_spools), (Space::Bodies, read_bodies)] {
        if let Err(error) = outcome {
            return survey.unreadable(space, &error);
        }
    }
    survey.uses_body(highest);
    if !unused.is_empty() {
        let pieces = unused.len();
        let what = format!("{pieces} pieces of bodies are used by no message; they are released");
        survey.find(None, None, false, what);
    }
    let delete = |key| survey.repair.delete(Space::Bodies, key);
    unused.into_iter().for_each(delete);
    release_made(survey, Space::SortKeys, "rows of sort keys");
    release_made(survey, Space::Structures, "structures");
}

/// Removes what was made of messages that are not there.
fn release_made(survey: &mut Survey<'_>, space: Space, what: &str) {
    let mut unused = Vec::new();
    let read = survey.rows.keys(space, &mut |key| {
        if !number(key).is_some_and(|body| survey.bodies.contains_key(&body)) {
            unused.push(key.to_vec());
        }
    });
    if let Err(error) = read {
        return survey.unreadable(space, &error);
    }
    if unused.is_empty() {
        return;
    }
    let what = format!(
        "{} {what} belong to no message; they are removed",
        unused.len()
    );
    survey.find(None, None, false, what);
    let delete = |key| survey.repair.delete(space, key);
    unused.into_iter().for_each(delete);
}
