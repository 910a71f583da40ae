//! Storms as rows.

use crate::study::{Again, Storm, StormKind};

/// A row's name, value and note.
type Row<'a> = &'a mut dyn FnMut(&str, &str, &str);

/// Reasons that are told.
const REASONS_MAX: usize = 3;

/// What a storm is called in tables.
pub(super) fn name(kind: StormKind) -> &'static str {
    match kind {
        StormKind::Done => "done",
        StormKind::Deaf => "deaf",
        StormKind::Leave => "leave",
        StormKind::Restart => "restart",
    }
}

/// How often sessions came again, and why.
pub(super) fn again(again: &Again) -> String {
    let Again {
        unavailable,
        cut,
        reasons,
    } = again;
    let mut text = format!(
        "{unavailable} times after NO [UNAVAILABLE], {cut} times as they were cut or refused"
    );
    let mut reasons: Vec<_> = reasons.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (why, count) in reasons.into_iter().take(REASONS_MAX) {
        text.push_str(&format!("; {count}: {why}"));
    }
    text
}

/// How it went, and what it took.
pub(super) fn rows(storm: &Storm, sessions: usize, row: Row<'_>) {
    let name = name(storm.kind);
    let about = match storm.kind {
        StormKind::Done => "every session ends its IDLE at once and idles again",
        StormKind::Deaf => "nobody reads while each mailbox gets a message; then all read again",
        StormKind::Leave => "everybody leaves at once, and comes back at once",
        StormKind::Restart => "the server is restarted, and everybody comes back at once",
    };
    let seconds = format!("{:.1} s", storm.took_ns as f64 / 1e9);
    row(
        &format!("storm {name}: until all is as before"),
        &seconds,
        about,
    );
    if let Some(ns) = storm.down_ns {
        let seconds = format!("{:.1} s", ns as f64 / 1e9);
        let about = "of these, until everybody had lost the server and it listened again";
        row(&format!("storm {name}: nobody there"), &seconds, about);
    }
    let count = (storm.again.unavailable + storm.again.cut).to_string();
    let came = format!("storm {name}: came again");
    row(&came, &count, &again(&storm.again));
    let note = format!("sessions of {sessions} that are not back, however often they came");
    let refused = storm.refused.to_string();
    row(&format!("storm {name}: refused"), &refused, &note);
    if storm.kind == StormKind::Deaf {
        let unheard = storm.unheard.to_string();
        row(
            "storm deaf: not heard in time",
            &unheard,
            "of those that stayed",
        );
    }
    if let Some(us) = storm.server_cpu_us.filter(|us| *us > 0) {
        let cpu = format!("{:.0} µs", us as f64 / sessions as f64);
        row(&format!("storm {name}: server CPU a session"), &cpu, "");
    }
    let cpu = format!("{:.0} µs", storm.own_cpu_us as f64 / sessions as f64);
    let name_of_it = format!("storm {name}: load generator CPU a session");
    row(&name_of_it, &cpu, "");
    if storm.longest_turn_ns > 0 {
        let longest = format!("{:.1} ms", storm.longest_turn_ns as f64 / 1e6);
        row(
            &format!("storm {name}: longest pause of a shard"),
            &longest,
            "",
        );
    }
    let megabytes = |bytes: u64| format!("{:.0} MB", bytes as f64 / 1e6);
    if let Some([before, most, after]) = storm.bytes {
        let note = format!("{} before, {} after", megabytes(before), megabytes(after));
        let name = format!("storm {name}: server user memory, at most");
        row(&name, &megabytes(most), &note);
    }
    if let Some(empty) = storm.empty_bytes {
        let name = format!("storm {name}: server user memory without sessions");
        row(&name, &megabytes(empty), "");
    }
}
