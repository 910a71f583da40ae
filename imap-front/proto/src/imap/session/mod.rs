//! The IMAP session machine: bytes and replies in, actions out.
//!
//! Four kinds of method: `new` and `unpark` make a session; `handle_*` tell it what happened;
//! `poll_action` gives what its host is to do; the rest are questions. It does one command at a
//! time and has at most one request under way; what the client sends meanwhile waits.

mod acl;
mod annotation;
mod append;
mod auth;
mod bearer;
mod bounds;
mod catch_up;
mod catenate;
mod compress;
mod contexts;
mod copy;
mod decoding;
mod dispatch;
mod eight_bit;
mod ending;
mod esearch;
mod fetch;
mod fetch_items;
mod handover;
mod idle;
mod language;
mod list;
mod mailboxes;
mod message_limit;
mod metadata;
mod named;
mod names;
mod notified;
mod notify;
mod obsolete;
mod parking;
mod progress;
mod quota;
mod refusals;
mod replace;
mod resync;
mod rev2;
mod saved;
mod scram;
mod search;
mod select;
mod sets;
mod sort;
mod source;
mod store;
mod uid_only;
mod updates;
mod url_fetch;
mod urlauth;

use std::collections::VecDeque;
use std::sync::Arc;

use mail::{
    Flags, MailboxId, MailboxName, ModSeq, Reply, Request, Rights, SpoolId, Uid, UidSet,
    UidValidity, UserId,
};

use super::action::Action;
use super::ast::Command;
use super::bearer::Dialect;
use super::config::{Channel, Compression, Offer, SessionConfig};
use super::counts::{CommandName, Outcome};
use super::language::Language;
use super::name_form::NameForm;
use super::output::Output;
use super::receive::Receiver;
use super::scram::ClientFirst;
use super::view::View;
use notified::Notify;

pub use bounds::STREAM_ENDS;
pub use ending::Ending;

/// A session.
pub struct Session {
    config: Arc<SessionConfig>,
    cleartext: bool,
    /// TLS may be begun.
    starttls: bool,
    /// Of TLS, until the session is packed away.
    channel: Option<Box<Channel>>,
    /// The greeting is to be said when the handshake is over.
    greets_later: bool,
    compression: Compression,
    /// The client may name whom it speaks for.
    trusted: bool,
    receiver: Receiver,
    output: Output,
    actions: VecDeque<Action>,
    user: Option<UserId>,
    selected: Option<Box<Selected>>,
    /// The client knows of mod-sequences.
    condstore: bool,
    /// It is told of UIDs that have vanished, and never of EXPUNGE (RFC 7162 §3.2.3).
    qresync: bool,
    /// It gives and is told UIDs, and never numbers of messages (RFC 9586).
    uid_only: bool,
    /// It speaks IMAP4rev2 (RFC 9051).
    rev2: bool,
    /// How mailbox names are written.
    name_form: NameForm,
    /// In which texts are told.
    language: Language,
    failures: u8,
    /// Commands before login.
    commands: u32,
    ending: Option<Ending>,
    /// The command that is being done, or was last.
    command: CommandName,
    work: Work,
    /// Nothing more is taken from the client.
    closing: bool,
    /// `Close` is to follow when all is said.
    close_next: bool,
    /// Events were missed while the client was slow to take what it was sent before.
    stale: bool,
    notify: Notify,
}

/// A selected mailbox.
pub(super) struct Selected {
    mailbox: MailboxId,
    read_only: bool,
    /// What the user may do with it, as far as the session was told.
    rights: Rights,
    /// They have changed, and the client was not told which flags it may change now.
    rights_untold: bool,
    watching: bool,
    /// Keywords that the client was told of as the mailbox's; none after the session was parked.
    keywords: Option<Flags>,
    view: ViewState,
    /// What a SEARCH has saved (RFC 5182); a session that has something saved is not parked.
    saved: Arc<UidSet>,
    /// Searches of which the client is told what changes; a session that has some is not parked.
    contexts: Vec<contexts::UpdateContext>,
}

/// The view, or what a parked session remembers of it.
enum ViewState {
    Loaded(View),
    /// As of a mod-sequence at which the client had been sent everything.
    Unloaded {
        modseq: ModSeq,
        exists: u32,
        recent_from: Uid,
        recent: u32,
        /// Messages are gone of which the client has not heard: up to when it had heard of all, and
        /// how many.
        withheld: Option<(ModSeq, u32)>,
    },
}

