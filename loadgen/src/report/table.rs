//! The findings of a run as rows.

use comfy_table::Table;
use hdrhistogram::Histogram;

use super::{histograms, storms};
use crate::study::{Again, Findings, Study};

/// The findings as rows: what, p50, p99, max, other.
pub fn table(study: &Study, findings: &Findings) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["measure", "p50", "p99", "max", "note"]);
    setup(&mut table, findings);
    memory(&mut table, findings);
    idle(&mut table, findings);
    for (name, times, note) in histograms(findings) {
        let value = |percent| format!("{} µs", times.value_at_percentile(percent));
        let max = format!("{} µs", times.max());
        table.add_row([name, &value(50.0), &value(99.0), &max, &note]);
    }
    if let Some(singles) = &findings.singles {
        unheard(&mut table, study, singles.unheard, study.deliveries);
    }
    reconnect(&mut table, study, findings);
    crowd(&mut table, study, findings);
    burst(&mut table, study, findings);
    sweep(&mut table, study, findings);
    for storm in &findings.storms {
        storms::rows(storm, study.sessions, &mut |name, value, note| {
            table.add_row([name, value, "", "", note]);
        });
    }
    let faults = &findings.faults;
    let count = format!(
        "{} / {} / {}",
        faults.missed, faults.doubled, faults.disordered
    );
    table.add_row(["misses / doubles / disorders", &count, "", "", ""]);
    table
}

fn setup(table: &mut Table, findings: &Findings) {
    let setup = &findings.setup;
    let seconds = setup.took_ns as f64 / 1e9;
    let note = format!("{} sessions in {seconds:.2} s", setup.sessions);
    let rate = format!("{:.0} /s", setup.sessions as f64 / seconds);
    table.add_row([
        "set-up (connect, LOGIN, SELECT, IDLE)",
        &rate,
        "",
        "",
        &note,
    ]);
    if setup.again != Again::default() {
        let note = storms::again(&setup.again);
        let count = setup.again.unavailable.to_string();
        table.add_row(["set-up: told to come again", &count, "", "", &note]);
    }
    let sessions = setup.sessions as u64;
    let cpu = each(setup.server_cpu_us, sessions);
    table.add_row(["set-up: server CPU a session", &cpu, "", "", ""]);
    let cpu = each(setup.own_cpu_us, sessions);
    table.add_row(["set-up: load generator CPU a session", &cpu, "", "", ""]);
    if setup.longest_turn_ns > 0 {
        let longest = format!("{:.1} ms", setup.longest_turn_ns as f64 / 1e6);
        let note = "the longest that a shard looked at nothing new, without sleep";
        table.add_row(["set-up: longest pause of a shard", &longest, "", "", note]);
    }
}

fn memory(table: &mut Table, findings: &Findings) {
    let memory = &findings.memory;
    for (name, bytes, note) in [
        (
            "server user memory a parked session",
            memory.server,
            "growth of Pss_Anon",
        ),
        (
            "server memory a parked session, all",
            memory.server_all,
            "growth of Pss: with files and shared memory",
        ),
        (
            "load generator memory a session",
            Some(memory.own),
            "growth of Pss_Anon",
        ),
        (
            "kernel memory a connection, both ends",
            memory.kernel,
            "what is not available any more, less server and load generator",
        ),
    ] {
        if let Some(bytes) = bytes {
            let (value, note) = growth(bytes, note);
            table.add_row([name, &value, "", "", &note]);
        }
    }
}

/// Memory that has grown, or that others gave back meanwhile: then nothing can be said.
fn growth(bytes: f64, note: &str) -> (String, String) {
    match bytes < 0.0 {
        false => (format!("{bytes:.0} B"), note.to_owned()),
        true => (
            "not to be seen".into(),
            format!("{note}; others gave back more than it took: {bytes:.0} B"),
        ),
    }
}

fn idle(table: &mut Table, findings: &Findings) {
    if let Some(idle) = &findings.idle {
        let note = format!(
            "over {} s; load generator {:.2} %, the whole host {:.2} %",
            idle.seconds, idle.own, idle.all
        );
        let value = format!("{:.2} %", idle.server);
        table.add_row(["idle: server CPU, of one core", &value, "", "", &note]);
    }
}

