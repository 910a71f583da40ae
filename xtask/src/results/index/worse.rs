//! What a study's newest run found worse than the run before it.

use super::Run;
use super::tables;
use crate::results::Study;

/// A measure that is worse.
pub(super) struct Worse {
    pub(super) measure: String,
    /// What it was, and what it is.
    pub(super) before: String,
    pub(super) now: String,
    /// Such as `12 %`.
    pub(super) by: String,
}

/// All measures that are worse by a tenth and more.
pub(super) fn measures(study: &Study, before: &str, now: &str) -> Vec<Worse> {
    let mut found = Vec::new();
    for measure in study.headlines {
        let then = tables::rows(before, measure);
        for row in tables::rows(now, measure) {
            let Some(then) = then.iter().find(|then| then.of == row.of) else {
                continue;
            };
            for cell in row.cells.iter().filter(|cell| !cell.is_others()) {
                let same = then.cells.iter().find(|then| then.column == cell.column);
                let Some((then, now)) = same.and_then(|it| it.figure()).zip(cell.figure()) else {
                    continue;
                };
                if let Some(part) = now.worse(measure, &then) {
                    let column = match cell.column.as_str() {
                        "p99" | "plain" | "TLS" => format!(", {}", cell.column),
                        _ => String::new(),
                    };
                    let of = row
                        .of
                        .iter()
                        .map(|of| format!(", {of}"))
                        .collect::<String>();
                    found.push(Worse {
                        measure: format!("{measure}{of}{column}"),
                        before: then.shown(),
                        now: now.shown(),
                        by: by(part),
                    });
                }
            }
        }
    }
    found
}

fn by(part: f64) -> String {
    match part {
        it if it.is_infinite() => "there was none".into(),
        it if it >= 1.0 => format!("{:.1} ×", it + 1.0),
        it => format!("{:.0} %", it * 100.0),
    }
}

/// What keeps two runs from being a pair.
pub(super) fn apart(before: &Run, now: &Run) -> String {
    let machine = |run: &Run| {
        let lines = run.report.lines();
        lines
            .filter_map(|line| line.strip_prefix("| machine |"))
            .next()
            .map(|it| {
                // Its memory differs by a few pages from boot to boot.
                it.rsplit_once(',').map_or(it, |(name, _)| name).to_owned()
            })
    };
    let day = before.name.get(..10) != now.name.get(..10);
    let other = machine(before) != machine(now);
    match (day, other) {
        (true, true) => "another day, another machine".into(),
        (true, false) => "another day".into(),
        (false, true) => "another machine".into(),
        (false, false) => "the same day".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Kind;

    const STUDY: Study = Study {
        name: "brokers",
        about: "",
        kind: Kind::Brokers,
        arguments: &[],
        headlines: &["pace", "rate", "faults"],
    };

    fn report(machine: &str, pace: &str, nats: &str, faults: u32) -> String {
        format!(
            "| | |\n|---|---|\n| machine | {machine}, 2 cores, 99 kB |\n\n\
             | measure | enpd | nats |\n|---|---|---|\n| pace | {pace} | {nats} |\n\
             | faults | {faults} | 0 |\n"
        )
    }

    #[test]
    fn what_got_worse_is_ensigns() {
        let before = report("a", "100 µs", "100 µs", 0);
        let now = report("a", "1200 µs", "900 µs", 2);
        let all = measures(&STUDY, &before, &now);
        let texts: Vec<_> = all
            .iter()
            .map(|it| (&*it.measure, &*it.now, &*it.by))
            .collect();
        assert_eq!(
            texts,
            [
                ("pace", "1.20 ms", "12.0 ×"),
                ("faults", "2", "there was none")
            ]
        );
        assert!(measures(&STUDY, &now, &before).is_empty());
    }

    #[test]
    fn runs_of_different_days_and_machines_are_no_pairs() {
        let run = |name: &str, machine| Run {
            name: name.into(),
            report: report(machine, "1 µs", "1 µs", 0),
        };
        let first = run("2026-11-24-brokers", "a");
        assert_eq!(
            apart(&first, &run("2026-11-24-brokers-2", "a")),
            "the same day"
        );
        assert_eq!(
            apart(&first, &run("2026-11-26-brokers", "b")),
            "another day, another machine"
        );
    }
}
