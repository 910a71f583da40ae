//! Deliveries: one at a time, to a crowd, as many as it takes.

use std::collections::HashMap;
use std::ops::Range;

use hdrhistogram::Histogram;

use super::{Run, SECOND_NS, StudyError};
use crate::batches::{self, Batches, PlainFile};
use crate::client::ClientEvent;
use crate::deliverer::Result as Delivery;
use crate::fleet::Heard;
use crate::measure::{histogram, now_ns, record};
use crate::plan;

/// More deliveries than are made until something is over.
const UNTIL_DELIVERIES_MAX: usize = 1_000_000;

/// Times of single deliveries, in microseconds.
#[derive(Clone, Debug)]
pub struct Singles {
    /// From the intended start of the delivery to EXISTS: what coordinated omission would hide.
    pub intended: Histogram<u64>,
    /// From the 250 to EXISTS; an EXISTS that came before counts as 1.
    pub after_250: Histogram<u64>,
    /// EXISTS that were seen before the 250, or together with it.
    pub before_250: u64,
    /// From the end of DATA to EXISTS.
    pub after_data: Histogram<u64>,
    /// From the end of DATA to the 250.
    pub durable: Histogram<u64>,
    /// Deliveries of which the session did not hear in time.
    pub unheard: usize,
}

/// Times of deliveries that all sessions watch, in microseconds.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// From the end of DATA to the 250.
    pub durable: Histogram<u64>,
    /// From the 250 to the first EXISTS.
    pub first: Histogram<u64>,
    /// From the 250 to the last EXISTS.
    pub last: Histogram<u64>,
    /// From the first EXISTS to the last: the fan-out alone.
    pub spread: Histogram<u64>,
    /// Server CPU for each notification, in microseconds.
    pub server_cpu_us: f64,
    /// Notifications that did not come in time, over all deliveries.
    pub unheard: usize,
}

/// Deliveries as fast as they go.
#[derive(Clone, Debug)]
pub struct Burst {
    /// Messages answered with 250.
    pub delivered: u64,
    /// How long it took.
    pub took_ns: u64,
    /// From the end of DATA to the 250, in microseconds.
    pub durable: Histogram<u64>,
    /// Server CPU, in microseconds.
    pub server_cpu_us: u64,
    /// The store's commits, if the server said.
    pub batches: Option<Batches>,
}

impl Burst {
    /// Durable deliveries a second.
    pub fn rate(&self) -> f64 {
        self.delivered as f64 / (self.took_ns.max(1) as f64 / 1e9)
    }
}

