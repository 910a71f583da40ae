//! Sending: one operation a connection and turn.
//!
//! Sends carry MSG_DONTWAIT, so they run while they are submitted; MSG_WAITALL, so that a short one
//! counts as failed; and CQE_SKIP_SUCCESS, so that the others are silent. Had a connection two
//! sends in a batch and the first came back short, the second would leave in front of the first
//! one's rest: so several sends to one connection become one SENDMSG.

use bytes::{Bytes, BytesMut};
use io_uring::{opcode, squeue};

use super::Uring;
use super::op::fixed;
use super::slots::{Slot, ring_of};
use super::token::{Kind, Token};
use crate::{Completion, Conn};

/// Most parts of one SENDMSG (UIO_MAXIOV).
const PARTS_MAX: usize = 1024;
/// Most bytes of one operation: its result is a signed 32-bit number.
const SEND_BYTES_MAX: usize = 1 << 30;
/// Sends of a turn for which memory is kept.
const KEPT_MAX: usize = 64 * 1024;
const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL;

/// The sends of a turn.
#[derive(Default)]
pub(super) struct Sends {
    batch: Vec<Send>,
    /// Headers of those with more than one part. Boxed, because operations point to them while
    /// more are added.
    #[allow(clippy::vec_box)]
    messages: Vec<Box<Message>>,
}

struct Send {
    conn: Conn,
    generation: u16,
    bytes: Bytes,
    /// What was sent after `bytes` in the same turn.
    more: Vec<Bytes>,
}

/// What a SENDMSG points to.
struct Message {
    header: libc::msghdr,
    /// The header points here.
    _parts: Vec<libc::iovec>,
}

impl Sends {
    /// Adds a send, or joins it to what the connection sends already.
    pub fn add(&mut self, conn: Conn, slot: &mut Slot, bytes: Bytes) {
        assert!(bytes.len() <= SEND_BYTES_MAX, "a send is at most 1 GiB");
        let generation = slot.generation;
        match self.batch.get_mut(slot.queued as usize) {
            Some(send) if send.conn == conn && send.generation == generation => {
                send.more.push(bytes);
            }
            _ => {
                slot.queued = self.batch.len() as u32;
                self.batch.push(Send {
                    conn,
                    generation,
                    bytes,
                    more: Vec::new(),
                });
            }
        }
    }

    /// All sends have been carried out.
    pub fn end_batch(&mut self) {
        self.batch.clear();
        self.batch.shrink_to(KEPT_MAX);
        self.messages.clear();
    }

    /// The operation for the send at `place`.
    fn entry(&mut self, place: usize) -> squeue::Entry {
        let send = &mut self.batch[place];
        let fd = fixed(send.conn);
        let whole = send.bytes.len() + send.more.iter().map(Bytes::len).sum::<usize>();
        assert!(whole <= SEND_BYTES_MAX, "a turn sends at most 1 GiB a peer");
        if send.more.len() >= PARTS_MAX {
            send.bytes = joined(&send.bytes, &send.more);
            send.more.clear();
        }
        if send.more.is_empty() {
            let (start, len) = (send.bytes.as_ptr(), send.bytes.len() as u32);
            return opcode::Send::new(fd, start, len).flags(FLAGS).build();
        }
        let all = std::iter::once(&send.bytes).chain(&send.more);
        let message = self.messages.push_mut(Box::new(Message::new(all)));
        opcode::SendMsg::new(fd, &message.header)
            .flags(FLAGS as u32)
            .build()
    }
}

impl Message {
    fn new<'a>(bytes: impl Iterator<Item = &'a Bytes>) -> Self {
        let part = |bytes: &Bytes| libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        let mut parts: Vec<_> = bytes.map(part).collect();
        // SAFETY: a message header is plain numbers and pointers, for which 0 is valid.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = parts.as_mut_ptr();
        header.msg_iovlen = parts.len();
        Self {
            header,
            _parts: parts,
        }
    }
}

