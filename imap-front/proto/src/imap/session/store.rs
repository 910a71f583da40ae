//! STORE (RFC 3501 §6.4.6, RFC 7162 §3.1.3).

use std::sync::Arc;

use mail::request::{FlagChange, StoreMode};
use mail::{Flags, ModSeq, Reply, Request, SequenceSet, Uid, UidRanges, UidSet};

use super::acl::NO_RIGHT;
use super::message_limit::Cut;
use super::{Session, Step};
use crate::imap::ast::FetchItem;
use crate::imap::counts::Outcome;
use crate::imap::output::Line;

/// A STORE under way.
pub(super) struct Storing {
    pub(super) tag: Box<str>,
    uid: bool,
    silent: bool,
    ranges: UidRanges,
    cut: Option<Cut>,
}

impl Storing {
    /// Whether the client knows what a message's flags became at a mod-sequence. What they are now
    /// is told in the end. If that is not wanted, those that this command changed are known; but
    /// not what others made of them, before or after it (RFC 3501 §6.4.6).
    pub(super) fn knows(
        &self,
        (uid, modseq): (Uid, ModSeq),
        modified: &UidSet,
        own: &[(ModSeq, ModSeq)],
        crossed: &UidSet,
    ) -> bool {
        let is_own = || {
            let mut slices = own.iter();
            slices.any(|(first, last)| (*first..=*last).contains(&modseq)) && !crossed.contains(uid)
        };
        self.ranges.contains(uid) && !modified.contains(uid) && (!self.silent || is_own())
    }
}

impl Session {
    pub(super) fn store(
        &mut self,
        tag: Box<str>,
        uid: bool,
        set: &SequenceSet,
        (mode, flags, unchanged_since): (StoreMode, Flags, Option<ModSeq>),
        mut silent: bool,
    ) {
        if self.refuse_read_only(&tag) {
            return;
        }
        let Some((mode, flags, is_all)) = self.permitted(mode, flags) else {
            return self.done(&tag, NO_RIGHT);
        };
        // What the client takes for done is not all of it.
        silent &= is_all;
        let ranges = match self.resolve(set, uid) {
            Ok(ranges) => ranges,
            Err(why) => return self.done(&tag, &format!("BAD {why}")),
        };
        let (ranges, cut) = self.limited(ranges);
        if unchanged_since.is_some() {
            self.enable_condstore();
        }
        let (mailbox, since) = (self.mailbox(), self.view().modseq);
        let request = Request::Store {
            mailbox,
            ranges: ranges.clone(),
            change: FlagChange {
                mode,
                flags,
                unchanged_since,
            },
            since,
        };
        let storing = Storing {
            tag,
            uid,
            silent,
            ranges,
            cut,
        };
        self.ask(request, Step::Store(storing));
    }

    pub(super) fn stored(&mut self, storing: Storing, reply: Reply) {
        let (modified, (own, crossed), delta) = match reply {
            Reply::Stored {
                modified,
                own,
                crossed,
                delta,
            } => (modified, (own, crossed), delta),
            Reply::Refused(refusal) => return self.refuse(&storing.tag, &refusal),
            _ => {
                return self.done(&storing.tag, "NO [SERVERBUG] The store gave another answer");
            }
        };
        let known = |uid, modseq| storing.knows((uid, modseq), &modified, &own, &crossed);
        if !self.synced_but(&delta, known) {
            return;
        }
        let Storing {
            tag,
            uid,
            silent,
            ranges,
            cut,
        } = storing;
        self.send_updates(uid);
        let view = self.view();
        let (has_gone, withheld) = (view.has_gone(&ranges), view.withheld().clone());
        let ending = match silent || !has_gone {
            true => {
                self.ended(Outcome::Ok);
                self.store_ending(&tag, modified.clone(), uid, cut)
            }
            // RFC 2180 §4.2: the others were changed, and are told.
            false => {
                self.ended(Outcome::No);
                let line = self.line(format!("{tag} NO [EXPUNGEISSUED] Some messages are gone"));
                Line::new(self.before_ending(cut)).then(line)
            }
        };
        let mut items = vec![];
        if (uid || (silent && self.condstore)) && !self.uid_only {
            items.push(FetchItem::Uid);
        }
        if !silent {
            items.push(FetchItem::Flags);
        }
        // RFC 7162 §3.1.3: a client that knows of mod-sequences is told the new ones, and those of
        // messages that had the flags already, even if it does not want the flags.
        if self.condstore {
            items.push(FetchItem::ModSeq);
        } else if silent {
            return self.output.pieces(ending);
        }
        let skip = [Arc::new(modified), withheld];
        self.fetch_stored(tag, ranges, skip, items, (ending, cut));
    }

    /// RFC 7162 §3.1.3: which messages were left alone.
    fn store_ending(&mut self, tag: &str, modified: UidSet, uid: bool, cut: Option<Cut>) -> Line {
        if modified.is_empty() {
            let text = self.ending("OK STORE completed", cut);
            return self.line(format!("{tag} {text}"));
        }
        let numbers = self.numbers_of(modified.into_iter(), uid);
        Line::new(self.before_ending(cut))
            .text(format!("{tag} OK [MODIFIED "))
            .set(numbers)
            .text("] ")
            .text(self.worded("Some were changed by others"))
            .text("\r\n")
    }

    /// Message numbers of UIDs, as they are now, or the UIDs themselves.
    pub(super) fn numbers_of(
        &mut self,
        uids: impl Iterator<Item = Uid> + Send + 'static,
        uid: bool,
    ) -> Box<dyn Iterator<Item = u32> + Send> {
        if uid {
            return Box::new(uids.map(|uid| uid.0));
        }
        let mut numbering = self.view().numbering();
        Box::new(uids.filter_map(move |uid| numbering.number(uid)))
    }
}
