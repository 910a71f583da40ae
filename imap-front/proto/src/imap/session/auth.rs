//! LOGIN (RFC 3501 §6.2.3) and AUTHENTICATE PLAIN, LOGIN and EXTERNAL (§6.2.2, RFC 4616, RFC 4422
//! appendix A, RFC 4959); what the other mechanisms have in common.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use mail::request::{Credentials, Evidence};
use mail::{Refusal, Reply, Request, UserId};

use super::{Session, Step, Work};
use crate::imap::action::Action;
use crate::imap::bearer::Dialect;
use crate::imap::counts::Outcome;
use crate::imap::language::Language;
use crate::imap::name_form::NameForm;
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
    External,
    Bearer(Dialect),
    /// The token was not taken: whatever comes, the login has failed.
    TokenRefused(Refusal),
    /// With a channel or without.
    ScramFirst {
        plus: bool,
    },
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
            "SCRAM-SHA-256" if self.config.offers_scram() => {
                (Mechanism::ScramFirst { plus: false }, "")
            }
            "SCRAM-SHA-256-PLUS" if self.config.offers_scram() && self.binding().is_some() => {
                (Mechanism::ScramFirst { plus: true }, "")
            }
            "OAUTHBEARER" if self.config.tokens.is_some() => {
                (Mechanism::Bearer(Dialect::OAuthBearer), "")
            }
            "XOAUTH2" if self.config.tokens.is_some() => (Mechanism::Bearer(Dialect::XOAuth2), ""),
            "EXTERNAL" if self.shows_certificate() => (Mechanism::External, ""),
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
        if let Mechanism::TokenRefused(refusal) = &exchange.mechanism {
            self.failed(&exchange.tag, refusal);
            return true;
        }
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
            Mechanism::External => self.external(tag, &bytes),
            Mechanism::Bearer(dialect) => self.bearer(tag, dialect, &bytes),
            Mechanism::TokenRefused(refusal) => self.failed(&tag, &refusal),
            Mechanism::ScramFirst { plus } => self.scram_first(tag, plus, &bytes),
            Mechanism::ScramFinal(exchange) => self.scram_final(tag, *exchange, &bytes),
            Mechanism::ScramProved(user) => self.scram_end(&tag, user, &bytes),
        }
    }

    /// Who the client is says its certificate; the message says as whom it wants to act, if as
    /// another (RFC 4422 appendix A).
    fn external(&mut self, tag: Box<str>, message: &[u8]) {
        let authorization = match std::str::from_utf8(message) {
            Ok(name) if !name.contains('\0') => (!name.is_empty()).then(|| name.into()),
            _ => return self.done(&tag, "BAD expected a name, or nothing"),
        };
        let channel = self.channel.as_deref();
        let (user, evidence) = match channel.map(|it| (&it.name, it.name_fault)) {
            Some((Some(name), _)) => (name.clone(), Evidence::Certificate),
            Some((None, Some(fault))) => (Box::default(), Evidence::Nameless(fault)),
            _ => return self.failed(&tag, &Refusal::Credentials),
        };
        let credentials = Credentials {
            user,
            authorization,
            evidence,
        };
        self.ask(Request::Authenticate(credentials), Step::Login { tag });
    }

    /// Whether the client has shown a certificate that has a name, a good one or not.
    pub(super) fn shows_certificate(&self) -> bool {
        let channel = self.channel.as_deref();
        channel.is_some_and(|it| it.name.is_some() || it.name_fault.is_some())
    }

    /// What SCRAM is bound to.
    pub(super) fn binding(&self) -> Option<[u8; 32]> {
        self.channel.as_ref()?.binding
    }

    fn check(&mut self, tag: Box<str>, user: &[u8], acts_as: Option<&[u8]>, password: &[u8]) {
        let text = |bytes| std::str::from_utf8(bytes).map(Box::<str>::from).ok();
        let (Some(name), Some(authorization)) = (
            text(user),
            acts_as.map_or(Some(None), |bytes| text(bytes).map(Some)),
        ) else {
            return self.refuse_login(tag, String::from_utf8_lossy(user).into());
        };
        let credentials = Credentials {
            user: name,
            authorization,
            evidence: Evidence::Password(password.into()),
        };
        self.ask(Request::Authenticate(credentials), Step::Login { tag });
    }

    /// Has a login that can't be right refused, delayed and logged as any that is wrong: by a proof
    /// that is none.
    pub(super) fn refuse_login(&mut self, tag: Box<str>, user: Box<str>) {
        let credentials = Credentials {
            user,
            authorization: None,
            evidence: Evidence::Proof {
                auth_message: Box::default(),
                proof: Box::default(),
            },
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
        if !self.language.is_as_written() {
            let list = self.capabilities();
            return self.done(tag, &format!("OK [CAPABILITY {list}] Logged in"));
        }
        self.ended(Outcome::Ok);
        let line = self.config.logged_in(self.compression);
        self.output.bytes(tag.as_bytes());
        self.output.bytes(b" ");
        self.say_shared(line);
    }

    pub(super) fn capabilities(&self) -> String {
        let offer = self.user.is_none().then(|| self.offer());
        self.config
            .listed(&self.config.state(offer, self.compression))
    }

    /// Adds a line that others are told, too, or the end of one, in English.
    pub(super) fn say_shared(&mut self, line: Bytes) {
        match self.output.give_at_once(&line) {
            true => self.act(Action::Send(line)),
            false => self.output.bytes(&line),
        }
    }

    /// RFC 8437: all is as it was before the login, but for TLS, which begins before the first one
    /// only and goes on. So does what it brings: the client's certificate may say again who it is,
    /// and SCRAM may be bound to it, as long as the session was not packed away, which keeps
    /// neither. Logins that failed before still count: they are the connection's, whoever logged in
    /// between.
    pub(super) fn unauthenticate(&mut self, tag: &str) {
        if !self.config.unauthenticates {
            return self.done(tag, "BAD UNAUTHENTICATE is not offered");
        }
        self.unselect();
        (self.condstore, self.qresync, self.uid_only) = (false, false, false);
        (self.rev2, self.name_form) = (false, NameForm::Utf7);
        self.language = Language::Default;
        self.done(tag, "OK UNAUTHENTICATE completed");
        self.end_compression();
        self.stop_notifying();
        self.notify = super::notified::Notify::Base;
        self.act(Action::LoggedOut);
        self.user = None;
        self.output.log_out();
        (self.starttls, self.commands) = (false, 0);
    }

    pub(super) fn failed(&mut self, tag: &str, refusal: &Refusal) {
        self.refuse(tag, refusal);
        let counts = matches!(
            refusal,
            Refusal::Credentials | Refusal::Scope | Refusal::Certificate(_)
        );
        self.failures += u8::from(counts);
        if self.failures >= self.config.login_failures_max {
            self.bye("Too many failed logins");
        }
    }
}
