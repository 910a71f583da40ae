//! APPEND (RFC 3501 §6.3.11, RFC 4315 §3): the message streams to the store. Several messages of
//! one command are kept apart until the last has come (RFC 3502); what comes as a literal8 is
//! rewritten as it comes (RFC 3516 §4.4). A message may be put together from literals and from what
//! URLs name (RFC 4469).

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use mail::mime::binary::{Rewriter, Unencodable};
use mail::request::NewMessage;
use mail::{Body, Flags, InternalDate, MailboxName, Reply, Request, SequenceSet, SpoolId};

use super::dispatch::SHORT_LITERALS;
use super::eight_bit::SevenBitHeader;
use super::source::Source;
use super::{Session, Step, Work};
use crate::imap::ast::{AppendPart, AppendPlace, Command, Tagged};
use crate::imap::lexer::Literal;
use crate::imap::receive::AfterLiteral;
use crate::imap::url::URL_BYTES_MAX;

/// Messages up to this size go to the store in one request; larger ones in pieces of it. Those that
/// wait for others are no larger together.
const PIECE_BYTES: usize = 64 << 10;
/// Messages that one command may append.
const MESSAGES_MAX: usize = 256;
/// RFC 9755 §4
const EIGHT_BIT_HEADER: &str =
    "NO [CANNOT] A header with eight-bit characters needs ENABLE UTF8=ACCEPT";
/// RFC 3502 §6.3.11
const EMPTY: &str = "NO APPEND is given up, as its last message is empty";

/// Messages that are coming.
pub(super) struct Upload {
    pub(super) tag: Box<str>,
    pub(super) name: MailboxName,
    /// Those that have come.
    pub(super) messages: Vec<NewMessage>,
    /// What goes for it: by UID or number, and which.
    pub(super) replaces: Option<(bool, SequenceSet)>,
    /// What has come of the command and is yet to be done.
    parts: VecDeque<AppendPart>,
    /// That is all of it.
    has_ended: bool,
    flags: Flags,
    date: Option<InternalDate>,
    /// The present message is put together.
    is_catenated: bool,
    /// Octets of the present message that were announced, or found where URLs lead.
    pub(super) size: u64,
    /// Octets of the present literal that must still come.
    left: u64,
    /// A parenthesis follows it.
    is_enclosed: bool,
    /// It has no NUL, although it is a literal8.
    refuses_nul: bool,
    /// It is a URL: as far as it has come.
    url: Option<Vec<u8>>,
    /// Where the present part comes from, if a URL names it.
    pub(super) source: Option<Box<Source>>,
    /// Octets that URLs of the command have brought.
    pub(super) brought: u64,
    spool: Option<SpoolId>,
    piece: BytesMut,
    rewriter: Option<Box<Rewriter>>,
    /// Of the present message, if its client has not enabled UTF-8.
    header: Option<SevenBitHeader>,
}

impl Upload {
    fn new(tag: Box<str>, name: MailboxName, parts: Vec<AppendPart>) -> Self {
        Self {
            tag,
            name,
            messages: vec![],
            replaces: None,
            has_ended: !matches!(
                parts.last(),
                Some(AppendPart::Literal(_) | AppendPart::UrlLiteral(_))
            ),
            parts: parts.into(),
            flags: Flags::default(),
            date: None,
            is_catenated: false,
            size: 0,
            left: 0,
            is_enclosed: false,
            refuses_nul: false,
            url: None,
            source: None,
            brought: 0,
            spool: None,
            piece: BytesMut::new(),
            rewriter: None,
            header: None,
        }
    }

    pub(super) fn spools(&self) -> Vec<SpoolId> {
        spools(&self.messages).chain(self.spool).collect()
    }

    pub(super) fn held_bytes(&self) -> usize {
        let rewriter = self.rewriter.as_ref().map_or(0, |it| it.held_bytes());
        let url = |part: &AppendPart| match part {
            AppendPart::Url(url) => url.len(),
            _ => 0,
        };
        let parts = self.parts.iter().map(url).sum::<usize>();
        let parts = parts + self.parts.len() * size_of::<AppendPart>();
        let url = self.url.as_ref().map_or(0, Vec::len);
        self.piece.len() + self.waiting_bytes() + rewriter + parts + url
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
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        if let Some(header) = &mut self.header
            && !header.takes(bytes)
        {
            return Err(EIGHT_BIT_HEADER.to_owned());
        }
        if self.refuses_nul && bytes.contains(&0) {
            return Err(unencodable(Unencodable));
        }
        let Some(rewriter) = &mut self.rewriter else {
            self.piece.extend_from_slice(bytes);
            return Ok(());
        };
        let mut out = Vec::with_capacity(bytes.len() * 7 / 5);
        rewriter.feed(bytes, &mut out).map_err(unencodable)?;
        self.piece.extend_from_slice(&out);
        Ok(())
    }

