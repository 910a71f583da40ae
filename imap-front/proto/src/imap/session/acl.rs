//! Access control lists (RFC 4314), what a session makes of its own rights, and namespaces
//! (RFC 2342).

use mail::acl::RightsMode;
use mail::reply::AclAnswer;
use mail::request::{AclQuestion, StoreMode};
use mail::{Flags, MailboxName, Reply, Request, Rights};

use super::{Selected, Session, Step, ViewState};
use crate::imap::ast::Command;
use crate::imap::encode::{self, keyword_lines};
use crate::imap::parked::Parked;

/// The answer to what the user has no right to.
pub(super) const NO_RIGHT: &str = "NO [NOPERM] You have no right to do that";

/// A question about an access control list under way.
pub(super) struct Asking {
    tag: Box<str>,
    mailbox: MailboxName,
    /// An identifier as the client wrote it.
    written: Vec<u8>,
}

impl Selected {
    /// The rights to change flags, which an examined mailbox gives none of.
    pub(super) fn flag_rights(&self) -> Rights {
        match self.read_only {
            true => Rights::NONE,
            false => self.rights & Rights::FLAGS,
        }
    }
}

impl Session {
    /// Does what was asked of an access control list, or asks it.
    pub(super) fn access_control(&mut self, tag: Box<str>, command: Command) {
        let Some(user) = self.user else { return };
        let (mailbox, written, question) = match command {
            Command::SetAcl {
                mailbox: name,
                identifier,
                mode,
                rights,
                delete,
            } => {
                let command = if delete { "DELETEACL" } else { "SETACL" };
                return self.set_acl(tag, command, (name, identifier), (mode, rights));
            }
            Command::GetAcl(mailbox) => (mailbox, vec![], AclQuestion::Entries),
            Command::MyRights(mailbox) => (mailbox, vec![], AclQuestion::Mine),
            Command::ListRights {
                mailbox,
                written,
                identifier,
            } => (mailbox, written, AclQuestion::Grantable(identifier)),
            _ => return self.done(&tag, "BAD That command is not about rights"),
        };
        let request = Request::Acl {
            user,
            name: mailbox.clone(),
            question,
        };
        let asking = Asking {
            tag,
            mailbox,
            written,
        };
        self.ask(request, Step::Acl(asking));
    }

    fn set_acl(
        &mut self,
        tag: Box<str>,
        command: &'static str,
        (name, identifier): (MailboxName, Box<str>),
        (mode, rights): (RightsMode, Rights),
    ) {
        let Some(user) = self.user else { return };
        let request = Request::SetAcl {
            user,
            name,
            identifier,
            mode,
            rights,
        };
        let step = Step::Simple { tag, name: command };
        self.ask(request, step);
    }

    /// ```text
    /// acl-data        = "ACL" SP mailbox *(SP identifier SP rights)
    /// listrights-data = "LISTRIGHTS" SP mailbox SP identifier SP rights *(SP rights)
    /// myrights-data   = "MYRIGHTS" SP mailbox SP rights          ; RFC 4314 §7
    /// ```
    pub(super) fn acl_came(&mut self, asking: Asking, reply: Reply) {
        let Asking {
            tag,
            mailbox,
            written,
        } = asking;
        let answer = match reply {
            Reply::Acl(answer) => answer,
            Reply::Refused(refusal) => return self.refuse(&tag, &refusal),
            _ => return self.done(&tag, "NO [SERVERBUG] The store gave another answer"),
        };
        match answer {
            AclAnswer::Mine(rights) => {
                self.say_my_rights(&mailbox, rights);
                self.finish(tag, "OK MYRIGHTS completed");
            }
            AclAnswer::Entries(entries) => {
                let mut line = b"* ACL ".to_vec();
                encode::mailbox(&mut line, &mailbox, self.name_form);
                for (identifier, rights) in entries {
                    line.push(b' ');
                    encode::astring(&mut line, identifier.as_bytes());
                    line.push(b' ');
                    encode::astring(&mut line, rights.to_string().as_bytes());
                }
                line.extend_from_slice(b"\r\n");
                self.output.bytes(&line);
                self.finish(tag, "OK GETACL completed");
            }
            AclAnswer::Grantable { always, optional } => {
                let mut line = b"* LISTRIGHTS ".to_vec();
                encode::mailbox(&mut line, &mailbox, self.name_form);
                line.push(b' ');
                encode::astring(&mut line, &written);
                line.push(b' ');
                // No virtual right is made of what an owner has in any case.
                encode::astring(&mut line, always.to_string().as_bytes());
                for right in optional.to_string().chars() {
                    line.extend_from_slice(format!(" {right}").as_bytes());
                }
                line.extend_from_slice(b"\r\n");
                self.output.bytes(&line);
                self.finish(tag, "OK LISTRIGHTS completed");
            }
        }
    }

