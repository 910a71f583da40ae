//! Whether IDLE is offered, and the log's lines about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use admin::Config;
use admin::idle::{Condition, Facts, conditions};
use arc_swap::ArcSwap;

use super::broker_link::BrokerLink;
use super::plug_ins::PlugIns;

/// Decides whether IDLE is offered, again and again: brokers come and go.
pub struct Offer {
    config: Arc<Config>,
    refused: Vec<Option<String>>,
    links: Vec<Option<BrokerLink>>,
    announced: Arc<AtomicBool>,
    found: Arc<ArcSwap<Vec<Condition>>>,
    logged: bool,
}

impl Offer {
    /// For these plug-ins; sessions look at `announced`.
    pub fn new(config: Arc<Config>, plug_ins: &PlugIns, announced: Arc<AtomicBool>) -> Self {
        Self {
            config,
            refused: plug_ins.refused.clone(),
            links: plug_ins.links.clone(),
            announced,
            found: Arc::default(),
            logged: false,
        }
    }

    /// Whether sessions may idle although the broker may be away: it may come, and those who
    /// idle already stay.
    pub fn is_possible(&self) -> bool {
        let but_the_broker = self.conditions(&|_| None);
        but_the_broker.iter().all(|condition| condition.met)
    }

    /// The conditions, as they were at the last look.
    pub fn found(&self) -> Arc<ArcSwap<Vec<Condition>>> {
        self.found.clone()
    }

    /// Looks whether the brokers can be reached, and logs a change.
    pub fn look(&mut self) {
        let reached = |broker_link: &BrokerLink| broker_link.not_reached();
        let conditions = self.conditions(&reached);
        let met = conditions.iter().all(|condition| condition.met);
        if **self.found.load() != conditions {
            self.found.store(Arc::new(conditions.clone()));
        }
        let before = self.announced.swap(met, Ordering::Relaxed);
        if before == met && self.logged {
            return;
        }
        self.logged = true;
        if let Err(error) = admin::status::write(&self.config, &conditions) {
            tracing::warn!("run/imapd.status: {error}");
        }
        if met {
            tracing::info!("IDLE is offered");
        }
        for condition in conditions.iter().filter(|condition| !condition.met) {
            tracing::warn!("IDLE is not offered; {condition}");
        }
    }

    fn conditions(&self, not_reached: &dyn Fn(&BrokerLink) -> Option<String>) -> Vec<Condition> {
        let reasons = |broker_link: &Option<BrokerLink>| broker_link.as_ref().and_then(not_reached);
        let facts = Facts {
            not_loaded: self.refused.clone(),
            not_reached: self.links.iter().map(reasons).collect(),
        };
        conditions(&self.config, facts)
    }
}
