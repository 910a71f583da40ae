//! REPLACE (RFC 8508): the message has come as that of an APPEND; then another goes for it.

use mail::{Refusal, Reply, Request, Rights, SpoolId};

use super::acl::NO_RIGHT;
use super::append::Upload;
use super::uid_only::UID_REQUIRED;
use super::{Session, Step};

impl Session {
    /// Why no message of the selected mailbox can go, named by its UID or not; none if one can.
    pub(super) fn may_not_replace(&self, uid: bool) -> Option<String> {
        if self.uid_only && !uid {
            return Some(format!("BAD {UID_REQUIRED}"));
        }
        self.nothing_may_go().map(str::to_owned)
    }

    fn nothing_may_go(&self) -> Option<&'static str> {
        let Some(selected) = &self.selected else {
            return Some("BAD Select a mailbox first");
        };
        if selected.read_only {
            return Some("NO [READ-ONLY] The mailbox is opened read-only");
        }
        let needed = Rights::DELETE_MESSAGES | Rights::EXPUNGE;
        (!self.has_rights(needed)).then_some(NO_RIGHT)
    }

    /// The message has come, and the view is current: no message has got another number meanwhile,
    /// as the client was told of none that went.
    pub(super) fn replace(&mut self, upload: Upload, reply: Reply) {
        let spools = upload.spools();
        if !self.synced(reply) {
            return self.discard(spools);
        }
        let Upload {
            tag,
            name,
            mut messages,
            replaces,
            ..
        } = upload;
        let (Some(user), Some((uid, set)), Some(message)) = (self.user, replaces, messages.pop())
        else {
            return self.discard(spools);
        };
        let refusal = match self.resolve(&set, uid) {
            Err(why) => format!("BAD {why}"),
            Ok(ranges) if !uid && self.view().has_gone(&ranges) => {
                "NO [EXPUNGEISSUED] Some messages are gone".to_owned()
            }
            Ok(ranges) => match ranges.iter().next() {
                Some(&(uid, _)) => {
                    let (mailbox, since) = (self.mailbox(), self.view().modseq);
                    let request = Request::Replace {
                        user,
                        mailbox,
                        uid,
                        since,
                        name,
                        message: Box::new(message),
                    };
                    return self.ask(request, Step::Replaced { tag, spools });
                }
                None => "NO [NONEXISTENT] no such message".to_owned(),
            },
        };
        self.send_updates(true);
        self.done(&tag, &refusal);
        self.discard(spools);
    }

    pub(super) fn replaced(&mut self, tag: &str, spools: Vec<SpoolId>, reply: Reply) {
        let (appended, delta) = match reply {
            Reply::Replaced { appended, delta } => (appended, delta),
            reply => {
                match reply {
                    Reply::Refused(Refusal::NoMessage) => {
                        self.done(tag, "NO [NONEXISTENT] no such message");
                    }
                    Reply::Refused(refusal) => self.refuse_target(tag, &refusal),
                    _ => self.done(tag, "NO [SERVERBUG] The store gave another answer"),
                }
                return self.discard(spools);
            }
        };
        // RFC 8508 §3.3: the code comes before the other goes.
        let (validity, uid) = (appended.uid_validity, appended.uid);
        self.note_own_messages(appended.mailbox, uid, 1);
        self.say(&format!(
            "* OK [APPENDUID {validity} {uid}] The replacement is there"
        ));
        if self.synced(Reply::Synced(delta)) {
            self.send_updates(true);
            self.expunged(tag, "REPLACE", None);
        }
    }
}
