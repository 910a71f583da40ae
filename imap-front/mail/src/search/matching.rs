//! Whether a message satisfies a program.

use std::cell::OnceCell;

use bytes::Bytes;

use super::content::Content;
use super::{DateField, Day, Key, Program};
use crate::{EmailId, Flags, InternalDate, ModSeq, ThreadId, Uid};

/// A message that may be a hit.
pub struct Candidate<'a> {
    /// Its UID.
    pub uid: Uid,
    /// Its mod-sequence.
    pub modseq: ModSeq,
    /// Its flags.
    pub flags: &'a Flags,
    /// Its internal date.
    pub date: InternalDate,
    /// When it came into the mailbox, if that is known.
    pub saved: Option<InternalDate>,
    /// Its content.
    pub email: EmailId,
    /// Its size in bytes.
    pub size: u64,
    /// Now, in seconds since 1970-01-01T00:00:00Z: the same for all messages of a search.
    pub now_s: i64,
    /// It is `\Recent` in the asking session.
    pub recent: bool,
    /// Looks up its thread; called only if a key asks for it.
    pub thread: &'a dyn Fn() -> Option<ThreadId>,
    /// Whether a header field (name, text) contains a text, if that is known without its bytes.
    pub header: &'a dyn Fn(&str, &str) -> Option<bool>,
    /// Reads its bytes; called at most once, and only if a key looks into the message.
    pub bytes: &'a dyn Fn() -> Bytes,
}

/// Whether the candidate satisfies the program. Sets of message numbers match nothing: a session
/// turns them into UIDs first.
pub fn matches(program: &Program, candidate: &Candidate<'_>) -> bool {
    Evaluation {
        candidate,
        content: OnceCell::new(),
    }
    .holds(&program.key)
}

struct Evaluation<'a> {
    candidate: &'a Candidate<'a>,
    content: OnceCell<Content>,
}

impl Evaluation<'_> {
    fn content(&self) -> &Content {
        self.content
            .get_or_init(|| Content::new((self.candidate.bytes)()))
    }

    fn holds(&self, key: &Key) -> bool {
        let candidate = self.candidate;
        match key {
            Key::All => true,
            // What the row tells comes first, so that few messages have to be read.
            Key::And(keys) => {
                let cheap = |key: &&Key| !key.needs_content();
                keys.iter().filter(cheap).all(|key| self.holds(key))
                    && keys
                        .iter()
                        .filter(|key| !cheap(key))
                        .all(|key| self.holds(key))
            }
            Key::Or(first, second) if first.needs_content() => {
                self.holds(second) || self.holds(first)
            }
            Key::Or(first, second) => self.holds(first) || self.holds(second),
            Key::Not(key) => !self.holds(key),
            Key::Numbers(_) => false,
            Key::Uids(set) => in_ranges(&set.resolve(u32::MAX), candidate.uid.0),
            Key::UidRanges(ranges) => in_ranges(ranges, candidate.uid.0),
            Key::Among(uids) => uids.contains(candidate.uid),
            Key::Flag(flag) => candidate.flags.has(*flag),
            Key::Keyword(keyword) => candidate.flags.has_keyword(keyword),
            Key::Recent => candidate.recent,
            Key::Before(field, day) => self.day(*field).is_some_and(|have| have < *day),
            Key::On(field, day) => self.day(*field) == Some(*day),
            Key::Since(field, day) => self.day(*field).is_some_and(|have| have >= *day),
            Key::Older(age_s) => candidate.date.unix_s <= candidate.now_s - i64::from(*age_s),
            Key::Younger(age_s) => candidate.date.unix_s >= candidate.now_s - i64::from(*age_s),
            Key::Larger(size) => candidate.size > *size,
            Key::Smaller(size) => candidate.size < *size,
            Key::Header(name, text) => (candidate.header)(name, text)
                .unwrap_or_else(|| self.content().header_contains(name, text)),
            Key::Body(text) => self.content().body_contains(text),
            Key::Text(text) => {
                self.content().any_header_contains(text) || self.content().body_contains(text)
            }
            Key::ModSeq(modseq) => candidate.modseq >= *modseq,
            Key::Email(email) => candidate.email == *email,
            Key::Thread(thread) => (candidate.thread)() == Some(*thread),
        }
    }

    fn day(&self, field: DateField) -> Option<Day> {
        match field {
            DateField::Internal => Some(internal_day(self.candidate.date)),
            DateField::Sent => self.content().sent(),
            // RFC 8514 §4.3
            DateField::Saved => {
                let saved = self.candidate.saved.unwrap_or(self.candidate.date);
                Some(internal_day(saved))
            }
        }
    }
}

