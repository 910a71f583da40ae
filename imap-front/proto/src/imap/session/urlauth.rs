//! GENURLAUTH and RESETKEY (RFC 4467 §7).

use mail::signed_url::Token;
use mail::{Change, MailboxName, Refusal, Reply, Request};

use super::updates::loaded;
use super::{Session, Step, View};
use crate::imap::encode;
use crate::imap::url::URL_BYTES_MAX;
use crate::imap::url_auth::{INTERNAL, rump};

const NO_SUCH_MECHANISM: &str = "NO [CANNOT] URLs are signed by INTERNAL and nothing else";

/// What the store is asked for.
pub(super) enum Asking {
    /// GENURLAUTH of these URLs.
    Sign { tag: Box<str>, rumps: Vec<Vec<u8>> },
    /// RESETKEY, of a mailbox or of all.
    Reset { tag: Box<str>, is_of_mailbox: bool },
}

impl Asking {
    pub fn tag(&self) -> &str {
        match self {
            Self::Sign { tag, .. } | Self::Reset { tag, .. } => tag,
        }
    }

    pub fn held_bytes(&self) -> usize {
        match self {
            Self::Sign { rumps, .. } => rumps.iter().map(Vec::len).sum(),
            Self::Reset { .. } => 0,
        }
    }
}

impl Session {
    pub(super) fn gen_url_auth(&mut self, tag: Box<str>, asked: Vec<(Vec<u8>, Box<str>)>) {
        let Some(user) = self.user else { return };
        let mut urls = Vec::with_capacity(asked.len());
        let mut rumps = Vec::with_capacity(asked.len());
        for (text, mechanism) in asked {
            if text.len() > URL_BYTES_MAX {
                let text = format!("BAD [LIMIT] A URL may have {URL_BYTES_MAX} bytes");
                return self.done(&tag, &text);
            }
            match rump(&text) {
                Ok(rump) => urls.push(rump.url),
                Err(why) => return self.done(&tag, &format!("BAD {why}")),
            }
            if *mechanism != *INTERNAL {
                return self.done(&tag, NO_SUCH_MECHANISM);
            }
            rumps.push(text);
        }
        let request = Request::SignUrls {
            user,
            urls,
            fresh: None,
        };
        self.ask(request, Step::Urls(Asking::Sign { tag, rumps }));
    }

    pub(super) fn reset_key(
        &mut self,
        tag: Box<str>,
        mailbox: Option<MailboxName>,
        mechanisms: &[Box<str>],
    ) {
        let Some(user) = self.user else { return };
        if mechanisms.iter().any(|it| **it != *INTERNAL) {
            return self.done(&tag, NO_SUCH_MECHANISM);
        }
        let is_of_mailbox = mailbox.is_some();
        let asking = Asking::Reset { tag, is_of_mailbox };
        self.ask(Request::ResetKeys { user, mailbox }, Step::Urls(asking));
    }

    pub(super) fn urls_came(&mut self, asking: Asking, reply: Reply) {
        match (asking, reply) {
            (Asking::Sign { tag, rumps }, Reply::UrlsSigned(tokens)) => {
                self.say_signed(&rumps, &tokens);
                self.finish(tag, "OK GENURLAUTH completed");
            }
            (Asking::Reset { tag, is_of_mailbox }, Reply::Done) => {
                let code = match is_of_mailbox && self.tells_mechanisms() {
                    true => "[URLMECH INTERNAL] ",
                    false => "",
                };
                self.finish(tag, format!("OK {code}RESETKEY completed"));
            }
            // RFC 4467 §7: what a URL names has to be there.
            (Asking::Sign { tag, .. }, Reply::Refused(why)) if is_of_url(&why) => {
                self.done(&tag, &format!("BAD {why}"));
            }
            (asking, Reply::Refused(refusal)) => self.refuse(asking.tag(), &refusal),
            (asking, _) => {
                let text = "NO [SERVERBUG] The store gave another answer";
                self.done(asking.tag(), text);
            }
        }
    }

    fn say_signed(&mut self, rumps: &[Vec<u8>], tokens: &[Token]) {
        let mut line = b"* GENURLAUTH".to_vec();
        for (rump, token) in rumps.iter().zip(tokens) {
            let url = [rump, format!(":internal:{token}").as_bytes()].concat();
            line.push(b' ');
            encode::string(&mut line, &url);
        }
        line.extend_from_slice(b"\r\n");
        self.output.bytes(&line);
    }

    /// Whether the client is told how URLs are signed: not where others may listen (RFC 4467 §8).
    fn tells_mechanisms(&self) -> bool {
        self.cleartext
    }

    /// With a mailbox that is selected.
    pub(super) fn say_mechanisms(&mut self) {
        if self.tells_mechanisms() {
            self.say(encode::MECHANISMS);
        }
    }

    /// Once the user has given up their key for the mailbox that is selected, in whichever session.
    pub(super) fn tell_of_key(&mut self) {
        let resets = loaded(&mut self.selected).map(View::take_key_resets);
        if let (Some(resets), Some(user)) = (resets, self.user)
            && resets
                .into_iter()
                .any(|it| Change::KeyReset(it).may_reset_key_of(user))
        {
            self.say_mechanisms();
        }
    }
}

fn is_of_url(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::NoMailbox | Refusal::NoMessage | Refusal::NoPermission
    )
}
