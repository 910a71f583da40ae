//! CATENATE (RFC 4469): what URLs name is copied into the message that is being put together, piece
//! by piece. Nothing of it is kept here but the present piece.

use bytes::Bytes;
use mail::mime::header;
use mail::{MailboxId, MailboxName, Message, Refusal, Reply, Request};

use super::append::Upload;
use super::fetch::{HEADER_BYTES_MAX, READ_BYTES};
use super::fetch_items::{part_of, part_of_range};
use super::named::{asked, octets};
use super::source::{Source, Stage};
use super::{Session, Step, Work};
use crate::imap::ast::SectionText;
use crate::imap::url::{MessageUrl, URL_BYTES_MAX, UrlMailbox, in_code, relative};

/// What URLs of one command may bring: so many times what a message may have. A client that uploads
/// has to send as much as it stores; one that names has not.
const BROUGHT_TIMES: u64 = 4;

impl Session {
    /// A part is what a URL names.
    pub(super) fn begin_url(&mut self, upload: Box<Upload>, url: Box<[u8]>) {
        if url.len() > URL_BYTES_MAX {
            return self.refuse_long_url(&upload);
        }
        let read = match relative(&url) {
            Ok(read) => read,
            Err(why) => return self.bad_url(&upload, &url, &why.to_string()),
        };
        match &read.mailbox {
            UrlMailbox::Selected if self.selected.is_none() => {
                self.bad_url(&upload, &url, "no mailbox is selected");
            }
            UrlMailbox::Selected => self.ask_message(upload, url, (self.mailbox(), read)),
            UrlMailbox::Beside(_) if self.selected.is_some() => {
                let request = self.own_name(self.mailbox());
                let stage = Stage::Selected(read);
                self.ask_source(upload, Source { url, stage }, request);
            }
            _ => self.ask_mailbox(upload, url, None, read),
        }
    }

    pub(super) fn refuse_long_url(&mut self, upload: &Upload) {
        let text = format!("NO [LIMIT] A URL may have {URL_BYTES_MAX} bytes");
        self.give_up(upload, &text);
    }

    /// RFC 4469 §4.1
    fn bad_url(&mut self, upload: &Upload, url: &[u8], why: &str) {
        match url.is_empty() {
            // The code can't be without one.
            true => self.give_up(upload, &format!("NO {why}")),
            false => self.give_up(upload, &format!("NO [BADURL {}] {why}", in_code(url))),
        }
    }

    fn ask_source(&mut self, mut upload: Box<Upload>, source: Source, request: Request) {
        upload.source = Some(Box::new(source));
        self.ask(request, Step::Catenate(upload));
    }

    fn ask_mailbox(
        &mut self,
        upload: Box<Upload>,
        url: Box<[u8]>,
        selected: Option<&MailboxName>,
        mut read: MessageUrl,
    ) {
        let mailbox = std::mem::replace(&mut read.mailbox, UrlMailbox::Selected);
        let Some(name) = mailbox.from(selected) else {
            return self.bad_url(&upload, &url, "no such mailbox");
        };
        let request = Request::Status {
            user: self.user.unwrap_or_default(),
            name,
            deleted_bytes: false,
        };
        let stage = Stage::Mailbox(read);
        self.ask_source(upload, Source { url, stage }, request);
    }

    fn ask_message(
        &mut self,
        upload: Box<Upload>,
        url: Box<[u8]>,
        (mailbox, read): (MailboxId, MessageUrl),
    ) {
        let request = asked(mailbox, &read);
        let stage = Stage::Message(mailbox, read);
        self.ask_source(upload, Source { url, stage }, request);
    }

    /// Asks for the next piece of what a URL names.
    pub(super) fn read_source(&mut self, upload: Box<Upload>, source: Source) {
        let Stage::Octets { mailbox, uid, left } = &source.stage else {
            return self.bad_url(&upload, &source.url, "the message can't be read");
        };
        let request = Request::Read {
            mailbox: *mailbox,
            uid: *uid,
            range: left.start..left.end.min(left.start + READ_BYTES),
        };
        self.ask_source(upload, source, request);
    }

