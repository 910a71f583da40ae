//! One message for each mailbox: everybody is told once.

use std::collections::HashMap;
use std::ops::Range;

use super::{Run, StudyError};
use crate::deliverer::Result as Delivery;
use crate::fleet::Heard;
use crate::measure::now_ns;
use crate::progress::Progress;

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sweep {
    /// Mailboxes that got a message, each answered with 250.
    pub delivered: usize,
    /// Recipients of one message at the most.
    pub recipients: usize,
    /// From the first delivery until the last session had heard.
    pub took_ns: u64,
    /// Server CPU, in microseconds.
    pub server_cpu_us: u64,
    /// Sessions that had not heard when patience ended.
    pub unheard: usize,
}

impl Run<'_> {
    /// Delivers to all mailboxes in their order, `recipients` a message, over all connections. Does
    /// not wait for the sessions to hear of it.
    pub(super) fn sweep_mailboxes(&mut self, recipients: usize) -> Result<usize, StudyError> {
        let study = self.study;
        let mailboxes = study.mailbox_count() as u32;
        let mut progress = Progress::new("mailboxes", mailboxes as usize, study.progress);
        let mut free: Vec<usize> = (0..study.lmtp_connections.max(1)).collect();
        let mut busy: HashMap<usize, Range<u32>> = HashMap::new();
        let (mut next, mut delivered, mut last) = (0, 0, now_ns());
        while next < mailboxes || !busy.is_empty() {
            while next < mailboxes
                && let Some(deliverer) = free.pop()
            {
                let range = next..mailboxes.min(next + recipients.max(1) as u32);
                next = range.end;
                self.deliver_to(deliverer, range.clone());
                busy.insert(deliverer, range);
            }
            for (at, heard) in self.listen(now_ns() + super::SECOND_NS) {
                match heard {
                    Heard::Deliverer(deliverer, Delivery::Delivered) => {
                        let Some(waiting) = busy.get_mut(&deliverer) else {
                            continue;
                        };
                        if let Some(mailbox) = waiting.next() {
                            self.oracle.delivered(mailbox as usize);
                            delivered += 1;
                            last = at;
                        }
                        if waiting.start == waiting.end {
                            busy.remove(&deliverer);
                            free.push(deliverer);
                        }
                    }
                    Heard::Deliverer(_, Delivery::Refused(why)) => {
                        return Err(StudyError::Refused(format!("LMTP: {why}")));
                    }
                    _ => {}
                }
            }
            progress.at(delivered, || study.note());
            if now_ns() - last > study.patience_ns() {
                return Err(StudyError::TimedOut("for replies to deliveries"));
            }
        }
        Ok(delivered)
    }

    /// Waits until everybody has heard of everything; gives how many have not when patience ends.
    pub(super) fn wait_heard(&mut self) -> usize {
        let until = now_ns() + self.study.patience_ns();
        while self.oracle.behind() > 0 && now_ns() < until {
            self.listen_for(super::SECOND_NS / 20);
        }
        self.oracle.behind()
    }

    pub(super) fn sweep(&mut self) -> Result<Sweep, StudyError> {
        let recipients = self.study.sweep_recipients;
        let (before, began) = (self.study.account()?, now_ns());
        let delivered = self.sweep_mailboxes(recipients)?;
        let unheard = self.wait_heard();
        let took_ns = now_ns() - began;
        let after = self.study.account()?;
        Ok(Sweep {
            delivered,
            recipients,
            took_ns,
            server_cpu_us: after.server_cpu_us - before.server_cpu_us,
            unheard,
        })
    }
}
