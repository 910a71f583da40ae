//! Machines on a reactor: who is connected where, and what was heard when.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ahash::RandomState;
use bytes::Bytes;
use reactor::{Completion, Conn, Reactor};
use tls::ClientConfig;

use crate::client::{Client, ClientEvent};
use crate::deliverer::{Deliverer, Result as Delivery};
use crate::link::{Link, Security};
use crate::measure::now_ns;

/// Something heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A session, by number.
    Session(usize, ClientEvent),
    /// A deliverer, by number.
    Deliverer(usize, Delivery),
    /// A bare connection got bytes.
    Bare(usize, usize),
}

/// Who speaks on a connection.
enum Role {
    Session(Session),
    Deliverer(usize, Deliverer),
    Bare(usize),
}

/// A session's client, and what is under it.
struct Session {
    number: usize,
    client: Client,
    link: Link,
}

impl Session {
    /// Begins TLS; its first flight is appended to `output`.
    fn shake(&mut self, tls: Option<&ClientConfig>, output: &mut Vec<u8>) -> Result<(), String> {
        let tls = tls.ok_or("nobody said what TLS is to be begun with")?;
        self.link = Link::shake(tls, output)?;
        Ok(())
    }

    /// Takes bytes of the connection, and appends what is to leave.
    fn take(
        &mut self,
        bytes: &mut [u8],
        tls: Option<&ClientConfig>,
        output: &mut Vec<u8>,
        events: &mut Vec<ClientEvent>,
    ) -> Result<(), String> {
        let client = &mut self.client;
        let is_over = self
            .link
            .take(bytes, output, &mut |text| client.handle_input(text, events))?;
        if is_over {
            client.secured();
        }
        let text = client.take_output();
        self.link.say(&text, output)?;
        if events.last() == Some(&ClientEvent::BeginsTls) {
            events.pop();
            self.shake(tls, output)?;
        }
        Ok(())
    }
}

/// No connection.
const NONE: u32 = u32::MAX;

/// The machines and their connections.
pub struct Fleet<R: Reactor> {
    reactor: R,
    /// The connection of each session, by number.
    sessions: Vec<u32>,
    roles: HashMap<u32, Role, RandomState>,
    /// Connects under way, by token.
    wanted: HashMap<u64, Role, RandomState>,
    deliverers: HashMap<usize, Conn, RandomState>,
    tokens: u64,
    completions: Vec<Completion>,
    /// What sessions begin TLS with, and when.
    tls: Option<(ClientConfig, Security)>,
    /// Output the kernel did not take.
    owed: HashMap<u32, Bytes, RandomState>,
}

/// Connections from one address of the loopback network. The kernel looks for a free port ever
/// longer once half of the usual 28,232 are taken (by 5 s at 20,000 connections).
const CONNECTIONS_AN_ADDRESS: u64 = 10_000;

/// Where the connection comes from: 127.1.0.1 and up, if it stays within 127.0.0.0/8.
pub(crate) fn source(number: u64, to: IpAddr) -> Option<IpAddr> {
    let first = u32::from(Ipv4Addr::new(127, 1, 0, 1));
    let address = first + u32::try_from(number / CONNECTIONS_AN_ADDRESS).ok()?;
    let local = matches!(to, IpAddr::V4(to) if to.is_loopback());
    local.then(|| Ipv4Addr::from(address).into())
}

impl<R: Reactor> Fleet<R> {
    /// A fleet without members.
    pub fn new(reactor: R) -> Self {
        Self {
            reactor,
            sessions: Vec::new(),
            roles: HashMap::default(),
            wanted: HashMap::default(),
            deliverers: HashMap::default(),
            tokens: 0,
            completions: Vec::new(),
            tls: None,
            owed: HashMap::default(),
        }
    }

    /// The same, whose sessions speak TLS.
    pub fn with_tls(mut self, tls: Option<(ClientConfig, Security)>) -> Self {
        self.tls = tls;
        self
    }

    /// Begins to connect a session.
    pub fn add_session(&mut self, number: usize, client: Client, to: SocketAddr) {
        let link = Link::Plain;
        let session = Session {
            number,
            client,
            link,
        };
        self.connect(Role::Session(session), to);
    }

