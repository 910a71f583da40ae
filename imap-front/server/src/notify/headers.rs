//! The beginnings of messages, for events that carry them.

use admin::Config;
use bytes::Bytes;
use mail::{MailboxId, Reply, Request, Uid};
use store::Store;

use super::names::MailboxLocation;

/// Bytes read at first; most headers are shorter.
const FIRST_BYTES: u64 = 4096;
/// Bytes in which the header's end is looked for.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// What plug-ins want of messages.
pub struct HeaderReader {
    header_max: u64,
    body_max: u64,
    folders: bool,
    new: bool,
    flags: bool,
}

/// The beginning of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageStart {
    /// Bytes of its header, with the empty line.
    pub header_length: u64,
    /// As much of the header as some plug-in wants.
    pub header: Bytes,
    /// As much of the body as some plug-in wants.
    pub body: Bytes,
}

impl HeaderReader {
    /// The most that any plug-in wants.
    pub fn wanted_by(config: &Config) -> Self {
        let plug_ins = config.plug_ins();
        let most = |name: &str| {
            let of = plug_ins.iter().map(|it| config.count(&it.option(name)));
            of.max().unwrap_or(0)
        };
        let any = |name: &str| plug_ins.iter().any(|it| config.switch(&it.option(name)));
        Self {
            header_max: most("maxheadersize"),
            body_max: most("maxbodysize"),
            folders: any("noneinbox.enable"),
            new: any("newmsg.enable") || any("updatemsg.enable") || any("copymsg.enable"),
            flags: config.switch("local.store.notifyplugin.msgflags") && any("msgflags.enable"),
        }
    }

    /// The beginning of a new message, if any plug-in is told of it and it is still there. It is
    /// not read if only the length of its header is wanted, and known.
    pub fn read(
        &self,
        store: &Store,
        (mailbox, uid): (MailboxId, Uid),
        location: &MailboxLocation,
        known: Option<u64>,
    ) -> Option<MessageStart> {
        if !self.new || !(location.inbox || self.folders) {
            return None;
        }
        if let (Some(header_length), 0, 0) = (known, self.header_max, self.body_max) {
            return Some(MessageStart {
                header_length,
                ..MessageStart::default()
            });
        }
        let piece = |range| piece(store, mailbox, uid, range);
        head(piece, self.header_max, self.body_max)
    }

    /// Only how long the header is, for a message whose flags have changed.
    pub fn length(
        &self,
        store: &Store,
        mailbox: MailboxId,
        uid: Uid,
        location: &MailboxLocation,
    ) -> Option<MessageStart> {
        if !self.flags || !(location.inbox || self.folders) {
            return None;
        }
        head(|range| piece(store, mailbox, uid, range), 0, 0)
    }
}

fn piece(
    store: &Store,
    mailbox: MailboxId,
    uid: Uid,
    range: std::ops::Range<u64>,
) -> Option<Bytes> {
    let request = Request::Read {
        mailbox,
        uid,
        range,
    };
    match store.read(&request) {
        Some(Reply::Piece(bytes)) => Some(bytes),
        _ => None,
    }
}

/// Reads until the empty line has come, and then what is missing of the body's beginning.
fn head(
    piece: impl Fn(std::ops::Range<u64>) -> Option<Bytes>,
    header_max: u64,
    body_max: u64,
) -> Option<MessageStart> {
    let mut asked = FIRST_BYTES;
    let (start, header_length) = loop {
        let start = piece(0..asked)?;
        let end = start.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            break (start, end as u64 + 4);
        }
        if (start.len() as u64) < asked || asked >= HEADER_BYTES_MAX {
            let all = start.len() as u64;
            break (start, all);
        }
        asked *= 16;
    };
    let cut = |from: u64, to: u64| {
        let end = (start.len() as u64).min(to);
        start.slice(from.min(end) as usize..end as usize)
    };
    let body_end = header_length + body_max;
    let body = if body_end > start.len() as u64 && body_max > 0 {
        piece(header_length..body_end)?
    } else {
        cut(header_length, body_end)
    };
    Some(MessageStart {
        header_length,
        header: cut(0, header_length.min(header_max)),
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &[u8], header_max: u64, body_max: u64) -> MessageStart {
        let bytes = Bytes::copy_from_slice(message);
        let piece = |range: std::ops::Range<u64>| {
            let end = (bytes.len() as u64).min(range.end);
            Some(bytes.slice(range.start.min(end) as usize..end as usize))
        };
        head(piece, header_max, body_max).expect("it is there")
    }

    #[test]
    fn header_and_body_are_cut_where_they_should_be() {
        let short = of(b"A: b\r\n\r\nHello", 100, 3);
        assert_eq!(short.header_length, 8);
        assert_eq!(&short.header[..], b"A: b\r\n\r\n");
        assert_eq!(&short.body[..], b"Hel");
        let neither = of(b"A: b\r\n\r\nHello", 0, 0);
        assert_eq!((neither.header_length, neither.body.len()), (8, 0));
        let long = format!("A: {}\r\n\r\nHello", "b".repeat(70_000));
        let long = of(long.as_bytes(), 5, 100);
        assert_eq!(long.header_length, 70_007);
        assert_eq!(
            (&long.header[..], &long.body[..]),
            (&b"A: bb"[..], &b"Hello"[..])
        );
        assert_eq!(of(b"no end", 9, 9).header_length, 6);
    }
}
