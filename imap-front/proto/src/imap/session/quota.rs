//! GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208 §4). A user is the root of what is theirs, by the
//! name `user/NAME`.

use mail::{MailboxName, QuotaLimits, QuotaOf, QuotaRoot, Refusal, Reply, Request};

use super::{Session, Step};
use crate::imap::encode;

/// In front of the user's name.
const ROOT: &str = "user/";
/// Units of STORAGE in bytes (RFC 9208 §5.1).
const STORAGE_UNIT: u64 = 1024;

/// A command about a quota root, under way.
pub(super) struct QuotaCommand {
    tag: Box<str>,
    name: &'static str,
    /// Of GETQUOTAROOT.
    mailbox: Option<MailboxName>,
}

/// The user of a root.
fn user_of(root: &[u8]) -> Option<Box<str>> {
    let root = std::str::from_utf8(root).ok()?;
    root.strip_prefix(ROOT).map(Into::into)
}

impl Session {
    pub(super) fn get_quota(&mut self, tag: Box<str>, root: &[u8]) {
        let Some(name) = user_of(root) else {
            return self.refuse(&tag, &Refusal::NoQuotaRoot);
        };
        self.ask_quota(tag, "GETQUOTA", QuotaOf::User(name));
    }

    pub(super) fn get_quota_root(&mut self, tag: Box<str>, mailbox: MailboxName) {
        self.ask_quota(tag, "GETQUOTAROOT", QuotaOf::Mailbox(mailbox));
    }

    fn ask_quota(&mut self, tag: Box<str>, name: &'static str, of: QuotaOf) {
        let Some(user) = self.user else { return };
        let mailbox = match &of {
            QuotaOf::Mailbox(mailbox) => Some(mailbox.clone()),
            QuotaOf::User(_) => None,
        };
        // Who is an administrator is known where passwords are.
        let request = Request::Quota {
            user,
            of,
            is_admin: false,
        };
        self.ask(request, Step::Quota(QuotaCommand { tag, name, mailbox }));
    }

    pub(super) fn set_quota(&mut self, tag: Box<str>, root: &[u8], limits: QuotaLimits) {
        let Some(user) = self.user else { return };
        let Some(whose) = user_of(root) else {
            return self.refuse(&tag, &Refusal::NoQuotaRoot);
        };
        let request = Request::SetQuota {
            user,
            whose,
            limits,
            is_admin: false,
        };
        let name = "SETQUOTA";
        let mailbox = None;
        self.ask(request, Step::Quota(QuotaCommand { tag, name, mailbox }));
    }

    pub(super) fn quota_came(&mut self, command: QuotaCommand, reply: Reply) {
        let QuotaCommand { tag, name, mailbox } = command;
        match reply {
            Reply::Quota(root) => {
                self.say_quota(mailbox.as_ref(), &root);
                self.finish(tag, format!("OK {name} completed"));
            }
            Reply::Refused(refusal) => self.refuse(&tag, &refusal),
            _ => self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        }
    }

    /// RFC 9208 §4.2: what has no limit is left out.
    fn say_quota(&mut self, mailbox: Option<&MailboxName>, root: &QuotaRoot) {
        let name = format!("{ROOT}{}", root.user);
        let mut line = Vec::new();
        if let Some(mailbox) = mailbox {
            line.extend_from_slice(b"* QUOTAROOT ");
            encode::mailbox(&mut line, mailbox, self.name_form);
            line.push(b' ');
            encode::astring(&mut line, name.as_bytes());
            line.extend_from_slice(b"\r\n");
        }
        let units = |bytes: u64| bytes.div_ceil(STORAGE_UNIT);
        let limits = &root.limits;
        let resources = [
            ("STORAGE", units(root.bytes), limits.bytes.map(units)),
            ("MESSAGE", root.messages, limits.messages),
            ("MAILBOX", root.mailboxes, limits.mailboxes),
        ];
        let shown = |(word, used, limit): (&str, u64, Option<u64>)| {
            limit.map(|limit| format!("{word} {used} {limit}"))
        };
        let shown: Vec<String> = resources.into_iter().filter_map(shown).collect();
        line.extend_from_slice(b"* QUOTA ");
        encode::astring(&mut line, name.as_bytes());
        line.extend_from_slice(format!(" ({})\r\n", shown.join(" ")).as_bytes());
        self.output.bytes(&line);
    }
}