    pub(super) fn say_my_rights(&mut self, mailbox: &MailboxName, rights: Rights) {
        let mut line = b"* MYRIGHTS ".to_vec();
        encode::mailbox(&mut line, mailbox, self.name_form);
        line.push(b' ');
        encode::astring(&mut line, rights.to_string().as_bytes());
        line.extend_from_slice(b"\r\n");
        self.output.bytes(&line);
    }

    /// Whether the user has rights on the selected mailbox.
    pub(super) fn has_rights(&self, rights: Rights) -> bool {
        let selected = self.selected.as_deref();
        selected.is_some_and(|selected| selected.rights.contains(rights))
    }

    /// What a STORE may do, and whether that is all of it; none if it may do nothing. One that may
    /// change some of its flags does that (RFC 4314 §4).
    pub(super) fn permitted(
        &self,
        mode: StoreMode,
        flags: Flags,
    ) -> Option<(StoreMode, Flags, bool)> {
        let rights = self
            .selected
            .as_deref()
            .map_or(Rights::NONE, |it| it.rights);
        if rights.contains(Rights::FLAGS) {
            return Some((mode, flags, true));
        }
        if mode == StoreMode::Replace {
            let some = StoreMode::ReplaceSome(rights & Rights::FLAGS);
            return rights
                .intersects(Rights::FLAGS)
                .then_some((some, flags, false));
        }
        let permitted = rights.changeable(&flags);
        let is_all = permitted == flags;
        let is_any = !permitted.is_empty() || flags.is_empty() && rights.intersects(Rights::FLAGS);
        is_any.then_some((mode, permitted, is_all))
    }

    /// Goes by the rights that the user has now, if they have changed.
    ///
    /// # Errors
    /// Why the session can only be ended: the user may not read the mailbox any more (RFC 4314
    /// §5.1.1).
    pub(super) fn heed_rights(&mut self) -> Result<(), String> {
        let (Some(user), Some(selected)) = (self.user, self.selected.as_deref_mut()) else {
            return Ok(());
        };
        let ViewState::Loaded(view) = &mut selected.view else {
            return Ok(());
        };
        let Some(acl) = view.take_acl() else {
            return Ok(());
        };
        let rights = acl.rights_of(user);
        if !rights.contains(Rights::READ) {
            return Err("You may not read the selected mailbox any more".to_owned());
        }
        let flags = selected.flag_rights();
        selected.rights = Parked::kept_rights(rights) | Rights::READ;
        selected.rights_untold |= selected.flag_rights() != flags;
        Ok(())
    }

    /// Tells which flags may be changed, if that has changed (RFC 4314 §5.1.1).
    pub(super) fn tell_rights(&mut self) {
        let Some(selected) = self.selected.as_deref_mut() else {
            return;
        };
        if let (true, Some(keywords)) = (selected.rights_untold, &selected.keywords) {
            let lines = keyword_lines(keywords, selected.flag_rights(), self.language);
            selected.rights_untold = false;
            self.output.bytes(lines.as_bytes());
        }
    }

    /// ```text
    /// namespace-response = "*" SP "NAMESPACE" SP namespace SP namespace SP namespace
    /// namespace          = nil / "(" 1*namespace-descr ")"       ; RFC 2342 §6, RFC 9051 §9
    /// namespace-descr    = "(" string SP (DQUOTE QUOTED-CHAR DQUOTE / nil) [SP translation] ")"
    /// ```
    pub(super) fn namespace(&mut self) {
        let mut line = b"* NAMESPACE ((\"\" \"/\"))".to_vec();
        let namespaces = &self.config.namespaces;
        let shared = namespaces.has_shared().then_some(&*namespaces.shared);
        let others = Some(&*namespaces.others).filter(|prefix| !prefix.is_empty());
        for prefix in [others, shared] {
            match prefix {
                None => line.extend_from_slice(b" NIL"),
                Some(prefix) => {
                    line.extend_from_slice(b" ((");
                    encode::name_string(&mut line, prefix, self.name_form);
                    line.extend_from_slice(b" \"/\"");
                    self.push_translation(&mut line, prefix);
                    line.extend_from_slice(b"))");
                }
            }
        }
        line.extend_from_slice(b"\r\n");
        self.output.bytes(&line);
    }
}
