//! GETANNOTATION and SETANNOTATION (draft-daboo-imap-annotatemore-08), as METADATA: `value.priv` of
//! `/entry` is `/private/entry`, `value.shared` is `/shared/entry`. Sizes are counted.

use std::collections::btree_map::IntoValues;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use mail::list::{Query, matches};
use mail::metadata::{Entry, MetadataFound, MetadataQuery, Wanted};
use mail::{MailboxName, Refusal, Reply, Request};

use super::metadata::{mailbox_or_server, value};
use super::{Session, Step, Stream, Work};
use crate::imap::ast::{Annotation, Attribute};
use crate::imap::encode;
use crate::imap::output::{PIECE_BYTES, Pieces};

/// A command about annotations, under way.
pub(super) struct Annotating {
    tag: Box<str>,
    what: What,
    /// The mailbox that was asked for last, or the server.
    present: Option<MailboxName>,
    /// Mailboxes that are still to be asked for.
    names: VecDeque<MailboxName>,
    /// Which mailboxes these are, if there is a pattern.
    query: Option<Arc<Query>>,
    /// Where the next piece of their list begins.
    next: Option<MailboxName>,
}

enum What {
    Get(Arc<MetadataQuery>, Vec<Box<str>>),
    Set(Vec<Entry>),
}

/// The attributes there are.
const ATTRIBUTES: [&str; 4] = ["value.priv", "value.shared", "size.priv", "size.shared"];

impl Session {
    pub(super) fn get_annotation(
        &mut self,
        tag: Box<str>,
        mailbox: &str,
        entries: &[Box<str>],
        attributes: Vec<Box<str>>,
    ) {
        let mut scoped = Vec::with_capacity(2 * entries.len());
        for entry in entries {
            scoped.push(format!("/private{entry}").into());
            scoped.push(format!("/shared{entry}").into());
        }
        let query = MetadataQuery {
            wanted: Wanted::Like(scoped),
            value_bytes_max: None,
        };
        self.begin_annotating(tag, mailbox, What::Get(Arc::new(query), attributes));
    }

    pub(super) fn set_annotation(
        &mut self,
        tag: Box<str>,
        mailbox: &str,
        annotations: Vec<Annotation>,
    ) {
        let mut entries = Vec::new();
        for annotation in annotations {
            for attribute in annotation.values {
                let (name, value) = match attribute {
                    Attribute::Private(value) => (annotation.private.clone(), value),
                    Attribute::Shared(value) => (annotation.shared.clone(), value),
                    Attribute::Ignored => continue,
                };
                entries.push(Entry { name, value });
            }
        }
        self.begin_annotating(tag, mailbox, What::Set(entries));
    }

    fn begin_annotating(&mut self, tag: Box<str>, mailbox: &str, what: What) {
        let mut annotating = Annotating {
            tag,
            what,
            present: None,
            names: VecDeque::new(),
            query: None,
            next: None,
        };
        if mailbox.is_empty() {
            return self.annotate(annotating);
        }
        if !mailbox.contains(['*', '%']) {
            annotating.present = Some(MailboxName::new(mailbox));
            return self.annotate(annotating);
        }
        let query = Query {
            patterns: mail::list::joined("", mailbox).into_iter().collect(),
            ..Query::default()
        };
        annotating.query = Some(Arc::new(query));
        self.list_annotated(annotating);
    }

    fn list_annotated(&mut self, annotating: Annotating) {
        let (Some(user), Some(query)) = (self.user, annotating.query.clone()) else {
            return;
        };
        let after = annotating.next.clone();
        let request = Request::List { user, query, after };
        self.ask(request, Step::Annotation(Box::new(annotating)));
    }

    /// Asks for the present mailbox, or the server.
    fn annotate(&mut self, annotating: Annotating) {
        let Some(user) = self.user else { return };
        let mailbox = annotating.present.clone();
        let request = match &annotating.what {
            What::Get(query, _) => Request::Metadata {
                user,
                mailbox,
                query: query.clone(),
            },
            What::Set(entries) => Request::SetMetadata {
                user,
                mailbox,
                entries: entries.clone(),
                is_admin: false,
            },
        };
        self.ask(request, Step::Annotation(Box::new(annotating)));
    }

