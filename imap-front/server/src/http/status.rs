//! What the status page shows: looked at once a second, and made only while somebody looks.

use std::time::SystemTime;

use engine::stats::Counter;
use monitor::http::event;
use monitor::page::Sections;
use monitor::page::facts::{
    Certificate, Condition, Course, Facts, Moment, Refused, Shard, Slow, Store,
};
use monitor::sample::{Sample, Value};
use monitor::table;

use super::Inside;

const DAY_S: i64 = 86_400;
/// What is trouble if there is any of it.
const TROUBLE: [&table::Metric; 5] = [
    &table::REFUSALS,
    &table::DROPS,
    &table::SHARD_DROPS,
    &table::TURNED_AWAY,
    &table::ENDED,
];
/// What comes without anybody's fault.
const NO_TROUBLE: [&str; 4] = ["nobody_watches", "late_reply", "hangup", "closed"];

/// What the thread keeps from one second to the next.
#[derive(Default)]
pub(super) struct Pulse {
    course: Course,
    /// What streams were sent last.
    sent: Option<Sections>,
}

impl Pulse {
    /// A second has passed.
    pub(super) fn note(&mut self, inside: &Inside) {
        let measured = &inside.measured;
        let sum = |of: Counter| {
            let stats = measured
                .shards()
                .map(|id| measured.handle.stats(id).counter(of));
            stats.sum::<u64>()
        };
        let all = measured.sessions.iter();
        let commands = measured.commands();
        let logins = measured.authenticator.ended();
        let good = logins.filter(|(_, ended, _)| *ended == "ok");
        self.course.note(Moment {
            sessions: all.map(|it| it.strangers() + it.logged_in()).sum(),
            deliveries: measured.lines.deliveries().good(),
            announcements: sum(Counter::Announced) + sum(Counter::CaughtUp),
            commands: commands.iter().map(|(.., count)| count).sum(),
            logins: good.map(|(.., count)| count).sum(),
            told: measured.told(),
            synced: measured.store.stats().syncing().read(),
        });
    }

    /// The event of this second, for those who have had the one before.
    pub(super) fn event(&mut self, inside: &Inside) -> Vec<u8> {
        let sections = Sections::of(&self.facts(inside));
        let changes = sections.changes(self.sent.as_ref());
        self.sent = Some(sections);
        // A sign of life, if nothing else.
        event(changes.as_deref().unwrap_or("{}"))
    }

    /// The event for somebody who has come.
    pub(super) fn whole_event(&mut self, inside: &Inside) -> Vec<u8> {
        let sections = Sections::of(&self.facts(inside));
        event(sections.changes(None).as_deref().unwrap_or("{}"))
    }

    /// The page.
    pub(super) fn page(&self, inside: &Inside) -> String {
        let facts = self.facts(inside);
        Sections::of(&facts).page(&facts)
    }

    fn facts(&self, inside: &Inside) -> Facts {
        let measured = &inside.measured;
        let now = time_of_day();
        let up = now.duration_since(measured.started).unwrap_or_default();
        let samples = measured.samples();
        let conditions = measured.conditions.load();
        let conditions = conditions.iter().map(|it| Condition {
            text: it.text.clone(),
            met: it.met,
            remedy: it.remedy.clone(),
        });
        let refused = measured.lines.refused().into_iter().map(|it| Refused {
            address: it
                .client
                .map_or("local".into(), |client| client.to_string()),
            why: it.why,
            count: it.count,
        });
        let user = |id| measured.store.user_name(id).ok();
        let slow = measured
            .stalls
            .last()
            .into_iter()
            .map(|(plane, stall)| Slow {
                plane: plane.name(),
                call: stall.name,
                ms: stall.ns / 1_000_000,
                user: stall.user.and_then(user),
            });
        Facts {
            host: inside.host.clone(),
            version: env!("CARGO_PKG_VERSION"),
            up_s: up.as_secs(),
            not_ready: inside.not_ready(),
            shards: shards(inside),
            course: self.course.clone(),
            store: store(inside, up.as_nanos()),
            memory: memory(&samples),
            resident_bytes: one(&samples, &table::RESIDENT),
            slow: slow.collect(),
            refused: refused.collect(),
            trouble: trouble(&samples),
            conditions: conditions.collect(),
            certificates: certificates(inside, now),
        }
    }
}

fn shards(inside: &Inside) -> Vec<Shard> {
    let measured = &inside.measured;
    let each = measured.shards().zip(&measured.sessions);
    let shard = each.map(|(id, sessions)| {
        let stats = measured.handle.stats(id);
        let parked = stats.counter(Counter::Parked);
        Shard {
            login: sessions.strangers(),
            active: sessions.logged_in().saturating_sub(parked),
            parked,
            idling: sessions.idling(),
            open: stats.counter(Counter::Open),
            places: stats.counter(Counter::Places),
            tls: [Counter::Tls12, Counter::Tls13].map(|version| stats.counter(version)),
            topics: stats.counter(Counter::Topics),
            told: stats.told().read(),
        }
    });
    shard.collect()
}

fn store(inside: &Inside, up_ns: u128) -> Store {
    let (store, stats) = (&inside.measured.store, inside.measured.store.stats());
    let sizes = stats.sizes();
    Store {
        up: !store.has_failed() && !store.is_closed(),
        commits: sizes.iter().map(|size| size.commits).sum(),
        operations: sizes.iter().map(|size| size.operations).sum(),
        free_bytes: store.free_bytes(),
        busy_permille: (u128::from(stats.busy_ns()) * 1000 / up_ns.max(1)) as u64,
    }
}

fn whole(sample: &Sample) -> u64 {
    match sample.value {
        Value::Count(count) => count,
        Value::Float(_) | Value::Times(_) => 0,
    }
}

fn one(samples: &[Sample], metric: &'static table::Metric) -> u64 {
    let found = samples.iter().find(|sample| sample.metric == metric);
    found.map_or(0, whole)
}

fn memory(samples: &[Sample]) -> Vec<(&'static str, u64)> {
    let of = samples
        .iter()
        .filter(|sample| *sample.metric == table::MEMORY);
    let mut all: Vec<_> = of.map(|sample| (sample.help(), whole(sample))).collect();
    all.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    all
}

/// What is more than nothing, of all shards together.
fn trouble(samples: &[Sample]) -> Vec<(u64, &'static str)> {
    let mut all: Vec<(u64, &'static str)> = vec![];
    for sample in samples
        .iter()
        .filter(|sample| TROUBLE.contains(&sample.metric))
    {
        let last = sample.labels.last().map_or("", String::as_str);
        let (count, help) = (whole(sample), sample.help());
        if count == 0 || NO_TROUBLE.contains(&last) {
            continue;
        }
        match all.iter_mut().find(|(_, before)| *before == help) {
            Some((sum, _)) => *sum += count,
            None => all.push((count, help)),
        }
    }
    all
}

fn certificates(inside: &Inside, now: SystemTime) -> Vec<Certificate> {
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let now_s = since.as_secs().cast_signed();
    let shown = inside.measured.certificates.load();
    let each = shown.iter().map(|it| Certificate {
        file: it.file.clone(),
        names: it.names.clone(),
        days_left: (it.ends_s - now_s).div_euclid(DAY_S),
    });
    each.collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the page says for how long the server runs"
)]
fn time_of_day() -> SystemTime {
    SystemTime::now()
}