    /// All of the present message has come.
    ///
    /// # Errors
    /// As of [`Upload::take`].
    fn end(&mut self) -> Result<(), String> {
        let Some(mut rewriter) = self.rewriter.take() else {
            return Ok(());
        };
        let mut out = Vec::new();
        rewriter.finish(&mut out).map_err(unencodable)?;
        self.piece.extend_from_slice(&out);
        Ok(())
    }

    /// Whether what has come goes to the store now; `is_all` says that it is all of a message.
    fn is_to_spool(&self, is_all: bool) -> bool {
        match (is_all, self.piece.len()) {
            (_, 0) => false,
            (true, len) => {
                let together = self.waiting_bytes() + len;
                self.spool.is_some() || !self.messages.is_empty() && together > PIECE_BYTES
            }
            (false, len) => len >= PIECE_BYTES,
        }
    }

    /// Another message begins.
    fn begin(&mut self, flags: Flags, date: Option<InternalDate>, header: Option<SevenBitHeader>) {
        (self.flags, self.date, self.header) = (flags, date, header);
        (self.is_catenated, self.size) = (false, 0);
    }

    /// A literal of the present message begins.
    fn begin_literal(&mut self, literal: Literal) {
        if literal.is_binary && self.size == 0 {
            self.rewriter = Some(Box::default());
        }
        self.refuses_nul = literal.is_binary && self.rewriter.is_none();
        self.is_enclosed = literal.is_enclosed;
        self.left = literal.size;
        self.size += literal.size;
        if !self.is_catenated {
            self.parts.push_front(AppendPart::End);
        }
    }

    /// What comes next is no literal's.
    pub(super) fn forget_literal(&mut self) {
        self.refuses_nul = false;
    }

    /// The present message is there.
    fn complete(&mut self) {
        let body = match self.spool.take() {
            Some(spool) => Body::Spooled(spool),
            None => Body::Inline(self.piece.split().freeze()),
        };
        self.is_catenated = false;
        self.messages.push(NewMessage {
            flags: std::mem::take(&mut self.flags),
            date: self.date.take(),
            body,
        });
    }
}

fn unencodable(why: Unencodable) -> String {
    format!("NO [UNKNOWN-CTE] {why}")
}

fn spools(messages: &[NewMessage]) -> impl Iterator<Item = SpoolId> + '_ {
    messages.iter().filter_map(|message| match message.body {
        Body::Spooled(spool) => Some(spool),
        Body::Inline(_) => None,
    })
}

impl Session {
    /// The command has come, or its line up to the first literal.
    pub(super) fn begin_append(&mut self, Tagged { tag, command }: Tagged) {
        let Command::Append {
            mailbox,
            parts,
            replaces,
        } = command
        else {
            return;
        };
        let mut upload = Upload::new(tag, mailbox, parts);
        upload.replaces = replaces;
        self.work = Work::Upload(Box::new(upload));
    }

    pub(super) fn next_upload(&mut self) -> bool {
        let Work::Upload(mut upload) = std::mem::replace(&mut self.work, Work::Ready) else {
            return false;
        };
        if upload.left > 0 {
            return self.take_literal(upload);
        }
        if let Some(url) = upload.url.take() {
            upload.parts.push_front(AppendPart::Url(url.into()));
        }
        if upload.is_to_spool(false) {
            self.spool(*upload);
        } else if let Some(source) = upload.source.take() {
            self.read_source(upload, *source);
        } else if let Some(part) = upload.parts.pop_front() {
            self.begin_part(upload, part);
        } else if !upload.has_ended {
            return self.after_literal(upload);
        } else if upload.replaces.is_some() {
            self.sync(Step::Replace(upload));
        } else {
            self.append(*upload);
        }
        true
    }

    /// Takes what has come of the present literal.
    fn take_literal(&mut self, mut upload: Box<Upload>) -> bool {
        let room = PIECE_BYTES.saturating_sub(upload.piece.len()) as u64;
        let bytes = self.receiver.message(upload.left.min(room));
        upload.left -= bytes.len() as u64;
        if let Some(url) = &mut upload.url {
            url.extend_from_slice(&bytes);
        } else if let Err(why) = upload.take(&bytes) {
            self.give_up(&upload, &why);
            return true;
        }
        if upload.is_to_spool(false) {
            self.spool(*upload);
            return true;
        }
        self.work = Work::Upload(upload);
        !bytes.is_empty()
    }

