//! What is asked of the mailbox, and what must come.

use super::messages::{BODY_WORD, Mailbox, SENDER, SUBJECT_WORD};

/// The mailbox.
pub const MAILBOX: &str = "active";
/// Messages of which more than flags is fetched: the last ones.
pub const SOME: u32 = 1000;

/// A command.
pub struct Asked {
    /// As tables have it.
    pub name: &'static str,
    /// As it is sent.
    pub command: String,
    expected: Expected,
}

/// What must come.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// So many FETCH responses.
    Fetched(u32),
    /// So many numbers in the answer of SEARCH, SORT or THREAD.
    Numbers(u32),
}

/// What came, counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    fetched: u32,
    numbers: u32,
}

impl Heard {
    /// Counts a line of an answer.
    pub fn line(&mut self, line: &[u8]) {
        let Some(rest) = line.strip_prefix(b"* ") else {
            return;
        };
        let word = rest.split(|&byte| byte == b' ').next().unwrap_or_default();
        match word {
            b"SEARCH" | b"SORT" | b"THREAD" => self.numbers += numbers(&rest[word.len()..]),
            _ if word.first().is_some_and(u8::is_ascii_digit) => {
                self.fetched += u32::from(rest[word.len()..].starts_with(b" FETCH "));
            }
            _ => {}
        }
    }
}

/// How many numbers a text holds.
fn numbers(text: &[u8]) -> u32 {
    let mut inside = false;
    let mut count = 0;
    for byte in text {
        let is_digit = byte.is_ascii_digit();
        count += u32::from(is_digit && !inside);
        inside = is_digit;
    }
    count
}

/// The last number of a line, 0 if there is none: of a STATUS response with one item.
pub fn last_number(line: &[u8]) -> u32 {
    let line = line.strip_suffix(b")").unwrap_or(line);
    let digits = line.rsplit(|byte| !byte.is_ascii_digit()).next();
    let text = std::str::from_utf8(digits.unwrap_or_default());
    text.ok().and_then(|it| it.parse().ok()).unwrap_or(0)
}

impl Asked {
    /// What is wrong with an answer.
    pub fn fault(&self, heard: &Heard) -> Option<String> {
        let (came, expected) = match self.expected {
            Expected::Fetched(expected) => (heard.fetched, expected),
            Expected::Numbers(expected) => (heard.numbers, expected),
        };
        let name = self.name;
        (came != expected).then(|| format!("{name}: {came} messages instead of {expected}"))
    }
}

/// All commands, in the order of the tables.
pub fn all(mailbox: Mailbox) -> Vec<Asked> {
    let all = mailbox.messages;
    let some = format!("{}:{all}", all - SOME + 1);
    let fetched = |name, command, count| Asked {
        name,
        command,
        expected: Expected::Fetched(count),
    };
    let numbers = |name, command: &str, count| Asked {
        name,
        command: command.to_owned(),
        expected: Expected::Numbers(count),
    };
    let sender = format!("SEARCH FROM \"{SENDER}\" SINCE {}", mailbox.since());
    let subject = format!("SEARCH SUBJECT \"{SUBJECT_WORD}\"");
    let body = format!("SEARCH BODY \"{BODY_WORD}\"");
    vec![
        fetched("UID FETCH 1:* (FLAGS)", "UID FETCH 1:* (FLAGS)".into(), all),
        fetched(
            "FETCH of 1,000: ENVELOPE with flags, date, size",
            format!("FETCH {some} (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"),
            SOME,
        ),
        fetched(
            "FETCH of 1,000: BODYSTRUCTURE",
            format!("FETCH {some} (BODYSTRUCTURE)"),
            SOME,
        ),
        fetched(
            "FETCH of 1,000: three header fields",
            format!("FETCH {some} (BODY.PEEK[HEADER.FIELDS (FROM SUBJECT DATE)])"),
            SOME,
        ),
        numbers("SEARCH UNSEEN", "SEARCH UNSEEN", mailbox.unseen()),
        numbers("SEARCH SUBJECT", &subject, mailbox.with_subject_word()),
        numbers("SEARCH FROM … SINCE …", &sender, mailbox.of_sender_since()),
        numbers("SEARCH BODY", &body, mailbox.with_body_word()),
        numbers("SORT (DATE)", "SORT (DATE) UTF-8 ALL", all),
        numbers("SORT (SUBJECT)", "SORT (SUBJECT) UTF-8 ALL", all),
        numbers("THREAD REFERENCES", "THREAD REFERENCES UTF-8 ALL", all),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted() {
        let mut heard = Heard::default();
        for line in [
            &b"* 3 FETCH (FLAGS ())"[..],
            b"* 4 FETCH (BODY[HEADER.FIELDS (FROM)] {7}",
            b" FLAGS (\\Seen))",
            b"* 5 EXISTS",
            b"* SEARCH 4 17 200",
            b"* THREAD (1)(2 3 (4)(5))",
            b"* OK all 4 of them",
        ] {
            heard.line(line);
        }
        assert_eq!((heard.fetched, heard.numbers), (2, 8));
        assert_eq!(last_number(b"* STATUS active (MESSAGES 231)"), 231);
        assert_eq!(last_number(b"* OK"), 0);
        let asked = &all(Mailbox { messages: 2000 })[4];
        assert!(
            asked
                .fault(&heard)
                .is_some_and(|it| it.contains("8 messages instead of 1000"))
        );
    }
}
