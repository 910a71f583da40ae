//! What the log is told of a session's recipients and messages.

use mail::Refusal;
use mail::reply::Appended;
use proto::lmtp::{Delivery, Session, Undelivered};

use crate::lines::{Delivered, DeliveredTo, Line, Who};

/// How far into a message the peer's id is looked for, in bytes.
const SEARCHED_MAX: usize = 8 << 10;
/// The longest id of a peer that is kept.
const QUEUE_ID_MAX: usize = 64;

/// One transaction, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Account {
    id: Box<str>,
    queue_id: Option<Box<str>>,
    sender: Box<str>,
    size: u64,
    /// When the message was complete, on the reactor's clock.
    complete_ns: u64,
    /// A recipient that is being looked up.
    address: Box<str>,
    told: Option<Told>,
}

/// What is to be told.
#[derive(Debug)]
enum Told {
    Refused(&'static str),
    Delivered(Vec<DeliveredTo>),
}

impl Account {
    /// A recipient is being looked up.
    pub fn looked_up(&mut self, address: Box<str>) {
        self.address = address;
    }

    /// It was refused.
    pub fn refused(&mut self, result: &'static str) {
        self.told = Some(Told::Refused(result));
    }

    /// A message begins, which the server calls so.
    pub fn begin(&mut self, id: &str) {
        self.id = id.into();
        self.queue_id = None;
    }

    /// These are its first bytes.
    pub fn text_begins(&mut self, text: &[u8]) {
        self.queue_id = queue_id(&text[..text.len().min(SEARCHED_MAX)]);
    }

    /// All of it is there.
    pub fn complete(&mut self, delivery: &Delivery, now_ns: u64) {
        if delivery.size == delivery.last.len() as u64 {
            self.text_begins(&delivery.last);
        }
        self.sender = delivery.return_path.clone();
        self.size = delivery.size;
        self.complete_ns = now_ns;
    }

    /// All of it came, and was not kept.
    pub fn undelivered(&mut self, message: Undelivered, now_ns: u64) {
        self.sender = message.return_path;
        self.size = message.size;
        self.complete_ns = now_ns;
    }

    /// What came of it, which its session has not heard yet.
    pub fn delivered(&mut self, session: &Session, results: &[Result<Appended, Refusal>]) {
        let mut targets: Vec<DeliveredTo> = session
            .targets()
            .iter()
            .zip(results)
            .map(|(target, result)| DeliveredTo {
                account: target.user.clone(),
                folder: target.folder.clone(),
                recipients: String::new(),
                result: result.clone(),
            })
            .collect();
        for (address, target) in session.recipients() {
            if let Some(to) = targets.get_mut(target) {
                if !to.recipients.is_empty() {
                    to.recipients.push(',');
                }
                to.recipients.push_str(address);
            }
        }
        self.told = Some(Told::Delivered(targets));
    }

    /// The line that is due, if one is.
    pub fn take(&mut self, who: impl FnOnce() -> Who, now_ns: u64) -> Option<Line> {
        Some(match self.told.take()? {
            Told::Refused(result) => Line::NoRecipient {
                who: who(),
                address: std::mem::take(&mut self.address),
                result,
            },
            Told::Delivered(targets) => Line::Delivered(Box::new(Delivered {
                who: who(),
                id: std::mem::take(&mut self.id),
                queue_id: self.queue_id.take(),
                sender: std::mem::take(&mut self.sender),
                size: self.size,
                took_ns: now_ns.saturating_sub(self.complete_ns),
                targets,
            })),
        })
    }
}

/// The id that the peer has for a message: that of the second `Received` field, as the first is
/// this server's own (RFC 5321 §4.4, `"ID" FWS String`).
fn queue_id(text: &[u8]) -> Option<Box<str>> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let begins = |line: &&[u8]| {
        let name = line.get(..9);
        name.is_some_and(|name| name.eq_ignore_ascii_case(b"Received:"))
    };
    let of_header = lines
        .by_ref()
        .take_while(|line| !line.trim_ascii().is_empty());
    let mut of_header = of_header.skip_while(|line| !begins(line)).skip(1);
    let first = of_header.find(begins)?;
    let goes_on = |line: &&[u8]| line.first().is_some_and(|byte| b" \t".contains(byte));
    let rest = of_header.take_while(goes_on);
    let words = std::iter::once(first)
        .chain(rest)
        .flat_map(|line| line.split(u8::is_ascii_whitespace))
        .filter(|word| !word.is_empty());
    let mut words = words.skip_while(|word| !word.eq_ignore_ascii_case(b"id"));
    let id = words.nth(1)?;
    let id = id.split(|byte| *byte == b';').next()?;
    let is_id = !id.is_empty() && id.len() <= QUEUE_ID_MAX && id.iter().all(u8::is_ascii_graphic);
    let id = std::str::from_utf8(id).ok().filter(|_| is_id)?;
    Some(id.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "Return-Path: <a@b>\r\nReceived: from mx\r\n\t\
                       by here with LMTP id 1.0.2\r\n\t\
                       for <c@d>;\r\n\tFri, 27 Nov 2026 15:00:00 +0000\r\n";

    #[test]
    fn the_peers_id_is_that_of_its_own_received_field() {
        for (rest, id) in [
            (
                "Received: from x (y [192.0.2.1])\r\n\tby mx (Postfix) with ESMTPS id 4WxYz1\r\n\t\
                 for <c@d>; date\r\n\r\n",
                Some("4WxYz1"),
            ),
            (
                "DKIM-Signature: id abc\r\nreceived: by mx (Postfix, from userid 0)\r\n\tid 9F;\r\n\
                 Received: from z id other\r\n\r\n",
                Some("9F"),
            ),
            (
                "Received: by mx with ESMTP; date\r\nSubject: id 5\r\n\r\n",
                None,
            ),
            ("Subject: x\r\n\r\nReceived: by mx id 7\r\n", None),
            ("Received: by mx id \u{e9}\r\n\r\n", None),
            ("Received: by mx id", None),
        ] {
            assert_eq!(
                queue_id(format!("{OWN}{rest}").as_bytes()).as_deref(),
                id,
                "{rest}"
            );
        }
        assert_eq!(queue_id(b"Subject: x\r\n\r\ny"), None);
    }
}
