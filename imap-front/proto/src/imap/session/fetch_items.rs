//! One FETCH response: its items in order, with large literals left to be read in pieces.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use mail::mime::{Structure, header};
use mail::request::Want;
use mail::{Message, Uid};

use crate::imap::ast::{FetchItem, Section, SectionText};
use crate::imap::encode;
use crate::imap::render;

/// A part of a response.
pub(super) enum Segment {
    /// These bytes.
    Bytes(Bytes),
    /// This range of a message; the literal's size was said before.
    Range { uid: Uid, range: Range<u64> },
    /// Fields of the header in this range.
    Pick {
        uid: Uid,
        range: Range<u64>,
        pick: Pick,
    },
}

/// Header fields to pick from a header that is yet to be read.
pub(super) struct Pick {
    pub label: Vec<u8>,
    pub text: SectionText,
    pub partial: Option<(u32, u32)>,
}

/// What is told besides the items.
pub(super) struct Extra {
    pub flags: bool,
    pub modseq: bool,
    pub recent: bool,
}

/// Whether the item sets `\Seen` (RFC 3501 §6.4.5).
pub(super) fn sets_seen(item: &FetchItem) -> bool {
    matches!(
        item,
        FetchItem::Rfc822 | FetchItem::Rfc822Text | FetchItem::Section { peek: false, .. }
    )
}

/// What of the messages the items need.
pub(super) fn want(items: &[FetchItem]) -> Want {
    let mut want = Want::default();
    for item in items {
        match item {
            FetchItem::Body | FetchItem::BodyStructure | FetchItem::Envelope => {
                want.structure = true;
            }
            FetchItem::Rfc822 => want.bytes = true,
            FetchItem::Section { section, .. } if *section == Section::default() => {
                want.bytes = true;
            }
            FetchItem::Rfc822Header | FetchItem::Rfc822Text | FetchItem::Section { .. } => {
                want.bytes = true;
                want.structure = true;
            }
            _ => {}
        }
    }
    want
}

/// The response for one message; none if its structure does not agree with its bytes.
pub(super) fn segments(
    number: u32,
    message: &Message,
    items: &[FetchItem],
    extra: &Extra,
) -> Option<VecDeque<Segment>> {
    let mut response = Response {
        message,
        out: Vec::new(),
        segments: VecDeque::new(),
        is_damaged: false,
    };
    response
        .out
        .extend_from_slice(format!("* {number} FETCH (").as_bytes());
    let mut first = true;
    let mut all: Vec<&FetchItem> = items.iter().collect();
    if extra.flags && !items.contains(&FetchItem::Flags) {
        all.push(&FetchItem::Flags);
    }
    if extra.modseq && !items.contains(&FetchItem::ModSeq) {
        all.push(&FetchItem::ModSeq);
    }
    for item in all {
        if !std::mem::take(&mut first) {
            response.out.push(b' ');
        }
        response.item(item, extra.recent);
    }
    response.out.extend_from_slice(b")\r\n");
    response.flush();
    (!response.is_damaged).then_some(response.segments)
}

struct Response<'a> {
    message: &'a Message,
    out: Vec<u8>,
    segments: VecDeque<Segment>,
    /// A section lies beyond the message's end.
    is_damaged: bool,
}

impl Response<'_> {
    fn flush(&mut self) {
        if !self.out.is_empty() {
            let bytes = Bytes::from(std::mem::take(&mut self.out));
            self.segments.push_back(Segment::Bytes(bytes));
        }
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn item(&mut self, item: &FetchItem, recent: bool) {
        let message = self.message;
        let root = |extended| {
            move |out: &mut Vec<u8>, structure: &Structure| {
                render::bodystructure(out, &structure.root, extended);
            }
        };
        match item {
            FetchItem::Uid => self.text(&format!("UID {}", message.uid)),
            FetchItem::ModSeq => self.text(&format!("MODSEQ ({})", message.modseq)),
            FetchItem::Rfc822Size => self.text(&format!("RFC822.SIZE {}", message.size)),
            FetchItem::Flags => {
                self.text("FLAGS ");
                encode::flags(&mut self.out, &message.flags, recent);
            }
            FetchItem::InternalDate => {
                self.text("INTERNALDATE ");
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
            FetchItem::Section {
                section, partial, ..
            } => {
                let mut label = Vec::new();
                let origin = partial.map(|(first, _)| first);
                render::section_label(&mut label, section, origin);
                label.push(b' ');
                self.section(label, section, *partial);
            }
        }
    }

    fn structured(&mut self, label: &str, render: impl FnOnce(&mut Vec<u8>, &Structure)) {
        self.text(label);
        match &self.message.structure {
            Some(structure) => render(&mut self.out, structure),
            None => self.text("NIL"),
        }
    }

    fn old(&mut self, label: &str, text: SectionText) {
        let section = Section { part: vec![], text };
        self.section(label.as_bytes().to_vec(), &section, None);
    }

    fn section(&mut self, label: Vec<u8>, section: &Section, partial: Option<(u32, u32)>) {
        let what = render::what(&section.text);
        let range = match &self.message.structure {
            Some(structure) => structure.resolve(&section.part, what),
            None => Some(0..self.message.size),
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
        match &self.message.bytes {
            Some(bytes) => {
                let Some(bytes) = bytes.get(range.start as usize..range.end as usize) else {
                    self.is_damaged = true;
                    return;
                };
                self.out.extend_from_slice(&label);
                let picked;
                let content = match &section.text {
                    SectionText::HeaderFields(names) => {
                        picked = header::filter(bytes, names, true);
                        &picked[..]
                    }
                    SectionText::HeaderFieldsNot(names) => {
                        picked = header::filter(bytes, names, false);
                        &picked[..]
                    }
                    _ => bytes,
                };
                encode::literal(&mut self.out, part_of(content, partial));
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

/// The asked part of a text (RFC 3501 §6.4.5 `<partial>`).
pub(super) fn part_of(text: &[u8], partial: Option<(u32, u32)>) -> &[u8] {
    let Some((first, count)) = partial else {
        return text;
    };
    let from = (first as usize).min(text.len());
    let to = from.saturating_add(count as usize).min(text.len());
    &text[from..to]
}

fn part_of_range(range: Range<u64>, partial: Option<(u32, u32)>) -> Range<u64> {
    let Some((first, count)) = partial else {
        return range;
    };
    let from = (range.start + u64::from(first)).min(range.end);
    from..(from + u64::from(count)).min(range.end)
}
