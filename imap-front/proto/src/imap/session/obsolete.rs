//! Commands of servers of the past: NETSCAPE, XSERVERINFO and XMAILBOXINFO, as Netscape's and
//! Mozilla's clients speak them.

use mail::{MailboxName, Reply, Request};

use super::{Session, Step};
use crate::imap::encode;

/// An XMAILBOXINFO under way.
pub(super) struct MailboxInfo {
    tag: Box<str>,
    mailbox: MailboxName,
}

impl Session {
    /// NETSCAPE: the version must not begin with a 3, which means a server of Netscape's.
    pub(super) fn netscape(&mut self, tag: Box<str>) {
        let mut lines = b"* VERSION ".to_vec();
        let version = format!("{} {}", self.config.product, self.config.version);
        encode::string(&mut lines, version.as_bytes());
        lines.extend_from_slice(b"\r\n");
        let account = &self.config.urls.account;
        if !account.is_empty() {
            lines.extend_from_slice(b"* ACCOUNT-URL ");
            encode::string(&mut lines, account.as_bytes());
            lines.extend_from_slice(b"\r\n");
        }
        self.output.bytes(&lines);
        self.finish(tag, "OK NETSCAPE completed");
    }

    /// XSERVERINFO: what is not set is left out, which old and new clients read alike.
    pub(super) fn server_info(&mut self, tag: Box<str>, keys: &[Box<str>]) {
        let urls = &self.config.urls;
        let known = [
            ("MANAGEACCOUNTURL", &urls.account),
            ("MANAGELISTSURL", &urls.lists),
            ("MANAGEFILTERSURL", &urls.filters),
        ];
        let mut line = b"* XSERVERINFO".to_vec();
        let start = line.len();
        for (key, url) in known {
            if !url.is_empty() && keys.iter().any(|asked| **asked == *key) {
                line.extend_from_slice(format!(" {key} ").as_bytes());
                encode::string(&mut line, url.as_bytes());
            }
        }
        if line.len() > start {
            line.extend_from_slice(b"\r\n");
            self.output.bytes(&line);
        }
        self.finish(tag, "OK XSERVERINFO completed");
    }

    /// XMAILBOXINFO: no mailbox has pages of its own.
    pub(super) fn mailbox_info(&mut self, tag: Box<str>, mailbox: MailboxName) {
        let Some(user) = self.user else { return };
        let name = mailbox.clone();
        let info = MailboxInfo { tag, mailbox };
        let request = Request::Status {
            user,
            name,
            deleted_bytes: false,
        };
        self.ask(request, Step::MailboxInfo(info));
    }

    pub(super) fn mailbox_info_came(&mut self, info: MailboxInfo, reply: Reply) {
        match reply {
            Reply::Refused(refusal) => self.refuse(&info.tag, &refusal),
            _ => {
                let mut line = b"* XMAILBOXINFO ".to_vec();
                encode::mailbox(&mut line, &info.mailbox, self.name_form);
                line.extend_from_slice(b"\r\n");
                self.output.bytes(&line);
                self.finish(info.tag, "OK XMAILBOXINFO completed");
            }
        }
    }
}
