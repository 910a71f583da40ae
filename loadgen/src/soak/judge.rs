//! The oracle: what sessions hear and do, held against the models of their mailboxes.

use std::collections::VecDeque;
use std::fmt;

use hdrhistogram::Histogram;

use super::client::SoakEvent;
use super::command::{Command, Store};
use super::faults::{Faults, Kind, Wrong};
use super::mailbox::{End, Mailbox, Stamp};
use super::member::{Goal, Member, Pending};
use super::reading::{CommandResult, Status};
use super::view::flag_list;
use crate::measure::{histogram, record};

/// How soon an idling session must have heard of a change, in nanoseconds.
pub const DEADLINE_NS: u64 = 5_000_000_000;

/// Times, in microseconds.
#[derive(Clone, Debug)]
pub struct Times {
    /// From a command to its reply, of those that change nothing.
    pub reads: Histogram<u64>,
    /// From a command to its reply, of those that wait for the disk.
    pub writes: Histogram<u64>,
    /// From LOGIN to its reply.
    pub logins: Histogram<u64>,
    /// From the end of DATA to the 250.
    pub durable: Histogram<u64>,
    /// From the intended start of a delivery to its 250.
    pub intended: Histogram<u64>,
    /// From the end of DATA or APPEND to EXISTS at an idling session.
    pub heard: Histogram<u64>,
    /// From the 250 or OK to that EXISTS; one that came before counts as 1.
    pub heard_durable: Histogram<u64>,
}

/// How much was done and checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commands answered.
    pub commands: u64,
    /// Messages answered with 250.
    pub delivered: u64,
    /// Deliveries left out because their mailbox was full.
    pub full: u64,
    /// Messages appended.
    pub appended: u64,
    /// Messages found to be expunged.
    pub expunged: u64,
    /// Sessions that logged out.
    pub logouts: u64,
    /// Connections closed without LOGOUT.
    pub breaks: u64,
    /// Connections made.
    pub connects: u64,
    /// Listings held against view and model.
    pub audits: u64,
    /// Listings that could not be, because the mailbox changed meanwhile.
    pub audits_skipped: u64,
    /// Idling sessions whose view was held against the model after a change.
    pub idle_checks: u64,
    /// SEARCH, STATUS and SELECT held against the model.
    pub answers_checked: u64,
}

/// Where a fault was seen.
struct Location<'a>(usize, &'a Member, Option<Command>);

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}, mailbox {}", self.0, self.1.mailbox)?;
        match self.2 {
            Some(command) => write!(f, ", {command:?}"),
            None => Ok(()),
        }
    }
}

/// The judge.
#[derive(Debug)]
pub(super) struct Judge {
    pub mailboxes: Vec<Mailbox>,
    pub faults: Faults,
    pub times: Times,
    pub counts: Counts,
    /// What is found in mailboxes was there before.
    pub adopting: bool,
    /// Mailboxes to look at, when, and what they were.
    due: VecDeque<(u64, u32, Stamp)>,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            reads: histogram(),
            writes: histogram(),
            logins: histogram(),
            durable: histogram(),
            intended: histogram(),
            heard: histogram(),
            heard_durable: histogram(),
        }
    }
}

impl Judge {
    pub fn new(mailboxes: usize) -> Self {
        Self {
            mailboxes: (0..mailboxes).map(|_| Mailbox::default()).collect(),
            faults: Faults::default(),
            times: Times::default(),
            counts: Counts::default(),
            adopting: true,
            due: VecDeque::new(),
        }
    }

    /// A fault of a session.
    pub fn fault(&mut self, number: usize, member: &Member, wrong: &Wrong) {
        let command = member.pending.as_ref().and_then(|pending| pending.command);
        self.faults.add(Location(number, member, command), wrong);
    }

