//! COPY (RFC 3501 §6.4.7, RFC 4315 §3) and MOVE (RFC 6851).

use mail::request::CopyHow;
use mail::{MailboxName, Refusal, Reply, Request, Rights, SequenceSet, UidSet};

use super::acl::NO_RIGHT;
use super::message_limit::Cut;
use super::{Session, Step};
use crate::imap::counts::Outcome;
use crate::imap::output::Line;

/// A COPY or MOVE under way.
pub(super) struct Copying {
    pub(super) tag: Box<str>,
    remove: bool,
    cut: Option<Cut>,
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
        // RFC 6851 §4.2
        if remove && !self.has_rights(Rights::DELETE_MESSAGES | Rights::EXPUNGE) {
            return self.done(&tag, NO_RIGHT);
        }
        let ranges = match self.resolve(set, uid) {
            Ok(ranges) => ranges,
            Err(why) => return self.done(&tag, &format!("BAD {why}")),
        };
        let (ranges, cut) = match remove {
            true => self.limited(ranges),
            false => (ranges, None),
        };
        if !remove && let Some(why) = self.refuses_copies(&ranges) {
            return self.done(&tag, &why);
        }
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
        let messages = self.view().in_view(ranges);
        let Some(user) = self.user else { return };
        if messages.count == 0 {
            return self.done(&tag, "OK No matching messages");
        }
        let (mailbox, since) = (self.mailbox(), self.view().modseq);
        let request = Request::Copy {
            mailbox,
            messages,
            user,
            to,
            how,
            since,
        };
        self.ask(request, Step::Copy(Copying { tag, remove, cut }));
    }

    pub(super) fn copied(&mut self, copying: Copying, reply: Reply) {
        let Copying { tag, remove, cut } = copying;
        let (uid_validity, (from, to), delta) = match reply {
            Reply::Copied {
                uid_validity,
                from,
                to,
                delta,
            } => (uid_validity, (from, to), delta),
            Reply::Refused(Refusal::NoMessage) => {
                self.send_updates(true);
                return self.done(&tag, "NO [EXPUNGEISSUED] Some messages are gone");
            }
            Reply::Refused(refusal) => return self.refuse_target(&tag, &refusal),
            _ => return self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        };
        // A `uid-set` has at least one UID (RFC 4315 §4).
        let is_any = !from.is_empty();
        let code = move |line: Line| {
            let ranges =
                |uids: UidSet| Box::new(uids.into_ranges().map(|(low, high)| (low.0, high.0)));
            let line = line.text("OK ");
            if !is_any {
                return line;
            }
            line.text(format!("[COPYUID {uid_validity} "))
                .ranges(ranges(from))
                .text(" ")
                .ranges(ranges(to))
                .text("] ")
        };
        if !remove {
            if self.synced(Reply::Synced(delta)) {
                self.send_updates(true);
                self.ended(Outcome::Ok);
                let line = code(Line::new(format!("{tag} ")));
                let line = line.text(self.worded("COPY completed"));
                self.output.pieces(line.text("\r\n"));
            }
            return;
        }
        // RFC 6851 §4.3: the code comes before the expunges.
        if is_any {
            let line = code(Line::new("* ")).text(self.worded("Moved"));
            self.output.pieces(line.text("\r\n"));
        }
        if self.synced(Reply::Synced(delta)) {
            self.send_updates(true);
            self.expunged(&tag, "MOVE", cut);
        }
    }
}
