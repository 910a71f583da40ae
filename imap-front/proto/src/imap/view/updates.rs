//! Untagged responses for what changed, made as the client takes them.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::io::Write as _;
use std::sync::Arc;

use mail::{Flags, ModSeq, Uid};
use roaring::RoaringBitmap;

use super::{Numbering, View};
use crate::imap::encode;
use crate::imap::output::{PIECE_BYTES, Pieces};

/// How a client hears of messages that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imap) enum ToldBy {
    /// EXPUNGE
    Numbers,
    /// VANISHED (RFC 7162 §3.2.10)
    Uids,
}

/// `* n EXPUNGE` for each of many messages, in ascending order.
pub(super) struct Expunges {
    gone: roaring::bitmap::IntoIter,
    /// Slots that had no number before.
    before: RoaringBitmap,
    /// How many lines are to come.
    left: u32,
    sent: u32,
}

impl Expunges {
    /// The first `seen` of `gone` are sent; the client has not heard of the rest.
    pub fn new(gone: RoaringBitmap, before: RoaringBitmap, seen: u32) -> Self {
        Self {
            gone: gone.into_iter(),
            before,
            left: seen,
            sent: 0,
        }
    }
}

impl Pieces for Expunges {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        while self.left > 0 && out.len() < PIECE_BYTES {
            let Some(slot) = self.gone.next() else { break };
            // `slot` itself had a number, so it is not counted.
            let number = slot + 1 - self.before.rank(slot) as u32 - self.sent;
            // Writing to memory can't fail.
            let _ = write!(out, "* {number} EXPUNGE\r\n");
            self.sent += 1;
            self.left -= 1;
        }
        self.left > 0
    }
}

/// `* n FETCH (FLAGS (…))` for each of many messages.
pub(super) struct FlagUpdates {
    numbering: Numbering,
    flags: btree_map::IntoIter<Uid, (Arc<Flags>, ModSeq)>,
    recent_from: Uid,
    told: FlagsTold,
}

impl FlagUpdates {
    /// Of those messages that have a number in the view now.
    pub fn new(view: &View, flags: BTreeMap<Uid, (Arc<Flags>, ModSeq)>, told: FlagsTold) -> Self {
        Self {
            told,
            numbering: view.numbering(),
            flags: flags.into_iter(),
            recent_from: view.recent_from,
        }
    }
}

impl Pieces for FlagUpdates {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        while out.len() < PIECE_BYTES {
            let Some((uid, (flags, modseq))) = self.flags.next() else {
                return false;
            };
            if let Some(number) = self.numbering.number(uid) {
                let ids = Ids::of((uid, modseq), self.told);
                let recent = self.told.recent && uid >= self.recent_from;
                fetch_flags(out, number, &flags, recent, ids);
            }
        }
        true
    }
}

/// How a client is told of flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imap) struct FlagsTold {
    /// With mod-sequences, and UIDs.
    pub condstore: bool,
    /// With UIDs.
    pub uid: bool,
    /// With UIDs in the place of numbers (RFC 9586 §3.3).
    pub uid_only: bool,
    /// Which messages are recent; and how many, where new ones are told.
    pub recent: bool,
}

/// What is told of a message beside its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imap) enum Ids {
    Nothing,
    /// To a client that has asked for it (RFC 5465 §5.1).
    Uid(Uid),
    /// To one that knows of mod-sequences (RFC 7162 §3.2).
    Both(Uid, ModSeq),
    /// In the place of its number, perhaps with its mod-sequence.
    Only(Uid, Option<ModSeq>),
}

impl Ids {
    pub fn of((uid, modseq): (Uid, ModSeq), told: FlagsTold) -> Self {
        match (told.condstore, told.uid) {
            (condstore, _) if told.uid_only => Self::Only(uid, condstore.then_some(modseq)),
            (true, _) => Self::Both(uid, modseq),
            (false, true) => Self::Uid(uid),
            (false, false) => Self::Nothing,
        }
    }
}

/// `* n FETCH (FLAGS (…))` or `* uid UIDFETCH (FLAGS (…))`, with what is told beside.
pub(in crate::imap) fn fetch_flags(
    out: &mut Vec<u8>,
    number: u32,
    flags: &Flags,
    recent: bool,
    ids: Ids,
) {
    let written = match ids {
        Ids::Nothing => write!(out, "* {number} FETCH ("),
        Ids::Uid(uid) => write!(out, "* {number} FETCH (UID {uid} "),
        Ids::Both(uid, modseq) => write!(out, "* {number} FETCH (UID {uid} MODSEQ ({modseq}) "),
        Ids::Only(uid, None) => write!(out, "* {uid} UIDFETCH ("),
        Ids::Only(uid, Some(modseq)) => write!(out, "* {uid} UIDFETCH (MODSEQ ({modseq}) "),
    };
    written.expect("a vector takes all");
    out.extend_from_slice(b"FLAGS ");
    encode::flags(out, flags, recent);
    out.extend_from_slice(b")\r\n");
}
