//! One FETCH response: its items in order, with large literals left to be read in pieces.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use mail::mime::{Structure, What, header};
use mail::request::Want;
use mail::{Message, Uid};

use super::decoding::{Decoding, Next};
use crate::imap::ast::{FetchItem, Section, SectionText};
use crate::imap::encode;
use crate::imap::output::{Output, PIECE_BYTES};
use crate::imap::render;

/// A part of a response.
pub(super) enum Segment {
    /// These bytes.
    Text(Bytes),
    /// These octets of a literal, whose size was said before.
    Literal(Bytes),
    /// The same of a literal in which NUL may stand (RFC 3516 §4.3).
    Octets(Bytes),
    /// A part that is to be decoded, or the rest of it.
    Decode(Box<Decoding>),
    /// This range of a message; the literal's size was said before.
    Range { uid: Uid, range: Range<u64> },
    /// Fields of the header in this range.
    Pick {
        uid: Uid,
        range: Range<u64>,
        pick: Pick,
    },
}

impl Segment {
    /// Says a piece of it, as far as it has not to be read before; gives the rest.
    pub fn say(self, output: &mut Output) -> Option<Self> {
        let (mut bytes, is_literal, rest): (Bytes, bool, fn(Bytes) -> Self) = match self {
            Self::Text(bytes) => (bytes, false, Self::Text),
            Self::Literal(bytes) => (bytes, true, Self::Literal),
            Self::Octets(bytes) => (bytes, false, Self::Octets),
            later => return Some(later),
        };
        let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
        match is_literal {
            true => output.bytes(&encode::char8(&piece)),
            false => output.bytes(&piece),
        }
        (!bytes.is_empty()).then(|| rest(bytes))
    }
}

impl From<Next> for Segment {
    fn from(next: Next) -> Self {
        match next {
            Next::Text(text) => Self::Text(text),
            Next::Octets(octets) => Self::Octets(octets),
            Next::Decode(decoding) => Self::Decode(decoding),
        }
    }
}

/// Header fields to pick from a header that is yet to be read.
pub(super) struct Pick {
    pub label: Vec<u8>,
    pub text: SectionText,
    pub partial: Option<(u32, u32)>,
}

impl Pick {
    /// The picked fields as a literal with its label.
    pub fn push_front(&self, segments: &mut VecDeque<Segment>, header: &[u8]) {
        let fields = match &self.text {
            SectionText::HeaderFields(names) => header::filter(header, names, true),
            SectionText::HeaderFieldsNot(names) => header::filter(header, names, false),
            _ => header.to_vec(),
        };
        let fields = part_of(Bytes::from(fields), self.partial);
        let label = [
            &self.label[..],
            format!("{{{}}}\r\n", fields.len()).as_bytes(),
        ]
        .concat();
        segments.push_front(Segment::Literal(fields));
        segments.push_front(Segment::Text(label.into()));
    }
}

/// What is told besides the items.
pub(super) struct Extra {
    pub flags: bool,
    pub modseq: bool,
    pub recent: bool,
    /// Of `message/global`: see [`render::Shape`].
    pub global: bool,
}

/// Whether the item sets `\Seen` (RFC 3501 §6.4.5).
pub(super) fn sets_seen(item: &FetchItem) -> bool {
    matches!(
        item,
        FetchItem::Rfc822
            | FetchItem::Rfc822Text
            | FetchItem::Obsolete { peek: false, .. }
            | FetchItem::Section { peek: false, .. }
            | FetchItem::Binary { peek: false, .. }
    )
}

/// What of the messages the items need.
pub(super) fn want(items: &[FetchItem]) -> Want {
    let mut want = Want::default();
    let mut header = false;
    for item in items {
        match item {
            FetchItem::Body
            | FetchItem::BodyStructure
            | FetchItem::Envelope
            | FetchItem::Binary { .. }
            | FetchItem::BinarySize(_) => {
                want.structure = true;
            }
            FetchItem::Rfc822 => want.bytes = true,
            FetchItem::Section { section, .. } | FetchItem::Obsolete { section, .. }
                if *section == Section::default() =>
            {
                want.bytes = true;
            }
            FetchItem::Sender => want.submitter = true,
            FetchItem::ThreadId => want.thread = true,
            FetchItem::Preview => {
                want.structure = true;
                want.preview = true;
            }
            FetchItem::Rfc822Header => header = true,
            FetchItem::Section { section, .. } | FetchItem::Obsolete { section, .. }
                if is_of_header(section) =>
            {
                header = true;
            }
            FetchItem::Rfc822Text | FetchItem::Obsolete { .. } | FetchItem::Section { .. } => {
                want.bytes = true;
                want.structure = true;
            }
            _ => {}
        }
    }
    // Who reads the messages has their headers.
    want.structure |= header && want.bytes;
    want.header = header && !want.bytes;
    want
}

/// Whether a section is the message's header, or fields of it.
fn is_of_header(section: &Section) -> bool {
    section.part.is_empty() && render::what(&section.text) == What::Header
}

