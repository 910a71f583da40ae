//! The IMAP session machine: bytes and replies in, actions out.
//!
//! Four kinds of method: `new` and `unpark` make a session; `handle_*` tell it what happened;
//! `poll_action` gives what its host is to do; the rest are questions. It does one command at a
//! time and has at most one request under way; what the client sends meanwhile waits.

mod append;
mod auth;
mod copy;
mod dispatch;
mod fetch;
mod fetch_items;
mod idle;
mod list;
mod mailboxes;
mod parking;
mod refusals;
mod search;
mod select;
mod store;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use mail::{MailboxId, ModSeq, Reply, Request, Uid, UserId};

use super::action::Action;
use super::ast::Command;
use super::config::SessionConfig;
use super::receive::Receiver;
use super::view::View;

pub use idle::STILL_HERE;

/// A session.
pub struct Session {
    config: Arc<SessionConfig>,
    cleartext: bool,
    receiver: Receiver,
    /// Bytes said since the last action.
    out: Vec<u8>,
    actions: VecDeque<Action>,
    user: Option<UserId>,
    selected: Option<Box<Selected>>,
    /// The client knows of mod-sequences.
    condstore: bool,
    failures: u8,
    work: Work,
    closing: bool,
    /// Output was produced since the host last said that all has left.
    undrained: bool,
}

/// A selected mailbox.
pub(super) struct Selected {
    mailbox: MailboxId,
    read_only: bool,
    watching: bool,
    view: ViewState,
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
    /// IDLE is about to begin: the watch is awaited.
    Watching { tag: Box<str> },
    /// The message of an APPEND is coming.
    Upload(Box<append::Upload>),
    /// A FETCH goes on when its output has left.
    Streaming(Box<fetch::Job>),
}

/// What to do with a reply.
enum Step {
    Login {
        tag: Box<str>,
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
    List(mailboxes::Listing),
    Status(mailboxes::StatusOf),
    Select(select::Selecting),
    Fetch(fetch::Job),
    Store(store::Storing),
    Search(search::Searching),
    Copy(copy::Copying),
    Expunge {
        tag: Box<str>,
    },
    Close {
        tag: Box<str>,
    },
    Upload(append::Upload),
    Append {
        tag: Box<str>,
    },
    /// The view is current; the watch comes next, or the idling itself.
    Idle {
        tag: Box<str>,
        watched: bool,
    },
    /// Events were missed while idling.
    Stale {
        tag: Box<str>,
    },
    /// Nobody waits for this answer.
    Ignore,
}

impl Session {
    /// A session on a fresh connection; its greeting is the first action. `cleartext` says whether
    /// passwords may come over this connection as it is.
    pub fn new(config: Arc<SessionConfig>, cleartext: bool) -> Self {
        let mut session = Self::quiet(config, cleartext);
        let capabilities = session.config.capabilities(cleartext, false);
        let banner = session.config.banner.clone();
        session.say(&format!("* OK [CAPABILITY {capabilities}] {banner}"));
        session
    }

    fn quiet(config: Arc<SessionConfig>, cleartext: bool) -> Self {
        Self {
            config,
            cleartext,
            receiver: Receiver::default(),
            out: Vec::new(),
            actions: VecDeque::new(),
            user: None,
            selected: None,
            condstore: false,
            failures: 0,
            work: Work::Ready,
            closing: false,
            undrained: false,
        }
    }

