//! COPY (RFC 3501 §6.4.7, RFC 4315 §3) and MOVE (RFC 6851).

use mail::request::CopyHow;
use mail::{MailboxName, Refusal, Reply, Request, SequenceSet, Uid};

use super::{Session, Step};
use crate::imap::output::Line;

/// A COPY or MOVE under way.
pub(super) struct Copying {
    tag: Box<str>,
    remove: bool,
}

impl Session {
    pub(super) fn copy(
        &mut self,
        tag: Box<str>,
        uid: bool,
        set: &SequenceSet,
        to: MailboxName,
        remove: bool,
    ) {
        if remove && self.refuse_read_only(&tag) {
            return;
        }
        let ranges = match self.resolve(set, uid) {
            Ok(ranges) => ranges,
            Err(why) => return self.done(&tag, &format!("BAD {why}")),
        };
        // RFC 2180 §4.4: by number all or none, those that are gone included, if they are kept. One
        // that is gone was moved by somebody else already, or is not wanted any more.
        let how = match (remove, uid) {
            (true, _) => CopyHow::Move,
            (false, true) => CopyHow::Copy,
            (false, false) => CopyHow::Whole,
        };
        if remove && !uid && self.view().has_gone(&ranges) {
            // RFC 5530 §3 for the reason.
            self.send_updates(true);
            return self.done(&tag, "NO [EXPUNGEISSUED] Some messages are gone");
        }
        let uids = self.view().take_uids(&mut ranges.into(), usize::MAX);
        let Some(user) = self.user else { return };
        if uids.is_empty() {
            return self.done(&tag, "OK No matching messages");
        }
        let (mailbox, since) = (self.mailbox(), self.view().modseq);
        let request = Request::Copy {
            mailbox,
            uids,
            user,
            to,
            how,
            since,
        };
        self.ask(request, Step::Copy(Copying { tag, remove }));
    }

    pub(super) fn copied(&mut self, copying: Copying, reply: Reply) {
        let Copying { tag, remove } = copying;
        let (uid_validity, pairs, delta) = match reply {
            Reply::Copied {
                uid_validity,
                pairs,
                delta,
            } => (uid_validity, pairs, delta),
            Reply::Refused(Refusal::NoMessage) => {
                self.send_updates(true);
                return self.done(&tag, "NO [EXPUNGEISSUED] Some messages are gone");
            }
            Reply::Refused(refusal) => return self.refuse_target(&tag, &refusal),
            _ => return self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        };
        let code = |line: Line| {
            let (from, to): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            line.text(format!("OK [COPYUID {uid_validity} "))
                .set(from.into_iter().map(|uid: Uid| uid.0))
                .text(" ")
                .set(to.into_iter().map(|uid: Uid| uid.0))
                .text("] ")
        };
        if remove {
            // RFC 6851 §4.3: the code comes before the expunges.
            self.output.pieces(code(Line::new("* ")).text("Moved\r\n"));
        }
        if !self.synced(Reply::Synced(delta)) {
            return;
        }
        self.send_updates(true);
        if remove {
            self.done(&tag, "OK MOVE completed");
        } else {
            let line = code(Line::new(format!("{tag} ")));
            self.output.pieces(line.text("COPY completed\r\n"));
        }
    }
}
