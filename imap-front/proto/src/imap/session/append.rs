//! APPEND (RFC 3501 §6.3.11, RFC 4315 §3): the message streams to the store. Several messages of
//! one command are kept apart until the last has come (RFC 3502); what comes as a literal8 is
//! rewritten as it comes (RFC 3516 §4.4).

use bytes::{Bytes, BytesMut};
use mail::mime::binary::Rewriter;
use mail::request::NewMessage;
use mail::{Body, Flags, InternalDate, MailboxName, Reply, Request, SequenceSet, SpoolId};

use super::dispatch::SHORT_LITERALS;
use super::eight_bit::SevenBitHeader;
use super::{Session, Step, Work};
use crate::imap::ast::{Command, Tagged};
use crate::imap::lexer::Literal;
use crate::imap::receive::AfterMessage;

/// Messages up to this size go to the store in one request; larger ones in pieces of it. Those that
/// wait for others are no larger together.
const PIECE_BYTES: usize = 64 << 10;
/// Messages that one command may append.
const MESSAGES_MAX: usize = 256;
/// RFC 9755 §4
const EIGHT_BIT_HEADER: &str =
    "NO [CANNOT] A header with eight-bit characters needs ENABLE UTF8=ACCEPT";

/// Messages that are coming.
pub(super) struct Upload {
    pub(super) tag: Box<str>,
    pub(super) name: MailboxName,
    /// Those that have come.
    pub(super) messages: Vec<NewMessage>,
    flags: Flags,
    date: Option<InternalDate>,
    /// Bytes of the present one that must still come.
    left: u64,
    spool: Option<SpoolId>,
    piece: BytesMut,
    rewriter: Option<Box<Rewriter>>,
    /// A parenthesis follows the present one.
    is_enclosed: bool,
    /// Of the present one, if its client has not enabled UTF-8.
    header: Option<SevenBitHeader>,
    /// What goes for it: by UID or number, and which.
    pub(super) replaces: Option<(bool, SequenceSet)>,
}

impl Upload {
    pub(super) fn spools(&self) -> Vec<SpoolId> {
        spools(&self.messages).chain(self.spool).collect()
    }

    pub(super) fn held_bytes(&self) -> usize {
        let rewriter = self.rewriter.as_ref().map_or(0, |it| it.held_bytes());
        self.piece.len() + self.waiting_bytes() + rewriter
    }

    fn waiting_bytes(&self) -> usize {
        self.messages
            .iter()
            .map(|message| message.body.bytes())
            .sum()
    }

    /// Takes bytes of the message in.
    ///
    /// # Errors
    /// The answer to who may not append it.
    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.left -= bytes.len() as u64;
        if let Some(header) = &mut self.header
            && !header.takes(bytes)
        {
            return Err(EIGHT_BIT_HEADER.to_owned());
        }
        let Some(rewriter) = &mut self.rewriter else {
            self.piece.extend_from_slice(bytes);
            return Ok(());
        };
        let mut out = Vec::with_capacity(bytes.len() * 7 / 5);
        let refused = |why| format!("NO [UNKNOWN-CTE] {why}");
        rewriter.feed(bytes, &mut out).map_err(refused)?;
        if self.left == 0 {
            rewriter.finish(&mut out).map_err(refused)?;
            self.rewriter = None;
        }
        self.piece.extend_from_slice(&out);
        Ok(())
    }

    /// Whether what has come goes to the store now.
    fn is_to_spool(&self) -> bool {
        match (self.left, self.piece.len()) {
            (_, 0) => false,
            (0, len) => {
                let together = self.waiting_bytes() + len;
                self.spool.is_some() || !self.messages.is_empty() && together > PIECE_BYTES
            }
            (_, len) => len >= PIECE_BYTES,
        }
    }

    /// The present message has come.
    fn complete(&mut self) {
        let body = match self.spool.take() {
            Some(spool) => Body::Spooled(spool),
            None => Body::Inline(self.piece.split().freeze()),
        };
        self.messages.push(NewMessage {
            flags: std::mem::take(&mut self.flags),
            date: self.date.take(),
            body,
        });
    }
}

fn spools(messages: &[NewMessage]) -> impl Iterator<Item = SpoolId> + '_ {
    messages.iter().filter_map(|message| match message.body {
        Body::Spooled(spool) => Some(spool),
        Body::Inline(_) => None,
    })
}

impl Session {
    pub(super) fn begin_append(&mut self, Tagged { tag, command }: Tagged) {
        let Command::Append {
            mailbox,
            flags,
            date,
            literal,
            replaces,
        } = command
        else {
            return;
        };
        let upload = Upload {
            tag,
            name: mailbox,
            messages: vec![],
            flags,
            date,
            left: literal.size,
            spool: None,
            piece: BytesMut::new(),
            rewriter: None,
            is_enclosed: false,
            header: None,
            replaces,
        };
        self.begin_message(upload, literal);
    }

