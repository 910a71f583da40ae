//! URLFETCH (RFC 4467 §7): what signed URLs name, one after the other, large parts in pieces.
//!
//! As with FETCH nothing more is asked of the store until what it gave before has left. Whatever is
//! wrong with a URL, the answer is NIL.

use std::collections::VecDeque;
use std::ops::Range;

use mail::mime::header;
use mail::{MailboxId, Message, Refusal, Reply, Request, Uid};

use super::fetch::{HEADER_BYTES_MAX, READ_BYTES};
use super::fetch_items::{Pick, Segment, part_of_range};
use super::named::{asked, octets};
use super::{Session, Step, Stream, Work};
use crate::imap::ast::SectionText;
use crate::imap::encode;
use crate::imap::url::{MessageUrl, URL_BYTES_MAX};
use crate::imap::url_auth::full;

/// A URLFETCH under way.
pub(super) struct Job {
    pub(super) tag: Box<str>,
    /// URLs that come next.
    left: VecDeque<Vec<u8>>,
    /// The present one.
    url: Vec<u8>,
    mailbox: MailboxId,
    /// What is still to be said of it.
    segments: VecDeque<Segment>,
    stage: Stage,
}

enum Stage {
    /// Nothing is asked for.
    Ready,
    /// Where does the URL lead?
    Open(MessageUrl),
    /// The message is asked for.
    Message(MessageUrl),
    /// A piece of this message's range is asked for.
    Piece { uid: Uid, left: Range<u64> },
    /// A header is asked for, to pick fields from it.
    Header(Pick),
}

impl Job {
    /// Whether the client has begun to hear a response whose rest is to come.
    pub(super) fn is_within_a_response(&self) -> bool {
        !self.segments.is_empty()
    }

    pub(super) fn held_bytes(&self) -> usize {
        let left: usize = self.left.iter().map(Vec::len).sum();
        left + self.url.len()
    }

    /// ```text
    /// urlfetch-data = "*" SP "URLFETCH" 1*(SP url-full SP nstring)
    /// ```
    fn head(&self) -> Vec<u8> {
        let mut head = b"* URLFETCH ".to_vec();
        encode::string(&mut head, &self.url);
        head.push(b' ');
        head
    }

    fn say_nil(&mut self) {
        let line = [&self.head()[..], b"NIL\r\n"].concat();
        self.segments.push_back(Segment::Text(line.into()));
    }

    fn say_part(&mut self, url: MessageUrl, message: &Message) {
        let MessageUrl {
            uid,
            section,
            partial,
            ..
        } = url;
        let range = octets(message, &section);
        let mut head = self.head();
        let end = Segment::Text(b"\r\n"[..].into());
        let Some(range) = range else {
            // RFC 4467 §8: not NIL, as the URL is right.
            head.extend_from_slice(b"\"\"\r\n");
            return self.segments.push_back(Segment::Text(head.into()));
        };
        let text = section.text;
        if let SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) = text {
            let label = head;
            let pick = Pick {
                label,
                text,
                partial,
            };
            let pick = Segment::Pick { uid, range, pick };
            return self.segments.extend([pick, end]);
        }
        let range = part_of_range(range, partial);
        let literal = format!("{{{}}}\r\n", range.end - range.start);
        head.extend_from_slice(literal.as_bytes());
        self.segments.push_back(Segment::Text(head.into()));
        if !range.is_empty() {
            self.segments.push_back(Segment::Range { uid, range });
        }
        self.segments.push_back(end);
    }
}

impl Session {
    pub(super) fn url_fetch(&mut self, tag: Box<str>, urls: Vec<Vec<u8>>) {
        self.url_fetch_on(Box::new(Job {
            tag,
            left: urls.into(),
            url: vec![],
            mailbox: MailboxId(0),
            segments: VecDeque::new(),
            stage: Stage::Ready,
        }));
    }

