//! COPY (RFC 3501 §6.4.7, RFC 4315 §3) and MOVE (RFC 6851).

use mail::{MailboxName, Reply, Request, SequenceSet};

use super::{Session, Step};
use crate::imap::encode;

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
        let mut uids = match self.resolve(set, uid) {
            Ok(uids) => uids,
            Err(why) => return self.done(&tag, &format!("BAD {why}")),
        };
        let view = self.view();
        let asked = uids.len();
        uids.retain(|uid| !view.is_gone(*uid));
        if !uid && uids.len() < asked {
            // RFC 2180 §4.4.1: all or none, and RFC 5530 §3 for the reason.
            self.send_updates(true);
            return self.done(&tag, "NO [EXPUNGEISSUED] Some messages are gone");
        }
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
            remove,
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
            Reply::Refused(refusal) => return self.refuse_target(&tag, &refusal),
            _ => return self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        };
        let mut code = format!("[COPYUID {uid_validity} ").into_bytes();
        encode::number_set(&mut code, pairs.iter().map(|(from, _)| from.0));
        code.push(b' ');
        encode::number_set(&mut code, pairs.iter().map(|(_, to)| to.0));
        code.push(b']');
        let code = String::from_utf8_lossy(&code).into_owned();
        if remove {
            // RFC 6851 §4.3: the code comes before the expunges.
            self.say(&format!("* OK {code} Moved"));
        }
        if !self.synced(Reply::Synced(delta)) {
            return;
        }
        self.send_updates(true);
        let text = if remove {
            "OK MOVE completed".into()
        } else {
            format!("OK {code} COPY completed")
        };
        self.done(&tag, &text);
    }
}
