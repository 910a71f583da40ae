//! Sessions that begin, and whose they are to limits and log.

use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use engine::event::SessionId;
use engine::protocol::Context;
use mail::Reply;
use proto::imap::{Channel, Forwarded, Session};

use super::tally::Tally;
use super::{Backend, Cleartext, Front, FrontSession, network};
use crate::bounds::Bound;
use crate::refusals::Refused;

/// What a client is told whose address has enough connections.
const ENOUGH: &[u8] = b"* BYE Too many connections from your address, try again later\r\n";

/// What a proxy has told of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    /// Its client speaks TLS with it: passwords may come.
    pub tls: bool,
    /// It has told whose it is. Whom it doesn't know is not this host, wherever the proxy is, and
    /// names nobody else.
    pub known: bool,
}

impl Behind {
    /// There is no proxy.
    pub const NONE: Self = Self {
        tls: false,
        known: true,
    };
}

impl<B: Backend> Front<B> {
    /// A client's address, if it is not this host's.
    pub(super) fn stranger(session: &FrontSession) -> Option<IpAddr> {
        session
            .peer
            .filter(|peer| !peer.to_canonical().is_loopback())
    }

    /// What a session is to know of its channel.
    pub(super) fn told_channel(&self, channel: &tls::Channel) -> Channel {
        let (name, name_fault) = match channel.name(self.named_by) {
            Ok(name) => (name, None),
            Err(fault) => (None, Some(fault.words())),
        };
        Channel {
            binding: channel.binding.as_ref().map(|binding| **binding),
            name,
            name_fault,
        }
    }

    /// A session for a connection that has come.
    pub(crate) fn open_behind(
        &mut self,
        cx: &mut Context<'_, Reply>,
        behind: Behind,
    ) -> FrontSession {
        let tls = behind.tls || cx.is_secure();
        let starttls = self.starttls.load(Relaxed) && !tls;
        let may_log_in = tls || behind.known && self.may_log_in(cx);
        let config = self.config.clone();
        let mut machine = match cx.is_secure() {
            true => Session::before_handshake(config),
            false => Session::with_starttls(config, may_log_in, starttls),
        };
        let peer = cx.peer().map(|peer| peer.ip());
        if behind.known && peer.is_some_and(|peer| self.trusted.contain(peer)) {
            machine.trust_forwarded();
        }
        if !peer.is_none_or(|peer| self.admits_address(cx.id(), peer)) {
            machine.handle_closed();
            cx.send(Bytes::from_static(ENOUGH));
            cx.close();
        }
        let mut session = FrontSession {
            machine,
            reading: true,
            held_bytes: 0,
            heard_ns: cx.now_ns(),
            user: None,
            proved: None,
            peer,
            called: None,
            requester: None,
            ended: false,
            asked: "input",
            asks_to_write: false,
            quiet: false,
            idling: false,
            at_work: None,
            tally: Tally::default(),
        };
        self.counts.came(false);
        self.carry_out(&mut session, cx);
        session
    }

    /// Counts a connection as one of this address and of no other. False if that has enough.
    pub(crate) fn admits_address(&mut self, id: SessionId, address: IpAddr) -> bool {
        let Some(addresses) = &mut self.addresses else {
            return true;
        };
        if address.to_canonical().is_loopback() {
            addresses.leave(id.slot);
            return true;
        }
        let fits = addresses.enter(id.slot, network(address));
        if !fits {
            self.bounds.meet(Bound::AddressConnections);
            self.lines.refuse(Refused::Connection, Some(address), id);
        }
        fits
    }

    /// Somebody who is trusted has named the client: the session is that one's from now on.
    pub(super) fn forwarded(
        &mut self,
        session: &mut FrontSession,
        cx: &mut Context<'_, Reply>,
        client: Forwarded,
    ) {
        // Its requests from now on are another's.
        session.requester = None;
        if client.session.is_some() {
            session.called = client.session;
        }
        let Some(address) = client.address else {
            return;
        };
        session.peer = Some(address);
        if !self.admits_address(cx.id(), address) {
            session.machine.handle_closed();
            cx.send(Bytes::from_static(ENOUGH));
            cx.close();
        }
    }

    /// Whether passwords may come over a connection.
    fn may_log_in(&self, cx: &Context<'_, Reply>) -> bool {
        match self.cleartext {
            _ if cx.is_secure() => true,
            Cleartext::ListenerIsLoopback => true,
            Cleartext::Loopback => cx
                .peer()
                .is_some_and(|peer| peer.ip().to_canonical().is_loopback()),
        }
    }
}
