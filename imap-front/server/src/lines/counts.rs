//! What can be counted of lines, where they are put.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use counting::Histogram;

use super::{Delivered, Line};

/// Deliveries, and who was refused as a recipient.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// Messages that are durable in a mailbox.
    pub good: AtomicU64,
    /// Messages that a mailbox could not take.
    pub refused: AtomicU64,
    /// Bytes of messages, each counted once.
    pub bytes: AtomicU64,
    /// From a message's last byte to the verdict.
    pub took: Histogram,
    /// Recipients that were refused.
    pub recipients_refused: AtomicU64,
}

impl Deliveries {
    /// Messages that are durable in a mailbox, since the start.
    pub fn good(&self) -> u64 {
        self.good.load(Relaxed)
    }

    pub(super) fn look(&self, line: &Line) {
        match line {
            Line::Delivered(delivered) => self.delivered(delivered),
            Line::NoRecipient { .. } => drop(self.recipients_refused.fetch_add(1, Relaxed)),
            _ => {}
        }
    }

    fn delivered(&self, delivered: &Delivered) {
        let all = delivered.targets.len() as u64;
        let good = delivered.targets.iter().filter(|to| to.result.is_ok());
        let good = good.count() as u64;
        self.good.fetch_add(good, Relaxed);
        self.refused.fetch_add(all - good, Relaxed);
        self.bytes.fetch_add(delivered.size, Relaxed);
        self.took.add(delivered.took_ns, 1);
    }
}
