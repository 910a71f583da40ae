//! Which command may be done when (RFC 3501 §3), and what comes next.

use bytes::Bytes;
use mail::request::Arrange;
use mail::{Reply, Request};

use super::acl::NO_RIGHT;
use super::uid_only::UID_REQUIRED;
use super::{Ending, Session, Step, Work};
use crate::http::is_request;
use crate::imap::action::Action;
use crate::imap::ast::{Command, IdField, Tagged};
use crate::imap::counts::CommandName;
use crate::imap::encode::mailbox_id;
use crate::imap::forwarded::Forwarded;
use crate::imap::lexer::{Fault, ParseError, is_astring_char};
use crate::imap::name_form::NameForm;
use crate::imap::parse::parse_command_in;
use crate::imap::receive::Received;

/// With LITERAL-.
pub(super) const SHORT_LITERALS: &str =
    "BAD [TOOBIG] A literal of more than 4096 bytes has to wait for its continuation request";

impl Session {
    /// Takes what the client sent, as far as it can be worked on now.
    pub(super) fn go_on(&mut self) {
        while !self.closing {
            // What was said is taken before there is more to say. A message is taken in any case:
            // its client may not read before it has sent all of it.
            if self.output.is_full() && !matches!(self.work, Work::Upload(_)) {
                break;
            }
            // News come before what the client asks next.
            if self.stale && self.catch_up()
                || self.has_news() && self.tell_news()
                || self.has_updates() && self.ask_updates()
            {
                continue;
            }
            let more = match &self.work {
                Work::Ready => self.next_command(),
                Work::Sasl(_) => self.next_sasl_line(),
                Work::Idle { .. } => self.next_idle_line(),
                Work::Upload(_) => self.next_upload(),
                Work::Waiting(_)
                | Work::Watching { .. }
                | Work::Placing(_)
                | Work::Streaming(_) => false,
            };
            if !more {
                break;
            }
        }
        self.receiver.shrink();
    }

    fn next_command(&mut self) -> bool {
        let Some(received) = self.next_received() else {
            return false;
        };
        if self.user.is_none() && received.is_command() {
            self.commands += 1;
            if self.exceeds_commands() {
                self.end_for(Ending::Commands);
                return false;
            }
            // The lines behind it may be commands, and come from whoever leads the browser.
            if received.first_line().is_some_and(is_request) {
                self.end_for(Ending::Http);
                return false;
            }
        }
        match received {
            Received::Command(line) if line.is_empty() => {}
            Received::Command(line) => match parse_command_in(&line, self.name_form) {
                Ok(tagged) => self.begin(tagged),
                Err(error) => self.refuse_syntax(&error),
            },
            Received::Append(tagged) => {
                self.command = CommandName::of(&tagged.command);
                self.begin_append(*tagged);
            }
            Received::WantsContinuation => self.say("+ Ready for the literal"),
            Received::TooLong(first) => {
                let max = self.command_bytes_max();
                self.refuse_length(
                    &first,
                    &format!("BAD The command is longer than {max} bytes"),
                );
            }
            // RFC 7888 §4, §5
            Received::TooLongUnasked(first) => self.refuse_length(&first, SHORT_LITERALS),
        }
        true
    }

    fn next_received(&mut self) -> Option<Received> {
        let (max, config) = (self.command_bytes_max(), &self.config);
        self.receiver
            .command(max, config.non_sync_bytes_max(), self.name_form)
    }

    fn refuse_syntax(&mut self, error: &ParseError) {
        self.command = CommandName::Unknown;
        let tag = error.tag.as_deref().unwrap_or("*");
        let text = match error.fault {
            Fault::Syntax => format!("BAD {error}"),
            // RFC 3501 §6.4.4
            Fault::Charset => {
                "NO [BADCHARSET (US-ASCII UTF-8)] That charset is not offered".to_owned()
            }
            // No name that is not in modified UTF-7 is that of a mailbox, or can become one.
            Fault::Name => format!("NO [CANNOT] {error}"),
        };
        self.done(tag, &text);
    }

