//! mbox: messages one after the other in a file, a line `From …` before each.
//!
//! It is read as mboxrd: of lines that begin with `>From `, `>>From ` and so on, one `>` is taken
//! off. A separator stands at the beginning or after an empty line, and has a time of day in it, so
//! that a paragraph that begins with "From " is none. `Content-Length` is not believed. The header
//! fields in which other servers keep flags and UIDs there are understood and left out.

use std::io::{self, BufRead};
use std::sync::Arc;

use mail::mime::with_crlf;
use mail::{Flags, SystemFlag, Uid, UidValidity};

use super::{Message, is_keyword};

/// Reads messages, one at a time.
pub struct Messages<R> {
    from: R,
    /// The line that was read last, if it is still to be looked at.
    line: Vec<u8>,
    has_begun: bool,
    /// Separators so far.
    separators: u64,
    /// UIDVALIDITY, if the first message says it.
    uid_validity: Option<UidValidity>,
}

/// Header fields that say what a mailbox, not a message, has.
const LEFT_OUT: [&str; 8] = [
    "status",
    "x-status",
    "x-keywords",
    "x-uid",
    "x-imap",
    "x-imapbase",
    "x-mozilla-status",
    "content-length",
];

impl<R: BufRead> Messages<R> {
    /// Begins.
    pub fn new(from: R) -> Self {
        Self {
            from,
            line: vec![],
            has_begun: false,
            separators: 0,
            uid_validity: None,
        }
    }

    /// How many separators there were so far: as many as messages that were given.
    pub fn separators(&self) -> u64 {
        self.separators
    }

    /// UIDVALIDITY, if the first message has said it.
    pub fn uid_validity(&self) -> Option<UidValidity> {
        self.uid_validity
    }

    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        Ok(self.from.read_until(b'\n', &mut self.line)? > 0)
    }

    /// The next message.
    ///
    /// # Errors
    /// If it can't be read, or the file does not begin as an mbox does.
    #[expect(
        clippy::should_implement_trait,
        reason = "after an error there is no next one"
    )]
    pub fn next(&mut self) -> io::Result<Option<Message>> {
        if !self.has_begun {
            self.has_begun = true;
            // Empty lines before the first are no harm.
            while self.read_line()? && is_empty(&self.line) {}
            if self.line.is_empty() {
                return Ok(None);
            }
            if !is_separator(&self.line) {
                let what = "it is no mbox: it does not begin with a line \"From \"";
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
        if !is_separator(&self.line) {
            return Ok(None);
        }
        self.separators += 1;
        let mut text = Vec::new();
        let mut after_empty = false;
        loop {
            if !self.read_line()? {
                self.line.clear();
                break;
            }
            if after_empty && is_separator(&self.line) {
                break;
            }
            after_empty = is_empty(&self.line);
            let quotes = self.line.iter().take_while(|byte| **byte == b'>').count();
            let is_quoted = quotes > 0 && self.line[quotes..].starts_with(b"From ");
            text.extend_from_slice(&self.line[usize::from(is_quoted)..]);
        }
        // The empty line before the next separator is none of the message.
        if after_empty {
            let end = if text.ends_with(b"\r\n") { 2 } else { 1 };
            text.truncate(text.len().saturating_sub(end));
        }
        Ok(Some(self.message(&text)))
    }

    /// Takes what is a mailbox's out of a message's header.
    fn message(&mut self, text: &[u8]) -> Message {
        let (mut flags, mut uid) = (Flags::default(), None);
        let mut kept = Vec::with_capacity(text.len());
        let (mut rest, mut leaves_out) = (text, false);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end + 1);
            if is_empty(line) {
                break;
            }
            let is_continued = line[0] == b' ' || line[0] == b'\t';
            if !is_continued {
                let line = String::from_utf8_lossy(line);
                let (name, value) = line.split_once(':').unwrap_or_default();
                let name = name.to_ascii_lowercase();
                leaves_out = LEFT_OUT.contains(&&*name);
                if leaves_out {
                    self.learn(&name, value.trim(), &mut flags, &mut uid);
                }
            }
            if !leaves_out {
                kept.extend_from_slice(line);
            }
            rest = after;
        }
        kept.extend_from_slice(rest);
        Message {
            uid,
            flags,
            date: None,
            bytes: with_crlf(&kept),
        }
    }

    fn learn(&mut self, name: &str, value: &str, flags: &mut Flags, uid: &mut Option<Uid>) {
        let number = |word: &str| word.parse::<u32>().ok().filter(|it| *it != 0);
        match name {
            "status" | "x-status" => {
                for letter in value.bytes() {
                    match letter {
                        b'R' => flags.insert(SystemFlag::Seen),
                        b'A' => flags.insert(SystemFlag::Answered),
                        b'F' => flags.insert(SystemFlag::Flagged),
                        b'D' => flags.insert(SystemFlag::Deleted),
                        b'T' => flags.insert(SystemFlag::Draft),
                        _ => {}
                    }
                }
            }
            "x-keywords" => {
                for word in value.split_whitespace().filter(|word| is_keyword(word)) {
                    flags.insert_keyword(Arc::from(word));
                }
            }
            "x-uid" => *uid = number(value).map(Uid),
            "x-imapbase" | "x-imap" if self.separators == 1 => {
                let first = value.split_whitespace().next();
                self.uid_validity = first.and_then(number).map(UidValidity);
            }
            _ => {}
        }
    }
}