/// The day in the zone in which the date was given.
fn internal_day(date: InternalDate) -> Day {
    let local_s = date.unix_s + i64::from(date.zone_min) * 60;
    Day(i32::try_from(local_s.div_euclid(86_400)).unwrap_or(i32::MAX))
}

fn in_ranges(ranges: &[(u32, u32)], number: u32) -> bool {
    let at = ranges.partition_point(|&(_, high)| high < number);
    ranges.get(at).is_some_and(|&(low, _)| low <= number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemFlag;

    const MESSAGE: &str = "From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\n\
        Subject: =?iso-8859-1?q?Gr=FC=DFe?= aus Wien\r\n\
        Date: Tue, 1 Feb 1994 23:59:00 -0800\r\n\
        X-Empty:\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: base64\r\n\
        \r\n\
        w4RwZmVsIHVuZCBCaXJuZW4=\r\n";

    fn check(key: Key, expected: bool) {
        let mut flags = Flags::default();
        flags.insert(SystemFlag::Seen);
        flags.insert_keyword("Work".into());
        let candidate = Candidate {
            uid: Uid(7),
            modseq: ModSeq(9),
            flags: &flags,
            date: InternalDate {
                unix_s: 86_400 - 1,
                zone_min: 60,
            },
            saved: Some(InternalDate {
                unix_s: 3 * 86_400,
                zone_min: 0,
            }),
            email: EmailId(5),
            thread: &|| Some(ThreadId(6)),
            size: 100,
            now_s: 86_400 + 9,
            recent: true,
            header: &|_, _| None,
            bytes: &|| Bytes::from_static(MESSAGE.as_bytes()),
        };
        let program = Program { key };
        assert_eq!(matches(&program, &candidate), expected, "{program:?}");
    }

    #[test]
    fn facts() {
        check(Key::Flag(SystemFlag::Seen), true);
        check(Key::Not(Box::new(Key::Keyword("work".into()))), false);
        check(Key::UidRanges(vec![(1, 3), (7, 7)]), true);
        check(Key::UidRanges(vec![(1, 6), (8, 9)]), false);
        check(
            Key::And(vec![
                Key::Larger(99),
                Key::Smaller(101),
                Key::ModSeq(ModSeq(9)),
            ]),
            true,
        );
        // One second before midnight in Greenwich is the next day an hour east.
        check(Key::On(DateField::Internal, Day(1)), true);
        check(Key::Before(DateField::Internal, Day(1)), false);
        check(Key::On(DateField::Saved, Day(3)), true);
        check(Key::Since(DateField::Saved, Day(4)), false);
        check(Key::Email(EmailId(5)), true);
        check(Key::Email(EmailId(6)), false);
        check(Key::Thread(ThreadId(6)), true);
        check(Key::Thread(ThreadId(5)), false);
    }

    #[test]
    fn ages_are_counted_in_seconds() {
        for (age_s, older, younger) in [(9, true, false), (10, true, true), (11, false, true)] {
            check(Key::Older(age_s), older);
            check(Key::Younger(age_s), younger);
        }
    }

    #[test]
    fn decoded_text() {
        let header = |name: &str, text: &str| Key::Header(name.into(), text.into());
        check(header("subject", "GRÜSSE AUS"), false);
        check(header("Subject", "grüße aus"), true);
        check(header("FROM", "jürgen"), true);
        check(header("from", "J@EXAMPLE"), true);
        check(header("x-empty", ""), true);
        check(header("x-missing", ""), false);
        check(Key::Body("äpfel".into()), true);
        check(Key::Body("wien".into()), false);
        check(Key::Text("wien".into()), true);
        check(Key::Text("birnen".into()), true);
    }

    #[test]
    fn sent_dates_disregard_the_zone() {
        check(Key::On(DateField::Sent, Day(8797)), true);
        check(Key::Since(DateField::Sent, Day(8798)), false);
    }
}
