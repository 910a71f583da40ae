//! The LMTP session.

mod ending;
mod facts;
mod handover;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use mail::reply::Appended;
use mail::request::Target;
use mail::{MailboxName, Refusal};

use super::action::{Action, Delivery, Lookup};
use super::command::{self, Command, CommandError, Mail};
use super::data::Unstuffer;
use super::reply;
use super::trace::{Stamp, Trace};
use super::{CHUNK_BYTES, ERRORS_MAX, LINE_BYTES_MAX, Recipient};

pub use ending::Ending;

/// What a recipient takes besides its target, in bytes, about.
const RECIPIENT_BYTES: usize = 128;

/// How mail for a user over quota is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverQuota {
    /// 552: the sender is told.
    Permanent,
    /// 452: the sender's server tries again.
    Temporary,
}

/// What all sessions have in common.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// What this server calls itself.
    pub hostname: Box<str>,
    /// Bytes of the largest message, trace headers not counted.
    pub message_bytes_max: u64,
    /// Recipients of a message; RFC 5321 §4.5.3.1.8 asks for 100.
    pub recipients_max: usize,
    /// How mail for a user over quota is refused.
    pub over_quota: OverQuota,
}

/// One connection's session. Feed it with `handle_*`, then carry out what
/// [`Session::poll_action`] gives until it gives nothing, then read on if
/// [`Session::wants_input`].
#[derive(Debug)]
pub struct Session {
    config: Arc<SessionConfig>,
    peer: Option<Box<str>>,
    client: Option<Box<str>>,
    input: BytesMut,
    output: BytesMut,
    state: State,
    transaction: Option<Box<Transaction>>,
    pending: Option<Box<Action>>,
    /// Refused commands in a row.
    errors: u32,
    /// The rest of a line that is too long is skipped.
    skipping: bool,
    stopping: bool,
    /// Whether the client may begin TLS.
    starttls: bool,
    /// Whether it has.
    secure: bool,
    /// Why it was ended, if its client would have gone on.
    ending: Option<Ending>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Reads commands.
    Command,
    /// Waits for `handle_lookup`.
    Lookup(Box<Recipient>),
    /// Waits for `handle_begin`.
    Begin,
    /// Reads the message.
    Data,
    /// Waits for `handle_delivered`.
    Delivering,
    /// The message is complete and refused: the host is to be told.
    Refusing,
    /// Then its recipients are.
    Refused,
    /// Has the client begin TLS; the action is still to be given.
    StartTls,
    /// Said its last word; `Close` is still to be given.
    Closing,
    /// Nothing happens any more.
    Closed,
}

/// From MAIL to the replies after the message.
#[derive(Debug)]
struct Transaction {
    mail: Mail,
    /// Where the message goes, no target twice.
    targets: Vec<Target>,
    /// For each accepted RCPT its address and its target.
    recipients: Vec<(Box<str>, usize)>,
    /// Bytes that these have outside of the lists.
    recipients_bytes: usize,
    text: Text,
}

/// The message as far as it has come.
#[derive(Debug, Default)]
struct Text {
    unstuffer: Unstuffer,
    body: BytesMut,
    /// Bytes of the client's text.
    received: u64,
    /// Bytes given to the host in pieces.
    chunked: u64,
    /// The message will be refused; the rest of its text is read and forgotten.
    refused: Option<Refusal>,
}

impl Session {
    /// A session that begins with its greeting. `peer` is the client's IP address, if it has one.
    pub fn new(config: Arc<SessionConfig>, peer: Option<Box<str>>) -> Self {
        let mut session = Self {
            config,
            peer,
            client: None,
            input: BytesMut::new(),
            output: BytesMut::new(),
            state: State::Command,
            transaction: None,
            pending: None,
            errors: 0,
            skipping: false,
            stopping: false,
            starttls: false,
            secure: false,
            ending: None,
        };
        let greeting = format!("220 {} LMTP Ensign ready", session.config.hostname);
        session.say(&greeting);
        session
    }

    /// The same; `starttls` says whether the client may begin TLS.
    #[must_use]
    pub fn with_starttls(self, starttls: bool) -> Self {
        Self { starttls, ..self }
    }

    /// Whether the session can use more bytes now. If not, leave them in the socket.
    pub fn wants_input(&self) -> bool {
        matches!(self.state, State::Command | State::Data) && self.pending.is_none()
    }

