//! How commands end: counted, and refusals as NO responses, with the response codes of RFC 5530.

use mail::Refusal;

use super::Session;
use crate::imap::counts::Outcome;

impl Session {
    /// Counts a command that has ended, or will with what was prepared.
    pub(super) fn ended(&self, outcome: Outcome) {
        self.config.commands.count(self.command, outcome);
    }

    pub(super) fn refuse(&mut self, tag: &str, refusal: &Refusal) {
        self.refuse_with(tag, refusal, "NONEXISTENT");
    }

    /// As [`Session::refuse`], for commands that could go on if the mailbox were created
    /// (RFC 3501 §7.1 TRYCREATE).
    pub(super) fn refuse_target(&mut self, tag: &str, refusal: &Refusal) {
        self.refuse_with(tag, refusal, "TRYCREATE");
    }

    fn refuse_with(&mut self, tag: &str, refusal: &Refusal, missing: &str) {
        if let Refusal::MetadataTooBig(most) = refusal {
            // RFC 5464 §4.3
            return self.done(tag, &format!("NO [METADATA MAXSIZE {most}] {refusal}"));
        }
        let code = match refusal {
            Refusal::Credentials | Refusal::Certificate(_) => "AUTHENTICATIONFAILED",
            Refusal::Scope => "AUTHORIZATIONFAILED",
            Refusal::NoMailbox => missing,
            Refusal::NoPermission => "NOPERM",
            Refusal::NoQuotaRoot => "NONEXISTENT",
            Refusal::Denied(_) => "NOPERM",
            Refusal::NoMessage => "EXPUNGEISSUED",
            Refusal::Exists => "ALREADYEXISTS",
            // RFC 9051 §7.1, of which others have not heard.
            Refusal::HasInferiors if self.rev2 => "HASCHILDREN",
            Refusal::HasInferiors => "CANNOT",
            Refusal::Name(_) | Refusal::Cannot(_) => "CANNOT",
            Refusal::OverQuota | Refusal::DiskFull => "OVERQUOTA",
            Refusal::MetadataTooMany => "METADATA TOOMANY",
            Refusal::TooBig(_) | Refusal::MetadataTooBig(_) => "TOOBIG",
            Refusal::Limit(_) => "LIMIT",
            Refusal::Unavailable(_) | Refusal::Busy(_) => "UNAVAILABLE",
            Refusal::Bug => "SERVERBUG",
        };
        self.done(tag, &format!("NO [{code}] {refusal}"));
    }
}
