//! The attacks: what each needs beforehand, and what it does.

mod broker;
mod connections;
mod logins;
mod mailboxes;
mod messages;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Plan;
use crate::plan;
use crate::wire::{From, Until, Wire};

/// One attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Attack {
    /// LIST with a pattern of many wildcards over many mailboxes with long names.
    List,
    /// Another session expunges a tenth of a large mailbox that this one has in view.
    View,
    /// STORE on all messages of a large mailbox.
    Store,
    /// COPY of all messages of a large mailbox.
    Copy,
    /// EXPUNGE of a tenth of a large mailbox.
    Expunge,
    /// SELECT, EXPUNGE of the last message, and EXAMINE of a large mailbox, again and again.
    Select,
    /// SEARCH ALL, SEARCH UNSEEN and FETCH of all UIDs of a large mailbox.
    Search,
    /// Many sessions pipeline FETCH ENVELOPE of a large message.
    Envelope,
    /// Logins of a user who doesn't exist; the connection is closed at once.
    Guess,
    /// Users with costly passwords log in at once, many sessions each.
    ColdLogin,
    /// Connections pipeline CAPABILITY before login and never read.
    Capability,
    /// Connections send most of a large literal before login.
    Literal,
    /// Sessions pipeline FETCH of whole messages and never read.
    Unread,
    /// An event client subscribes very often.
    Subscribe,
    /// Events with very many parameters meet very many subscriptions of the same key.
    Match,
    /// Mailboxes get names that are too long for an event.
    Rename,
    /// Idle LMTP connections.
    Lmtp,
    /// A client reads a large message slowly and steadily.
    SlowReader,
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use clap::ValueEnum as _;
        let value = self.to_possible_value().expect("none is skipped");
        f.write_str(value.get_name())
    }
}

/// What attacks have at hand.
pub struct Stage<'a> {
    /// The run.
    pub plan: &'a Plan,
    /// The attack's time is over.
    pub stop: &'a AtomicBool,
}

/// Connections that were made beforehand.
pub type Prepared<'a> = Vec<Wire<'a>>;

impl<'a> Stage<'a> {
    /// The stage of a run.
    pub fn new(plan: &'a Plan, stop: &'a AtomicBool) -> Self {
        Self { plan, stop }
    }

    /// From now on this thread gives way to others.
    pub fn be_nice(&self) {
        // If it is not permitted the attack is only the harder.
        let _ = rustix::process::nice(10);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn until(&self) -> Until<'a> {
        Until {
            stop: self.stop,
            patience: self.plan.patience,
        }
    }

    /// A connection to IMAP.
    fn connect(&self) -> io::Result<Wire<'a>> {
        Wire::connect(self.plan.imap, From::Attacker, self.until())
    }

    /// The name of an attacker.
    fn attacker(&self, number: u32) -> String {
        plan::user(&self.plan.users, self.plan.first_attacker() + number)
    }

    /// A session of an attacker.
    fn log_in(&self, number: u32) -> io::Result<Wire<'a>> {
        let mut wire = self.connect()?;
        wire.login(&self.attacker(number), &self.plan.password)?;
        Ok(wire)
    }

    /// Does something on so many threads that give way to others; gives how many succeeded, and
    /// the first error.
    fn many(
        &self,
        threads: usize,
        work: impl Fn(usize) -> io::Result<()> + Sync,
    ) -> (usize, Option<io::Error>) {
        std::thread::scope(|scope| {
            let work = &work;
            let all: Vec<_> = (0..threads)
                .map(|number| {
                    scope.spawn(move || {
                        self.be_nice();
                        work(number)
                    })
                })
                .collect();
            let (mut good, mut first) = (0, None);
            for one in all {
                match one.join() {
                    Ok(Ok(())) => good += 1,
                    Ok(Err(error)) => first = first.or(Some(error)),
                    Err(_) => first = first.or(Some(io::Error::other("a thread panicked"))),
                }
            }
            (good, first)
        })
    }
}

impl Attack {
    /// Whether it is on the event broker.
    pub fn needs_broker(self) -> bool {
        matches!(self, Self::Subscribe | Self::Match)
    }

    /// Makes what it needs.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn prepare<'a>(self, stage: &Stage<'a>) -> io::Result<Prepared<'a>> {
        match self {
            Self::List => mailboxes::fill(stage).map(|()| vec![]),
            Self::Rename => mailboxes::one_long(stage).map(|()| vec![]),
            Self::View => messages::in_view(stage),
            Self::Store | Self::Copy | Self::Expunge | Self::Select | Self::Search => {
                messages::fill(stage, 0).map(|()| vec![])
            }
            Self::Envelope | Self::SlowReader | Self::Unread => {
                messages::large(stage).map(|()| vec![])
            }
            _ => Ok(vec![]),
        }
    }

    /// Attacks; gives what the attacker saw.
    ///
    /// # Errors
    /// What broke it off.
    pub fn run<'a>(self, stage: &Stage<'a>, prepared: &mut Prepared<'a>) -> io::Result<String> {
        match self {
            Self::List => mailboxes::list(stage),
            Self::Rename => mailboxes::rename(stage),
            Self::View => messages::expunge_in_view(stage, prepared),
            Self::Store => messages::store(stage),
            Self::Copy => messages::copy(stage),
            Self::Expunge => messages::expunge(stage),
            Self::Select => messages::select(stage),
            Self::Search => messages::search(stage),
            Self::Envelope => messages::envelope(stage),
            Self::SlowReader => connections::slow_reader(stage),
            Self::Unread => connections::unread(stage, prepared),
            Self::Guess => logins::guess(stage),
            Self::ColdLogin => logins::cold(stage, prepared),
            Self::Capability => connections::capability(stage, prepared),
            Self::Literal => connections::literal(stage, prepared),
            Self::Lmtp => connections::lmtp(stage, prepared),
            Self::Subscribe => broker::subscribe(stage),
            Self::Match => broker::match_many(stage),
        }
    }
}

/// What an attacker saw, if it could do any of what it was to do.
fn done(times: usize, text: String) -> io::Result<String> {
    match times {
        0 => Err(io::Error::other(format!("{NOTHING_DONE}: {text}"))),
        _ => Ok(text),
    }
}

/// How the outcome of an attack begins that could do nothing of what it was to do.
pub const NOTHING_DONE: &str = "nothing was done";

/// The first error, as it follows a count.
fn why(error: Option<io::Error>) -> String {
    error.map_or(String::new(), |error| format!(" (the first: {error})"))
}
