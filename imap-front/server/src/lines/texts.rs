//! What lines say. Every one begins with the same fields, in this order, as far as they are known:
//! `event`, `result`, `ip`, `user`, `session`. Names that come from clients are quoted, and their
//! control characters escaped: none can pass for anything else.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use mail::UserId;

use super::names::Names;
use super::repeats::{Cause, LeftOut, Repeats};
use super::{Delivered, DeliveredTo, Ended, Line, SessionName, Who};
use crate::refusals::Refused;

/// The target of all lines about sessions.
macro_rules! say {
    ($level:ident, $event:expr, $result:expr, $who:expr, $user:expr, $($rest:tt)*) => {
        tracing::$level!(
            target: "imapd",
            event = %$event,
            result = %$result,
            ip = %Ip($who.client),
            user = $user,
            session = $who.session.map(|id| tracing::field::display(SessionName(id))),
            proxy_session = $who.called.as_deref(),
            $($rest)*
        )
    };
}

/// Where a client comes from: its address, or `local` for this host, or `unknown` for a client that
/// its proxy does not know: it has no address that could be shut out.
struct Ip(Option<IpAddr>);

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(|client| client.to_canonical()) {
            None => f.write_str("local"),
            Some(client) if client.is_loopback() => f.write_str("local"),
            Some(client) if client.is_unspecified() => f.write_str("unknown"),
            Some(client) => client.fmt(f),
        }
    }
}

/// Writes lines.
pub(super) struct Teller<'a> {
    pub names: &'a dyn Names,
    pub repeats: Repeats,
}

impl Teller<'_> {
    pub fn tell(&mut self, line: Line) {
        if !line.guards() && !tracing::enabled!(target: "imapd", tracing::Level::INFO) {
            // It would not be written: names are not looked up for nothing.
            return;
        }
        match line {
            Line::LoggedIn { who, user, tls } => {
                let user = self.user(user);
                say!(info, "login", "ok", who, &*user, tls, "logged in");
            }
            Line::ActsAs { who, user, by } => {
                say!(
                    info,
                    "admin",
                    "acts-as",
                    who,
                    &*user,
                    by = &*by,
                    "an administrator logs in"
                );
            }
            Line::Failed {
                who,
                name,
                why,
                expired,
            } => self.failed(&who, &name, why.as_deref(), expired),
            Line::Ended(ended) => self.ended(&ended),
            Line::Delivered(delivered) => {
                for to in &delivered.targets {
                    self.delivered(&delivered, to);
                }
            }
            Line::NoRecipient {
                who,
                address,
                result,
            } => {
                if self.repeats.admits("recipient", result, who.client) {
                    let none = None::<&str>;
                    let recipient = &*address;
                    say!(
                        warn,
                        "recipient",
                        result,
                        who,
                        none,
                        recipient,
                        "recipient refused"
                    );
                }
            }
            Line::Refused { who, what, name } => self.refused(&who, &what, &name),
        }
    }

    /// Tells what was left out, at the end of a window.
    pub fn tell_left_out(&mut self, now: Instant) {
        for LeftOut { cause, count } in self.repeats.end(now) {
            let Some((cause, client)) = cause else {
                tracing::warn!(
                    target: "imapd", event = %"repeated", count, "more lines of many causes"
                );
                continue;
            };
            let Cause { event, result, .. } = cause;
            // Those beyond the causes that are told apart have many addresses.
            let client = match cause.is_of_many() {
                true => Some(Ipv4Addr::UNSPECIFIED.into()),
                false => client,
            };
            tracing::warn!(
                target: "imapd", event = %"repeated", result = %result, ip = %Ip(client),
                of = %event, count, "more lines of the same cause"
            );
        }
    }

    fn user(&self, user: UserId) -> Box<str> {
        self.names
            .user(user)
            .unwrap_or_else(|| format!("number {user}").into())
    }

    fn failed(&mut self, who: &Who, name: &str, why: Option<&str>, expired: bool) {
        let result = if expired { "expired" } else { "failed" };
        if !self.repeats.admits("login", result, who.client) {
            return;
        }
        match expired {
            // Not a guess: its client asks so whether it needs another.
            true => say!(info, "login", result, who, name, why, "login refused"),
            false => say!(warn, "login", result, who, name, why, "login failed"),
        }
    }

    fn refused(&mut self, who: &Who, what: &Refused, name: &str) {
        let (result, text) = what.told();
        if !self.repeats.admits("refusal", result, who.client) {
            return;
        }
        let user = match what {
            Refused::User(user) => Some(self.user(*user)),
            _ => (!name.is_empty()).then(|| name.into()),
        };
        let why = what.why();
        say!(warn, "refusal", result, who, user.as_deref(), why, "{text}");
    }

    fn ended(&mut self, ended: &Ended) {
        let Ended {
            who,
            result,
            seconds,
            ..
        } = ended;
        let event = if ended.cut { "cut" } else { "logout" };
        if ended.cut && !self.repeats.admits(event, result, who.client) {
            return;
        }
        let user = ended.user.map(|user| self.user(user));
        let user = user.as_deref();
        let received = ended.traffic.map(|it| it.received);
        let sent = ended.traffic.map(|it| it.sent);
        let commands = ended.traffic.map(|it| it.commands);
        let why = ended.why.map(|why| why.to_string());
        let why = why.as_deref();
        match ended.cut {
            true => say!(
                warn, event, result, who, user, why, seconds, received, sent, commands, "cut"
            ),
            false => say!(
                info,
                event,
                result,
                who,
                user,
                seconds,
                received,
                sent,
                commands,
                "session ended"
            ),
        }
    }

    fn delivered(&self, message: &Delivered, to: &DeliveredTo) {
        let Delivered {
            who,
            id,
            queue_id,
            sender,
            size,
            took_ns,
            ..
        } = message;
        let ms = took_ns / 1_000_000;
        let (user, id) = (self.names.account(&to.account), &**id);
        let (user, queue_id) = (&*user, queue_id.as_deref());
        let (sender, recipients) = (&**sender, &*to.recipients);
        match &to.result {
            Ok(appended) => {
                // Whose folder isn't there goes to the INBOX.
                let (names, folder) = (self.names, &to.folder);
                let is_there = || names.is_named(appended.mailbox, &to.account, folder);
                let mailbox = match folder.is_inbox() || !is_there() {
                    true => "INBOX",
                    false => folder.as_str(),
                };
                let uid = appended.uid.0;
                say!(
                    info,
                    "delivery",
                    "ok",
                    who,
                    user,
                    id,
                    queue_id,
                    sender,
                    recipients,
                    size,
                    mailbox,
                    uid,
                    ms,
                    "delivered"
                );
            }
            Err(refusal) => {
                let (mailbox, why) = (to.folder.as_str(), refusal.to_string());
                say!(
                    warn,
                    "delivery",
                    "refused",
                    who,
                    user,
                    id,
                    queue_id,
                    sender,
                    recipients,
                    size,
                    mailbox,
                    why,
                    ms,
                    "not delivered"
                );
            }
        }
    }
}

/// Tells how many lines found no room in the queue.
pub(super) fn tell_dropped(more: u64, in_all: u64) {
    tracing::warn!(
        target: "imapd", event = %"dropped", count = more, in_all,
        "lines were dropped, more happened than could be written"
    );
}
