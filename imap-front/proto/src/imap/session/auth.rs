//! LOGIN (RFC 3501 §6.2.3) and AUTHENTICATE PLAIN, LOGIN and SCRAM-SHA-256 (§6.2.2, RFC 4616,
//! RFC 4959).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail::request::{Credentials, Evidence};
use mail::{Refusal, Reply, Request, UserId};

use super::{Session, Step, Work};
use crate::imap::scram::Challenged;

/// A SASL exchange that waits for the client.
pub(super) struct Exchange {
    pub tag: Box<str>,
    pub mechanism: Mechanism,
}

impl Exchange {
    /// Bytes that it keeps.
    pub fn held_bytes(&self) -> usize {
        match &self.mechanism {
            Mechanism::LoginPassword(user) => user.capacity(),
            Mechanism::ScramFinal(challenged) => challenged.held_bytes(),
            _ => 0,
        }
    }
}

/// A mechanism, and what its next line is.
pub(super) enum Mechanism {
    Plain,
    LoginUser,
    LoginPassword(Vec<u8>),
    ScramFirst,
    ScramFinal(Box<Challenged>),
    /// The client is to look at the server's signature.
    ScramProved(UserId),
}

impl Session {
    pub(super) fn login(&mut self, tag: Box<str>, user: &[u8], password: &[u8]) {
        if self.may_log_in(&tag) {
            self.check(tag, user, None, password);
        }
    }

    fn may_log_in(&mut self, tag: &str) -> bool {
        if self.user.is_some() {
            self.done(tag, "BAD Already logged in");
        } else if !self.cleartext {
            let text = "NO [PRIVACYREQUIRED] Passwords are only taken over TLS or from this host";
            self.done(tag, text);
        } else {
            return true;
        }
        false
    }

    pub(super) fn authenticate(
        &mut self,
        tag: Box<str>,
        mechanism: &str,
        initial: Option<Vec<u8>>,
    ) {
        if !self.may_log_in(&tag) {
            return;
        }
        let (mechanism, challenge) = match mechanism {
            "PLAIN" => (Mechanism::Plain, ""),
            "LOGIN" => (Mechanism::LoginUser, "VXNlcm5hbWU6"),
            "SCRAM-SHA-256" if self.config.offers_scram() => (Mechanism::ScramFirst, ""),
            _ => return self.done(&tag, "NO [CANNOT] That mechanism is not offered"),
        };
        match initial {
            Some(bytes) => self.respond(Exchange { tag, mechanism }, bytes),
            None => {
                self.say(&format!("+ {challenge}"));
                self.exchange(tag, mechanism);
            }
        }
    }

    pub(super) fn next_sasl_line(&mut self) -> bool {
        let Some(line) = self.receiver.line(self.config.login_bytes_max) else {
            return false;
        };
        let Work::Sasl(exchange) = std::mem::replace(&mut self.work, Work::Ready) else {
            return false;
        };
        match line {
            Ok(line) if &line[..] == b"*" => self.done(&exchange.tag, "BAD Cancelled"),
            Ok(line) => match BASE64.decode(&line) {
                Ok(bytes) => self.respond(*exchange, bytes),
                Err(_) => self.done(&exchange.tag, "BAD expected base64, or * to cancel"),
            },
            Err(()) => self.done(&exchange.tag, "BAD The response is too long"),
        }
        true
    }

    fn respond(&mut self, exchange: Exchange, bytes: Vec<u8>) {
        let tag = exchange.tag;
        match exchange.mechanism {
            Mechanism::Plain => {
                // RFC 4616 §2: [authzid] NUL authcid NUL passwd
                let parts: Vec<&[u8]> = bytes.splitn(3, |&b| b == 0).collect();
                match parts[..] {
                    [authorization, user, password] if !user.is_empty() => {
                        let acts = (!authorization.is_empty()).then_some(authorization);
                        self.check(tag, user, acts, password);
                    }
                    _ => self.done(&tag, "BAD expected authorization, NUL, name, NUL, password"),
                }
            }
            Mechanism::LoginUser => {
                self.say("+ UGFzc3dvcmQ6");
                self.exchange(tag, Mechanism::LoginPassword(bytes));
            }
            Mechanism::LoginPassword(user) => self.check(tag, &user, None, &bytes),
            Mechanism::ScramFirst => self.scram_first(tag, &bytes),
            Mechanism::ScramFinal(exchange) => self.scram_final(tag, *exchange, &bytes),
            Mechanism::ScramProved(user) => self.scram_end(&tag, user, &bytes),
        }
    }

    fn check(&mut self, tag: Box<str>, user: &[u8], acts_as: Option<&[u8]>, password: &[u8]) {
        let text = |bytes| std::str::from_utf8(bytes).map(Box::<str>::from).ok();
        let (Some(user), Some(authorization)) = (
            text(user),
            acts_as.map_or(Some(None), |bytes| text(bytes).map(Some)),
        ) else {
            return self.failed(&tag, &Refusal::Credentials);
        };
        let credentials = Credentials {
            user,
            authorization,
            evidence: Evidence::Password(password.into()),
        };
        self.ask(Request::Authenticate(credentials), Step::Login { tag });
    }

    pub(super) fn logged_in(&mut self, tag: &str, reply: Reply) {
        match reply {
            Reply::Authenticated(user) => self.log_in(tag, user),
            Reply::Proved { user, signature } => self.proved(tag, user, &signature),
            Reply::Refused(refusal) => self.failed(tag, &refusal),
            _ => self.failed(tag, &Refusal::Credentials),
        }
    }

    pub(super) fn log_in(&mut self, tag: &str, user: UserId) {
        self.user = Some(user);
        self.output.log_in();
        let list = self.config.capabilities(self.cleartext, false, true);
        self.done(tag, &format!("OK [CAPABILITY {list}] Logged in"));
    }

    pub(super) fn failed(&mut self, tag: &str, refusal: &Refusal) {
        self.refuse(tag, refusal);
        self.failures += u8::from(*refusal == Refusal::Credentials);
        if self.failures >= self.config.login_failures_max {
            self.bye("Too many failed logins");
        }
    }
}
