//! One connection's bytes.

use std::net::IpAddr;

use bytes::{Buf, BytesMut};

use crate::frame::{Scope, VERSION};

/// Of a greeting: subscriptions that don't say are local.
const LOCAL: u8 = 0x80;

/// An active connection: what it has sent of a frame that is not all there.
#[derive(Debug, Default)]
pub struct Session {
    pub(super) buffer: BytesMut,
    /// Which version of ENP it speaks, and what its subscriptions hear that don't say; 0 before
    /// its HELLO.
    greeting: u8,
    /// It was told that it is closed; what it still sends is not read.
    pub(super) closing: bool,
    /// Its client's address, for the log, until it is packed away.
    pub(super) peer: Option<IpAddr>,
}

/// A connection that only waits: nothing but how it was greeted.
#[derive(Clone, Copy, Debug)]
pub struct Parked(pub(super) u8);

impl Session {
    /// It has said HELLO. Once it has, its scope stays.
    pub(super) fn greet(&mut self, version: u8, scope: Scope) {
        let scope = if self.is_greeted() {
            self.scope()
        } else {
            scope
        };
        let local = if scope == Scope::Local { LOCAL } else { 0 };
        self.greeting = version | local;
    }

    /// One that was greeted so; none if nobody is.
    pub(super) fn greeted(greeting: u8) -> Option<Self> {
        let version = greeting & !LOCAL;
        let is_one = u16::from(version) <= VERSION && (version > 0 || greeting == 0);
        is_one.then(|| Self {
            greeting,
            ..Self::default()
        })
    }

    /// How it was greeted, in a byte.
    pub(super) fn greeting(&self) -> u8 {
        self.greeting
    }

    pub(super) fn version(&self) -> u8 {
        self.greeting & !LOCAL
    }

    /// What its subscriptions hear that don't say.
    pub(super) fn scope(&self) -> Scope {
        match self.greeting & LOCAL {
            0 => Scope::Site,
            _ => Scope::Local,
        }
    }

    pub(super) fn is_greeted(&self) -> bool {
        self.greeting != 0
    }

    pub(super) fn park(&self) -> Option<Parked> {
        let rests = self.is_greeted() && self.buffer.is_empty() && !self.closing;
        rests.then_some(Parked(self.greeting))
    }

    pub(super) fn unpark(parked: Parked) -> Self {
        Self {
            greeting: parked.0,
            ..Self::default()
        }
    }

    /// Keeps the rest for when more of it comes.
    pub(super) fn keep(&mut self, taken: usize, bytes: &[u8], was_buffered: bool) {
        if was_buffered {
            self.buffer.advance(taken);
            if self.buffer.is_empty() {
                self.buffer = BytesMut::new();
            }
        } else {
            self.buffer.extend_from_slice(&bytes[taken..]);
        }
    }
}