    fn refuse_length(&mut self, first: &Bytes, text: &str) {
        self.command = CommandName::Unknown;
        let end = first.iter().position(|&b| b == b' ').unwrap_or(0);
        let tag = String::from_utf8_lossy(&first[..end]).into_owned();
        let is_tag = !tag.is_empty() && tag.bytes().all(|b| is_astring_char(b) && b != b'+');
        self.done(if is_tag { &tag } else { "*" }, text);
    }

    /// Begins a command, if the session's state allows it.
    pub(super) fn begin(&mut self, Tagged { tag, command }: Tagged) {
        use Command as C;
        self.command = CommandName::of(&command);
        match command {
            C::Capability => {
                let list = self.capabilities();
                self.say(&format!("* CAPABILITY {list}"));
                self.finish(tag, "OK CAPABILITY completed");
            }
            C::Noop if self.selected.is_none() => self.done(&tag, "OK NOOP completed"),
            C::Logout => {
                self.say("* BYE Logging out");
                self.done(&tag, "OK LOGOUT completed");
                self.close();
            }
            C::Id(fields) => self.id(tag, fields.as_deref()),
            C::Language(ranges) => self.choose_language(tag, &ranges),
            C::StartTls => self.start_tls(&tag),
            C::Login { user, password } => self.login(tag, &user, &password),
            C::Authenticate { mechanism, initial } => self.authenticate(tag, &mechanism, initial),
            C::Append { .. } => self.begin_append(Tagged { tag, command }),
            _ if self.user.is_none() => self.done(&tag, "BAD Log in first"),
            command => self.begin_authenticated(tag, command),
        }
    }

    fn begin_authenticated(&mut self, tag: Box<str>, command: Command) {
        use Command as C;
        match command {
            C::Enable(names) => self.enable(tag, &names),
            C::Compress(mechanism) => self.compress(&tag, &mechanism),
            C::Unauthenticate => self.unauthenticate(&tag),
            C::Select {
                mailbox,
                read_only,
                condstore,
                resync,
            } => {
                self.select(tag, mailbox, read_only, (condstore, resync));
            }
            C::Create {
                mailbox,
                special_use,
            } => self.create(tag, mailbox, &special_use),
            C::Delete(name) => self.delete(tag, name),
            C::Rename { from, to } => self.rename(tag, from, to),
            C::Subscribe(name) => self.subscribe(tag, name, true),
            C::Unsubscribe(name) => self.subscribe(tag, name, false),
            C::List(list) => self.list(tag, list),
            C::Lsub(list) => self.lsub(tag, list),
            C::Namespace => {
                self.namespace();
                self.finish(tag, "OK NAMESPACE completed");
            }
            C::SetAcl { .. } | C::GetAcl(_) | C::ListRights { .. } | C::MyRights(_) => {
                self.access_control(tag, command);
            }
            C::Status { mailbox, items } => self.status(tag, mailbox, items),
            C::GetMetadata { mailbox, query } => self.get_metadata(tag, mailbox, query),
            C::SetMetadata { mailbox, entries } => self.set_metadata(tag, mailbox, entries),
            C::GetAnnotation {
                mailbox,
                entries,
                attributes,
            } => self.get_annotation(tag, &mailbox, &entries, attributes),
            C::SetAnnotation {
                mailbox,
                annotations,
            } => self.set_annotation(tag, &mailbox, annotations),
            C::Netscape => self.netscape(tag),
            C::ServerInfo(keys) => self.server_info(tag, &keys),
            C::MailboxInfo(mailbox) => self.mailbox_info(tag, mailbox),
            C::Find {
                subscribed,
                pattern,
            } => self.find(tag, subscribed, pattern),
            C::GetQuota(root) => self.get_quota(tag, &root),
            C::GetQuotaRoot(mailbox) => self.get_quota_root(tag, mailbox),
            C::SetQuota { root, limits } => self.set_quota(tag, &root, limits),
            C::GenUrlAuth(urls) => self.gen_url_auth(tag, urls),
            C::UrlFetch(urls) => self.url_fetch(tag, urls),
            C::ResetKey {
                mailbox,
                mechanisms,
            } => self.reset_key(tag, mailbox, &mechanisms),
            C::Esearch(esearch) => self.esearch(tag, *esearch),
            C::Idle if !self.config.idle => self.done(&tag, "BAD IDLE is not offered"),
            C::Idle => self.idle(tag),
            C::Notify(set) => self.notify(tag, set),
            _ if self.selected.is_none() => self.done(&tag, "BAD Select a mailbox first"),
            command => self.begin_selected(tag, command),
        }
    }

