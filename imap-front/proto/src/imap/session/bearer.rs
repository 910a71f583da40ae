//! AUTHENTICATE OAUTHBEARER and XOAUTH2: one message with a token. A token that is not taken is
//! answered by why, and the command ends once the client has answered that (RFC 7628 §3.2.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mail::request::{Credentials, Evidence};
use mail::{Refusal, Reply, Request};

use super::auth::Mechanism;
use super::{Session, Step};
use crate::imap::bearer::{self, Bearer, Dialect, Fault};

impl Session {
    pub(super) fn bearer(&mut self, tag: Box<str>, dialect: Dialect, message: &[u8]) {
        let Bearer { user, token } = match Bearer::parse(dialect, message) {
            Ok(bearer) => bearer,
            Err(expected) => return self.done(&tag, &format!("BAD expected {expected}")),
        };
        if token.is_empty() {
            return self.refuse_token(tag, dialect, Refusal::Credentials);
        }
        let credentials = Credentials {
            user: Box::default(),
            authorization: user,
            evidence: Evidence::Token(token.as_bytes().into()),
        };
        let step = Step::Bearer { tag, dialect };
        self.ask(Request::Authenticate(credentials), step);
    }

    pub(super) fn token_checked(&mut self, tag: Box<str>, dialect: Dialect, reply: Reply) {
        match reply {
            Reply::Refused(refusal @ (Refusal::Credentials | Refusal::Scope)) => {
                self.refuse_token(tag, dialect, refusal);
            }
            reply => self.logged_in(&tag, reply),
        }
    }

    fn refuse_token(&mut self, tag: Box<str>, dialect: Dialect, refusal: Refusal) {
        let fault = match refusal {
            Refusal::Scope => Fault::Scope,
            _ => Fault::Token,
        };
        let hints = self.config.tokens.as_ref();
        let why = hints.map(|hints| bearer::refusal(dialect, fault, hints));
        self.say(&format!("+ {}", BASE64.encode(why.unwrap_or_default())));
        self.exchange(tag, Mechanism::TokenRefused(refusal));
    }
}