    /// Bytes from the client, in any pieces.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        if !self.closing {
            self.receiver.feed(bytes);
            self.go_on();
        }
    }

    /// The answer to the request under way.
    pub fn handle_reply(&mut self, reply: Reply) {
        let Work::Waiting(step) = std::mem::replace(&mut self.work, Work::Ready) else {
            return;
        };
        if !self.closing {
            self.finish_step(*step, reply);
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
            // Once more: what happened before the watch was in place told nobody.
            self.sync(Step::Idle { tag, watched: true });
        }
    }

    /// Events were missed while idling.
    pub fn handle_stale(&mut self) {
        if self.selected.is_some()
            && let Work::Idle { tag } = &mut self.work
        {
            let tag = std::mem::take(tag);
            self.sync(Step::Stale { tag });
        }
    }

    /// All output has left.
    pub fn handle_drained(&mut self) {
        self.undrained = false;
        if let Work::Streaming(_) = self.work
            && let Work::Streaming(job) = std::mem::replace(&mut self.work, Work::Ready)
        {
            self.fetch_on(*job);
            self.go_on();
        }
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
        self.out.clear();
        let spool = match &self.work {
            Work::Upload(upload) => upload.spool(),
            Work::Waiting(step) => match &**step {
                Step::Upload(upload) => upload.spool(),
                _ => None,
            },
            _ => None,
        };
        if let Some(spool) = spool {
            self.actions
                .push_back(Action::Request(Request::Discard { spool }));
        }
    }

    /// The next thing to do, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        if self.out.is_empty() {
            return None;
        }
        Some(Action::Send(Bytes::from(std::mem::take(&mut self.out))))
    }

    /// False while more input than the session can work on is waiting.
    pub fn wants_input(&self) -> bool {
        self.receiver.has_room()
    }

    /// Whether the client is in IDLE.
    pub fn is_idling(&self) -> bool {
        matches!(self.work, Work::Idle { .. })
    }

    /// Adds a line to the output.
    fn say(&mut self, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
        self.out.extend_from_slice(b"\r\n");
        self.undrained = true;
    }

    /// Ends a command.
    fn done(&mut self, tag: &str, text: &str) {
        self.say(&format!("{tag} {text}"));
    }

    /// What was said so far is sent before the action.
    fn act(&mut self, action: Action) {
        if !self.out.is_empty() {
            let bytes = Bytes::from(std::mem::take(&mut self.out));
            self.actions.push_back(Action::Send(bytes));
        }
        self.actions.push_back(action);
    }

    fn ask(&mut self, request: Request, step: Step) {
        self.act(Action::Request(request));
        self.work = Work::Waiting(Box::new(step));
    }

    fn bye(&mut self, text: &str) {
        if !self.closing {
            self.say(&format!("* BYE {text}"));
            self.close();
        }
    }

    fn close(&mut self) {
        self.closing = true;
        self.act(Action::Close);
    }

    /// Asks for what the view lacks; the step gets the answer.
    fn sync(&mut self, step: Step) {
        let Some(selected) = &self.selected else {
            return;
        };
        let mailbox = selected.mailbox;
        let request = match &selected.view {
            ViewState::Loaded(view) => Request::Sync {
                mailbox,
                since: view.modseq,
            },
            ViewState::Unloaded { modseq, .. } => Request::View {
                mailbox,
                at: *modseq,
            },
        };
        self.ask(request, step);
    }

    /// Takes the answer to [`Session::sync`] into the view. False if the mailbox is gone; the
    /// session is being closed then.
    fn synced(&mut self, reply: Reply) -> bool {
        let Some(selected) = &mut self.selected else {
            return false;
        };
        let current = match reply {
            Reply::Synced(delta) => match &mut selected.view {
                ViewState::Loaded(view) => view.apply(&delta),
                ViewState::Unloaded { .. } => false,
            },
            Reply::Viewed { uids, delta } => {
                let (modseq, recent_from) = match &selected.view {
                    ViewState::Loaded(view) => (view.modseq, view.recent_from),
                    ViewState::Unloaded {
                        modseq,
                        recent_from,
                        ..
                    } => (*modseq, *recent_from),
                };
                let mut view = View::new(&uids, modseq, recent_from);
                let current = view.apply(&delta);
                selected.view = ViewState::Loaded(view);
                current
            }
            Reply::Refused(refusal) => {
                self.bye(&format!("The mailbox can't be read: {refusal}"));
                return false;
            }
            _ => false,
        };
        if !current {
            // RFC 2180 §3.3: a session whose mailbox was deleted can only be ended.
            self.bye("The selected mailbox was deleted");
        }
        current
    }

    /// Adds what the client may be sent now.
    fn send_updates(&mut self, expunges: bool) {
        let condstore = self.condstore;
        if let Some(Selected {
            view: ViewState::Loaded(view),
            ..
        }) = self.selected.as_deref_mut()
        {
            let before = self.out.len();
            view.send_updates(&mut self.out, expunges, condstore);
            self.undrained |= self.out.len() > before;
        }
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

    /// Turns a set of numbers or UIDs into the UIDs in the view, ascending.
    ///
    /// # Errors
    /// If a message number is beyond the last (RFC 3501 §6.4.8 allows that for UIDs only).
    fn resolve(&mut self, set: &mail::SequenceSet, uid: bool) -> Result<Vec<Uid>, &'static str> {
        let view = self.view();
        let count = view.exists as u32;
        let uids = &view.uids[..view.exists];
        if uid {
            let largest = uids.last().map_or(0, |uid| uid.0);
            let mut found = Vec::new();
            for (low, high) in set.resolve(largest) {
                let from = uids.partition_point(|uid| uid.0 < low);
                let to = uids.partition_point(|uid| uid.0 <= high);
                found.extend_from_slice(&uids[from..to.max(from)]);
            }
            return Ok(found);
        }
        let mut found = Vec::new();
        for (low, high) in set.resolve(count) {
            if low == 0 || high > count {
                return Err("a message number is beyond the last message");
            }
            found.extend_from_slice(&uids[low as usize - 1..high as usize]);
        }
        Ok(found)
    }
}