    /// The store answered.
    pub(super) fn source_came(&mut self, mut upload: Box<Upload>, reply: Reply) {
        let Some(source) = upload.source.take() else {
            return;
        };
        let Source { url, stage } = *source;
        match (stage, reply) {
            (Stage::Selected(read), Reply::Watched(mut found)) => {
                match found.mailboxes.pop() {
                    Some(selected) => self.ask_mailbox(upload, url, Some(&selected.name), read),
                    None => self.bad_url(&upload, &url, "no such mailbox"),
                };
            }
            (Stage::Mailbox(read), Reply::Status(status)) => {
                match read
                    .uid_validity
                    .is_none_or(|it| it == status.uid_validity.0)
                {
                    true => self.ask_message(upload, url, (status.mailbox, read)),
                    false => self.bad_url(&upload, &url, "the mailbox has another UIDVALIDITY"),
                }
            }
            (Stage::Message(mailbox, read), Reply::Fetched { messages, .. }) => {
                let message = messages.into_iter().find(|it| !it.is_gone);
                match message {
                    Some(message) => self.message_found(upload, url, (mailbox, read), &message),
                    None => self.bad_url(&upload, &url, "no such message"),
                }
            }
            (Stage::Header(fields, partial), Reply::Piece(bytes)) => {
                let head = &bytes[..header::length(&bytes)];
                let picked = match &fields {
                    SectionText::HeaderFields(names) => header::filter(head, names, true),
                    SectionText::HeaderFieldsNot(names) => header::filter(head, names, false),
                    _ => head.to_vec(),
                };
                let picked = part_of(picked.into(), partial);
                if self.counted(&mut upload, picked.len() as u64) {
                    self.bring(upload, &picked);
                }
            }
            (Stage::Octets { mailbox, uid, left }, Reply::Piece(bytes)) if !bytes.is_empty() => {
                let left = left.start + bytes.len() as u64..left.end;
                if !left.is_empty() {
                    let stage = Stage::Octets { mailbox, uid, left };
                    upload.source = Some(Box::new(Source { url, stage }));
                }
                self.bring(upload, &bytes);
            }
            (_, Reply::Refused(refusal)) => self.refuse_source(&upload, &url, &refusal),
            _ => self.bad_url(&upload, &url, "no such message"),
        }
    }

    /// It can't be had: because of the URL, or not.
    fn refuse_source(&mut self, upload: &Upload, url: &[u8], refusal: &Refusal) {
        match refusal {
            Refusal::NoMailbox | Refusal::NoMessage | Refusal::NoPermission => {
                self.bad_url(upload, url, &refusal.to_string());
            }
            _ => {
                self.drop_rest_of(upload);
                self.refuse(&upload.tag, refusal);
                self.discard(upload.spools());
            }
        }
    }

    fn message_found(
        &mut self,
        mut upload: Box<Upload>,
        url: Box<[u8]>,
        (mailbox, read): (MailboxId, MessageUrl),
        message: &Message,
    ) {
        let Some(range) = octets(message, &read.section) else {
            return self.bad_url(&upload, &url, "the message has no such part");
        };
        let text = read.section.text;
        if let SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) = text {
            let end = range.end.min(range.start + HEADER_BYTES_MAX);
            let request = Request::Read {
                mailbox,
                uid: read.uid,
                range: range.start..end,
            };
            let stage = Stage::Header(text, read.partial);
            return self.ask_source(upload, Source { url, stage }, request);
        }
        let left = part_of_range(range, read.partial);
        if !self.counted(&mut upload, left.end - left.start) {
            return;
        }
        if !left.is_empty() {
            let uid = read.uid;
            let stage = Stage::Octets { mailbox, uid, left };
            upload.source = Some(Box::new(Source { url, stage }));
        }
        self.work = Work::Upload(upload);
    }

    /// Counts what a URL brings, before it does. False if it is too much: the command is refused.
    fn counted(&mut self, upload: &mut Upload, bytes: u64) -> bool {
        let max = self.config.append_bytes_max.saturating_mul(BROUGHT_TIMES);
        let brought = upload.brought.saturating_add(bytes);
        let refusal = match self.refuses_size(upload, bytes) {
            None if brought > max => Some(format!(
                "NO [LIMIT] URLs may bring {max} bytes by a command"
            )),
            refusal => refusal,
        };
        if let Some(text) = refusal {
            self.give_up(upload, &text);
            return false;
        }
        upload.brought = brought;
        upload.size += bytes;
        true
    }

    fn bring(&mut self, mut upload: Box<Upload>, bytes: &Bytes) {
        upload.forget_literal();
        match upload.take(bytes) {
            Ok(()) => self.work = Work::Upload(upload),
            Err(why) => self.give_up(&upload, &why),
        }
    }
}
