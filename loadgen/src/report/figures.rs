//! A run's findings for programs: a line `measure,value,unit` each.

use std::fmt::Write as _;

use super::{histograms, storms};
use crate::study::{Findings, Memory, Study};

/// Name, value, unit.
type Figure = (String, f64, &'static str);

/// All that was found, as CSV. Names have no comma.
pub(super) fn csv(study: &Study, findings: &Findings) -> String {
    let mut text = String::from("measure,value,unit\n");
    for (name, value, unit) in figures(study, findings) {
        writeln!(text, "{name},{value},{unit}").expect("a string takes everything");
    }
    text
}

fn figures(study: &Study, findings: &Findings) -> Vec<Figure> {
    let mut all: Vec<Figure> = vec![("sessions".into(), study.sessions as f64, "")];
    let mut add = |name: &str, value: f64, unit| all.push((name.into(), value, unit));
    add("set-up took", findings.setup.took_ns as f64 / 1e9, "s");
    let (setup, memory) = (&findings.setup, &findings.memory);
    let sessions = setup.sessions.max(1) as f64;
    add("set-up", setup_rate(findings), "/s");
    let each = |us: u64| us as f64 / sessions;
    add("set-up server CPU", each(setup.server_cpu_us), "µs");
    add("set-up load generator CPU", each(setup.own_cpu_us), "µs");
    add("set-up: unavailable", setup.again.unavailable as f64, "");
    for (name, bytes) in known(memory) {
        add(name, bytes, "B");
    }
    if let Some(idle) = &findings.idle {
        add("idle server CPU", idle.server, "%");
        add("idle load generator CPU", idle.own, "%");
        add("idle host CPU", idle.all, "%");
    }
    if let Some(crowd) = &findings.crowd {
        add("notification server CPU", crowd.server_cpu_us, "µs");
    }
    if let Some(burst) = &findings.burst {
        add("durable deliveries", burst.rate(), "/s");
        let cpu = burst.server_cpu_us as f64 / burst.delivered.max(1) as f64;
        add("delivery server CPU", cpu, "µs");
        if let Some(batches) = &burst.batches {
            add("operations a commit", batches.mean(), "");
            let share = |ns: u64| ns as f64 / burst.took_ns.max(1) as f64 * 100.0;
            add("store writer busy", share(batches.busy_ns), "%");
            add("store writer committing", share(batches.commit_ns), "%");
        }
        if let Some(plain) = &findings.plain_file {
            add("plain file records", plain.rate(), "/s");
            add("deliveries a record", burst.rate() / plain.rate(), "×");
        }
    }
    if let Some(reconnect) = &findings.reconnect {
        let count = (reconnect.sessions * reconnect.rounds) as f64;
        let seconds = reconnect.took_ns.max(1) as f64 / 1e9;
        add("reconnecting", count / seconds, "/s");
        let cpu = reconnect.server_cpu_us as f64 / count.max(1.0);
        add("reconnecting: server CPU", cpu, "µs");
        let again = &reconnect.again;
        add("reconnecting: unavailable", again.unavailable as f64, "");
        add("reconnecting: cut", again.cut as f64, "");
    }
    if let Some(sweep) = &findings.sweep {
        let seconds = sweep.took_ns.max(1) as f64 / 1e9;
        add("sweep", sweep.delivered as f64 / seconds, "/s");
        add("sweep: not heard in time", sweep.unheard as f64, "");
    }
    for storm in &findings.storms {
        let name = storms::name(storm.kind);
        let all = study.sessions as f64;
        add(&format!("storm {name}"), storm.took_ns as f64 / 1e9, "s");
        for (what, count) in [
            ("unavailable", storm.again.unavailable),
            ("cut", storm.again.cut),
            ("refused", storm.refused),
        ] {
            add(&format!("storm {name}: {what}"), count as f64, "");
        }
        if let Some(us) = storm.server_cpu_us {
            add(&format!("storm {name}: server CPU"), us as f64 / all, "µs");
        }
        let own_us = storm.own_cpu_us as f64 / all;
        add(&format!("storm {name}: own CPU"), own_us, "µs");
        if let Some(ns) = storm.down_ns {
            add(&format!("storm {name}: nobody there"), ns as f64 / 1e9, "s");
        }
    }
    for (name, times, _) in histograms(findings) {
        for percent in [50.0, 99.0] {
            let value = times.value_at_percentile(percent) as f64;
            add(&format!("{name} p{percent}"), value, "µs");
        }
        add(&format!("{name} max"), times.max() as f64, "µs");
    }
    let faults = &findings.faults;
    add("faults", faults.total() as f64, "");
    all
}

/// Memory a session. What is less than nothing is left out: others gave back more than the sessions
/// took, so nothing is known of it.
fn known(memory: &Memory) -> impl Iterator<Item = (&'static str, f64)> {
    let all = [
        ("server user memory", memory.server),
        ("server memory", memory.server_all),
        ("load generator memory", Some(memory.own)),
        ("kernel memory", memory.kernel),
    ];
    let named = all
        .into_iter()
        .filter_map(|(name, bytes)| Some((name, bytes?)));
    named.filter(|(_, bytes)| *bytes >= 0.0)
}

/// Sessions set up a second.
fn setup_rate(findings: &Findings) -> f64 {
    let setup = &findings.setup;
    setup.sessions as f64 / (setup.took_ns.max(1) as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::{Findings, Memory, known, setup_rate};
    use crate::study::Setup;

    #[test]
    fn a_rate_is_by_the_second() {
        let setup = Setup {
            sessions: 30,
            took_ns: 3_000_000_000,
            ..Setup::default()
        };
        let findings = Findings {
            setup,
            ..Findings::default()
        };
        assert!((setup_rate(&findings) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn memory_that_is_less_than_nothing_is_left_out() {
        let memory = Memory {
            server: Some(316.0),
            kernel: Some(-192_770.0),
            ..Memory::default()
        };
        let all: Vec<_> = known(&memory).collect();
        assert_eq!(
            all,
            [
                ("server user memory", 316.0),
                ("load generator memory", 0.0)
            ]
        );
    }
}