/// Whether a section lies beyond the message's end: its structure does not agree with its bytes.
pub(super) fn is_damaged(message: &Message, items: &[FetchItem]) -> bool {
    let (Some(bytes), Some(structure)) = (&message.bytes, &message.structure) else {
        return false;
    };
    let beyond = |section: &Section| {
        structure
            .resolve(&section.part, render::what(&section.text))
            .is_some_and(|range| range.end > bytes.len() as u64)
    };
    items.iter().any(|item| match item {
        FetchItem::Section { section, .. } | FetchItem::Obsolete { section, .. } => beyond(section),
        FetchItem::Rfc822Header | FetchItem::Rfc822Text => beyond(&Section::default()),
        _ => false,
    })
}

/// The response for one message, made item by item.
pub(super) struct Response {
    /// What stands before the items.
    head: String,
    message: Message,
    items: Arc<[FetchItem]>,
    extra: [Option<FetchItem>; 2],
    recent: bool,
    global: bool,
    /// Items made so far, extra ones included.
    made: usize,
    out: Vec<u8>,
    segments: VecDeque<Segment>,
}

impl Response {
    pub fn new(head: String, message: Message, items: Arc<[FetchItem]>, extra: &Extra) -> Self {
        let missing = |wanted: bool, item| (wanted && !items.contains(&item)).then_some(item);
        let flags = missing(extra.flags, FetchItem::Flags);
        let modseq = missing(extra.modseq, FetchItem::ModSeq);
        Self {
            head,
            message,
            items,
            extra: [flags, modseq],
            recent: extra.recent,
            global: extra.global,
            made: 0,
            out: Vec::new(),
            segments: VecDeque::new(),
        }
    }

    fn extra_items(&self) -> impl Iterator<Item = &FetchItem> {
        self.extra.iter().flatten()
    }

    /// Whether all items are made.
    pub fn is_complete(&self) -> bool {
        self.made == self.items.len() + self.extra_items().count()
    }

    /// The next items, with what stands before them and, if the last is among them, after it: up to
    /// one that is long or has to be read, so that no more than that is in memory.
    pub fn next_items(&mut self) -> VecDeque<Segment> {
        while !self.is_complete() && self.segments.is_empty() && self.out.len() < PIECE_BYTES {
            self.next_item();
        }
        self.flush();
        std::mem::take(&mut self.segments)
    }

    fn next_item(&mut self) {
        if self.made == 0 {
            let head = std::mem::take(&mut self.head);
            self.text(&head);
        } else {
            self.text(" ");
        }
        let items = self.items.clone();
        let extra = self.made.saturating_sub(items.len());
        let item = items.get(self.made).cloned();
        let item = item.or_else(|| self.extra_items().nth(extra).cloned());
        self.made += 1;
        if let Some(item) = &item {
            self.item(item);
        }
        if self.is_complete() {
            self.text(")\r\n");
        }
    }

