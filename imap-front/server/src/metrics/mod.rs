//! What the server has counted, as samples of the table of `monitor`: for `/metrics`, the status
//! page and `counterutil`. Everything is counted where it happens; nobody is walked through or
//! waited for here.

mod process;
mod requests;
mod shards;
mod site;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use admin::idle::Condition;
use arc_swap::ArcSwap;
use counting::Counted;
use engine::event::ShardId;
use monitor::sample::Sample;
use monitor::table;
use proto::imap::CommandCounts;
use store::Store;

use crate::bounds::{Bound, Bounds};
use crate::certificates::Shown;
use crate::control::{Authenticator, MailHandle};
use crate::front::SessionCounts;
use crate::lines::Lines;
use crate::stalls::Stalls;

pub use requests::HttpCounts;
pub use site::{Elsewhere, Site};

/// Everybody who counts.
pub struct Measured {
    /// The shards.
    pub handle: MailHandle,
    /// The sessions of each.
    pub sessions: Vec<Arc<SessionCounts>>,
    /// Their commands.
    pub commands: Vec<Arc<CommandCounts>>,
    /// The store.
    pub store: Store,
    /// What was refused and dropped.
    pub bounds: Arc<Bounds>,
    /// What took too long.
    pub stalls: Arc<Stalls>,
    /// Who logs in.
    pub authenticator: Arc<Authenticator>,
    /// Lines of the log, and deliveries.
    pub lines: Arc<Lines>,
    /// The certificates in use.
    pub certificates: Arc<ArcSwap<Vec<Shown>>>,
    /// When IDLE is offered.
    pub conditions: Arc<ArcSwap<Vec<Condition>>>,
    /// Who asks here.
    pub http: Arc<HttpCounts>,
    /// The site, if the broker of this host joins one.
    pub site: Option<Site>,
    /// When the process began.
    pub started: SystemTime,
}

impl Measured {
    /// All that is known, now.
    pub fn samples(&self) -> Vec<Sample> {
        let mut all = Vec::with_capacity(512);
        self.of_shards(&mut all);
        self.of_server(&mut all);
        self.of_store(&mut all);
        process::look(self.started, &mut all);
        all
    }

    /// How soon sessions were told, on all shards.
    pub fn told(&self) -> Counted {
        let mut all = Counted::default();
        for shard in self.shards() {
            all.merge(&self.handle.stats(shard).told().read());
        }
        all
    }

