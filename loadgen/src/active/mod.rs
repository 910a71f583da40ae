//! What a client asks for that has woken up: flags, envelopes, structures, headers, searches,
//! sorted and threaded lists, of one mailbox, one command after the other.
//!
//! In reading order: [`messages`] (the mailbox), [`commands`] (what is asked, and what must come),
//! [`report`].

pub mod commands;
pub mod messages;
pub mod report;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use proto::imap::encode;

use crate::measure::{histogram, record};
use crate::wire::{From, Until, Wire};
use commands::{Asked, Heard};
use messages::Mailbox;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Messages of one APPEND where several may be (RFC 3502).
const AT_ONCE: u32 = 100;
/// Messages that are appended in one pipeline when that is measured.
const PIPELINE: u32 = 200;
/// Where those go.
const OTHER: &str = "active-other";

/// `loadgen active`
#[derive(clap::Args)]
pub struct Args {
    /// IMAP server.
    #[arg(long, default_value = "127.0.0.1:143")]
    pub imap: String,
    /// The user, whose mailboxes `active` and `active-other` are made and filled.
    #[arg(long, default_value = "load0")]
    user: String,
    /// The user's password.
    #[arg(long, default_value = "secret")]
    password: String,
    /// Messages of the mailbox, 2 KB each.
    #[arg(long, default_value_t = 20_000)]
    messages: u32,
    /// How often each command is measured, after a time that isn't.
    #[arg(long, default_value_t = 9)]
    rounds: u32,
    /// Write a results folder.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Allow servers that are not on this host.
    #[arg(long)]
    pub allow_remote: bool,
}

/// What was found of one command.
pub struct Finding {
    /// What was asked.
    pub name: &'static str,
    /// How long it took, in microseconds.
    pub times: Histogram<u64>,
    /// Why it was not measured.
    pub refused: Option<String>,
    /// What was answered though something else is right.
    pub wrong: Option<String>,
}

/// What was found of a server.
pub struct Findings {
    /// The mailbox.
    pub mailbox: Mailbox,
    /// One command after the other.
    pub commands: Vec<Finding>,
    /// Messages appended a second in a pipeline, the median.
    pub appended: f64,
}

impl Findings {
    /// Answers that were wrong.
    pub fn faults(&self) -> impl Iterator<Item = &str> {
        self.commands.iter().filter_map(|one| one.wrong.as_deref())
    }
}

impl Args {
    /// Fills the mailbox and asks.
    ///
    /// # Errors
    /// If the server can't be reached, or refuses what all servers do.
    pub fn run(&self, imap: SocketAddr) -> Result<Findings, String> {
        if self.rounds == 0 || self.messages < commands::SOME {
            let least = commands::SOME;
            return Err(format!(
                "--rounds must be above 0, --messages at least {least}"
            ));
        }
        self.measure(imap).map_err(|error| error.to_string())
    }

    fn measure(&self, imap: SocketAddr) -> io::Result<Findings> {
        let stop = AtomicBool::new(false);
        let until = Until {
            stop: &stop,
            patience: PATIENCE,
        };
        let mailbox = Mailbox {
            messages: self.messages,
        };
        let mut filler = self.connect(imap, until)?;
        self.fill(&mut filler, mailbox)?;
        let mut appended: Vec<f64> = Vec::new();
        for _ in 0..3 {
            let began = Instant::now();
            pipeline(&mut filler, mailbox)?;
            appended.push(f64::from(PIPELINE) / began.elapsed().as_secs_f64());
        }
        appended.sort_unstable_by(f64::total_cmp);
        drop(filler);
        let mut found = vec![self.connecting(imap, until)?];
        let mut wire = self.connect(imap, until)?;
        wire.must(&format!("SELECT {}", commands::MAILBOX))?;
        for asked in commands::all(mailbox) {
            found.push(self.ask(&mut wire, &asked)?);
        }
        Ok(Findings {
            mailbox,
            commands: found,
            appended: appended[1],
        })
    }

