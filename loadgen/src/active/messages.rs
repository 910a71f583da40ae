//! The mailbox that is asked: messages that follow from their numbers, and how many of them what
//! is asked for will find.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail::InternalDate;
use proto::imap::encode;

/// 1-Jan-2025, 00:00 UTC.
const FIRST_S: i64 = 1_735_689_600;
/// The time over which messages came.
const SPAN_S: i64 = 365 * 86_400;
/// From this part of the time on SINCE finds them: the last quarter, from midnight on.
const SINCE_DAY: i64 = 274;
/// Who writes.
const SENDERS: u32 = 50;
/// A word of subjects only.
pub const SUBJECT_WORD: &str = "zephyr";
/// A word of bodies only.
pub const BODY_WORD: &str = "quixotic";
/// Who is looked for.
pub const SENDER: &str = "writer7@";
/// Bytes of the attachment.
const ATTACHMENT_BYTES: usize = 780;

const WORDS: [&str; 16] = [
    "harbour", "invoice", "meeting", "garden", "release", "budget", "travel", "kitchen", "survey",
    "concert", "library", "weather", "contract", "holiday", "station", "painting",
];

/// So many messages.
#[derive(Clone, Copy, Debug)]
pub struct Mailbox {
    /// How many.
    pub messages: u32,
}

impl Mailbox {
    /// When a message came. They come in the order of their numbers.
    pub fn date(self, number: u32) -> InternalDate {
        let came = SPAN_S * i64::from(number) / i64::from(self.messages);
        InternalDate {
            unix_s: FIRST_S + came,
            zone_min: 0,
        }
    }

    /// Whether it was read.
    pub fn is_seen(number: u32) -> bool {
        number.is_multiple_of(2)
    }

    /// A text message with an attachment, 2 KB in all. Of three messages two answer the first.
    pub fn message(self, number: u32) -> String {
        let first = number - number % 3;
        let answers = if number.is_multiple_of(3) { "" } else { "Re: " };
        let mut text = format!(
            "Return-Path: <writer{sender}@example.org>\r\n\
             From: Writer Number {sender} <writer{sender}@example.org>\r\n\
             To: Reader <reader@example.com>, Second <second{second}@example.com>\r\n\
             Cc: list@example.net\r\n\
             Subject: {answers}{subject}\r\n\
             Date: {date}\r\n\
             Message-ID: <{number}.active@example.org>\r\n",
            sender = number * 7 % SENDERS,
            second = number % 9,
            subject = subject(first),
            date = self.sent(number),
        );
        if !number.is_multiple_of(3) {
            let _ = write!(
                text,
                "In-Reply-To: <{before}.active@example.org>\r\nReferences: ",
                before = number - 1
            );
            for before in first..number {
                let _ = write!(text, "<{before}.active@example.org> ");
            }
            text.push_str("\r\n");
        }
        text.push_str(
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=-part\"\r\n\r\n\
             --=-part\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 8bit\r\n\r\n",
        );
        for line in 0..6 {
            for at in 0..8 {
                text.push_str(word(number * 5 + line * 3 + at * at));
                text.push(' ');
            }
            text.push_str("\r\n");
        }
        if finds_in_body(number) {
            let _ = write!(text, "A {BODY_WORD} idea.\r\n");
        }
        let bytes: Vec<u8> = (0..ATTACHMENT_BYTES as u32)
            .map(|at| (at * number.wrapping_add(17)) as u8)
            .collect();
        let _ = write!(
            text,
            "--=-part\r\nContent-Type: application/octet-stream; name=\"file{number}.bin\"\r\n\
             Content-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment; filename=\"file{number}.bin\"\r\n\r\n"
        );
        for line in STANDARD.encode(bytes).as_bytes().chunks(76) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push_str("\r\n");
        }
        text.push_str("--=-part--\r\n");
        text
    }

    /// The Date field: as when it came, as other programs write it.
    fn sent(self, number: u32) -> String {
        let mut date = Vec::new();
        encode::internal_date(&mut date, self.date(number));
        let text = String::from_utf8_lossy(&date);
        text.trim_matches('"').trim().replacen('-', " ", 2)
    }

    /// The day from which on SINCE asks, as SEARCH has it.
    pub fn since(self) -> String {
        let mut date = Vec::new();
        let day = InternalDate {
            unix_s: FIRST_S + SINCE_DAY * 86_400,
            zone_min: 0,
        };
        encode::internal_date(&mut date, day);
        let text = String::from_utf8_lossy(&date);
        let day = text.trim_matches('"').trim().split(' ').next();
        day.unwrap_or_default().to_owned()
    }

    fn count(self, is: impl Fn(u32) -> bool) -> u32 {
        (0..self.messages).filter(|&number| is(number)).count() as u32
    }

    /// How many are not seen.
    pub fn unseen(self) -> u32 {
        self.count(|number| !Self::is_seen(number))
    }

    /// How many have [`SUBJECT_WORD`] in their subject.
    pub fn with_subject_word(self) -> u32 {
        self.count(|number| finds_in_subject(number - number % 3))
    }

    /// How many are of [`SENDER`] and came since [`Mailbox::since`].
    pub fn of_sender_since(self) -> u32 {
        let since_s = FIRST_S + SINCE_DAY * 86_400;
        self.count(|number| number * 7 % SENDERS == 7 && self.date(number).unix_s >= since_s)
    }

    /// How many have [`BODY_WORD`] in their body.
    pub fn with_body_word(self) -> u32 {
        self.count(finds_in_body)
    }
}

fn word(number: u32) -> &'static str {
    WORDS[(number % WORDS.len() as u32) as usize]
}

fn finds_in_subject(first: u32) -> bool {
    first % 100 < 3
}

fn finds_in_body(number: u32) -> bool {
    number % 200 == 3
}

/// The subject of a thread by its first message: some are encoded words.
fn subject(first: u32) -> String {
    let mut text = format!("{} {} {first}", word(first), word(first / 16));
    if finds_in_subject(first) {
        let _ = write!(text, " {SUBJECT_WORD}");
    }
    match first % 7 {
        0 => format!("=?utf-8?B?{}?=", STANDARD.encode(format!("Über {text}"))),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::mime::Structure;

    #[test]
    fn messages_are_whole_and_some_are_found() {
        let mailbox = Mailbox { messages: 3000 };
        let bytes: usize = (0..300).map(|at| mailbox.message(at).len()).sum();
        assert!((1800..2300).contains(&(bytes / 300)), "{}", bytes / 300);
        let text = mailbox.message(4);
        let structure = Structure::parse(text.as_bytes());
        assert!(structure.part(&[2]).is_some());
        assert_eq!(
            structure.envelope.subject.as_deref(),
            Some(&b"Re: garden harbour 3"[..]),
            "{text}"
        );
        assert_eq!(
            structure.envelope.date.as_deref(),
            Some(&b"1 Jan 2025 11:40:48 +0000"[..])
        );
        assert_eq!(mailbox.since(), "2-Oct-2025");
        assert_eq!(mailbox.unseen(), 1500);
        for found in [
            mailbox.with_subject_word(),
            mailbox.of_sender_since(),
            mailbox.with_body_word(),
        ] {
            assert!(found > 5 && found < 200, "{found}");
        }
    }
}
