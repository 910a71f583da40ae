//! Tables on the screen; a folder with everything that a number can be traced to.

mod axis;
pub mod bars;
pub mod chart;
pub mod curves;
mod figures;
mod folder;
mod picture;
pub(crate) mod plot;
pub mod redraw;
mod storms;
mod table;
pub(crate) mod units;

use std::fs;
use std::path::Path;

use hdrhistogram::Histogram;

use crate::login::Auth;
use crate::plan::Mailboxes;
use crate::study::{Findings, Study};

pub use folder::{Report, machine};
pub use table::table;

/// The findings for programs.
const FIGURES: &str = "figures.csv";

/// Writes a run's folder.
///
/// # Errors
/// If a file can't be written.
pub fn write(folder: &Path, study: &Study, findings: &Findings) -> std::io::Result<()> {
    let mut body = table(study, findings).to_string();
    for fault in &findings.faults.texts {
        body.push_str(&format!("\n\n* {fault}"));
    }
    let times = histograms(findings).into_iter();
    let report = Report {
        title: title(study),
        body,
        histograms: times.map(|(name, times, _)| (name.into(), times)).collect(),
    };
    report.write(folder)?;
    fs::write(folder.join(FIGURES), figures::csv(study, findings))
}

fn title(study: &Study) -> String {
    let mailboxes = match study.mailboxes {
        Mailboxes::Each => "a mailbox each",
        Mailboxes::One => "all in one mailbox",
    };
    let mut title = format!("{} sessions, {mailboxes}", units::count(study.sessions));
    if let Some(security) = study.security {
        title.push_str(&format!(", TLS 1.3 ({security:?})"));
    }
    if study.auth != Auth::Login {
        title.push_str(&format!(", {:?}", study.auth));
    }
    if study.pipelined {
        title.push_str(", SELECT and IDLE sent with the login");
    }
    title
}

/// All histograms with their names and notes.
fn histograms(findings: &Findings) -> Vec<(&'static str, &Histogram<u64>, String)> {
    let mut all = Vec::new();
    let plain = String::new;
    if let Some(singles) = &findings.singles {
        let note = format!("{} came before or with the 250", singles.before_250);
        all.push(("250 → EXISTS", &singles.after_250, note));
        all.push(("DATA end → EXISTS", &singles.after_data, plain()));
        all.push(("intended start → EXISTS", &singles.intended, plain()));
        all.push(("DATA end → 250", &singles.durable, plain()));
    }
    if let Some(reconnect) = &findings.reconnect {
        let singles = &reconnect.singles;
        let note = format!("{} sessions reconnect meanwhile", reconnect.sessions);
        all.push(("reconnecting: 250 → EXISTS", &singles.after_250, note));
        all.push((
            "reconnecting: DATA end → EXISTS",
            &singles.after_data,
            plain(),
        ));
    }
    if let Some(crowd) = &findings.crowd {
        all.push(("crowd: DATA end → 250", &crowd.durable, plain()));
        all.push(("crowd: 250 → first EXISTS", &crowd.first, plain()));
        all.push(("crowd: 250 → last EXISTS", &crowd.last, plain()));
        all.push(("crowd: first → last EXISTS", &crowd.spread, plain()));
    }
    if let Some(baseline) = &findings.baseline {
        all.push(("send loop: begin → end", &baseline.loop_only, plain()));
        all.push(("send loop: begin → last received", &baseline.last, plain()));
        all.push((
            "send loop: first → last received",
            &baseline.spread,
            plain(),
        ));
    }
    if let Some(burst) = &findings.burst {
        all.push(("burst: DATA end → 250", &burst.durable, plain()));
    }
    all
}
