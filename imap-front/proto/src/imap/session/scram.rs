//! AUTHENTICATE SCRAM-SHA-256 and SCRAM-SHA-256-PLUS: the client's first message, its proof, and
//! its empty answer to the server's signature, before which it is not logged in (RFC 5802 §5).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail::request::Credentials;
use mail::{Refusal, Reply, Request, UserId};

use super::auth::{Exchange, Mechanism};
use super::{Session, Step, Work};
use crate::imap::scram::{Binding, Challenged, ClientFirst, server_final};

/// How a client may bind SCRAM to its channel (RFC 9266).
const BINDING: &str = "tls-exporter";

impl Session {
    pub(super) fn scram_first(&mut self, tag: Box<str>, plus: bool, message: &[u8]) {
        let first = match ClientFirst::parse(message) {
            Ok(first) => first,
            Err(expected) => return self.done(&tag, &format!("BAD expected {expected}")),
        };
        if let (false, Binding::Of(_)) = (plus, &first.binding) {
            return self.done(&tag, "NO [CANNOT] Channel binding is not offered");
        }
        let fits = match &first.binding {
            Binding::None => !plus,
            // Somebody between has taken what is offered out of the list (RFC 5802 §6).
            Binding::Unused => !plus && self.binding().is_none(),
            Binding::Of(name) => plus && &**name == BINDING,
        };
        let user = first.user.clone();
        if !fits {
            return self.refuse_login(tag, user);
        }
        let first = Box::new(first);
        self.ask(Request::Challenge { user }, Step::Challenge { tag, first });
    }

    pub(super) fn challenged(&mut self, tag: Box<str>, first: ClientFirst, reply: Reply) {
        match reply {
            Reply::Challenged(challenge) => {
                let exchange = first.challenge(&challenge);
                self.say(&format!("+ {}", BASE64.encode(exchange.server_first())));
                self.exchange(tag, Mechanism::ScramFinal(Box::new(exchange)));
            }
            Reply::Refused(refusal) => self.failed(&tag, &refusal),
            _ => self.failed(&tag, &Refusal::Credentials),
        }
    }

    pub(super) fn scram_final(&mut self, tag: Box<str>, exchange: Challenged, message: &[u8]) {
        let channel = self.binding().filter(|_| exchange.is_bound());
        let channel = channel.as_ref().map_or(&[][..], |it| &it[..]);
        match exchange.evidence(message, channel) {
            Ok(evidence) => {
                let (user, authorization) = exchange.into_names();
                let credentials = Credentials {
                    user,
                    authorization,
                    evidence,
                };
                self.ask(Request::Authenticate(credentials), Step::Login { tag });
            }
            Err(expected) => self.done(&tag, &format!("BAD expected {expected}")),
        }
    }

    pub(super) fn proved(&mut self, tag: &str, user: UserId, signature: &[u8]) {
        self.say(&format!("+ {}", BASE64.encode(server_final(signature))));
        self.exchange(tag.into(), Mechanism::ScramProved(user));
    }

    /// The client has seen the server's signature, and thinks it right.
    pub(super) fn scram_end(&mut self, tag: &str, user: UserId, message: &[u8]) {
        if message.is_empty() {
            self.log_in(tag, user);
        } else {
            self.done(tag, "BAD expected an empty response");
        }
    }

    pub(super) fn exchange(&mut self, tag: Box<str>, mechanism: Mechanism) {
        self.work = Work::Sasl(Box::new(Exchange { tag, mechanism }));
    }
}