fn is_empty(line: &[u8]) -> bool {
    line == b"\n" || line == b"\r\n"
}

/// `From `, who, and a time of day somewhere.
fn is_separator(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"From ") else {
        return false;
    };
    rest.windows(5).any(|five| {
        let is_digit = |at: usize| five[at].is_ascii_digit();
        is_digit(0) && is_digit(1) && five[2] == b':' && is_digit(3) && is_digit(4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Message>, u64, Option<UidValidity>) {
        let mut messages = Messages::new(text.as_bytes());
        let mut found = vec![];
        while let Some(message) = messages.next().unwrap() {
            found.push(message);
        }
        (found, messages.separators(), messages.uid_validity())
    }

    #[test]
    fn messages_are_told_apart() {
        let (found, count, _) = read(
            "From a@b Fri Nov 27 10:00:00 2026\nSubject: 1\n\n>From here\n>>From there\n\
             From: is no separator\n\nFrom now on neither\n\n\
             From a@b Fri Nov 27 10:00 2026\nSubject: 2\n\nx\n",
        );
        let texts: Vec<_> = found
            .iter()
            .map(|it| std::str::from_utf8(&it.bytes).unwrap())
            .collect();
        assert_eq!(
            texts,
            [
                "Subject: 1\r\n\r\nFrom here\r\n>From there\r\nFrom: is no separator\r\n\r\n\
                 From now on neither\r\n",
                "Subject: 2\r\n\r\nx\r\n"
            ]
        );
        assert_eq!(count, 2);
        assert_eq!(read("").1, 0);
        assert!(Messages::new(&b"Subject: x\n"[..]).next().is_err());
    }

    #[test]
    fn what_other_servers_note_is_understood() {
        let (found, _, validity) = read(
            "From a 10:00\nX-IMAPbase: 1234 9 $Work\n\tmore\nX-UID: 5\nStatus: RO\nX-Status: AF\n\
             X-Keywords: $Work b(\nSubject: s\nContent-Length: 999\n\nx\n\n\
             From a 10:00\nX-IMAPbase: 77 1\nStatus: O\n\ny",
        );
        assert_eq!(validity, Some(UidValidity(1234)));
        assert_eq!(found[0].uid, Some(Uid(5)));
        assert_eq!(found[0].flags, Flags::new(1 | 2 | 8, ["$Work".into()]));
        assert_eq!(found[0].bytes, b"Subject: s\r\n\r\nx\r\n");
        assert_eq!(found[1].bytes, b"\r\ny");
        assert_eq!(found[1].flags, Flags::default());
    }
}