    fn connect<'a>(&self, imap: SocketAddr, until: Until<'a>) -> io::Result<Wire<'a>> {
        let mut wire = Wire::connect(imap, From::Population, until)?;
        wire.login(&self.user, &self.password)?;
        Ok(wire)
    }

    /// Makes the mailboxes, if they aren't there, and fills the first.
    fn fill(&self, wire: &mut Wire, mailbox: Mailbox) -> io::Result<()> {
        for name in [commands::MAILBOX, OTHER] {
            wire.command(&format!("CREATE {name}"))?;
        }
        let mut has = 0;
        let tag = wire.begin(&format!("STATUS {} (MESSAGES)", commands::MAILBOX))?;
        wire.listen(&tag, |line| has = has.max(commands::last_number(line)))?;
        if has == mailbox.messages {
            return Ok(());
        }
        if has != 0 {
            return Err(io::Error::other(format!(
                "{} has {has} messages already",
                commands::MAILBOX
            )));
        }
        let mut several = false;
        let tag = wire.begin("CAPABILITY")?;
        wire.listen(&tag, |line| {
            several |= line
                .split(|&byte| byte == b' ')
                .any(|it| it == b"MULTIAPPEND");
        })?;
        let step = if several { AT_ONCE } else { 1 };
        let mut waiting = std::collections::VecDeque::new();
        for first in (0..mailbox.messages).step_by(step as usize) {
            let numbers = first..mailbox.messages.min(first + step);
            waiting.push_back(append(wire, mailbox, commands::MAILBOX, numbers)?);
            if waiting.len() > (PIPELINE / step) as usize {
                appended(wire, &mut waiting)?;
            }
        }
        while !waiting.is_empty() {
            appended(wire, &mut waiting)?;
        }
        Ok(())
    }

    /// Connect, LOGIN, SELECT.
    fn connecting(&self, imap: SocketAddr, until: Until) -> io::Result<Finding> {
        let mut times = histogram();
        for round in 0..=self.rounds {
            let began = Instant::now();
            let mut wire = self.connect(imap, until)?;
            wire.must(&format!("SELECT {}", commands::MAILBOX))?;
            if round > 0 {
                record(&mut times, began.elapsed().as_nanos() as u64);
            }
            wire.command("LOGOUT").ok();
        }
        Ok(Finding {
            name: "connect, LOGIN, SELECT",
            times,
            refused: None,
            wrong: None,
        })
    }

    fn ask(&self, wire: &mut Wire, asked: &Asked) -> io::Result<Finding> {
        let mut finding = Finding {
            name: asked.name,
            times: histogram(),
            refused: None,
            wrong: None,
        };
        for round in 0..=self.rounds {
            let mut heard = Heard::default();
            let began = Instant::now();
            let tag = wire.begin(&asked.command)?;
            let result = wire.listen(&tag, |line| heard.line(line))?;
            let took = began.elapsed();
            if !result.starts_with("OK") {
                finding.refused = Some(result);
                return Ok(finding);
            }
            if round > 0 {
                record(&mut finding.times, took.as_nanos() as u64);
            }
            finding.wrong = finding.wrong.or_else(|| asked.fault(&heard));
        }
        Ok(finding)
    }
}

/// Appends many one by one, without waiting.
fn pipeline(wire: &mut Wire, mailbox: Mailbox) -> io::Result<()> {
    let mut tags = std::collections::VecDeque::new();
    for number in 0..PIPELINE {
        tags.push_back(append(wire, mailbox, OTHER, number..number + 1)?);
    }
    while !tags.is_empty() {
        appended(wire, &mut tags)?;
    }
    Ok(())
}

/// Sends one APPEND with literals that wait for nothing (RFC 7888).
fn append(
    wire: &mut Wire,
    mailbox: Mailbox,
    name: &str,
    numbers: std::ops::Range<u32>,
) -> io::Result<String> {
    let mut command = format!("APPEND {name}").into_bytes();
    for number in numbers {
        let flags: &[u8] = if Mailbox::is_seen(number) {
            b" (\\Seen) "
        } else {
            b" () "
        };
        command.extend_from_slice(flags);
        encode::internal_date(&mut command, mailbox.date(number));
        let message = mailbox.message(number);
        command.extend_from_slice(format!(" {{{}+}}\r\n{message}", message.len()).as_bytes());
    }
    wire.begin_bytes(&command)
}

/// Waits for the oldest of them.
fn appended(wire: &mut Wire, tags: &mut std::collections::VecDeque<String>) -> io::Result<()> {
    let Some(tag) = tags.pop_front() else {
        return Ok(());
    };
    let result = wire.end(&tag)?;
    match result.starts_with("OK") {
        true => Ok(()),
        false => Err(io::Error::other(format!("APPEND: {result}"))),
    }
}