    fn flush(&mut self) {
        if !self.out.is_empty() {
            let bytes = Bytes::from(std::mem::take(&mut self.out));
            self.segments.push_back(Segment::Text(bytes));
        }
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn item(&mut self, item: &FetchItem) {
        let message = &self.message;
        let global = self.global;
        let root = |extended| {
            move |out: &mut Vec<u8>, structure: &Structure| {
                render::bodystructure(out, &structure.root, render::Shape { extended, global });
            }
        };
        match item {
            FetchItem::Uid => self.text(&format!("UID {}", self.message.uid)),
            FetchItem::EmailId => {
                self.text(&format!(
                    "EMAILID ({})",
                    encode::email_id(self.message.email)
                ));
            }
            FetchItem::ThreadId => match message.thread {
                Some(thread) => self.text(&format!("THREADID ({})", encode::thread_id(thread))),
                None => self.text("THREADID NIL"),
            },
            FetchItem::Preview => {
                self.text("PREVIEW ");
                let preview = self.message.preview.as_deref().unwrap_or_default();
                encode::string(&mut self.out, preview.as_bytes());
            }
            FetchItem::SaveDate => {
                self.out.extend_from_slice(b"SAVEDATE ");
                match message.saved {
                    Some(date) => encode::internal_date(&mut self.out, date),
                    None => self.out.extend_from_slice(b"NIL"),
                }
            }
            FetchItem::ModSeq => self.text(&format!("MODSEQ ({})", self.message.modseq)),
            FetchItem::Rfc822Size => self.text(&format!("RFC822.SIZE {}", self.message.size)),
            FetchItem::Flags => {
                self.out.extend_from_slice(b"FLAGS ");
                encode::flags(&mut self.out, &message.flags, self.recent);
            }
            FetchItem::InternalDate => {
                self.out.extend_from_slice(b"INTERNALDATE ");
                encode::internal_date(&mut self.out, message.date);
            }
            FetchItem::Envelope => self.structured("ENVELOPE ", |out, structure| {
                render::envelope(out, &structure.envelope);
            }),
            FetchItem::Body => self.structured("BODY ", root(false)),
            FetchItem::BodyStructure => self.structured("BODYSTRUCTURE ", root(true)),
            FetchItem::Rfc822 => self.old("RFC822 ", SectionText::Whole),
            FetchItem::Rfc822Header => self.old("RFC822.HEADER ", SectionText::Header),
            FetchItem::Rfc822Text => self.old("RFC822.TEXT ", SectionText::Text),
            FetchItem::Sender => {
                self.text("XSENDER ");
                let submitter = self.message.submitter.as_deref().unwrap_or_default();
                encode::string(&mut self.out, submitter.as_bytes());
            }
            FetchItem::Obsolete {
                name,
                section,
                partial,
                ..
            } => self.section(format!("{name} ").into(), section, *partial),
            FetchItem::Section {
                section, partial, ..
            } => {
                let mut label = Vec::new();
                let origin = partial.map(|(first, _)| first);
                render::section_label(&mut label, section, origin);
                label.push(b' ');
                self.section(label, section, *partial);
            }
            FetchItem::Binary { part, partial, .. } => self.binary(part, *partial, false),
            FetchItem::BinarySize(part) => self.binary(part, None, true),
        }
    }

    fn structured(&mut self, label: &str, render: impl FnOnce(&mut Vec<u8>, &Structure)) {
        self.text(label);
        match &self.message.structure {
            Some(structure) => render(&mut self.out, structure),
            None => self.text("NIL"),
        }
    }

    fn binary(&mut self, part: &[u32], partial: Option<(u32, u32)>, only_size: bool) {
        let structure = self.message.structure.as_deref();
        let found = structure.and_then(|structure| Decoding::of(structure, part));
        let numbers: Vec<String> = part.iter().map(u32::to_string).collect();
        let kind = if only_size { ".SIZE" } else { "" };
        let label = format!("BINARY{kind}[{}] ", numbers.join("."));
        match found {
            Some((range, decoder)) => {
                self.flush();
                let uid = self.message.uid;
                let decoding = Decoding::new(uid, label, range, decoder, (partial, only_size));
                self.segments.push_back(Segment::Decode(Box::new(decoding)));
            }
            None => self.text(&format!("{label}{}", if only_size { "0" } else { "NIL" })),
        }
    }

    fn old(&mut self, label: &str, text: SectionText) {
        let section = Section { part: vec![], text };
        self.section(label.as_bytes().to_vec(), &section, None);
    }

    fn section(&mut self, label: Vec<u8>, section: &Section, partial: Option<(u32, u32)>) {
        let what = render::what(&section.text);
        let header = self.message.header.as_ref();
        let header = header.filter(|_| is_of_header(section));
        let range = match (header, &self.message.structure) {
            (Some(header), _) => Some(0..header.len() as u64),
            (None, Some(structure)) => structure.resolve(&section.part, what),
            (None, None) => Some(0..self.message.size),
        };
        // A section that the message doesn't have is NIL (RFC 3501 §7.4.2 nstring).
        let Some(range) = range else {
            self.out.extend_from_slice(&label);
            return self.text("NIL");
        };
        let picks = matches!(
            section.text,
            SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_)
        );
        match header.or(self.message.bytes.as_ref()) {
            Some(bytes) => {
                let bytes = slice(bytes, &range);
                let content = match &section.text {
                    SectionText::HeaderFields(names) => header::filter(&bytes, names, true).into(),
                    SectionText::HeaderFieldsNot(names) => {
                        header::filter(&bytes, names, false).into()
                    }
                    _ => bytes,
                };
                let content = part_of(content, partial);
                self.out.extend_from_slice(&label);
                self.text(&format!("{{{}}}\r\n", content.len()));
                self.flush();
                self.segments.push_back(Segment::Literal(content));
            }
            None if picks => {
                self.flush();
                let pick = Pick {
                    label,
                    text: section.text.clone(),
                    partial,
                };
                let uid = self.message.uid;
                self.segments.push_back(Segment::Pick { uid, range, pick });
            }
            None => {
                let range = part_of_range(range, partial);
                self.out.extend_from_slice(&label);
                self.text(&format!("{{{}}}\r\n", range.end - range.start));
                self.flush();
                if !range.is_empty() {
                    let uid = self.message.uid;
                    self.segments.push_back(Segment::Range { uid, range });
                }
            }
        }
    }
}

/// A range of a message, as far as the bytes go.
fn slice(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let end = within(range.end);
    bytes.slice(within(range.start).min(end)..end)
}

/// The asked part of a text (RFC 3501 §6.4.5 `<partial>`).
pub(super) fn part_of(text: Bytes, partial: Option<(u32, u32)>) -> Bytes {
    let Some((first, count)) = partial else {
        return text;
    };
    let from = (first as usize).min(text.len());
    let to = from.saturating_add(count as usize).min(text.len());
    text.slice(from..to)
}

pub(super) fn part_of_range(range: Range<u64>, partial: Option<(u32, u32)>) -> Range<u64> {
    let Some((first, count)) = partial else {
        return range;
    };
    let from = (range.start + u64::from(first)).min(range.end);
    from..(from + u64::from(count)).min(range.end)
}