impl Run<'_> {
    /// Gives deliverer `deliverer` a message.
    fn deliver(&mut self, deliverer: usize, mailbox: u32) {
        self.deliver_to(deliverer, mailbox..mailbox + 1);
    }

    /// Gives deliverer `deliverer` a message for several mailboxes.
    pub(super) fn deliver_to(&mut self, deliverer: usize, mailboxes: Range<u32>) {
        for mailbox in mailboxes.clone() {
            self.oracle.delivering(mailbox as usize);
        }
        self.number += 1;
        let recipients: Vec<String> = mailboxes.map(|it| self.study.recipient(it)).collect();
        let bytes = self.study.message_bytes;
        self.fleet
            .deliver(deliverer, &recipients, bytes, self.number);
    }

    /// Delivers one message through deliverer 0 and waits until `enough` sessions have heard of it.
    /// Gives the times of DATA's end, of the 250, and of each EXISTS.
    fn one(&mut self, mailbox: u32, enough: usize) -> Result<(u64, u64, Vec<u64>), StudyError> {
        self.deliver(0, mailbox);
        let newest = self.oracle.begun(mailbox as usize);
        let (mut data, mut durable, mut exists) = (0, 0, Vec::with_capacity(enough));
        let until = now_ns() + self.study.patience_ns();
        while durable == 0 || exists.len() < enough {
            for (at, heard) in self.listen(until) {
                match heard {
                    Heard::Deliverer(0, Delivery::DataSent) => data = at,
                    Heard::Deliverer(0, Delivery::Delivered) => {
                        durable = at;
                        self.oracle.delivered(mailbox as usize);
                    }
                    Heard::Deliverer(_, Delivery::Refused(why)) => {
                        return Err(StudyError::Refused(format!("LMTP: {why}")));
                    }
                    // Late news of an earlier delivery, or of another mailbox, is not of this one.
                    Heard::Session(session, ClientEvent::Exists(count))
                        if count >= newest && self.study.mailbox_of(session) == mailbox =>
                    {
                        exists.push(at);
                    }
                    Heard::Session(number, ClientEvent::Failed(why)) => {
                        return Err(StudyError::Refused(format!("session {number}: {why}")));
                    }
                    _ => {}
                }
            }
            if now_ns() >= until {
                if durable == 0 {
                    return Err(StudyError::TimedOut("for the reply to a delivery"));
                }
                // Who did not hear is the oracle's business.
                break;
            }
        }
        Ok((data, durable, exists))
    }

    pub(super) fn singles(&mut self) -> Result<Singles, StudyError> {
        self.singles_of(self.study.deliveries, &|| false)
    }

    /// Deliveries at the same rate until something is over.
    pub(super) fn singles_until(
        &mut self,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Singles, StudyError> {
        self.singles_of(UNTIL_DELIVERIES_MAX, is_over)
    }

    fn singles_of(
        &mut self,
        deliveries: usize,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Singles, StudyError> {
        let study = self.study;
        let count = study.mailbox_count() as u32;
        let plan = plan::deliveries(study.seed, deliveries, study.rate, count);
        let mut found = Singles {
            intended: histogram(),
            after_250: histogram(),
            before_250: 0,
            after_data: histogram(),
            durable: histogram(),
            unheard: 0,
        };
        let began = now_ns();
        for delivery in plan.iter().take_while(|_| !is_over()) {
            let intended = began + delivery.at_ns;
            while now_ns() < intended {
                self.listen(intended);
            }
            let (data, durable, exists) = self.one(delivery.mailbox, 1)?;
            found.unheard += usize::from(exists.is_empty());
            record(&mut found.durable, durable.saturating_sub(data));
            for at in exists {
                record(&mut found.intended, at.saturating_sub(intended));
                record(&mut found.after_250, at.saturating_sub(durable));
                record(&mut found.after_data, at.saturating_sub(data));
                found.before_250 += u64::from(at <= durable);
            }
        }
        Ok(found)
    }

    pub(super) fn crowd(&mut self) -> Result<Crowd, StudyError> {
        let study = self.study;
        let plan = plan::deliveries(study.seed, study.deliveries, study.rate, 1);
        let mut found = Crowd {
            durable: histogram(),
            first: histogram(),
            last: histogram(),
            spread: histogram(),
            server_cpu_us: 0.0,
            unheard: 0,
        };
        let (began, cpu_before) = (now_ns(), study.cpu_us());
        for delivery in &plan {
            let intended = began + delivery.at_ns;
            while now_ns() < intended {
                self.listen(intended);
            }
            let (data, durable, exists) = self.one(0, study.sessions)?;
            found.unheard += study.sessions.saturating_sub(exists.len());
            record(&mut found.durable, durable.saturating_sub(data));
            if let (Some(&first), Some(&last)) = (exists.first(), exists.last()) {
                record(&mut found.first, first.saturating_sub(durable));
                record(&mut found.last, last.saturating_sub(durable));
                record(&mut found.spread, last - first);
            }
        }
        let told = (study.deliveries * study.sessions).max(1) as f64;
        found.server_cpu_us = (study.cpu_us() - cpu_before) as f64 / told;
        Ok(found)
    }

    pub(super) fn burst(&mut self) -> Result<Burst, StudyError> {
        let study = self.study;
        let mailboxes = study.mailbox_count() as u32;
        let mut rng = reactor::Rng::new(study.seed);
        let mut busy: HashMap<usize, (u32, u64)> = HashMap::new();
        let before = self.batches()?;
        let (began, cpu_before) = (now_ns(), study.cpu_us());
        let stop = began + study.burst_s * SECOND_NS;
        let mut durable = histogram();
        let (mut delivered, mut last) = (0u64, began);
        let mut free: Vec<usize> = (0..study.lmtp_connections.max(1)).collect();
        while now_ns() < stop || !busy.is_empty() {
            while now_ns() < stop
                && let Some(deliverer) = free.pop()
            {
                let mailbox = rng.below(u64::from(mailboxes)) as u32;
                self.deliver(deliverer, mailbox);
                busy.insert(deliverer, (mailbox, 0));
            }
            for (at, heard) in self.listen(now_ns() + SECOND_NS) {
                match heard {
                    Heard::Deliverer(deliverer, Delivery::DataSent) => {
                        busy.entry(deliverer).and_modify(|(_, data)| *data = at);
                    }
                    Heard::Deliverer(deliverer, Delivery::Delivered) => {
                        let Some((mailbox, data)) = busy.remove(&deliverer) else {
                            continue;
                        };
                        record(&mut durable, at.saturating_sub(data));
                        self.oracle.delivered(mailbox as usize);
                        delivered += 1;
                        last = at;
                        free.push(deliverer);
                    }
                    Heard::Deliverer(_, Delivery::Refused(why)) => {
                        return Err(StudyError::Refused(format!("LMTP: {why}")));
                    }
                    _ => {}
                }
            }
            if now_ns() > stop + study.patience_ns() {
                return Err(StudyError::TimedOut("for the last deliveries of the burst"));
            }
        }
        let server_cpu_us = study.cpu_us() - cpu_before;
        let after = self.batches()?;
        Ok(Burst {
            delivered,
            took_ns: last - began,
            durable,
            server_cpu_us,
            batches: after.zip(before).map(|(now, then)| now.since(&then)),
        })
    }

    /// The store's commits so far, if the server says.
    fn batches(&self) -> Result<Option<Batches>, StudyError> {
        let statistics = self.study.ask_statistics()?;
        Ok(statistics.and_then(|text| Batches::of(&text)))
    }

    /// Does in a plain file what the store did in the burst, as long, once everybody was told.
    pub(super) fn plain_file(&mut self, burst: &Burst) -> Result<Option<PlainFile>, StudyError> {
        let study = self.study;
        let (Some(folder), Some(sizes)) = (&study.plain_file, &burst.batches) else {
            return Ok(None);
        };
        self.wait_until_heard();
        let ns = study.burst_s * SECOND_NS;
        batches::plain_file(folder, sizes, study.message_bytes, ns, study.seed)
            .map(Some)
            .map_err(|error| StudyError::Io("the plain file", error))
    }
}