    fn begin_selected(&mut self, tag: Box<str>, command: Command) {
        use Command as C;
        match command {
            C::Close => self.close_mailbox(tag),
            C::Unselect => {
                self.unselect();
                self.done(&tag, "OK UNSELECT completed");
            }
            // RFC 9586 §3
            command if self.uid_only && command.numbers_messages() => {
                self.done(&tag, &format!("BAD {UID_REQUIRED}"));
            }
            // Everything else sees what was committed before it came.
            command => self.sync(Step::Sync { tag, command }),
        }
    }

    /// The view is current: send what may be sent, then do the command.
    fn do_selected(&mut self, tag: Box<str>, command: Command) {
        use Command as C;
        // RFC 3501 §7.4.1: numbers in these must not shift under the client. The numbers of a COPY
        // and within a UID SEARCH too were written by a client that had not heard of an EXPUNGE.
        let expunges = !matches!(
            command,
            C::Fetch { uid: false, .. }
                | C::Store { uid: false, .. }
                | C::Copy { uid: false, .. }
                | C::Search { .. }
                | C::Sort { .. }
                | C::Thread { .. }
        );
        match &command {
            // Others' flags heard now would be taken for what this command makes of them: they
            // come after it.
            C::Store { silent: true, .. } => self.send_numbers(expunges),
            _ => self.send_updates(expunges),
        }
        match command {
            C::Noop => self.done(&tag, "OK NOOP completed"),
            C::Check => self.done(&tag, "OK CHECK completed"),
            C::CancelUpdate(tags) => self.cancel_updates(&tag, &tags),
            C::Fetch {
                uid,
                set,
                items,
                changed_since,
                vanished,
                partial,
            } => {
                let modifiers = (changed_since, vanished, partial);
                self.fetch((tag, uid), &set, items, modifiers);
            }
            C::Store {
                uid,
                set,
                mode,
                silent,
                flags,
                unchanged_since,
            } => {
                let change = (mode, flags, unchanged_since);
                self.store(tag, uid, &set, change, silent);
            }
            C::Search { uid, returns, key } => self.search(tag, uid, returns, key),
            C::Sort {
                uid,
                returns,
                criteria,
                key,
            } => {
                let how = Arrange::Sort(criteria.into());
                self.arrange((tag, uid), how, returns, key);
            }
            C::Thread {
                uid,
                algorithm,
                key,
            } => self.arrange((tag, uid), Arrange::Thread(algorithm), None, key),
            C::Copy {
                uid,
                set,
                mailbox,
                remove,
            } => self.copy(tag, uid, &set, mailbox, remove),
            C::Expunge(set) => self.expunge(tag, set),
            _ => self.done(&tag, "BAD That command is not for a selected mailbox"),
        }
    }

    fn expunge(&mut self, tag: Box<str>, set: Option<mail::SequenceSet>) {
        if self.refuse_read_only(&tag) {
            return;
        }
        if !self.has_rights(mail::Rights::EXPUNGE) {
            return self.done(&tag, NO_RIGHT);
        }
        let within = set.map(|set| self.resolve_uids(&set));
        // RFC 9738 §3.1: all of the mailbox is expunged at once.
        let (within, cut) = within.map(|it| self.limited(it)).unzip();
        let (mailbox, since) = (self.mailbox(), self.view().modseq);
        self.ask(
            Request::Expunge {
                mailbox,
                within,
                since,
            },
            Step::Expunge(tag, cut.flatten()),
        );
    }