    /// Begins to connect a deliverer.
    pub fn add_deliverer(&mut self, number: usize, to: SocketAddr) {
        self.connect(Role::Deliverer(number, Deliverer::default()), to);
    }

    /// Begins to connect a connection that only receives.
    pub fn add_bare(&mut self, number: usize, to: SocketAddr) {
        self.connect(Role::Bare(number), to);
    }

    fn connect(&mut self, role: Role, to: SocketAddr) {
        self.tokens += 1;
        self.wanted.insert(self.tokens, role);
        self.reactor
            .connect(self.tokens, to, source(self.tokens, to.ip()));
    }

    /// Gives a ready deliverer a message for some users.
    pub fn deliver(&mut self, number: usize, users: &[String], bytes: usize, id: u64) {
        let conn = self.deliverers[&number];
        if let Some(Role::Deliverer(_, machine)) = self.roles.get_mut(&conn.0) {
            machine.deliver(users, bytes, id);
            let output = machine.take_output();
            self.reactor.send(conn, output.into());
        }
    }

    /// Has a session end its IDLE and begin another. False if it does not idle.
    pub fn end_idle(&mut self, number: usize) -> bool {
        let conn = self.conn_of(number);
        let Some(Role::Session(session)) = self.roles.get_mut(&conn) else {
            return false;
        };
        let idles = session.client.end_idle();
        let mut output = Vec::new();
        let text = session.client.take_output();
        // What can't be said any more is met when the connection ends.
        let said = session.link.say(&text, &mut output);
        self.send(Conn(conn), output);
        idles && said.is_ok()
    }

    /// Sends, behind what the kernel did not take yet.
    fn send(&mut self, conn: Conn, output: Vec<u8>) {
        if output.is_empty() {
            return;
        }
        match self.owed.get_mut(&conn.0) {
            Some(owed) => *owed = [&owed[..], &output].concat().into(),
            None => self.reactor.send(conn, output.into()),
        }
    }

    /// Whether a session's client reads what it is sent.
    pub fn read(&mut self, number: usize, on: bool) {
        let conn = self.conn_of(number);
        if conn != NONE {
            self.reactor.read(Conn(conn), on);
        }
    }

    /// Ends a session's connection without a word.
    pub fn leave(&mut self, number: usize) {
        let conn = self.conn_of(number);
        if self.roles.remove(&conn).is_some() {
            self.sessions[number] = NONE;
            self.owed.remove(&conn);
            self.reactor.close(Conn(conn));
        }
    }

    /// Carries out what was asked for, without waiting or listening.
    pub fn flush(&mut self) {
        self.reactor.turn(Some(0), &mut self.completions);
    }

    fn conn_of(&self, number: usize) -> u32 {
        self.sessions.get(number).copied().unwrap_or(NONE)
    }

    /// Ends all connections, for the last time.
    pub fn close_all(&mut self) {
        self.reactor.wind_down();
        self.sessions.clear();
        for number in std::mem::take(&mut self.roles).into_keys() {
            self.reactor.close(Conn(number));
        }
        self.deliverers.clear();
        self.reactor.turn(Some(0), &mut self.completions);
        self.completions.clear();
    }

    /// One turn: waits at most until `until_ns` (on [`now_ns`]'s clock) and tells what was heard,
    /// with the time at which each piece was seen.
    pub fn turn(&mut self, until_ns: u64, heard: &mut Vec<(u64, Heard)>) {
        // What came while the last answers left must not wait for what comes next.
        let rest = self.completions.is_empty();
        let wait_ns = if rest {
            until_ns.saturating_sub(now_ns())
        } else {
            0
        };
        let until = self.reactor.now_ns() + wait_ns;
        self.reactor.waker().announce_sleep();
        let mut completions = std::mem::take(&mut self.completions);
        self.reactor.turn(Some(until), &mut completions);
        for completion in completions.drain(..) {
            self.handle(completion, heard);
        }
        self.completions = completions;
        // What the machines answered leaves at once.
        self.reactor.turn(Some(0), &mut self.completions);
    }

