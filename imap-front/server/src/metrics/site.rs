//! What is counted of the other hosts' brokers.
#![expect(
    clippy::disallowed_methods,
    reason = "what enpd has said is good for a second of the machine's clock"
)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ens::control;
use ens::site::{Counters, Figures};
use monitor::sample::Sample;
use monitor::table;

/// How long `enpd` may take to answer, a step.
const WITHIN: Duration = Duration::from_millis(200);
/// How long its answer is good; and how long it is left alone when it gives none.
const GOOD_FOR: Duration = Duration::from_secs(1);
const ALONE_FOR: Duration = Duration::from_secs(5);

/// A site that the broker of this host joins.
pub enum Site {
    /// That is this process.
    Here(Arc<Counters>),
    /// That is `enpd`.
    There(Elsewhere),
}

/// What another process counts, asked no more often than once a second.
pub struct Elsewhere {
    path: PathBuf,
    /// What it has said, and until when it is not asked again.
    said: Mutex<(Option<Figures>, Option<Instant>)>,
}

impl Site {
    /// What is counted now; none if the broker can't be asked, or has not joined.
    pub fn figures(&self) -> Option<Figures> {
        match self {
            Self::Here(counters) => Some(counters.figures()),
            Self::There(elsewhere) => elsewhere.figures(),
        }
    }
}

impl Elsewhere {
    /// At this socket of `enpd`.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            said: Mutex::default(),
        }
    }

    fn figures(&self) -> Option<Figures> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let (figures, until) = &mut *said;
        if until.is_none_or(|until| until <= Instant::now()) {
            let asked = control::figures(&self.path, WITHIN);
            let rests = if asked.is_ok() { GOOD_FOR } else { ALONE_FOR };
            *figures = asked.ok().flatten();
            *until = Some(Instant::now() + rests);
        }
        *figures
    }
}

/// Samples of a site.
pub(super) fn samples(site: &Figures, all: &mut Vec<Sample>) {
    all.extend([
        Sample::new(&table::SITE_CONNECTED, u64::from(site.connected)),
        Sample::new(&table::SITE_BROKERS, site.brokers),
        Sample::new(&table::SITE_CONNECTS, site.connects),
    ]);
    for (way, count) in [("sent", site.sent), ("heard", site.heard)] {
        all.push(Sample::with(&table::SITE_EVENTS, [way], count));
    }
    for (reason, count) in [
        ("dropped", site.dropped),
        ("too_large", site.too_large),
        ("missed", site.missed),
        ("unknown", site.unknown),
        ("crowded", site.crowded),
    ] {
        all.push(Sample::with(&table::SITE_LOST, [reason], count));
    }
    for (way, count) in [
        ("in", site.flooded),
        ("out", site.unsent),
        ("strange", site.strange),
    ] {
        all.push(Sample::with(&table::SITE_MESSAGES_DROPPED, [way], count));
    }
}