    /// The shards.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.handle.shards()).map(ShardId)
    }

    /// Commands by name and how they ended, on all shards; those that were ever given.
    pub fn commands(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut sums: Vec<(&'static str, &'static str, u64)> = vec![];
        for counts in &self.commands {
            match sums.is_empty() {
                true => sums = counts.all().collect(),
                false => {
                    let pairs = sums.iter_mut().zip(counts.all());
                    pairs.for_each(|(sum, (.., count))| sum.2 += count);
                }
            }
        }
        sums.retain(|(.., count)| *count > 0);
        sums
    }

    fn of_server(&self, all: &mut Vec<Sample>) {
        for (command, result, count) in self.commands() {
            all.push(Sample::with(&table::COMMANDS, [command, result], count));
        }
        for (scheme, result, count) in self.authenticator.ended() {
            let labels = [scheme, result];
            all.push(Sample::with(&table::AUTHENTICATIONS, labels, count));
        }
        all.push(Sample::new(
            &table::PASSWORDS,
            self.authenticator.computed(),
        ));
        let deliveries = self.lines.deliveries();
        for (result, count) in [("ok", &deliveries.good), ("refused", &deliveries.refused)] {
            let count = count.load(Relaxed);
            all.push(Sample::with(&table::DELIVERIES, [result], count));
        }
        let refused = deliveries.recipients_refused.load(Relaxed);
        all.extend([
            Sample::new(&table::DELIVERY, deliveries.took.read()),
            Sample::new(&table::DELIVERED_BYTES, deliveries.bytes.load(Relaxed)),
            Sample::new(&table::RECIPIENTS_REFUSED, refused),
        ]);
        for (bound, count) in self.bounds.all() {
            let (metric, reason) = of_bound(bound);
            all.push(Sample::with(metric, [reason], count));
        }
        let dropped = self.lines.dropped();
        all.push(Sample::with(&table::DROPS, ["log_lines"], dropped));
        for (plane, call, count) in self.stalls.by_call() {
            all.push(Sample::with(&table::STALLS, [plane, call], count));
        }
        let conditions = self.conditions.load();
        let offered = !conditions.is_empty() && conditions.iter().all(|it| it.met);
        all.push(Sample::new(&table::IDLE_OFFERED, u64::from(offered)));
        for Shown { file, ends_s, .. } in self.certificates.load().iter() {
            let ends_s = *ends_s as f64;
            all.push(Sample::with(&table::CERTIFICATE_EXPIRY, [file], ends_s));
        }
        if let Some(figures) = self.site.as_ref().and_then(Site::figures) {
            site::samples(&figures, all);
        }
        for ((path, code), count) in self.http.all() {
            let labels = [path, code.as_str()];
            all.push(Sample::with(&table::HTTP_REQUESTS, labels, count));
        }
    }

    fn of_store(&self, all: &mut Vec<Sample>) {
        let stats = self.store.stats();
        let sizes = stats.sizes();
        let commits: u64 = sizes.iter().map(|size| size.commits).sum();
        let operations: u64 = sizes.iter().map(|size| size.operations).sum();
        let busy_s = stats.busy_ns() as f64 / 1e9;
        let (loaded, scanned, distrusted) = self.store.index_counts();
        let up = !self.store.has_failed() && !self.store.is_closed();
        all.extend([
            Sample::new(&table::COMMITS, commits),
            Sample::new(&table::OPERATIONS, operations),
            Sample::new(&table::COMMIT, stats.syncing().read()),
            Sample::new(&table::SYNCS, stats.syncs()),
            Sample::new(&table::WRITER_BUSY, busy_s),
            Sample::new(&table::SORT_KEYS_LEFT, stats.dropped_keys()),
            Sample::with(&table::INDEXES, ["loaded"], loaded),
            Sample::with(&table::INDEXES, ["scanned"], scanned),
            Sample::with(&table::INDEXES, ["distrusted"], distrusted),
            Sample::new(&table::STORE_UP, u64::from(up)),
            Sample::new(&table::FREE_BYTES, self.store.free_bytes()),
        ]);
        for (kind, bytes) in self.store.memory() {
            all.push(Sample::with(&table::MEMORY, [kind], bytes));
        }
    }
}

/// Which metric tells of a bound, and what it calls it.
fn of_bound(bound: Bound) -> (&'static table::Metric, &'static str) {
    let (drops, refusals) = (&table::DROPS, &table::REFUSALS);
    match bound {
        Bound::ReplyDelayed => (drops, "reply_delayed"),
        Bound::ReplyDropped => (drops, "reply_dropped"),
        Bound::RequestRefused => (refusals, "request_refused"),
        Bound::DiscardDropped => (drops, "discard_dropped"),
        Bound::ClaimDropped => (drops, "claim_dropped"),
        Bound::UserWorkRefused => (refusals, "user_work_refused"),
        Bound::WorkRefused => (refusals, "work_refused"),
        Bound::WorkAbandoned => (drops, "work_abandoned"),
        Bound::AddressLoginRefused => (refusals, "address_login_refused"),
        Bound::LoginRefused => (refusals, "login_refused"),
        Bound::DelayRefused => (refusals, "delay_refused"),
        Bound::Connections => (refusals, "connections"),
        Bound::AddressConnections => (refusals, "address_connections"),
        Bound::DeliveryConnections => (refusals, "delivery_connections"),
        Bound::UserConnections => (refusals, "user_connections"),
        Bound::LoginRate => (refusals, "login_rate"),
        Bound::ProxyHeader => (refusals, "proxy_header"),
        Bound::PreloginCommands => (refusals, "prelogin_commands"),
        Bound::Memory => (refusals, "memory"),
        Bound::Revoked => (refusals, "revoked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_explained_in_the_table() {
        for (bound, _) in Bounds::default().all() {
            let (metric, reason) = of_bound(bound);
            let mut values = metric.values.iter();
            assert!(values.any(|(name, _)| *name == reason), "{bound:?}");
        }
    }
}
