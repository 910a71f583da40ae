//! APPEND (RFC 3501 §6.3.11, RFC 4315 §3): the message streams to the store.

use bytes::{Bytes, BytesMut};
use mail::{Body, Flags, InternalDate, MailboxName, Reply, Request, SpoolId};

use super::{Session, Step, Work};
use crate::imap::ast::{Command, Tagged};

/// Messages up to this size go to the store in one request; larger ones in pieces of it.
const PIECE_BYTES: usize = 64 << 10;
/// What may follow the message on its line: nothing, but a client at fault may send something.
const REST_BYTES_MAX: usize = 1024;

/// A message that is coming.
pub(super) struct Upload {
    tag: Box<str>,
    name: MailboxName,
    flags: Flags,
    date: Option<InternalDate>,
    /// Bytes that must still come.
    left: u64,
    spool: Option<SpoolId>,
    piece: BytesMut,
}

impl Upload {
    pub(super) fn spool(&self) -> Option<SpoolId> {
        self.spool
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.piece.len()
    }
}

impl Session {
    pub(super) fn begin_append(&mut self, Tagged { tag, command }: Tagged) {
        let Command::Append {
            mailbox,
            flags,
            date,
            size,
            non_sync,
        } = command
        else {
            return;
        };
        let max = self.config.append_bytes_max;
        let refusal = if self.user.is_none() {
            Some("BAD Log in first".to_owned())
        } else if size > max {
            Some(format!("NO [TOOBIG] A message may have {max} bytes"))
        } else if size == 0 {
            Some("BAD expected a message of at least 1 byte".to_owned())
        } else {
            None
        };
        if let Some(text) = refusal {
            if non_sync {
                self.receiver.drop_message(size);
            }
            return self.done(&tag, &text);
        }
        if !non_sync {
            self.say("+ Ready for the message");
        }
        let piece = BytesMut::new();
        let upload = Upload {
            tag,
            name: mailbox,
            flags,
            date,
            left: size,
            spool: None,
            piece,
        };
        self.work = Work::Upload(Box::new(upload));
    }

    pub(super) fn next_upload(&mut self) -> bool {
        let Work::Upload(mut upload) = std::mem::replace(&mut self.work, Work::Ready) else {
            return false;
        };
        let room = (PIECE_BYTES - upload.piece.len()) as u64;
        let bytes = self.receiver.message(upload.left.min(room));
        upload.left -= bytes.len() as u64;
        upload.piece.extend_from_slice(&bytes);
        let full = upload.piece.len() == PIECE_BYTES;
        if upload.left > 0 && full
            || (upload.spool.is_some() && !upload.piece.is_empty() && upload.left == 0)
        {
            self.spool(*upload);
            return true;
        }
        if upload.left > 0 {
            self.work = Work::Upload(upload);
            return !bytes.is_empty();
        }
        match self.receiver.line(REST_BYTES_MAX) {
            None => {
                self.work = Work::Upload(upload);
                return false;
            }
            Some(Ok(rest)) if rest.is_empty() => self.append(*upload),
            Some(_) => {
                self.done(&upload.tag, "BAD expected a line end after the message");
                self.discard(upload.spool);
            }
        }
        true
    }

    fn spool(&mut self, mut upload: Upload) {
        let chunk: Bytes = upload.piece.split().freeze();
        let request = Request::Spool {
            spool: upload.spool,
            chunk,
        };
        self.ask(request, Step::Upload(upload));
    }

    pub(super) fn spooled(&mut self, mut upload: Upload, reply: Reply) {
        match reply {
            Reply::Spooled(spool) => {
                upload.spool = Some(spool);
                self.work = Work::Upload(Box::new(upload));
            }
            reply => {
                // What the client still sends of it is dropped.
                self.receiver.drop_message(upload.left);
                match reply {
                    Reply::Refused(refusal) => self.refuse_target(&upload.tag, &refusal),
                    _ => self.done(&upload.tag, "NO [SERVERBUG] The store gave another answer"),
                }
                self.discard(upload.spool);
            }
        }
    }

    fn discard(&mut self, spool: Option<SpoolId>) {
        if let Some(spool) = spool {
            self.ask(Request::Discard { spool }, Step::Ignore);
        }
    }

    fn append(&mut self, upload: Upload) {
        let Some(user) = self.user else { return };
        let spool = upload.spool;
        let body = match spool {
            Some(spool) => Body::Spooled(spool),
            None => Body::Inline(upload.piece.freeze()),
        };
        let Upload {
            tag,
            name,
            flags,
            date,
            ..
        } = upload;
        self.ask(
            Request::Append {
                user,
                name,
                flags,
                date,
                body,
            },
            Step::Append { tag, spool },
        );
    }

    pub(super) fn appended(&mut self, tag: Box<str>, spool: Option<SpoolId>, reply: Reply) {
        match reply {
            Reply::Appended(appended) => {
                let code = format!("[APPENDUID {} {}]", appended.uid_validity, appended.uid);
                // RFC 3501 §6.3.11: a client that appends to its selected mailbox is told at once.
                return self.finish(tag, format!("OK {code} APPEND completed"));
            }
            Reply::Refused(refusal) => self.refuse_target(&tag, &refusal),
            _ => self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        }
        // The store may not have looked at it. If it has, there is nothing to forget.
        self.discard(spool);
    }
}
