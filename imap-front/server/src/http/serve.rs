//! The thread: who is ready goes on, who takes too long is cut, one round after the other.
#![expect(
    clippy::disallowed_methods,
    reason = "this thread is nobody's to wait for, and goes by the machine's clock"
)]

use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ens::sparing::Sparing;
use monitor::http::Answer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Inside;
use super::connection::{Connection, Stays};
use super::site::Told;
use super::status::Pulse;
use crate::lines::{Line, Who};
use crate::panics;
use crate::refusals::Refused;

/// Clients at a time. Who comes then has the place of one that has asked nothing, or nothing for
/// the longest time.
const CLIENTS_MAX: usize = 64;
/// Clients that are let in in one round.
const LET_IN_A_ROUND: usize = 16;
/// Of these, that are told something each second.
const STREAMS_MAX: usize = 16;
/// How often that is.
const BEAT: Duration = Duration::from_secs(1);
/// For how long nobody is let in after that has failed.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is told to end.
pub(super) fn serve(inside: &Inside) {
    let mut clients: Vec<Connection> = vec![];
    let failures = Sparing::default();
    let mut paused_until: Option<Instant> = None;
    let mut pulse = Pulse::default();
    let mut beat = Instant::now();
    while !inside.is_over.load(Ordering::SeqCst) {
        let now = Instant::now();
        clients.retain(|client| client.until() > now);
        paused_until = paused_until.filter(|until| *until > now);
        let until = paused_until.map_or(beat, |until| until.min(beat));
        let ready = wait(inside, &clients, (now, until), paused_until.is_some());
        let now = Instant::now();
        let mut number = 0;
        let mut streams = clients.iter().filter(|client| client.streams()).count();
        clients.retain_mut(|client| {
            number += 1;
            let visit = Visit {
                inside,
                pulse: &mut pulse,
                streams: &mut streams,
            };
            !ready[number] || visit.go_on(client, now) == Stays::Yes
        });
        if beat <= now {
            beat = now + BEAT;
            pulse.note(inside);
            if streams > 0 {
                stream(inside, &mut pulse, &mut clients, now);
            }
        }
        if ready[0]
            && let Err(error) = let_in(inside, &mut clients, now)
            && !inside.is_over.load(Ordering::SeqCst)
        {
            failures.say(|more| tracing::error!("http: a client can't be let in: {error}{more}"));
            paused_until = Some(now + PAUSE);
        }
    }
}

/// Waits; tells whether somebody has come, and of each client whether it can go on.
fn wait(
    inside: &Inside,
    clients: &[Connection],
    (now, until): (Instant, Instant),
    paused: bool,
) -> Vec<bool> {
    let deadlines = clients.iter().map(Connection::until);
    let first = deadlines.min().map_or(until, |first| first.min(until));
    // Rounded up, so that what is due then is due.
    let mut sleep = first.saturating_duration_since(now) + Duration::from_millis(1);
    if clients.iter().any(|client| client.has_more) {
        sleep = Duration::ZERO;
    }
    let nobody = PollFlags::empty();
    let door = if paused { nobody } else { PollFlags::IN };
    let of_client = |client: &Connection| match client.wants_to_write() {
        true => PollFlags::OUT,
        false => PollFlags::IN,
    };
    let mut all = vec![PollFd::from_borrowed_fd(inside.listener.as_fd(), door)];
    all.extend(
        clients
            .iter()
            .map(|client| PollFd::from_borrowed_fd(client.stream().as_fd(), of_client(client))),
    );
    let timeout = Timespec {
        tv_sec: sleep.as_secs().cast_signed(),
        tv_nsec: sleep.subsec_nanos().into(),
    };
    match poll(&mut all, Some(&timeout)) {
        Ok(_) => {
            let more = clients.iter().map(|client| client.has_more);
            let more = std::iter::once(false).chain(more);
            let ready = all.iter().zip(more);
            ready
                .map(|(one, more)| more || !one.revents().is_empty())
                .collect()
        }
        // A signal, or no memory: another round.
        Err(_) => vec![false; all.len()],
    }
}

/// What a client needs that goes on.
struct Visit<'a> {
    inside: &'a Inside,
    pulse: &'a mut Pulse,
    /// Clients that are told something each second.
    streams: &'a mut usize,
}

impl Visit<'_> {
    fn go_on(self, client: &mut Connection, now: Instant) -> Stays {
        let Self {
            inside,
            pulse,
            streams,
        } = self;
        let mut refused = None;
        let mut answer = |request| {
            let (told, path) = match request {
                Ok(request) => {
                    let (told, path) = inside.answer(&request, pulse, *streams < STREAMS_MAX);
                    refused = refused.or(match told.code() {
                        // Browsers ask without one first.
                        401 if request.authorization.is_some() => Some(Refused::Token),
                        403 => Some(Refused::Host),
                        _ => None,
                    });
                    (told, path)
                }
                Err(code) => {
                    let text = "that is no request that is answered here";
                    (Told::Answer(Answer::of(code, text)), "other")
                }
            };
            *streams += usize::from(matches!(told, Told::Events(_)));
            inside.measured.http.count(path, told.code());
            told
        };
        let going = || client.go_on(now, &mut answer);
        let stays = panics::catch("of a client of the HTTP door", going).unwrap_or(Stays::No);
        if let (Some(what), Ok(peer)) = (refused, client.stream().peer_addr()) {
            let who = Who {
                client: Some(peer.ip()),
                ..Who::default()
            };
            let name = Box::default();
            inside.measured.lines.put(Line::Refused { who, what, name });
        }
        stays
    }
}

/// Tells those something who are told something each second. Who is behind has all of it later.
fn stream(inside: &Inside, pulse: &mut Pulse, clients: &mut Vec<Connection>, now: Instant) {
    let event = pulse.event(inside);
    let mut whole = None;
    clients.retain_mut(|client| {
        if !client.streams() {
            return true;
        }
        let bytes = match client.is_behind {
            true => whole.get_or_insert_with(|| pulse.whole_event(inside)),
            false => &event,
        };
        client.is_behind = !client.tell(now, bytes);
        let mut nothing = |_| Told::Answer(Answer::of(500, "it said something"));
        client.is_behind || client.go_on(now, &mut nothing) == Stays::Yes
    });
}

fn let_in(inside: &Inside, clients: &mut Vec<Connection>, now: Instant) -> std::io::Result<()> {
    for _ in 0..LET_IN_A_ROUND {
        let stream = match inside.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // It has left again.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        let Some(client) = begin(inside, stream, now)? else {
            continue;
        };
        if clients.len() >= CLIENTS_MAX {
            let places = 0..clients.len();
            let idlest = places.min_by_key(|at| (clients[*at].has_looked, clients[*at].since));
            idlest.map(|at| clients.swap_remove(at));
        }
        clients.push(client);
    }
    Ok(())
}

/// A client that has come; none while there is no certificate for it.
fn begin(inside: &Inside, stream: TcpStream, now: Instant) -> std::io::Result<Option<Connection>> {
    stream.set_nonblocking(true)?;
    let Some(tls) = &inside.tls else {
        return Ok(Some(Connection::new(stream, None, now)));
    };
    let tls = tls.connection().map_err(std::io::Error::other)?;
    Ok(tls.map(|tls| Connection::new(stream, Some(tls), now)))
}