    /// A command is about to be sent.
    pub fn begin(&mut self, member: &mut Member, command: Command, now_ns: u64) {
        let mailbox = &mut self.mailboxes[member.mailbox as usize];
        let mut pending = Pending {
            command: Some(command),
            begun_ns: now_ns,
            stamp: mailbox.stamp(now_ns),
            highest: mailbox.highest(),
            ..Pending::default()
        };
        match command {
            Command::Store(store) => mailbox.storing(store.uid, store.flag, store.set, now_ns),
            Command::Expunge | Command::Close => pending.doomed = mailbox.expunging(),
            Command::Append { id } => {
                mailbox.adding(id);
                mailbox.add_sent(id, now_ns);
            }
            Command::Noop => member.audit = pending.stamp,
            Command::Idle | Command::Logout => member.basis = None,
            _ => {}
        }
        member.pending = Some(Box::new(pending));
    }

    /// The connection is gone, and with it the reply to what was sent.
    pub fn lose(&mut self, member: &mut Member, now_ns: u64) {
        if let Some(pending) = member.pending.take() {
            // What came of it is not known, so nothing can be wrong.
            let _ = self.settle(member, &pending, End::Lost, now_ns);
        }
    }

    /// Notes how a change ended.
    fn settle(
        &mut self,
        member: &Member,
        pending: &Pending,
        end: End,
        now_ns: u64,
    ) -> Result<(), Wrong> {
        let mailbox = &mut self.mailboxes[member.mailbox as usize];
        let result = match pending.command {
            Some(Command::Store(Store { uid, flag, set, .. })) => {
                mailbox.stored((uid, flag, set), end, now_ns)
            }
            Some(Command::Expunge | Command::Close) => {
                let count = mailbox.messages.len();
                mailbox.expunged(&pending.doomed, end, now_ns);
                self.counts.expunged += (count - mailbox.messages.len()) as u64;
                Ok(())
            }
            Some(Command::Append { id }) => {
                mailbox.add_ended(id, end, now_ns);
                Ok(())
            }
            _ => return Ok(()),
        };
        self.changed(member.mailbox, now_ns);
        result
    }

    /// A mailbox changed: sessions that idle must have heard of it in time.
    pub fn changed(&mut self, mailbox: u32, now_ns: u64) {
        let stamp = self.mailboxes[mailbox as usize].stamp(now_ns);
        self.due.push_back((now_ns + DEADLINE_NS, mailbox, stamp));
    }

    /// The next mailbox whose deadline is over and that has not changed since.
    pub fn take_due(&mut self, now_ns: u64) -> Option<u32> {
        while let Some((at_ns, mailbox, stamp)) = self.due.front().copied() {
            if at_ns > now_ns {
                return None;
            }
            self.due.pop_front();
            let model = &self.mailboxes[mailbox as usize];
            if model.is_steady_since(stamp) && model.is_certain() {
                return Some(mailbox);
            }
        }
        None
    }

    /// Holds what an idling session knows against a mailbox that is certain and past its deadline.
    pub fn check_idling(&mut self, number: usize, member: &mut Member, now_ns: u64) {
        if !member.is_idling() || member.idle_since_ns + DEADLINE_NS > now_ns {
            return;
        }
        let mailbox = &self.mailboxes[member.mailbox as usize];
        self.counts.idle_checks += 1;
        match mailbox.check_view(member.client.view().messages()) {
            Ok(()) => member.basis = Some((mailbox.added, mailbox.disturbed)),
            Err(wrong) => {
                let text = format!("idling, 5 s after the last change: {}", wrong.text);
                self.fault(number, member, &Wrong::new(Kind::Late, text));
            }
        }
    }

    /// A session heard something.
    pub fn hear(&mut self, number: usize, member: &mut Member, event: SoakEvent, now_ns: u64) {
        if let Err(wrong) = self.try_hear(member, event, now_ns) {
            self.fault(number, member, &wrong);
        }
    }