    pub(super) fn refuse_read_only(&mut self, tag: &str) -> bool {
        let read_only = self
            .selected
            .as_ref()
            .is_some_and(|selected| selected.read_only);
        if read_only {
            self.done(tag, "NO [READ-ONLY] The mailbox is opened read-only");
        }
        read_only
    }

    /// RFC 3501 §6.2.1. Whatever came behind the command came from anybody: it is not done, and
    /// the connection ends.
    fn start_tls(&mut self, tag: &str) {
        if self.user.is_some() || !self.starttls {
            self.done(tag, "BAD STARTTLS is not offered on this connection");
        } else if !self.receiver.is_empty() {
            self.end_for(Ending::BehindStartTls);
        } else {
            self.done(tag, "OK Begin the TLS handshake now");
            self.act(Action::StartTls);
            (self.starttls, self.cleartext) = (false, true);
        }
    }

    /// Whom this client speaks for is believed, until it has logged in: [`Action::Forwarded`].
    pub fn trust_forwarded(&mut self) {
        self.trusted = true;
    }

    /// RFC 2971 §3.1
    fn id(&mut self, tag: Box<str>, fields: Option<&[IdField]>) {
        if self.trusted
            && self.user.is_none()
            && let Some(client) = fields.and_then(Forwarded::of)
        {
            self.act(Action::Forwarded(Box::new(client)));
        }
        let (product, version) = (self.config.product.clone(), self.config.version.clone());
        self.say(&format!(
            "* ID (\"name\" \"{product}\" \"version\" \"{version}\")"
        ));
        self.finish(tag, "OK ID completed");
    }

    /// RFC 5161 §3.1, RFC 7162 §3.2.3, RFC 9586 §3.1, RFC 9755 §3, RFC 9051 §6.3.1.
    fn enable(&mut self, tag: Box<str>, names: &[Box<str>]) {
        let is_named = |wanted: &str| names.iter().any(|name| **name == *wanted);
        let condstore = is_named("CONDSTORE") && !self.condstore;
        let qresync = is_named("QRESYNC") && !self.qresync;
        let uid_only = is_named("UIDONLY") && !self.uid_only;
        let mut line = "* ENABLED".to_owned();
        let utf8 = is_named("UTF8=ACCEPT") && !self.name_form.names_no_charset();
        let rev2 = is_named("IMAP4REV2") && !self.rev2;
        for (is_new, name) in [
            (condstore, " CONDSTORE"),
            (qresync, " QRESYNC"),
            (uid_only, " UIDONLY"),
            (utf8, " UTF8=ACCEPT"),
            (rev2, " IMAP4rev2"),
        ] {
            line.push_str(if is_new { name } else { "" });
        }
        self.say(&line);
        if condstore || qresync {
            self.enable_condstore();
        }
        self.qresync |= qresync;
        if uid_only {
            self.go_by_uids();
        }
        self.rev2 |= rev2;
        let accepts_utf8 = utf8 || self.name_form.names_no_charset();
        self.name_form = NameForm::of(self.rev2, accepts_utf8);
        self.finish(tag, "OK ENABLE completed");
    }