/// What the session is doing.
enum Work {
    /// Nothing: it takes the next command.
    Ready,
    /// A request is under way, and this is to be done with its answer.
    Waiting(Box<Step>),
    /// A SASL exchange waits for a line.
    Sasl(Box<auth::Exchange>),
    /// IDLE.
    Idle { tag: Box<str> },
    /// Mailboxes are being watched for NOTIFY: that is awaited.
    Placing(Box<notify::Setting>),
    /// IDLE is about to begin: the watch is awaited.
    Watching { tag: Box<str> },
    /// The message of an APPEND is coming.
    Upload(Box<append::Upload>),
    /// An answer goes on when what was said of it has left.
    Streaming(Box<Stream>),
}

/// An answer for which the store is asked bit by bit, as the client takes it.
enum Stream {
    Fetch(Box<fetch::Job>),
    List(Box<list::Listing>),
    Annotations(Box<annotation::Annotating>),
    Esearch(Box<esearch::Multisearch>),
    UrlFetch(Box<url_fetch::Job>),
}

/// What to do with a reply.
enum Step {
    Login {
        tag: Box<str>,
    },
    /// A token was given.
    Bearer {
        tag: Box<str>,
        dialect: Dialect,
    },
    /// The client's proof is to be awaited.
    Challenge {
        tag: Box<str>,
        first: Box<ClientFirst>,
    },
    /// Bring the view up to date, then do the command.
    Sync {
        tag: Box<str>,
        command: Command,
    },
    /// OK or NO, with this command's name.
    Simple {
        tag: Box<str>,
        name: &'static str,
    },
    List(list::Listing),
    ListItem(list::Item),
    Acl(acl::Asking),
    Status(mailboxes::StatusOf),
    Quota(quota::QuotaCommand),
    Urls(urlauth::Asking),
    UrlFetch(Box<url_fetch::Job>),
    Metadata(metadata::GetMetadata),
    ListMetadata {
        listing: list::Listing,
        name: MailboxName,
    },
    Annotation(Box<annotation::Annotating>),
    MailboxInfo(obsolete::MailboxInfo),
    /// The message of a REPLACE has come.
    Replace(Box<append::Upload>),
    Replaced {
        tag: Box<str>,
        spools: Vec<SpoolId>,
    },
    /// What is the mailbox that is to be selected?
    Selecting(select::Selecting),
    Select(select::Selecting),
    /// What is its new name?
    Renaming(rev2::Renaming),
    Fetch(Box<fetch::Job>),
    Store(store::Storing),
    Search(search::Searching),
    /// What is found in other mailboxes than the selected one?
    Esearch(Box<esearch::Multisearch>),
    /// Bring the view up to date, then search that, by this name.
    EsearchSelected(Box<esearch::Multisearch>, (MailboxName, UidValidity)),
    /// What does a search find now that is followed?
    LookAgain(contexts::LookingAgain),
    Arrange(sort::Arranging),
    Copy(copy::Copying),
    /// Bring the view up to date, then end the command.
    Finish {
        tag: Box<str>,
        text: String,
    },
    Expunge(Box<str>, Option<message_limit::Cut>),
    Close {
        tag: Box<str>,
    },
    Upload(append::Upload),
    /// What a URL names is asked for, of which the message is put together.
    Catenate(Box<append::Upload>),
    Append {
        tag: Box<str>,
        /// The pieces of those messages that came in pieces.
        spools: Vec<SpoolId>,
    },
    /// Uploads are given up, and these come next.
    Discard(Vec<SpoolId>),
    /// The mailbox is watched; the idling comes next.
    Idle {
        tag: Box<str>,
    },
    /// Events were missed between commands, or within IDLE: its tag.
    Stale {
        idle: Option<Box<str>>,
    },
    /// Which mailboxes does a NOTIFY mean?
    Notify(Box<notify::Setting>),
    /// What is a name now?
    Name(names::NameAsked),
    /// What has happened in mailboxes that are watched?
    CaughtUp(notified::CatchingUp),
    /// So much happened that it comes in pieces: before this step goes on with this answer.
    CatchUp {
        step: Box<Step>,
        reply: Box<Reply>,
    },
}