    pub(super) fn annotation_came(&mut self, mut annotating: Box<Annotating>, reply: Reply) {
        match (reply, &annotating.what) {
            (Reply::Listed(piece), _) => {
                let selectable = piece.entries.into_iter().filter(|entry| entry.selectable);
                annotating.names = selectable.map(|entry| entry.name).collect();
                annotating.next = piece.next;
                if annotating.next.is_none() {
                    annotating.query = None;
                }
            }
            (Reply::Metadata(found), What::Get(_, attributes)) => {
                self.say_annotations(annotating.present.as_ref(), found, attributes);
            }
            (Reply::Done, What::Set(_)) => {}
            (Reply::Refused(refusal), _) => return self.refuse_annotation(&annotating, &refusal),
            _ => {
                let text = "NO [SERVERBUG] The store gave another answer";
                return self.done(&annotating.tag, text);
            }
        }
        self.annotate_on(annotating);
    }

    /// Goes on with the next mailbox, as far as the client takes what is said of them.
    pub(super) fn annotate_on(&mut self, mut annotating: Box<Annotating>) {
        if self.output.is_full() {
            self.work = Work::Streaming(Box::new(Stream::Annotations(annotating)));
        } else if let Some(name) = annotating.names.pop_front() {
            annotating.present = Some(name);
            self.annotate(*annotating);
        } else if annotating.query.is_some() {
            self.list_annotated(*annotating);
        } else {
            let name = match annotating.what {
                What::Get(..) => "GETANNOTATION",
                What::Set(_) => "SETANNOTATION",
            };
            self.finish(annotating.tag, format!("OK {name} completed"));
        }
    }

    fn refuse_annotation(&mut self, annotating: &Annotating, refusal: &Refusal) {
        let code = match refusal {
            Refusal::MetadataTooBig(_) => "TOOBIG",
            Refusal::MetadataTooMany => "TOOMANY",
            refusal => return self.refuse(&annotating.tag, refusal),
        };
        self.done(
            &annotating.tag,
            &format!("NO [ANNOTATEMORE {code}] {refusal}"),
        );
    }

    /// A response for each entry, with those of its attributes that match and have a value.
    fn say_annotations(
        &mut self,
        mailbox: Option<&MailboxName>,
        found: MetadataFound,
        patterns: &[Box<str>],
    ) {
        // A bare `value` is both.
        let is_wanted = |attribute: &&str| {
            let (kind, _) = attribute.split_once('.').unwrap_or((attribute, ""));
            let mut patterns = patterns.iter();
            patterns.any(|pattern| **pattern == *kind || matches(pattern, attribute))
        };
        let wanted: Vec<&'static str> = ATTRIBUTES.into_iter().filter(is_wanted).collect();
        let held_bytes = found.bytes();
        let mut entries: BTreeMap<String, Annotated> = BTreeMap::new();
        for Entry { name, value } in found.entries {
            let is_private = name.is_private();
            let scope = if is_private { "/private" } else { "/shared" };
            let path = &name.as_str()[scope.len()..];
            let entry = entries.entry(path.to_ascii_lowercase()).or_default();
            entry.path = path.into();
            entry.values[usize::from(!is_private)] = value;
        }
        let mut head = b"* ANNOTATION ".to_vec();
        mailbox_or_server(&mut head, mailbox, self.name_form);
        self.output.pieces(Responses {
            head,
            wanted,
            entries: entries.into_values(),
            held_bytes,
        });
    }
}

/// An entry by both its names: its own value, and the one that all share.
#[derive(Default)]
struct Annotated {
    /// As one of them is spelled.
    path: Box<str>,
    values: [Option<Bytes>; 2],
}

/// ANNOTATION responses, each a line.
struct Responses {
    head: Vec<u8>,
    wanted: Vec<&'static str>,
    entries: IntoValues<String, Annotated>,
    /// What they take, until all are said.
    held_bytes: usize,
}

impl Responses {
    fn line(&self, out: &mut Vec<u8>, Annotated { path, values }: &Annotated) {
        let told = self.wanted.iter().filter_map(|attribute| {
            let value = &values[usize::from(attribute.ends_with("shared"))];
            value.as_ref().map(|value| (attribute, value))
        });
        let mut before: &[u8] = b" (";
        let start = out.len();
        for (attribute, content) in told {
            if out.len() == start {
                out.extend_from_slice(&self.head);
                out.push(b' ');
                encode::string(out, path.as_bytes());
            }
            out.extend_from_slice(before);
            before = b" ";
            encode::string(out, attribute.as_bytes());
            out.push(b' ');
            if attribute.starts_with("size") {
                encode::string(out, content.len().to_string().as_bytes());
            } else {
                value(out, Some(content));
            }
        }
        if out.len() > start {
            out.extend_from_slice(b")\r\n");
        }
    }
}

impl Pieces for Responses {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        while out.len() < PIECE_BYTES {
            let Some(entry) = self.entries.next() else {
                return false;
            };
            self.line(out, &entry);
        }
        true
    }

    fn held_bytes(&self) -> usize {
        self.held_bytes
    }
}
