//! The client's numbering of its selected mailbox, and what it has not been sent yet.
//!
//! Message numbers are the client's, not the store's: a message that is gone keeps its number until
//! the client may be sent EXPUNGE (RFC 3501 §7.4.1).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mail::{Change, Event, Flags, ModSeq, Uid};

use super::encode;

/// The view of one session.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// Ascending; position + 1 is the message number.
    pub uids: Vec<Uid>,
    /// How many of them the client knows of: its last EXISTS.
    pub exists: usize,
    /// Gone, and the EXPUNGE was not sent.
    gone: BTreeSet<Uid>,
    /// Flags that changed, and were not sent.
    flags: BTreeMap<Uid, (Arc<Flags>, ModSeq)>,
    /// Everything up to here is in the view.
    pub modseq: ModSeq,
    /// Messages with this UID or a higher one are `\Recent`.
    pub recent_from: Uid,
}

impl View {
    pub fn new(uids: &[Uid], modseq: ModSeq, recent_from: Uid) -> Self {
        Self {
            exists: uids.len(),
            uids: uids.to_vec(),
            modseq,
            recent_from,
            ..Self::default()
        }
    }

    /// Applies events that follow each other. False if they don't follow the view, or the mailbox
    /// is gone.
    pub fn apply(&mut self, events: &[Arc<Event>]) -> bool {
        for event in events {
            if event.seq <= self.modseq {
                continue;
            }
            if event.deleted || event.prev != self.modseq {
                return false;
            }
            event
                .changes
                .iter()
                .for_each(|change| self.apply_change(change, event.seq));
            self.modseq = event.seq;
        }
        true
    }

    fn apply_change(&mut self, change: &Change, seq: ModSeq) {
        match change {
            Change::Expunged { uid, .. } => {
                self.flags.remove(uid);
                self.gone.insert(*uid);
            }
            Change::New { uid, .. } => {
                if self.uids.last().is_none_or(|last| last < uid) {
                    self.uids.push(*uid);
                }
            }
            Change::Flags {
                uid, flags, modseq, ..
            } => {
                let modseq = (*modseq).max(ModSeq(1)).min(seq);
                self.flags.insert(*uid, (flags.clone(), modseq));
            }
        }
    }

    /// The number of a message.
    pub fn number(&self, uid: Uid) -> Option<u32> {
        self.uids
            .binary_search(&uid)
            .ok()
            .map(|index| index as u32 + 1)
    }

    /// Whether a message is gone, its EXPUNGE sent or not.
    pub fn is_gone(&self, uid: Uid) -> bool {
        self.gone.contains(&uid)
    }

    pub fn is_recent(&self, uid: Uid) -> bool {
        uid >= self.recent_from
    }

    /// Messages that are `\Recent`.
    pub fn recent(&self) -> u32 {
        (self.uids.len() - self.uids.partition_point(|uid| *uid < self.recent_from)) as u32
    }

    /// Forgets flags that the client will be sent, or was sent, by other means.
    pub fn forget_flags(&mut self, uid: Uid) -> Option<(Arc<Flags>, ModSeq)> {
        self.flags.remove(&uid)
    }

    /// Whether the client has been sent everything.
    pub fn all_sent(&self) -> bool {
        self.gone.is_empty() && self.flags.is_empty() && self.exists == self.uids.len()
    }

    /// Writes what the client may be sent now; expunges only if `expunges`.
    pub fn send_updates(&mut self, out: &mut Vec<u8>, expunges: bool, condstore: bool) {
        if expunges {
            for uid in std::mem::take(&mut self.gone) {
                let Ok(index) = self.uids.binary_search(&uid) else {
                    continue;
                };
                self.uids.remove(index);
                // A message that came and went unseen is nobody's business.
                if index < self.exists {
                    self.exists -= 1;
                    out.extend_from_slice(format!("* {} EXPUNGE\r\n", index + 1).as_bytes());
                }
            }
        }
        if self.uids.len() > self.exists {
            self.exists = self.uids.len();
            let line = format!("* {} EXISTS\r\n* {} RECENT\r\n", self.exists, self.recent());
            out.extend_from_slice(line.as_bytes());
        }
        for (uid, (flags, modseq)) in std::mem::take(&mut self.flags) {
            if let Some(number) = self.number(uid) {
                let recent = self.is_recent(uid);
                fetch_flags(
                    out,
                    number,
                    &flags,
                    recent,
                    condstore.then_some((uid, modseq)),
                );
            }
        }
    }
}

/// `* n FETCH (FLAGS (…))`, with UID and MODSEQ for a client that knows of them (RFC 7162 §3.2).
pub(super) fn fetch_flags(
    out: &mut Vec<u8>,
    number: u32,
    flags: &Flags,
    recent: bool,
    condstore: Option<(Uid, ModSeq)>,
) {
    out.extend_from_slice(format!("* {number} FETCH (").as_bytes());
    if let Some((uid, modseq)) = condstore {
        out.extend_from_slice(format!("UID {uid} MODSEQ ({modseq}) ").as_bytes());
    }
    out.extend_from_slice(b"FLAGS ");
    encode::flags(out, flags, recent);
    out.extend_from_slice(b")\r\n");
}
