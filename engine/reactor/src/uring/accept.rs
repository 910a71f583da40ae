//! Accepting, straight into direct descriptors.
//!
//! A multishot accept takes a whole burst at once, and a connection for which the file table has
//! no place is closed at once. So while a table has more room than a listener's backlog, the accept
//! is multishot; then it moves to a ring that has, and when there is none, single accepts fill the
//! tables to the last place, each with its place promised beforehand.

use std::os::fd::{AsRawFd, OwnedFd};

use io_uring::{cqueue, opcode, types};
use socket2::SockRef;

use super::Uring;
use super::peer::address_len;
use super::ring::Done;
use super::token::{Kind, Token};
use crate::Completion;

/// Single accepts of a listener at a time.
const SINGLES_MAX: u32 = 8;
/// The first wait after an accept failed for want of some resource.
const RETRY_NS_MIN: u64 = 1_000_000;
/// The longest.
const RETRY_NS_MAX: u64 = 1_000_000_000;

/// The listeners and whether they accept.
pub(super) struct Accepts {
    listeners: Vec<Listener>,
    on: bool,
    /// When to try again after a failure; 0 if nothing failed.
    retry_ns: u64,
    backoff_ns: u64,
}

struct Listener {
    fd: OwnedFd,
    /// Where it accepts.
    ring: usize,
    /// Accepts under way.
    armed: u32,
    multishot: bool,
    stopping: bool,
    /// How long its peers' addresses are, if those are asked for; else 0.
    peer_len: u32,
}

impl Accepts {
    pub fn new(listeners: Vec<OwnedFd>) -> Self {
        let listen = |fd: OwnedFd| {
            // What it accepts inherits this. A Unix socket has no such option, nor a need for it.
            let _ = SockRef::from(&fd).set_tcp_nodelay(true);
            Listener {
                fd,
                ring: 0,
                armed: 0,
                multishot: false,
                stopping: false,
                peer_len: 0,
            }
        };
        Self {
            listeners: listeners.into_iter().map(listen).collect(),
            on: true,
            retry_ns: 0,
            backoff_ns: RETRY_NS_MIN,
        }
    }

    pub fn turn(&mut self, on: bool) {
        self.on = on;
    }

    pub fn expect_peers(&mut self, listener: u8) {
        let listener = &mut self.listeners[usize::from(listener)];
        if listener.peer_len == 0 {
            listener.peer_len = address_len(&listener.fd);
        }
    }

    /// Whether any accept is under way.
    pub fn are_armed(&self) -> bool {
        self.listeners.iter().any(|listener| listener.armed > 0)
    }

    /// When the next round should look at the listeners again, if nothing else happens.
    pub fn retry_ns(&self) -> Option<u64> {
        (self.on && self.retry_ns > 0).then_some(self.retry_ns)
    }
}

impl Uring {
    /// Starts, moves and stops accepts as the room in the tables asks for.
    pub(super) fn arm_accepts(&mut self) {
        if self.accepts.retry_ns > 0 && self.accepts.retry_ns <= self.now_ns {
            self.accepts.retry_ns = 0;
        }
        for number in 0..self.accepts.listeners.len() {
            let listener = &self.accepts.listeners[number];
            if listener.stopping {
                // The last of its accepts ends that.
            } else if listener.armed > 0 && self.must_stop(listener) {
                let ring = listener.ring;
                self.accepts.listeners[number].stopping = true;
                self.cancel(ring, Token::new(Kind::Accept, number as u32));
            } else if self.accepts.on && self.accepts.retry_ns == 0 {
                self.arm_accept(number);
            }
        }
    }

    fn must_stop(&self, listener: &Listener) -> bool {
        let short = self.rings[listener.ring].room() <= self.options.accept_margin;
        !self.accepts.on || (listener.multishot && short)
    }

    fn arm_accept(&mut self, number: usize) {
        let margin = self.options.accept_margin;
        let listener = &mut self.accepts.listeners[number];
        if listener.armed == 0 {
            let roomy = self.rings.iter().position(|ring| ring.room() > margin);
            let Some(ring) = roomy.or_else(|| self.rings.iter().position(|ring| ring.room() > 0))
            else {
                return;
            };
            listener.ring = ring;
            listener.multishot = roomy.is_some();
        }
        let (ring, fd) = (listener.ring, types::Fd(listener.fd.as_raw_fd()));
        let token = Token::new(Kind::Accept, number as u32).pack();
        if listener.multishot {
            if listener.armed == 0 {
                listener.armed = 1;
                let accept = opcode::AcceptMulti::new(fd).allocate_file_index(true);
                // SAFETY: the entry points to nothing.
                unsafe { self.push(ring, 1, accept.build().user_data(token)) };
            }
            return;
        }
        let room = self.rings[ring].room();
        let wanted = (room / 16).clamp(1, SINGLES_MAX).min(room + listener.armed);
        let missing = wanted.saturating_sub(listener.armed);
        listener.armed += missing;
        self.rings[ring].promised += missing;
        for _ in 0..missing {
            let null = std::ptr::null_mut();
            let accept = opcode::Accept::new(fd, null, null.cast())
                .file_index(Some(types::DestinationSlot::auto_target()));
            // SAFETY: the entry points to nothing.
            unsafe { self.push(ring, 1, accept.build().user_data(token)) };
        }
    }

    pub(super) fn accepted(&mut self, ring: usize, number: u32, done: &Done) {
        let listener = &mut self.accepts.listeners[number as usize];
        if !cqueue::more(done.flags) {
            self.again = true;
            listener.armed -= 1;
            listener.stopping &= listener.armed > 0;
            if !listener.multishot {
                self.rings[ring].promised -= 1;
            }
        }
        if let Ok(slot) = u32::try_from(done.result) {
            let (listener, len) = (number as u8, listener.peer_len);
            self.accepts.backoff_ns = RETRY_NS_MIN;
            let conn = self.opened(ring, slot);
            match len {
                0 => self.out.push(Completion::Accepted { listener, conn }),
                len => self.want_peer(listener, conn, len),
            }
            return;
        }
        // One connection's own end is no reason to wait with the next.
        if ![libc::ECANCELED, libc::ECONNABORTED, libc::EINTR].contains(&-done.result) {
            self.accepts.retry_ns = self.now_ns + self.accepts.backoff_ns;
            self.accepts.backoff_ns = (self.accepts.backoff_ns * 2).min(RETRY_NS_MAX);
        }
    }
}