fn reconnect(table: &mut Table, study: &Study, findings: &Findings) {
    let Some(reconnect) = &findings.reconnect else {
        return;
    };
    let seconds = reconnect.took_ns as f64 / 1e9;
    let count = reconnect.sessions * reconnect.rounds;
    let note = format!(
        "{} sessions leave and come back at once, {} times, in {seconds:.2} s; {}",
        reconnect.sessions,
        reconnect.rounds,
        storms::again(&reconnect.again)
    );
    let rate = format!("{:.0} /s", count as f64 / seconds);
    table.add_row(["reconnecting", &rate, "", "", &note]);
    let cpu = each(reconnect.server_cpu_us, count as u64);
    table.add_row(["reconnecting: server CPU a session", &cpu, "", "", ""]);
    let heard = reconnect.singles.after_250.len() as usize + reconnect.singles.unheard;
    unheard(table, study, reconnect.singles.unheard, heard);
}

fn crowd(table: &mut Table, study: &Study, findings: &Findings) {
    let Some(crowd) = &findings.crowd else { return };
    let told = study.deliveries * study.sessions;
    unheard(table, study, crowd.unheard, told);
    let value = format!("{:.2} µs", crowd.server_cpu_us);
    table.add_row(["server CPU a notification", &value, "", "", ""]);
    if let Some(baseline) = &findings.baseline {
        let ratio = |ours: &Histogram<u64>, theirs: &Histogram<u64>| {
            let theirs = theirs.value_at_percentile(50.0).max(1);
            format!(
                "{:.2} ×",
                ours.value_at_percentile(50.0) as f64 / theirs as f64
            )
        };
        let last = ratio(&crowd.last, &baseline.last);
        let note = "250 → last, against the loop's begin → last";
        table.add_row(["crowd against the bare send loop", &last, "", "", note]);
        let spread = ratio(&crowd.spread, &baseline.spread);
        table.add_row(["the same, first → last", &spread, "", "", ""]);
    }
}

fn burst(table: &mut Table, study: &Study, findings: &Findings) {
    let Some(burst) = &findings.burst else { return };
    let note = format!(
        "{} over {} connections",
        burst.delivered, study.lmtp_connections
    );
    let rate = format!("{:.0} /s", burst.rate());
    table.add_row(["durable deliveries", &rate, "", "", &note]);
    let cpu = each(burst.server_cpu_us, burst.delivered);
    table.add_row(["burst: server CPU a delivery", &cpu, "", "", ""]);
    let Some(batches) = &burst.batches else {
        return;
    };
    let mean = format!("{:.1}", batches.mean());
    let note = format!(
        "{} commits, by size {}",
        batches.commits(),
        batches.shares()
    );
    table.add_row(["burst: operations a commit", &mean, "", "", &note]);
    let percent = |ns: u64| format!("{:.0} %", ns as f64 / burst.took_ns.max(1) as f64 * 100.0);
    let (busy, committing) = (percent(batches.busy_ns), percent(batches.commit_ns));
    let note = format!("of the time; {committing} to write and sync");
    table.add_row(["burst: the store's writer is busy", &busy, "", "", &note]);
    let Some(plain) = &findings.plain_file else {
        return;
    };
    let rate = format!("{:.0} /s", plain.rate());
    let note = format!(
        "{} records of {} bytes, an fdatasync for each of {} groups of the same sizes",
        plain.records, study.message_bytes, plain.commits
    );
    table.add_row(["plain file at the same sizes", &rate, "", "", &note]);
    let ratio = format!("{:.2} ×", burst.rate() / plain.rate());
    table.add_row(["deliveries against the plain file", &ratio, "", "", ""]);
}

fn sweep(table: &mut Table, study: &Study, findings: &Findings) {
    let Some(sweep) = &findings.sweep else { return };
    let seconds = sweep.took_ns as f64 / 1e9;
    let note = format!(
        "a message for each of {} mailboxes, {} recipients each, {} connections, {seconds:.1} s \
         until the last was told",
        sweep.delivered, sweep.recipients, study.lmtp_connections
    );
    let rate = format!("{:.0} /s", sweep.delivered as f64 / seconds);
    table.add_row(["sweep: mailboxes delivered and told", &rate, "", "", &note]);
    let cpu = each(sweep.server_cpu_us, sweep.delivered as u64);
    table.add_row(["sweep: server CPU a mailbox", &cpu, "", "", ""]);
    unheard(table, study, sweep.unheard, study.sessions);
}

/// What each of `count` took of a time in microseconds.
fn each(time_us: u64, count: u64) -> String {
    format!("{:.0} µs", time_us as f64 / count.max(1) as f64)
}

/// The row of notifications that were late.
fn unheard(table: &mut Table, study: &Study, count: usize, of: usize) {
    let note = format!("of {of}, within {} s", study.patience_s);
    table.add_row(["not heard in time", &count.to_string(), "", "", &note]);
}