fn joined(bytes: &Bytes, more: &[Bytes]) -> Bytes {
    let whole = bytes.len() + more.iter().map(Bytes::len).sum::<usize>();
    let mut joined = BytesMut::with_capacity(whole);
    joined.extend_from_slice(bytes);
    more.iter().for_each(|part| joined.extend_from_slice(part));
    joined.freeze()
}

impl Send {
    /// What is left after `sent` bytes; copied only if it lies in several parts.
    fn rest(&mut self, mut sent: usize) -> Bytes {
        let mut parts = std::mem::take(&mut self.more);
        parts.insert(0, std::mem::take(&mut self.bytes));
        let whole_parts = parts
            .iter()
            .take_while(|part| {
                let gone = part.len() <= sent;
                sent -= if gone { part.len() } else { 0 };
                gone
            })
            .count();
        parts.drain(..whole_parts);
        match parts.as_mut_slice() {
            [] => Bytes::new(),
            [last] => last.split_off(sent),
            [first, more @ ..] => joined(&first.split_off(sent), more),
        }
    }
}

impl Uring {
    /// Queues the turn's sends, in the order in which their connections first sent.
    pub(super) fn push_sends(&mut self) {
        for place in 0..self.sends.batch.len() {
            let token = Token::new(Kind::Send, place as u32);
            let entry = self
                .sends
                .entry(place)
                .user_data(token.pack())
                .flags(squeue::Flags::SKIP_SUCCESS);
            let ring = ring_of(self.sends.batch[place].conn);
            // SAFETY: bytes, headers and parts belong to `sends` and are only let go by
            // `end_batch`, after all batches were submitted; with MSG_DONTWAIT the operation runs
            // while it is submitted.
            unsafe { self.push(ring, 1, entry) };
        }
    }

    /// A send was refused or cut short.
    pub(super) fn send_failed(&mut self, place: u32, result: i32) {
        let send = &mut self.sends.batch[place as usize];
        let (sent, error) = match result {
            sent if sent >= 0 => (sent as usize, None),
            error => match -error {
                libc::EAGAIN | libc::EINTR | libc::ENOBUFS | libc::ENOMEM => (0, None),
                error => (0, Some(error)),
            },
        };
        let (conn, generation) = (send.conn, send.generation);
        let rest = send.rest(sent);
        if !rest.is_empty() && self.current(conn, generation).is_some() {
            self.out.push(Completion::Unsent { conn, rest, error });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parts: &[&'static [u8]], sent: usize, rest: &[u8]) {
        let mut sends = Sends::default();
        let mut slot = Slot::default();
        for part in parts {
            sends.add(Conn(0), &mut slot, Bytes::from_static(part));
        }
        assert_eq!(sends.batch.len(), 1);
        assert_eq!(sends.batch[0].rest(sent), rest, "{sent} of {parts:?}");
    }

    #[test]
    fn rest_of_joined_sends_is_exact() {
        let parts: [&[u8]; 3] = [b"abc", b"d", b"efgh"];
        for sent in 0..=8 {
            check(&parts, sent, &b"abcdefgh"[sent..]);
            check(&[b"abcdefgh"], sent, &b"abcdefgh"[sent..]);
        }
    }

    #[test]
    fn connections_do_not_mix() {
        let mut sends = Sends::default();
        let (mut one, mut two) = (Slot::default(), Slot::default());
        sends.add(Conn(1), &mut one, Bytes::from_static(b"1"));
        sends.add(Conn(2), &mut two, Bytes::from_static(b"2"));
        sends.add(Conn(1), &mut one, Bytes::from_static(b"1"));
        // Closed and taken anew within the turn: another connection.
        one.generation += 1;
        sends.add(Conn(1), &mut one, Bytes::from_static(b"3"));
        let sent: Vec<_> = sends
            .batch
            .iter_mut()
            .map(|send| (send.conn.0, send.rest(0)))
            .collect();
        let expected = [(1, "11"), (2, "2"), (1, "3")].map(|(c, b)| (c, Bytes::from(b)));
        assert_eq!(sent, expected);
    }
}
