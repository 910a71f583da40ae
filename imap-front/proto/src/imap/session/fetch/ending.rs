//! How much of a FETCH is done, and how it ends.

use mail::{ModSeq, Reply};

use super::{Ending, Job, Session};

impl Session {
    /// What is left of a FETCH, if it is for more messages than it may be.
    pub(super) fn limit(&mut self, job: &mut Job) {
        if matches!(job.ending, Ending::Fetch { .. }) {
            let (ranges, cut) = self.limited(job.ranges.drain(..).collect());
            (job.ranges, job.cut) = (ranges.into_iter().collect(), cut);
        }
    }

    pub(super) fn end_fetch(&mut self, job: Box<Job>) {
        if job.unreadable > 0 {
            // RFC 5530 §3 CORRUPTION: which messages, is in the log.
            let text = format!("NO [CORRUPTION] {} messages can't be read", job.unreadable);
            if let Ending::News { idle } = job.ending {
                self.done("*", &text);
                return self.go_back(idle);
            }
            if !job.selects() {
                return self.done(&job.tag, &text);
            }
            // It comes back for them, as of when it was away.
            self.done("*", &text);
            let modseq = job.changed_since.unwrap_or_default().max(ModSeq(1));
            self.say(&format!(
                "* OK [HIGHESTMODSEQ {modseq}] Where it can't be read"
            ));
        }
        let job = *job;
        if let Ending::News { idle } = job.ending {
            return self.go_back(idle);
        }
        self.say_withheld();
        if job.unknown_encoding {
            // RFC 3516 §4.3
            let text = "NO [UNKNOWN-CTE] Some parts are in an encoding that is not known";
            let text = self.ending(text, job.cut);
            return self.done(&job.tag, &text);
        }
        match job.ending {
            // RFC 5530 §3 EXPUNGEISSUED: the client numbered a message of which nothing is left.
            // UIDs that don't exist are no fault (RFC 3501 §6.4.8).
            Ending::Fetch { uid } => {
                let text = match job.missing && !uid {
                    true => "NO [EXPUNGEISSUED] Some messages are gone",
                    false => "OK FETCH completed",
                };
                let text = self.ending(text, job.cut);
                self.done(&job.tag, &text);
            }
            Ending::Store(line) | Ending::Select(line) => self.output.pieces(line),
            Ending::News { .. } => {}
        }
    }

    /// It can't be done.
    pub(super) fn refuse_job(&mut self, job: Job, reply: Reply) {
        if job.selects() {
            self.unselect();
        }
        if let Ending::News { idle } = job.ending {
            self.done("*", "NO New messages can't be read now; ask for them");
            return self.go_back(idle);
        }
        match reply {
            Reply::Refused(refusal) => self.refuse(&job.tag, &refusal),
            _ => self.done(&job.tag, "NO [SERVERBUG] The store gave another answer"),
        }
    }
}