impl Session {
    /// A session on a fresh connection; its greeting is the first action. `cleartext` says whether
    /// passwords may come over this connection as it is.
    pub fn new(config: Arc<SessionConfig>, cleartext: bool) -> Self {
        Self::with_starttls(config, cleartext, false)
    }

    /// The same; `starttls` says whether the client may begin TLS, after which passwords may come.
    pub fn with_starttls(config: Arc<SessionConfig>, cleartext: bool, starttls: bool) -> Self {
        let mut session = Self::quiet(config, cleartext);
        session.starttls = starttls;
        session.greet();
        session
    }

    /// A session on a connection that begins with a TLS handshake: the greeting comes with
    /// [`Session::handle_channel`], as it lists what the handshake brings.
    pub fn before_handshake(config: Arc<SessionConfig>) -> Self {
        let mut session = Self::quiet(config, true);
        session.greets_later = true;
        session
    }

    fn greet(&mut self) {
        let greeting = self.config.greeting(self.offer());
        self.say_shared(greeting);
    }

    fn offer(&self) -> Offer {
        let channel = self.channel.as_deref();
        Offer {
            cleartext: self.cleartext,
            starttls: self.starttls,
            binding: channel.is_some_and(|it| it.binding.is_some()),
            external: self.shows_certificate(),
        }
    }

    fn quiet(config: Arc<SessionConfig>, cleartext: bool) -> Self {
        Self {
            config,
            cleartext,
            starttls: false,
            channel: None,
            greets_later: false,
            compression: Compression::Possible,
            trusted: false,
            receiver: Receiver::default(),
            output: Output::default(),
            actions: VecDeque::new(),
            user: None,
            selected: None,
            condstore: false,
            qresync: false,
            uid_only: false,
            rev2: false,
            name_form: NameForm::Utf7,
            language: Language::Default,
            failures: 0,
            commands: 0,
            ending: None,
            command: CommandName::Unknown,
            work: Work::Ready,
            closing: false,
            close_next: false,
            stale: false,
            notify: Notify::Base,
        }
    }