    fn handle(&mut self, completion: Completion, heard: &mut Vec<(u64, Heard)>) {
        match completion {
            Completion::Connected { token, result } => {
                let Some(role) = self.wanted.remove(&token) else {
                    return;
                };
                match result {
                    Ok(conn) => {
                        match &role {
                            Role::Deliverer(number, _) => {
                                self.deliverers.insert(*number, conn);
                            }
                            Role::Session(Session { number, .. }) => {
                                if self.sessions.len() <= *number {
                                    self.sessions.resize(number + 1, NONE);
                                }
                                self.sessions[*number] = conn.0;
                            }
                            Role::Bare(_) => {}
                        }
                        self.connected(conn, role, heard);
                    }
                    Err(error) => heard.push((now_ns(), failed(&role, &error.to_string()))),
                }
            }
            Completion::Received { conn, mut data } => self.received(conn, &mut data, heard),
            Completion::Hangup { conn, .. } => {
                if let Some(role) = self.roles.remove(&conn.0) {
                    if let Role::Session(Session { number, .. }) = &role {
                        self.sessions[*number] = NONE;
                    }
                    self.owed.remove(&conn.0);
                    heard.push((now_ns(), failed(&role, "the server closed the connection")));
                }
                self.reactor.close(conn);
            }
            Completion::Unsent {
                conn,
                rest,
                error: None,
            } => {
                self.owed.insert(conn.0, rest);
                self.reactor.watch_writable(conn);
            }
            Completion::Writable { conn } => {
                if let Some(rest) = self.owed.remove(&conn.0) {
                    self.reactor.send(conn, rest);
                }
            }
            Completion::Unsent { .. } | Completion::Accepted { .. } => {}
        }
    }

    /// A connection is there: its client waits for the greeting, or begins TLS.
    fn connected(&mut self, conn: Conn, mut role: Role, heard: &mut Vec<(u64, Heard)>) {
        let mut output = Vec::new();
        if let (Role::Session(session), Some((config, Security::Implicit))) = (&mut role, &self.tls)
            && let Err(why) = session.shake(Some(config), &mut output)
        {
            heard.push((now_ns(), failed(&role, &why)));
        }
        self.roles.insert(conn.0, role);
        self.reactor.read(conn, true);
        self.send(conn, output);
    }

    fn received(&mut self, conn: Conn, bytes: &mut [u8], heard: &mut Vec<(u64, Heard)>) {
        let now = now_ns();
        let mut output = Vec::new();
        match self.roles.get_mut(&conn.0) {
            Some(Role::Session(session)) => {
                let mut events = Vec::new();
                let tls = self.tls.as_ref().map(|(config, _)| config);
                if let Err(why) = session.take(bytes, tls, &mut output, &mut events) {
                    events.push(ClientEvent::Failed(why));
                }
                let number = session.number;
                let is_over = events.iter().any(|it| matches!(it, ClientEvent::Failed(_)));
                let each = events.into_iter();
                heard.extend(each.map(|event| (now, Heard::Session(number, event))));
                if is_over {
                    // Nothing it could say or hear is of use any more.
                    return self.leave(number);
                }
            }
            Some(Role::Deliverer(number, machine)) => {
                let mut results = Vec::new();
                machine.handle_input(bytes, &mut results);
                heard.extend(
                    results
                        .into_iter()
                        .map(|r| (now, Heard::Deliverer(*number, r))),
                );
                output = machine.take_output();
            }
            Some(Role::Bare(number)) => heard.push((now, Heard::Bare(*number, bytes.len()))),
            None => {}
        }
        self.send(conn, output);
    }
}

fn failed(role: &Role, why: &str) -> Heard {
    match role {
        Role::Session(Session { number, .. }) => {
            Heard::Session(*number, ClientEvent::Failed(why.to_owned()))
        }
        Role::Deliverer(number, _) => Heard::Deliverer(*number, Delivery::Refused(why.to_owned())),
        Role::Bare(number) => Heard::Bare(*number, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_come_from_many_addresses() {
        let local = Ipv4Addr::LOCALHOST.into();
        let address = Ipv4Addr::new(127, 1, 0, 3).into();
        assert_eq!(source(25_000, local), Some(address));
    }
}
