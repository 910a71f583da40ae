//! GETMETADATA and SETMETADATA (RFC 5464 §4).

use std::sync::Arc;

use bytes::Bytes;
use mail::metadata::{Entry, MetadataFound, MetadataQuery};
use mail::{MailboxName, Reply, Request};

use super::{Session, Step};
use crate::imap::encode;
use crate::imap::name_form::NameForm;
use crate::imap::output::{PIECE_BYTES, Pieces};

/// A GETMETADATA under way.
pub(super) struct GetMetadata {
    tag: Box<str>,
    mailbox: Option<MailboxName>,
}

impl Session {
    pub(super) fn get_metadata(
        &mut self,
        tag: Box<str>,
        mailbox: Option<MailboxName>,
        query: MetadataQuery,
    ) {
        let Some(user) = self.user else { return };
        let request = Request::Metadata {
            user,
            mailbox: mailbox.clone(),
            query: Arc::new(query),
        };
        self.ask(request, Step::Metadata(GetMetadata { tag, mailbox }));
    }

    pub(super) fn metadata_came(&mut self, command: GetMetadata, reply: Reply) {
        let GetMetadata { tag, mailbox } = command;
        match reply {
            Reply::Metadata(found) => {
                let longest = found.longest;
                self.say_metadata(mailbox.as_ref(), found);
                match longest {
                    // RFC 5464 §4.2.1
                    Some(bytes) => {
                        let code = format!("[METADATA LONGENTRIES {bytes}]");
                        self.finish(tag, format!("OK {code} GETMETADATA completed"));
                    }
                    None => self.finish(tag, "OK GETMETADATA completed"),
                }
            }
            Reply::Refused(refusal) => self.refuse(&tag, &refusal),
            _ => self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        }
    }

    /// One response with all entries: clients take a second one for another mailbox's.
    pub(super) fn say_metadata(&mut self, mailbox: Option<&MailboxName>, found: MetadataFound) {
        if found.entries.is_empty() {
            return;
        }
        let mut head = b"* METADATA ".to_vec();
        mailbox_or_server(&mut head, mailbox, self.name_form);
        head.extend_from_slice(b" (");
        self.output.pieces(Response {
            held_bytes: found.bytes(),
            before: head,
            entries: found.entries.into_iter(),
        });
    }

    pub(super) fn set_metadata(
        &mut self,
        tag: Box<str>,
        mailbox: Option<MailboxName>,
        entries: Vec<Entry>,
    ) {
        let Some(user) = self.user else { return };
        // Who is an administrator is known where passwords are.
        let request = Request::SetMetadata {
            user,
            mailbox,
            entries,
            is_admin: false,
        };
        let name = "SETMETADATA";
        self.ask(request, Step::Simple { tag, name });
    }
}

/// A METADATA response: one line, in pieces of some entries.
struct Response {
    /// What stands before the next entry.
    before: Vec<u8>,
    entries: std::vec::IntoIter<Entry>,
    /// What they take.
    held_bytes: usize,
}

impl Pieces for Response {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        while out.len() < PIECE_BYTES {
            let Some(entry) = self.entries.next() else {
                out.extend_from_slice(b")\r\n");
                return false;
            };
            self.held_bytes -= entry.cost() as usize;
            let Entry { name, value } = entry;
            out.append(&mut self.before);
            encode::astring(out, name.as_str().as_bytes());
            out.push(b' ');
            self::value(out, value.as_ref());
            self.before.push(b' ');
        }
        true
    }

    fn is_one_line(&self) -> bool {
        true
    }

    fn held_bytes(&self) -> usize {
        self.held_bytes
    }
}

/// The server is the empty name.
pub(super) fn mailbox_or_server(out: &mut Vec<u8>, mailbox: Option<&MailboxName>, form: NameForm) {
    match mailbox {
        Some(mailbox) => encode::mailbox(out, mailbox, form),
        None => out.extend_from_slice(b"\"\""),
    }
}

/// ```text
/// value = nstring / literal8                      ; RFC 5464 §5
/// ```
pub(super) fn value(out: &mut Vec<u8>, value: Option<&Bytes>) {
    match value {
        Some(value) if value.contains(&0) => {
            out.extend_from_slice(format!("~{{{}}}\r\n", value.len()).as_bytes());
            out.extend_from_slice(value);
        }
        value => encode::nstring(out, value.map(|value| &value[..])),
    }
}