    fn try_hear(
        &mut self,
        member: &mut Member,
        event: SoakEvent,
        now_ns: u64,
    ) -> Result<(), Wrong> {
        let mailbox = &mut self.mailboxes[member.mailbox as usize];
        match event {
            SoakEvent::Greeted => Ok(()),
            SoakEvent::Grown(by) => {
                self.measure(member, by, now_ns);
                Ok(())
            }
            SoakEvent::Expunged(known) => {
                let count = mailbox.messages.len();
                let result = mailbox.seen_expunged(known.uid, now_ns);
                self.counts.expunged += (count - mailbox.messages.len()) as u64;
                result
            }
            SoakEvent::Fetched { before, now, id } => {
                let pending = member.pending.as_deref_mut();
                let begun_ns = pending.as_ref().map_or(now_ns, |pending| pending.begun_ns);
                if let Some(pending) = pending
                    && let (Some(Command::List { .. }), Some(flags)) = (pending.command, now.flags)
                {
                    pending.listing.push((now.uid, flags));
                    if before.uid == now.uid && before.flags.is_some_and(|known| known != flags) {
                        let [knew, are] = [before.flags.unwrap_or(0), flags].map(flag_list);
                        let text = format!("knew flags {knew} of UID {}, they are {are}", now.uid);
                        pending.disagrees = Some(Wrong::new(Kind::Flags, text));
                    }
                }
                match (id, self.adopting) {
                    (None, _) => Ok(()),
                    (Some(id), true) => {
                        mailbox.adopt(now.uid, id, now.flags.unwrap_or(0));
                        Ok(())
                    }
                    (Some(id), false) => mailbox.link(now.uid, id, begun_ns),
                }
            }
            SoakEvent::Found(uids, count) => self.check_search(member, &uids, count),
            SoakEvent::Status(status) => self.check_status(member, status),
            SoakEvent::UidValidity(validity) => mailbox.check_validity(validity),
            SoakEvent::UidNext(uid) => check_uid_next(member, uid),
            SoakEvent::Idling => {
                member.pending = None;
                member.idle_since_ns = now_ns;
                let knows = member.client.view().messages().len() == mailbox.count();
                let basis = (mailbox.added, mailbox.disturbed);
                member.basis = (knows && mailbox.is_quiet(now_ns)).then_some(basis);
                Ok(())
            }
            SoakEvent::Bye(text) => Err(Wrong::new(Kind::Dropped, format!("BYE {text}"))),
            SoakEvent::Wrong(wrong) => Err(wrong),
            SoakEvent::Ended {
                answer,
                appended,
                text,
                ..
            } => self.ended(member, answer, appended, &text, now_ns),
        }
    }

    /// EXISTS at an idling session: how soon was it told of the additions that it did not know?
    fn measure(&mut self, member: &mut Member, by: usize, now_ns: u64) {
        let mailbox = &self.mailboxes[member.mailbox as usize];
        let Some((known, disturbed)) = member.basis.filter(|_| member.client.is_idling()) else {
            return;
        };
        if disturbed != mailbox.disturbed {
            member.basis = None;
            return;
        }
        let knows = known + by as u32;
        for add in (known + 1..=knows).filter_map(|number| mailbox.add(number)) {
            if add.data_ns > 0 {
                record(&mut self.times.heard, now_ns.saturating_sub(add.data_ns));
                let after = now_ns.saturating_sub(add.durable_ns);
                let after = if add.durable_ns > 0 { after } else { 0 };
                record(&mut self.times.heard_durable, after);
            }
        }
        member.basis = Some((knows, disturbed));
    }