    /// An answer came.
    pub(super) fn finish_step(&mut self, step: Step, reply: Reply) {
        match step {
            Step::Login { tag } => self.logged_in(&tag, reply),
            Step::Bearer { tag, dialect } => self.token_checked(tag, dialect, reply),
            Step::Challenge { tag, first } => self.challenged(tag, *first, reply),
            Step::Sync { tag, command } => {
                if self.synced(reply) {
                    self.do_selected(tag, command);
                }
            }
            Step::Simple { tag, name } => match reply {
                Reply::Refused(refusal) => self.refuse(&tag, &refusal),
                // RFC 8474 §4.1
                Reply::Created(id) => {
                    let code = format!("[MAILBOXID ({})]", mailbox_id(id));
                    self.finish(tag, format!("OK {code} {name} completed"));
                }
                _ => self.finish(tag, format!("OK {name} completed")),
            },
            Step::List(listing) => self.listed(listing, reply),
            Step::ListItem(item) => self.list_item_came(item, reply),
            Step::Acl(asking) => self.acl_came(asking, reply),
            Step::Status(status) => self.status_came(status, reply),
            Step::Metadata(command) => self.metadata_came(command, reply),
            Step::ListMetadata { listing, name } => {
                self.list_metadata_came(listing, &name, reply);
            }
            Step::Annotation(annotating) => self.annotation_came(annotating, reply),
            Step::MailboxInfo(info) => self.mailbox_info_came(info, reply),
            Step::Quota(command) => self.quota_came(command, reply),
            Step::Urls(asking) => self.urls_came(asking, reply),
            Step::UrlFetch(job) => self.url_came(job, reply),
            Step::Replace(upload) => self.replace(*upload, reply),
            Step::Replaced { tag, spools } => self.replaced(&tag, spools, reply),
            Step::Selecting(selecting) => self.selecting_listed(selecting, reply),
            Step::Select(selecting) => self.opened(selecting, reply),
            Step::Renaming(renaming) => self.renamed(renaming, reply),
            Step::Fetch(job) => self.fetched(job, reply),
            Step::Store(storing) => self.stored(storing, reply),
            Step::Search(searching) => self.found(searching, reply),
            Step::Esearch(job) => self.esearch_came(job, reply),
            Step::EsearchSelected(job, place) => self.esearch_selected(job, place, reply),
            Step::LookAgain(looking) => self.looked_again(looking, reply),
            Step::Arrange(arranging) => self.arranged(arranging, reply),
            Step::Copy(copying) => self.copied(copying, reply),
            Step::Expunge(tag, cut) => {
                if self.synced(reply) {
                    self.send_updates(true);
                    self.expunged(&tag, "EXPUNGE", cut);
                }
            }
            Step::Close { tag } => match reply {
                Reply::Refused(refusal) => self.refuse(&tag, &refusal),
                _ => self.done(&tag, "OK CLOSE completed"),
            },
            Step::Upload(upload) => self.spooled(upload, reply),
            Step::Catenate(upload) => self.source_came(upload, reply),
            Step::Append { tag, spools } => self.appended(tag, spools, reply),
            Step::Discard(spools) => self.discard(spools),
            Step::Finish { tag, text } => self.finished(&tag, &text, reply),
            Step::Idle { tag } => self.idle_synced(tag, reply),
            Step::Stale { idle } => {
                if self.synced(reply) {
                    self.send_news(idle.is_some());
                    self.go_back(idle);
                }
            }
            Step::Notify(setting) => self.resolved(setting, reply),
            Step::Name(asked) => self.name_came(asked, reply),
            Step::CaughtUp(catching_up) => self.caught_up_further(catching_up, reply),
            // It was taken apart before.
            Step::CatchUp { .. } => {}
        }
    }

    /// CLOSE (RFC 3501 §6.4.2): expunges without telling.
    fn close_mailbox(&mut self, tag: Box<str>) {
        let Some(selected) = &self.selected else {
            return;
        };
        let (mailbox, read_only) = (selected.mailbox, selected.read_only);
        self.unselect();
        match self.user {
            Some(user) if !read_only => {
                self.ask(Request::Close { user, mailbox }, Step::Close { tag });
            }
            _ => self.done(&tag, "OK CLOSE completed"),
        }
    }

    pub(super) fn unselect(&mut self) {
        self.heed_unselected();
        if self
            .selected
            .take()
            .is_some_and(|selected| selected.watching)
        {
            self.act(Action::Unwatch);
        }
    }
}