    fn begin_part(&mut self, mut upload: Box<Upload>, part: AppendPart) {
        match part {
            AppendPart::Message { flags, date } => {
                if let Some(why) = self.refuses_message(&upload) {
                    return self.give_up(&upload, &why);
                }
                let header = (!self.name_form.is_utf8()).then(SevenBitHeader::default);
                upload.begin(flags, date, header);
            }
            AppendPart::Catenate => upload.is_catenated = true,
            AppendPart::Url(url) => return self.begin_url(upload, url),
            AppendPart::Literal(literal) => match self.refuses_literal(&upload, literal) {
                Some(why) => {
                    upload.parts.push_back(part);
                    return self.give_up(&upload, &why);
                }
                None => {
                    upload.begin_literal(literal);
                    if !literal.non_sync && upload.is_catenated {
                        self.say("+ Ready for the literal");
                    } else if !literal.non_sync {
                        self.say("+ Ready for the message");
                    }
                }
            },
            AppendPart::UrlLiteral(literal) => {
                if literal.size > URL_BYTES_MAX as u64 {
                    upload.parts.push_back(part);
                    return self.refuse_long_url(&upload);
                }
                if !literal.non_sync {
                    self.say("+ Ready for the literal");
                }
                upload.url = Some(Vec::new());
                (upload.left, upload.is_enclosed) = (literal.size, false);
            }
            AppendPart::End => return self.end_message(upload),
        }
        self.work = Work::Upload(upload);
    }

    /// Why another message may not come.
    fn refuses_message(&self, upload: &Upload) -> Option<String> {
        if self.user.is_none() {
            Some("BAD Log in first".to_owned())
        } else if let Some((uid, _)) = &upload.replaces {
            match upload.messages.is_empty() {
                true => self.may_not_replace(*uid),
                false => Some("BAD expected a line end after the message".to_owned()),
            }
        } else if let Some(why) = self.refuses_appended(upload.messages.len()) {
            Some(why)
        } else if upload.messages.len() == MESSAGES_MAX {
            let text = format!("NO [LIMIT] An APPEND may have {MESSAGES_MAX} messages");
            Some(text)
        } else {
            None
        }
    }

    fn refuses_literal(&self, upload: &Upload, literal: Literal) -> Option<String> {
        if literal.non_sync && literal.size > self.config.non_sync_bytes_max() {
            Some(SHORT_LITERALS.to_owned())
        } else if upload.is_catenated || literal.size > 0 {
            self.refuses_size(upload, literal.size)
        } else if upload.messages.is_empty() {
            Some("BAD expected a message of at least 1 byte".to_owned())
        } else {
            Some(EMPTY.to_owned())
        }
    }

    /// Why the present message can't have so many octets more.
    pub(super) fn refuses_size(&self, upload: &Upload, more: u64) -> Option<String> {
        let max = self.config.append_bytes_max;
        let is_too_big = upload.size.saturating_add(more) > max;
        is_too_big.then(|| format!("NO [TOOBIG] A message may have {max} bytes"))
    }

    fn end_message(&mut self, mut upload: Box<Upload>) {
        if let Err(why) = upload.end() {
            return self.give_up(&upload, &why);
        }
        if upload.size == 0 {
            return self.give_up(&upload, EMPTY);
        }
        if upload.is_to_spool(true) {
            upload.parts.push_front(AppendPart::End);
            return self.spool(*upload);
        }
        upload.complete();
        self.work = Work::Upload(upload);
    }

    fn after_literal(&mut self, mut upload: Box<Upload>) -> bool {
        let place = match upload.is_catenated {
            true => AppendPlace::Part,
            false => AppendPlace::Message,
        };
        let (max, form) = (self.command_bytes_max(), self.name_form);
        let is_enclosed = upload.is_enclosed;
        match self.receiver.after_literal(max, is_enclosed, (place, form)) {
            None => {
                self.work = Work::Upload(upload);
                return false;
            }
            Some(AfterLiteral::End(parts)) => {
                upload.has_ended = true;
                upload.parts.extend(parts);
                self.work = Work::Upload(upload);
            }
            Some(AfterLiteral::Next(parts)) => {
                upload.parts.extend(parts);
                self.work = Work::Upload(upload);
            }
            Some(AfterLiteral::Fault) => {
                upload.has_ended = true;
                self.give_up(
                    &upload,
                    match place {
                        AppendPlace::Message => {
                            "BAD expected a line end or another message after the message"
                        }
                        AppendPlace::Part => "BAD expected URL, TEXT or ) after the literal",
                    },
                );
            }
        }
        true
    }

    /// Refuses a command of which more may come.
    pub(super) fn give_up(&mut self, upload: &Upload, text: &str) {
        self.drop_rest_of(upload);
        self.done(&upload.tag, text);
        self.discard(upload.spools());
    }

    /// What the client still sends of it is dropped; a literal for which it waits doesn't come.
    pub(super) fn drop_rest_of(&mut self, upload: &Upload) {
        match upload.parts.back() {
            Some(AppendPart::Literal(literal) | AppendPart::UrlLiteral(literal)) => {
                if literal.non_sync {
                    self.receiver.drop_message(literal.size);
                }
            }
            _ if upload.has_ended => {}
            _ => self.receiver.drop_message(upload.left),
        }
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
                self.drop_rest_of(&upload);
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
        self.note_own_messages(first.mailbox, first.uid, count);
        // RFC 3501 §6.3.11: a client that appends to its selected mailbox is told at once.
        self.finish(tag, format!("OK {code} APPEND completed"));
    }
}
