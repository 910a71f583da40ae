//! STORE (RFC 3501 §6.4.6, RFC 7162 §3.1.3).

use mail::request::StoreMode;
use mail::{Flags, ModSeq, Reply, Request, SequenceSet, Uid};

use super::{Session, Step};
use crate::imap::ast::FetchItem;
use crate::imap::encode;

/// A STORE under way.
pub(super) struct Storing {
    tag: Box<str>,
    uid: bool,
    silent: bool,
    uids: Vec<Uid>,
}

impl Session {
    pub(super) fn store(
        &mut self,
        tag: Box<str>,
        uid: bool,
        set: &SequenceSet,
        (mode, flags, unchanged_since): (StoreMode, Flags, Option<ModSeq>),
        silent: bool,
    ) {
        if self.refuse_read_only(&tag) {
            return;
        }
        let uids = match self.resolve(set, uid) {
            Ok(uids) => uids,
            Err(why) => return self.done(&tag, &format!("BAD {why}")),
        };
        // RFC 7162 §3.1: using the modifier makes the client one that knows of mod-sequences.
        self.condstore |= unchanged_since.is_some();
        let (mailbox, since) = (self.mailbox(), self.view().modseq);
        let request = Request::Store {
            mailbox,
            uids: uids.clone(),
            mode,
            flags,
            unchanged_since,
            since,
        };
        self.ask(
            request,
            Step::Store(Storing {
                tag,
                uid,
                silent,
                uids,
            }),
        );
    }

    pub(super) fn stored(&mut self, storing: Storing, reply: Reply) {
        let Storing {
            tag,
            uid,
            silent,
            mut uids,
        } = storing;
        let (modified, delta) = match reply {
            Reply::Stored { modified, delta } => (modified, delta),
            Reply::Refused(refusal) => return self.refuse(&tag, &refusal),
            _ => return self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        };
        if !self.synced(Reply::Synced(delta)) {
            return;
        }
        uids.retain(|uid| modified.binary_search(uid).is_err());
        let mut changed = Vec::new();
        for uid in &uids {
            if let Some((_, modseq)) = self.view().forget_flags(*uid) {
                changed.push((*uid, modseq));
            }
        }
        self.send_updates(uid);
        let ending = ending(&self.numbers(&modified, uid));
        if !silent {
            let mut items = vec![FetchItem::Flags];
            if uid {
                items.insert(0, FetchItem::Uid);
            }
            if self.condstore {
                items.push(FetchItem::ModSeq);
            }
            return self.fetch_uids(tag, uids, items, ending);
        }
        if self.condstore {
            // RFC 7162 §3.1.3: the new mod-sequence is told even if the flags are not.
            for (uid, modseq) in changed {
                if let Some(number) = self.view().number(uid) {
                    self.say(&format!("* {number} FETCH (UID {uid} MODSEQ ({modseq}))"));
                }
            }
        }
        self.done(&tag, &ending);
    }

    /// Message numbers of UIDs, or the UIDs themselves.
    pub(super) fn numbers(&mut self, uids: &[Uid], uid: bool) -> Vec<u32> {
        let view = self.view();
        uids.iter()
            .filter_map(|each| {
                if uid {
                    Some(each.0)
                } else {
                    view.number(*each)
                }
            })
            .collect()
    }
}

/// RFC 7162 §3.1.3: which messages were left alone.
fn ending(modified: &[u32]) -> String {
    if modified.is_empty() {
        return "OK STORE completed".into();
    }
    let mut set = Vec::new();
    encode::number_set(&mut set, modified.iter().copied());
    format!(
        "OK [MODIFIED {}] Some were changed by others",
        String::from_utf8_lossy(&set)
    )
}
