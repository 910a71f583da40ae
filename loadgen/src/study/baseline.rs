//! The bare send loop, received by the same code.

use hdrhistogram::Histogram;

use super::{Run, SECOND_NS, StudyError};
use crate::fleet::Heard;
use crate::measure::{histogram, now_ns, record};
use crate::sendloop::{PAYLOAD, SendLoop};

/// Between two rounds.
const REST_NS: u64 = SECOND_NS / 20;

/// Times of the bare send loop, in microseconds.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// From the loop's begin to its end.
    pub loop_only: Histogram<u64>,
    /// From the loop's begin until the last connection received.
    pub last: Histogram<u64>,
    /// From the first to the last connection that received.
    pub spread: Histogram<u64>,
}

impl Run<'_> {
    pub(super) fn baseline(&mut self) -> Result<Baseline, StudyError> {
        let failed = |error| StudyError::Io("the bare send loop", error);
        let count = self.study.sessions;
        let mut sender = SendLoop::start(count).map_err(failed)?;
        for number in 0..count {
            self.fleet.add_bare(number, sender.address);
            if number % 256 == 255 {
                self.listen(now_ns());
            }
        }
        let until = now_ns() + SECOND_NS;
        while now_ns() < until {
            self.listen(until);
        }
        sender.wait_accepted().map_err(failed)?;
        let mut found = Baseline {
            loop_only: histogram(),
            last: histogram(),
            spread: histogram(),
        };
        for _ in 0..self.study.sendloop_rounds {
            sender.trigger().map_err(failed)?;
            let (mut bytes, mut first, mut last) = (0, 0, 0);
            let until = now_ns() + 30 * SECOND_NS;
            while bytes < count * PAYLOAD.len() {
                for (at, heard) in self.listen(until) {
                    if let Heard::Bare(_, received) = heard {
                        bytes += received;
                        first = if first == 0 { at } else { first };
                        last = at;
                    }
                }
                if now_ns() > until {
                    return Err(StudyError::TimedOut("for the bare send loop"));
                }
            }
            let (began, ended) = sender.times().map_err(failed)?;
            record(&mut found.loop_only, ended - began);
            record(&mut found.last, last.saturating_sub(began));
            record(&mut found.spread, last - first);
            let until = now_ns() + REST_NS;
            while now_ns() < until {
                self.listen(until);
            }
        }
        Ok(found)
    }
}