    /// Bytes from the client, in any pieces.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        if !self.closing {
            self.receiver.feed(bytes);
            self.go_on();
        }
    }

    /// The TLS handshake is over.
    pub fn handle_channel(&mut self, channel: Channel) {
        if self.closing || self.user.is_some() {
            return;
        }
        self.channel = Some(Box::new(channel));
        // RFC 5255 §3.1: clients ask again, as anybody could have asked before.
        self.language = Language::Default;
        if std::mem::take(&mut self.greets_later) {
            self.greet();
        }
    }

    /// The answer to the request under way.
    pub fn handle_reply(&mut self, reply: Reply) {
        let Work::Waiting(step) = std::mem::replace(&mut self.work, Work::Ready) else {
            return;
        };
        if !self.closing
            && let Some((step, reply)) = self.caught_up(*step, reply)
        {
            self.finish_step(step, reply);
            self.go_on();
        }
    }

    /// The watch that was asked for is in place.
    pub fn handle_watching(&mut self) {
        if let Some(selected) = &mut self.selected {
            selected.watching = true;
        }
        if let Work::Watching { tag } = &mut self.work {
            let tag = std::mem::take(tag);
            self.sync(Step::Idle { tag });
        } else if self.selected_events().is_some() {
            // What happened before it was in place.
            self.stale = true;
            self.go_on();
        }
    }

    /// Events were missed while idling, or between commands.
    pub fn handle_stale(&mut self) {
        if self.tells_selected() {
            self.stale = true;
            self.catch_up();
        } else if self.has_news() {
            self.go_on();
        }
    }

    /// All output has left.
    pub fn handle_drained(&mut self) {
        self.output.handle_drained();
        if self.closing || !self.output.is_empty() {
            return;
        }
        if let Work::Streaming(_) = self.work
            && let Work::Streaming(stream) = std::mem::replace(&mut self.work, Work::Ready)
        {
            match *stream {
                Stream::Fetch(job) => self.fetch_on(job),
                Stream::List(listing) => self.list_on(*listing),
                Stream::Annotations(annotating) => self.annotate_on(annotating),
                Stream::Esearch(job) => self.esearch_on(job),
                Stream::UrlFetch(job) => self.url_fetch_on(job),
            }
        }
        self.go_on();
    }

    /// The server stops.
    pub fn handle_shutdown(&mut self, text: &str) {
        self.bye(text);
    }

    /// The client was quiet for too long (RFC 3501 §5.4).
    pub fn handle_timeout(&mut self) {
        self.bye("Autologout; idle for too long");
    }

    /// The connection is gone: an upload that was under way is given up.
    pub fn handle_closed(&mut self) {
        self.closing = true;
        self.actions.clear();
        self.output.clear();
        self.close_next = false;
        let spools = match &self.work {
            Work::Upload(upload) => upload.spools(),
            Work::Waiting(step) => match &**step {
                Step::Upload(upload) => upload.spools(),
                Step::Replace(upload) | Step::Catenate(upload) => upload.spools(),
                Step::Discard(spools) => spools.clone(),
                _ => vec![],
            },
            _ => vec![],
        };
        let discard = |spool| Action::Request(Request::Discard { spool });
        self.actions.extend(spools.into_iter().map(discard));
    }

    /// The next thing to do, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        if let Some(bytes) = self.output.take() {
            return Some(Action::Send(bytes));
        }
        if self.close_next && self.output.is_empty() {
            self.close_next = false;
            return Some(Action::Close);
        }
        None
    }

    /// Whether a part of a command has come, and the client has more of it to send. Its kernel may
    /// hold that back until what came is acknowledged.
    pub fn is_within_a_command(&self) -> bool {
        match &self.work {
            Work::Upload(_) => true,
            Work::Ready => !self.receiver.is_empty(),
            _ => false,
        }
    }

    /// Who is logged in.
    pub fn user(&self) -> Option<UserId> {
        self.user
    }

    /// Whether the client is told of the selected mailbox now.
    pub fn hears(&self) -> bool {
        self.tells_selected()
    }

    /// Whether the client is in IDLE.
    pub fn is_idling(&self) -> bool {
        matches!(self.work, Work::Idle { .. })
    }

    /// Adds a line to the output.
    fn say(&mut self, line: &str) {
        let line = self.language.line(line);
        self.output.bytes(line.as_bytes());
        self.output.bytes(b"\r\n");
    }

    /// Ends a command.
    fn done(&mut self, tag: &str, text: &str) {
        if tag != "*" || self.command == CommandName::Unknown {
            self.ended(Outcome::of(text));
        }
        self.say(&format!("{tag} {text}"));
    }

    /// Ends a command that any news may come with: RFC 3501 §5.2 and §7 allow them with each, and
    /// some clients wait for them. EXPUNGE too, as no command that ends so speaks of numbers.
    fn finish(&mut self, tag: Box<str>, text: impl Into<String>) {
        let text = text.into();
        if self.selected.is_some() {
            self.sync(Step::Finish { tag, text });
        } else {
            self.done(&tag, &text);
        }
    }

    /// What was said so far is sent before the action.
    fn act(&mut self, action: Action) {
        if let Some(bytes) = self.output.take_ready() {
            self.actions.push_back(Action::Send(bytes));
        }
        self.actions.push_back(action);
    }

    fn ask(&mut self, request: Request, step: Step) {
        self.act(Action::Request(request));
        self.work = Work::Waiting(Box::new(step));
    }

    /// Says good-bye, unless the client is in the middle of a line or literal: it would be taken
    /// for a part of it.
    fn bye(&mut self, text: &str) {
        if self.closing {
            return;
        }
        let is_within = self.is_within_a_response();
        if self.output.cut() && !is_within {
            self.say(&format!("* BYE {text}"));
        }
        self.close();
    }

    /// Ends the session once all is sent.
    fn close(&mut self) {
        self.closing = true;
        self.close_next = true;
    }

    /// The selected mailbox's view, which commands have loaded before they use it.
    fn view(&mut self) -> &mut View {
        match self.selected.as_deref_mut() {
            Some(Selected {
                view: ViewState::Loaded(view),
                ..
            }) => view,
            _ => unreachable!("a command that uses the view is done after it was synchronised"),
        }
    }

    fn mailbox(&self) -> MailboxId {
        self.selected
            .as_ref()
            .map_or(MailboxId(0), |selected| selected.mailbox)
    }
}