    fn ended(
        &mut self,
        member: &mut Member,
        answer: CommandResult,
        appended: Option<(u32, u32)>,
        text: &str,
        now_ns: u64,
    ) -> Result<(), Wrong> {
        self.counts.commands += 1;
        let Some(mut pending) = member.pending.take() else {
            return Ok(());
        };
        let Some(command) = pending.command else {
            return Ok(());
        };
        let took_ns = now_ns.saturating_sub(pending.begun_ns);
        match command {
            Command::Login => record(&mut self.times.logins, took_ns),
            // How long it lasted is the client's doing.
            Command::Idle => {}
            _ if command.is_write() => record(&mut self.times.writes, took_ns),
            _ => record(&mut self.times.reads, took_ns),
        }
        let end = match answer {
            CommandResult::Ok => End::Done,
            CommandResult::Gone => End::Gone,
            CommandResult::Refused => End::Lost,
        };
        self.settle(member, &pending, end, now_ns)?;
        let may_be_gone = matches!(
            command,
            Command::Sync { .. } | Command::Fetch { .. } | Command::Store(_)
        );
        if answer == CommandResult::Refused || (answer == CommandResult::Gone && !may_be_gone) {
            return Err(Wrong::new(Kind::Refused, format!("{command:?}: {text}")));
        }
        let mailbox = &mut self.mailboxes[member.mailbox as usize];
        match command {
            Command::Append { id } => {
                self.counts.appended += 1;
                let Some((validity, uid)) = appended else {
                    return Err(Wrong::new(Kind::Uid, "APPEND told no APPENDUID"));
                };
                mailbox.check_validity(validity)?;
                mailbox.link(uid, id, pending.begun_ns)
            }
            Command::Select => self.check_selected(member, &pending),
            Command::Noop if member.goal == Goal::List => self.check_told(member),
            Command::List { .. } => {
                if !mailbox.is_steady_since(member.audit) {
                    self.counts.audits_skipped += 1;
                    return Ok(());
                }
                self.counts.audits += 1;
                mailbox.check_listing(&pending.listing, now_ns)?;
                pending.disagrees.take().map_or(Ok(()), Err)
            }
            _ => Ok(()),
        }
    }

    /// After a NOOP in a mailbox that holds still, everything was told.
    fn check_told(&mut self, member: &Member) -> Result<(), Wrong> {
        let mailbox = &self.mailboxes[member.mailbox as usize];
        if !mailbox.is_steady_since(member.audit) || !mailbox.is_certain() {
            return Ok(());
        }
        mailbox.check_view(member.client.view().messages())
    }

    fn check_selected(&mut self, member: &Member, pending: &Pending) -> Result<(), Wrong> {
        let mailbox = &self.mailboxes[member.mailbox as usize];
        if self.adopting || !mailbox.is_steady_since(pending.stamp) || !mailbox.is_certain() {
            return Ok(());
        }
        self.counts.answers_checked += 1;
        let (told, count) = (member.client.view().messages().len(), mailbox.count());
        if told == count {
            return Ok(());
        }
        let text = format!("SELECT tells {told} messages of {count}");
        Err(Wrong::new(Kind::Lost, text))
    }

    fn check_search(&mut self, member: &Member, uids: &[u32], count: usize) -> Result<(), Wrong> {
        let mailbox = &self.mailboxes[member.mailbox as usize];
        let Some(pending) = &member.pending else {
            return Ok(());
        };
        let Some(Command::Search { unseen, .. }) = pending.command else {
            return Ok(());
        };
        let knows = member.client.view().messages().len() == mailbox.count();
        if !knows || !mailbox.is_steady_since(pending.stamp) || !mailbox.is_certain() {
            return Ok(());
        }
        self.counts.answers_checked += 1;
        mailbox.check_search(uids, count, unseen)
    }

    fn check_status(&mut self, member: &Member, status: Status) -> Result<(), Wrong> {
        let mailbox = &mut self.mailboxes[member.mailbox as usize];
        if let Some(validity) = status.uid_validity {
            mailbox.check_validity(validity)?;
        }
        if let Some(uid) = status.uid_next {
            check_uid_next(member, uid)?;
        }
        let Some(pending) = &member.pending else {
            return Ok(());
        };
        if !mailbox.is_steady_since(pending.stamp) || !mailbox.is_certain() {
            return Ok(());
        }
        self.counts.answers_checked += 1;
        mailbox.check_status(status)
    }
}

/// UIDNEXT lies above every UID that was known when the command was sent.
fn check_uid_next(member: &Member, uid: u32) -> Result<(), Wrong> {
    let highest = member.pending.as_ref().map_or(0, |p| p.highest);
    if uid > highest {
        return Ok(());
    }
    let text = format!("UIDNEXT {uid}, but UID {highest} is used");
    Err(Wrong::new(Kind::Uid, text))
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