    /// Says what is there, as the client takes it; asks for more when that has left.
    pub(super) fn url_fetch_on(&mut self, mut job: Box<Job>) {
        loop {
            let is_ready = match job.segments.front() {
                Some(Segment::Text(_) | Segment::Literal(_) | Segment::Octets(_)) => {
                    !self.output.is_full()
                }
                None if job.left.is_empty() => true,
                _ => self.output.is_drained(),
            };
            if !is_ready {
                self.work = Work::Streaming(Box::new(Stream::UrlFetch(job)));
                return;
            }
            let read = match job.segments.pop_front() {
                None => match job.left.pop_front() {
                    None => return self.finish(job.tag, "OK URLFETCH completed"),
                    Some(url) => {
                        job.url = url;
                        match self.open_url(&mut job) {
                            Some(request) => request,
                            None => continue,
                        }
                    }
                },
                Some(Segment::Range { uid, range }) => {
                    let end = range.end.min(range.start + READ_BYTES);
                    let first = range.start..end;
                    job.stage = Stage::Piece { uid, left: range };
                    read(&job, uid, first)
                }
                Some(Segment::Pick { uid, range, pick }) => {
                    let end = range.end.min(range.start + HEADER_BYTES_MAX);
                    job.stage = Stage::Header(pick);
                    read(&job, uid, range.start..end)
                }
                Some(segment) => {
                    let rest = segment.say(&mut self.output);
                    rest.into_iter().for_each(|it| job.segments.push_front(it));
                    continue;
                }
            };
            return self.ask(read, Step::UrlFetch(job));
        }
    }

    /// What to ask of the present URL; none if it leads nowhere.
    fn open_url(&mut self, job: &mut Job) -> Option<Request> {
        let url = match job.url.len() <= URL_BYTES_MAX {
            true => full(&job.url).ok(),
            false => None,
        };
        let (Some((rump, token)), Some(user)) = (url, self.user) else {
            job.say_nil();
            return None;
        };
        job.stage = Stage::Open(rump.message);
        let url = mail::SignedUrl {
            url: rump.url,
            access: rump.access,
            expires_s: rump.expires_s,
            token,
        };
        // Who submits for others is known where passwords are.
        Some(Request::OpenUrl {
            user,
            url: Box::new(url),
            submits: false,
        })
    }

    /// The store answered.
    pub(super) fn url_came(&mut self, mut job: Box<Job>, reply: Reply) {
        match (std::mem::replace(&mut job.stage, Stage::Ready), reply) {
            (Stage::Open(url), Reply::UrlOpened(mailbox)) => {
                let request = asked(mailbox, &url);
                job.mailbox = mailbox;
                job.stage = Stage::Message(url);
                return self.ask(request, Step::UrlFetch(job));
            }
            (Stage::Message(url), Reply::Fetched { messages, .. }) => {
                match messages.iter().find(|it| !it.is_gone) {
                    Some(message) => job.say_part(url, message),
                    None => job.say_nil(),
                }
            }
            (Stage::Piece { uid, left }, Reply::Piece(piece)) if !piece.is_empty() => {
                let rest = left.start + piece.len() as u64..left.end;
                if !rest.is_empty() {
                    job.segments.push_front(Segment::Range { uid, range: rest });
                }
                job.segments.push_front(Segment::Literal(piece));
            }
            (Stage::Header(pick), Reply::Piece(bytes)) => {
                let end = header::length(&bytes);
                pick.push_front(&mut job.segments, &bytes[..end]);
            }
            // The response has begun: nothing but its end could be said.
            (Stage::Piece { .. } | Stage::Header(_), _) => return self.close(),
            (_, Reply::Refused(Refusal::NoMessage | Refusal::NoMailbox)) => job.say_nil(),
            (_, Reply::Refused(refusal)) => return self.refuse(&job.tag, &refusal),
            _ => {
                let text = "NO [SERVERBUG] The store gave another answer";
                return self.done(&job.tag, text);
            }
        }
        self.url_fetch_on(job);
    }
}

fn read(job: &Job, uid: Uid, range: Range<u64>) -> Request {
    Request::Read {
        mailbox: job.mailbox,
        uid,
        range,
    }
}
