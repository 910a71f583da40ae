//! Who asks: what an active session and its request under way share.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use engine::event::SessionId;
use mail::{Uid, UserId};

use crate::lines::Who;

/// A session that asks something. While the session is there its requests are wanted.
#[derive(Debug)]
pub struct Requester {
    /// The session.
    pub id: SessionId,
    /// Who is logged in; none before login.
    pub user: Option<UserId>,
    /// From where, if that is not this host itself; only before login.
    pub client: Option<IpAddr>,
    /// What a proxy calls the session, for the log.
    pub session: Option<Box<str>>,
    gone: AtomicBool,
    /// The UID of the message that the request under way comes to next; 0 if that is not known.
    reached: AtomicU32,
}

impl Requester {
    /// A session that is there.
    pub fn new(id: SessionId, user: Option<UserId>, client: Option<IpAddr>) -> Self {
        Self {
            id,
            user,
            client: client.filter(|client| !client.to_canonical().is_loopback()),
            session: None,
            gone: AtomicBool::new(false),
            reached: AtomicU32::new(0),
        }
    }

    /// The same, with what a proxy calls the session.
    pub fn called(self, session: Option<Box<str>>) -> Self {
        Self { session, ..self }
    }

    /// Who it is to the log.
    pub fn who(&self) -> Who {
        Who {
            session: Some(self.id),
            client: self.client,
            called: self.session.clone(),
        }
    }

    /// The session is gone: nobody waits for its answers.
    pub fn leave(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Its request has come to this message, if that is known.
    pub fn note_reached(&self, next: Option<Uid>) {
        let next = next.map_or(0, |next| next.0);
        self.reached.store(next, Ordering::Relaxed);
    }

    /// To which message its request has come, if that is known.
    pub fn reached(&self) -> Option<Uid> {
        let next = Uid(self.reached.load(Ordering::Relaxed));
        (next.0 > 0).then_some(next)
    }

    /// Whether the session is gone.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

/// An address as limits count it: of IPv6 the /64 that one host may have all of.
pub fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        // No global IPv6 address begins with zeros.
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}