    /// Whether the host's answer to a delivery is awaited.
    pub fn is_delivering(&self) -> bool {
        self.state == State::Delivering
    }

    /// Whether a transaction is under way: from MAIL to the replies after the message.
    pub fn is_in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// The client's IP address, if it has one.
    pub fn peer(&self) -> Option<&str> {
        self.peer.as_deref()
    }

    /// What the session keeps of what came and what is said, in bytes.
    pub fn held_bytes(&self) -> usize {
        let transaction = self.transaction.as_ref().map_or(0, |transaction| {
            let Transaction {
                targets,
                recipients,
                recipients_bytes,
                text,
                ..
            } = &**transaction;
            let lists = size_of_val(&targets[..]) + recipients.len() * RECIPIENT_BYTES;
            lists + recipients_bytes + text.body.capacity()
        });
        self.input.capacity() + self.output.capacity() + transaction
    }

    /// Bytes from the client.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Closing | State::Closed) {
            self.input.extend_from_slice(bytes);
        }
    }

    /// The answer to [`Action::Lookup`].
    pub fn handle_lookup(&mut self, answer: Lookup) {
        let State::Lookup(recipient) = std::mem::replace(&mut self.state, State::Command) else {
            unreachable!("an answer to a lookup that was not asked for");
        };
        let user = match answer {
            Lookup::Found(user) => user,
            Lookup::Unknown => return self.say(reply::UNKNOWN_USER),
            Lookup::NotHere => return self.say(reply::NOT_HERE),
            Lookup::OverQuota => return self.say(reply::over_quota(self.config.over_quota)),
            Lookup::Unavailable => return self.say(reply::UNAVAILABLE),
        };
        let folder = match recipient.detail {
            Some(detail) => MailboxName::new(&detail),
            None => MailboxName::inbox(),
        };
        let transaction = self
            .transaction
            .as_mut()
            .expect("RCPT is looked up only after MAIL");
        let target = Target { user, folder };
        let known = transaction
            .targets
            .iter()
            .position(|other| *other == target);
        let at = known.unwrap_or_else(|| {
            transaction.recipients_bytes += target.user.len() + target.folder.as_str().len();
            transaction.targets.push(target);
            transaction.targets.len() - 1
        });
        transaction.recipients_bytes += recipient.address.len();
        transaction.recipients.push((recipient.address, at));
        self.say(reply::RECIPIENT_OK);
    }

    /// The answer to [`Action::Begin`]; a refusal is the reply to DATA.
    pub fn handle_begin(&mut self, stamp: Result<Stamp, Refusal>) {
        assert_eq!(
            self.state,
            State::Begin,
            "an answer to a beginning that was not asked for"
        );
        match stamp {
            Ok(stamp) => {
                self.begin_text(&stamp);
                self.state = State::Data;
                self.say(reply::GO_AHEAD);
            }
            Err(refusal) => {
                self.state = State::Command;
                self.say(reply::undelivered(&refusal, self.config.over_quota));
            }
        }
    }

    /// A piece of the message could not be kept. The rest is read and forgotten, and each
    /// recipient's reply is the refusal.
    pub fn handle_chunk_failed(&mut self, refusal: Refusal) {
        if let Some(transaction) = &mut self.transaction {
            transaction.text.refused.get_or_insert(refusal);
        }
    }

    /// The answer to [`Action::Deliver`]: a result for each target, in their order.
    pub fn handle_delivered(&mut self, results: &[Result<Appended, Refusal>]) {
        assert_eq!(
            self.state,
            State::Delivering,
            "a result that was not asked for"
        );
        self.state = State::Command;
        let transaction = self
            .transaction
            .take()
            .expect("a delivery belongs to a transaction");
        for (address, target) in &transaction.recipients {
            match results.get(*target) {
                Some(Ok(_)) => self.say(&format!("250 2.0.0 <{address}> delivered")),
                Some(Err(refusal)) => {
                    self.say(reply::undelivered(refusal, self.config.over_quota));
                }
                None => self.say(reply::UNAVAILABLE),
            }
        }
    }

    /// The server stops. A delivery under way is still answered; then the session ends.
    pub fn handle_stop(&mut self) {
        self.stopping = true;
    }

    /// What to do next, if anything.
    pub fn poll_action(&mut self) -> Option<Action> {
        loop {
            if let Some(action) = self.pending.take() {
                return Some(*action);
            }
            let went_on = match self.state {
                State::Command | State::Data if self.stopping => {
                    self.end(reply::STOPPING);
                    true
                }
                State::Command => self.run_command(),
                State::Data => self.run_data(),
                State::Refusing => {
                    self.state = State::Refused;
                    self.pending = self.undelivered().map(Box::new);
                    true
                }
                State::Refused => {
                    self.refuse_text();
                    true
                }
                State::StartTls if self.output.is_empty() => {
                    self.state = State::Command;
                    return Some(Action::StartTls);
                }
                State::Closing if self.output.is_empty() => {
                    self.state = State::Closed;
                    return Some(Action::Close);
                }
                _ => false,
            };
            if !went_on {
                return self.flush();
            }
        }
    }

    fn flush(&mut self) -> Option<Action> {
        // What is empty keeps no room: a client that says nothing costs little.
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        let output = std::mem::take(&mut self.output);
        (!output.is_empty()).then(|| Action::Send(output.freeze()))
    }

    fn say(&mut self, line: &str) {
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    /// Says a last word, unless the last word was said.
    fn end(&mut self, line: &str) {
        if matches!(self.state, State::Closing | State::Closed) {
            return;
        }
        self.forget();
        self.say(line);
        self.state = State::Closing;
        self.input = BytesMut::new();
    }

    /// Ends the transaction; the host forgets what it was given of the message.
    fn forget(&mut self) {
        if self
            .transaction
            .take()
            .is_some_and(|it| it.text.chunked > 0)
        {
            self.pending = Some(Box::new(Action::Discard));
        }
    }

    /// Carries out one command. False if there is no whole line.
    fn run_command(&mut self) -> bool {
        let Some(end) = self.input.iter().position(|b| *b == b'\n') else {
            if self.input.len() >= LINE_BYTES_MAX {
                if self.ends_with_http(self.input.len()) {
                    return true;
                }
                self.skipping = true;
                self.input.clear();
            }
            return false;
        };
        if self.ends_with_http(end) {
            return true;
        }
        let line = self.input.split_to(end + 1);
        if std::mem::take(&mut self.skipping) || line.len() > LINE_BYTES_MAX {
            self.refuse_with(reply::LINE_TOO_LONG);
            return true;
        }
        let line = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end]);
        match command::parse(line).and_then(|command| self.execute(command)) {
            Ok(()) => self.errors = 0,
            Err(error) => self.refuse_with(&reply::refused(error)),
        }
        true
    }

    fn refuse_with(&mut self, line: &str) {
        self.errors += 1;
        self.say(line);
        if self.errors >= ERRORS_MAX {
            self.end_for(Ending::Errors);
        }
    }

    fn execute(&mut self, command: Command) -> Result<(), CommandError> {
        match command {
            Command::Lhlo(client) => self.lhlo(client),
            Command::Mail(mail) => self.mail(mail),
            Command::Rcpt(argument) => return self.rcpt(&argument),
            Command::Data => self.data(),
            Command::Rset => {
                self.transaction = None;
                self.say(reply::OK);
            }
            Command::StartTls => return self.start_tls(),
            Command::Noop => self.say(reply::OK),
            Command::Vrfy => self.say(reply::WILL_TRY),
            Command::Quit => self.end(reply::BYE),
        }
        Ok(())
    }

    fn lhlo(&mut self, client: Box<str>) {
        self.client = Some(client);
        self.transaction = None;
        let text = format!(
            "250-{}\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
             250-ENHANCEDSTATUSCODES\r\n{}250 SIZE {}",
            self.config.hostname,
            if self.starttls {
                "250-STARTTLS\r\n"
            } else {
                ""
            },
            self.config.message_bytes_max
        );
        self.say(&text);
    }

    /// RFC 3207 §4: what was said before the handshake is forgotten. Whatever came behind the
    /// command came from anybody: it is not done, and the connection ends.
    fn start_tls(&mut self) -> Result<(), CommandError> {
        if !self.starttls {
            return Err(CommandError::NotOffered);
        }
        if !self.input.is_empty() {
            self.end_for(Ending::BehindStartTls);
            return Ok(());
        }
        (self.client, self.transaction) = (None, None);
        (self.starttls, self.secure) = (false, true);
        self.say(reply::START_TLS);
        self.state = State::StartTls;
        Ok(())
    }

    fn mail(&mut self, mail: Mail) {
        if self.client.is_none() {
            return self.say(reply::LHLO_FIRST);
        }
        if self.transaction.is_some() {
            return self.say(reply::NESTED_MAIL);
        }
        // RFC 1870 §6.1: the client can spare itself the sending.
        if mail
            .size
            .is_some_and(|size| size > self.config.message_bytes_max)
        {
            self.pending = Some(Box::new(Action::TooBig));
            return self.say(reply::TOO_BIG);
        }
        self.transaction = Some(Box::new(Transaction {
            mail,
            targets: Vec::new(),
            recipients: Vec::new(),
            recipients_bytes: 0,
            text: Text::default(),
        }));
        self.say(reply::SENDER_OK);
    }

    fn rcpt(&mut self, argument: &str) -> Result<(), CommandError> {
        let Some(transaction) = &self.transaction else {
            self.say(self.first_of_all());
            return Ok(());
        };
        if transaction.recipients.len() >= self.config.recipients_max {
            self.say(reply::TOO_MANY_RECIPIENTS);
            return Ok(());
        }
        let recipient = command::recipient(argument, transaction.mail.utf8)?;
        self.pending = Some(Box::new(Action::Lookup(recipient.clone())));
        self.state = State::Lookup(Box::new(recipient));
        Ok(())
    }

    fn data(&mut self) {
        match &self.transaction {
            None => self.say(self.first_of_all()),
            Some(transaction) if transaction.recipients.is_empty() => {
                self.say(reply::NO_RECIPIENTS);
            }
            Some(_) => {
                self.pending = Some(Box::new(Action::Begin));
                self.state = State::Begin;
            }
        }
    }

    /// What must come before RCPT and DATA.
    fn first_of_all(&self) -> &'static str {
        if self.client.is_none() {
            reply::LHLO_FIRST
        } else {
            reply::MAIL_FIRST
        }
    }

    fn begin_text(&mut self, stamp: &Stamp) {
        let transaction = self
            .transaction
            .as_mut()
            .expect("DATA comes only after MAIL");
        let trace = Trace {
            return_path: &transaction.mail.sender,
            client: self.client.as_deref().expect("MAIL comes only after LHLO"),
            peer: self.peer.as_deref(),
            hostname: &self.config.hostname,
            recipient: match &transaction.recipients[..] {
                [(address, _)] => Some(address),
                _ => None,
            },
            utf8: transaction.mail.utf8,
            secure: self.secure,
            stamp,
        };
        let header = trace.header();
        transaction.text = Text::default();
        transaction.text.body.extend_from_slice(header.as_bytes());
    }

    /// Takes text until a piece is full, the message is complete, or the input is used up (then
    /// false).
    fn run_data(&mut self) -> bool {
        if self.input.is_empty() {
            return false;
        }
        let limit = self.config.message_bytes_max;
        let transaction = self
            .transaction
            .as_mut()
            .expect("a message belongs to a transaction");
        let text = &mut transaction.text;
        let before = text.body.len();
        let ended = text
            .unstuffer
            .run(&mut self.input, &mut text.body, CHUNK_BYTES);
        text.received += (text.body.len() - before) as u64;
        if text.received > limit {
            text.refused.get_or_insert(Refusal::TooBig(limit));
        }
        if text.refused.is_some() {
            text.body = BytesMut::new();
            if std::mem::take(&mut text.chunked) > 0 {
                self.pending = Some(Box::new(Action::Discard));
            }
        } else if !ended && text.body.len() >= CHUNK_BYTES {
            let chunk = text.body.split().freeze();
            text.chunked += chunk.len() as u64;
            self.pending = Some(Box::new(Action::Chunk(chunk)));
        }
        if ended {
            self.end_text();
        }
        true
    }

    /// The message is complete: deliver it, or refuse it.
    fn end_text(&mut self) {
        let transaction = self
            .transaction
            .as_mut()
            .expect("a message belongs to a transaction");
        if transaction.text.refused.is_some() {
            self.state = State::Refusing;
            return;
        }
        let text = &mut transaction.text;
        let last: Bytes = std::mem::take(&mut text.body).freeze();
        self.pending = Some(Box::new(Action::Deliver(Delivery {
            targets: transaction.targets.clone(),
            return_path: transaction.mail.sender.clone(),
            size: std::mem::take(&mut text.chunked) + last.len() as u64,
            last,
            eight_bit: transaction.mail.eight_bit,
            utf8: transaction.mail.utf8,
            submitter: transaction.mail.submitter.clone(),
        })));
        self.state = State::Delivering;
    }
}