    fn begin_message(&mut self, mut upload: Upload, literal: Literal) {
        let max = self.config.append_bytes_max;
        let refusal = if self.user.is_none() {
            Some("BAD Log in first".to_owned())
        } else if let Some(why) = upload
            .replaces
            .as_ref()
            .and_then(|(uid, _)| self.may_not_replace(*uid))
        {
            Some(why)
        } else if literal.non_sync && literal.size > self.config.non_sync_bytes_max() {
            Some(SHORT_LITERALS.to_owned())
        } else if literal.size > max {
            Some(format!("NO [TOOBIG] A message may have {max} bytes"))
        } else if literal.size == 0 && upload.messages.is_empty() {
            Some("BAD expected a message of at least 1 byte".to_owned())
        } else if literal.size == 0 {
            // RFC 3502 §6.3.11
            Some("NO APPEND is given up, as its last message is empty".to_owned())
        } else if upload.messages.len() == MESSAGES_MAX {
            Some(format!(
                "NO [LIMIT] An APPEND may have {MESSAGES_MAX} messages"
            ))
        } else {
            None
        };
        if let Some(text) = refusal {
            if literal.non_sync {
                self.receiver.drop_message(literal.size);
            }
            self.done(&upload.tag, &text);
            return self.discard(upload.spools());
        }
        if !literal.non_sync {
            self.say("+ Ready for the message");
        }
        upload.left = literal.size;
        upload.rewriter = literal.is_binary.then(Box::default);
        upload.is_enclosed = literal.is_enclosed;
        upload.header = (!self.name_form.is_utf8()).then(SevenBitHeader::default);
        self.work = Work::Upload(Box::new(upload));
    }

    pub(super) fn next_upload(&mut self) -> bool {
        let Work::Upload(mut upload) = std::mem::replace(&mut self.work, Work::Ready) else {
            return false;
        };
        let room = PIECE_BYTES.saturating_sub(upload.piece.len()) as u64;
        let bytes = self.receiver.message(upload.left.min(room));
        if !bytes.is_empty()
            && let Err(why) = upload.take(&bytes)
        {
            self.give_up(&upload, &why);
            return true;
        }
        if upload.is_to_spool() {
            self.spool(*upload);
            return true;
        }
        if upload.left > 0 {
            self.work = Work::Upload(upload);
            return !bytes.is_empty();
        }
        match self
            .receiver
            .after_message(self.command_bytes_max(), upload.is_enclosed)
        {
            None => {
                self.work = Work::Upload(upload);
                return false;
            }
            Some(AfterMessage::End) => {
                upload.complete();
                match upload.replaces {
                    Some(_) => self.sync(Step::Replace(upload)),
                    None => self.append(*upload),
                }
            }
            Some(AfterMessage::Next(announced)) if upload.replaces.is_some() => {
                if announced.2.non_sync {
                    self.receiver.drop_message(announced.2.size);
                }
                self.done(&upload.tag, "BAD expected a line end after the message");
                self.discard(upload.spools());
            }
            Some(AfterMessage::Next(announced)) => {
                upload.complete();
                let (flags, date, literal) = *announced;
                (upload.flags, upload.date) = (flags, date);
                self.begin_message(*upload, literal);
            }
            Some(AfterMessage::Fault) => {
                let text = "BAD expected a line end or another message after the message";
                self.done(&upload.tag, text);
                self.discard(upload.spools());
            }
        }
        true
    }

    /// Refuses a command of which more may come.
    fn give_up(&mut self, upload: &Upload, text: &str) {
        self.receiver.drop_message(upload.left);
        self.done(&upload.tag, text);
        self.discard(upload.spools());
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
                self.discard(upload.spools());
            }
        }
    }

    /// Gives up what was uploaded, one after the other.
    pub(super) fn discard(&mut self, mut spools: Vec<SpoolId>) {
        if let Some(spool) = spools.pop() {
            self.ask(Request::Discard { spool }, Step::Discard(spools));
        }
    }

    fn append(&mut self, upload: Upload) {
        let Some(user) = self.user else { return };
        let spools = upload.spools();
        let Upload {
            tag,
            name,
            mut messages,
            ..
        } = upload;
        let request = match messages.pop() {
            Some(NewMessage { flags, date, body }) if messages.is_empty() => Request::Append {
                user,
                name,
                flags,
                date,
                body,
            },
            last => {
                messages.extend(last);
                Request::AppendAll {
                    user,
                    name,
                    messages,
                }
            }
        };
        self.ask(request, Step::Append { tag, spools });
    }

    pub(super) fn appended(&mut self, tag: Box<str>, spools: Vec<SpoolId>, reply: Reply) {
        let (first, count) = match reply {
            Reply::Appended(appended) => (appended, 1),
            Reply::AppendedAll { first, count } => (first, count),
            reply => {
                match reply {
                    Reply::Refused(refusal) => self.refuse_target(&tag, &refusal),
                    _ => self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
                }
                // The store may not have looked at it. If it has, there is nothing to forget.
                return self.discard(spools);
            }
        };
        let uids = match count {
            0 | 1 => first.uid.to_string(),
            _ => format!("{}:{}", first.uid, first.uid.0 + count - 1),
        };
        let code = format!("[APPENDUID {} {uids}]", first.uid_validity);
        // RFC 3501 §6.3.11: a client that appends to its selected mailbox is told at once.
        self.finish(tag, format!("OK {code} APPEND completed"));
    }
}
