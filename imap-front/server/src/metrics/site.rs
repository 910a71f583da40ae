//! What is counted of the other hosts' brokers.

use ens::site::Counters;
use monitor::sample::Sample;
use monitor::table;

/// Samples of a site that a broker of this process has joined.
pub(super) fn samples(site: &Counters, all: &mut Vec<Sample>) {
    all.extend([
        Sample::new(&table::SITE_CONNECTED, u64::from(site.is_connected())),
        Sample::new(&table::SITE_BROKERS, site.brokers()),
        Sample::new(&table::SITE_CONNECTS, site.connects()),
    ]);
    for (way, count) in [("sent", site.sent()), ("heard", site.heard())] {
        all.push(Sample::with(&table::SITE_EVENTS, [way], count));
    }
    for (reason, count) in [
        ("dropped", site.dropped()),
        ("too_large", site.too_large()),
        ("missed", site.missed()),
        ("unknown", site.unknown()),
        ("crowded", site.crowded()),
    ] {
        all.push(Sample::with(&table::SITE_LOST, [reason], count));
    }
    for (way, count) in [("in", site.flooded()), ("out", site.unsent())] {
        all.push(Sample::with(&table::SITE_MESSAGES_DROPPED, [way], count));
    }
}
