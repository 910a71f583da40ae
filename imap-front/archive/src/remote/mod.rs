//! Another IMAP server, from which mail is taken: as much of a client as that needs.
//!
//! Responses are read by `imap-codec`. Names of mailboxes are given back as the server spelled
//! them.

mod framing;
mod namespaces;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use imap_codec::ResponseCodec;
use imap_codec::decode::Decoder;
use imap_codec::imap_types::fetch::MessageDataItem;
use imap_codec::imap_types::flag::{Flag, FlagFetch, FlagNameAttribute};
use imap_codec::imap_types::mailbox::Mailbox;
use imap_codec::imap_types::response::{Code, Data, Response, Status, StatusBody, StatusKind};
use mail::{Flags, InternalDate, SystemFlag, Uid, UidValidity};
use proto::imap::mutf7;

use crate::elsewhere::is_keyword;
use framing::{Framing, TooLong};
use namespaces::prefixes;

pub use namespaces::Namespaces;

/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;
/// Bytes of a response in which no message comes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Names that a server may list, and their bytes.
const NAMES_MAX: usize = 100_000;
const NAMES_BYTES_MAX: usize = 16 << 20;
/// Bytes of what can't be understood that are shown.
const SHOWN_BYTES: usize = 200;
/// Namespaces that a server may have.
const NAMESPACES_MAX: usize = 1000;

/// Why mail can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The connection broke.
    #[error("the connection to the other server broke: {0}")]
    Io(#[from] io::Error),
    /// The server refused a command.
    #[error("the other server refuses {command}: {text}")]
    Refused {
        /// The command.
        command: &'static str,
        /// What it says.
        text: String,
    },
    /// The server said something that no server should; the connection goes on.
    #[error("the other server said what can't be understood: {0}")]
    Odd(String),
    /// The server said more than any should, so that nobody listens any more.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The server has more of something than is taken; the connection goes on.
    #[error("the other server has more than {0}")]
    TooMany(&'static str),
}

impl RemoteError {
    /// Whether the connection can't be used any more.
    pub fn ends_all(&self) -> bool {
        matches!(self, Self::Io(_) | Self::TooLong(_))
    }
}

/// A mailbox there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its name as the server spells it.
    pub raw: Vec<u8>,
    /// Its name as it is ours: with slashes between levels.
    pub name: String,
    /// It can be selected.
    pub selectable: bool,
    /// Its use, `\Sent` and the like, if it says one.
    pub special_use: Option<String>,
}

/// What a mailbox says when it is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// UIDVALIDITY, if it says it.
    pub uid_validity: Option<UidValidity>,
    /// UIDNEXT, if it says it.
    pub uid_next: Option<Uid>,
    /// How many messages it has.
    pub exists: u32,
}

/// A message there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// UID.
    pub uid: Uid,
    /// RFC822.SIZE.
    pub size: u64,
    /// Its flags.
    pub flags: Flags,
    /// Its internal date.
    pub date: Option<InternalDate>,
    /// What was asked for of its bytes; none if the server gave none, or NIL.
    pub bytes: Option<Vec<u8>>,
}

/// A connection to a server, over any stream.
pub struct Remote<S> {
    stream: S,
    framing: Framing,
    /// The longest response in which a message comes, in bytes.
    message_bytes_max: usize,
    /// The longest that may come now.
    bytes_max: usize,
    /// A response that can't be understood is passed over: who asked counts what came.
    passes_over: bool,
    /// Messages that went since a mailbox was opened.
    expunged: u64,
    tags: u32,
    /// It was greeted as somebody who has logged in.
    is_preauthenticated: bool,
}

impl<S: Read + Write> Remote<S> {
    /// Reads the greeting. Responses in which messages come have so many bytes at most.
    ///
    /// # Errors
    /// If there is none, or the server sends the client away.
    pub fn greeted(stream: S, message_bytes_max: usize) -> Result<Self, RemoteError> {
        let mut remote = Self::new(stream, message_bytes_max);
        let greeting = remote.read()?;
        let text = String::from_utf8_lossy(&greeting).trim().to_owned();
        let upper = text.to_ascii_uppercase();
        remote.is_preauthenticated = upper.starts_with("* PREAUTH");
        match upper.starts_with("* OK") || remote.is_preauthenticated {
            true => Ok(remote),
            false => Err(RemoteError::Refused {
                command: "connections",
                text,
            }),
        }
    }

    /// Goes on after the greeting: over another stream after STARTTLS.
    pub fn new(stream: S, message_bytes_max: usize) -> Self {
        Self {
            stream,
            framing: Framing::default(),
            message_bytes_max,
            bytes_max: ANSWER_BYTES_MAX,
            passes_over: false,
            expunged: 0,
            tags: 0,
            is_preauthenticated: false,
        }
    }

    /// The stream; what came and was not looked at is forgotten.
    pub fn into_stream(self) -> S {
        self.stream
    }

    fn read(&mut self) -> Result<Bytes, RemoteError> {
        let mut bytes = vec![];
        loop {
            if let Some(response) = self.framing.next(self.bytes_max)? {
                return Ok(response);
            }
            bytes.resize(READ_BYTES, 0);
            let count = self.stream.read(&mut bytes)?;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.framing.feed(&bytes[..count]);
        }
    }

    /// Sends a command, whose parts are sent one after the other: each but the first when the
    /// server asks for it. Calls `each` with what it says before the end; what is wrong with that
    /// is told when the server has said all, so that the connection can go on.
    fn command(
        &mut self,
        command: &'static str,
        parts: &[Vec<u8>],
        mut each: impl FnMut(Response<'_>) -> Result<(), RemoteError>,
    ) -> Result<(), RemoteError> {
        self.tags += 1;
        let tag = format!("a{}", self.tags);
        let mut parts = parts.iter();
        let mut first = format!("{tag} ").into_bytes();
        first.extend_from_slice(parts.next().map_or(&[][..], |part| part));
        self.stream.write_all(&first)?;
        self.stream.flush()?;
        let start = format!("{tag} ");
        let mut outcome = Ok(());
        loop {
            let bytes = self.read()?;
            if bytes.starts_with(b"+") {
                let Some(part) = parts.next() else {
                    // What it has to say to a failed login (RFC 7628 §3.2.3) wants an answer.
                    self.stream.write_all(b"\r\n")?;
                    continue;
                };
                self.stream.write_all(part)?;
                self.stream.flush()?;
                continue;
            }
            if bytes.starts_with(start.as_bytes()) {
                let rest = String::from_utf8_lossy(&bytes[start.len()..])
                    .trim()
                    .to_owned();
                return match rest.get(..3).map(str::to_ascii_uppercase).as_deref() {
                    Some("OK " | "OK") => outcome,
                    _ => Err(RemoteError::Refused {
                        command,
                        text: rest,
                    }),
                };
            }
            if outcome.is_err() {
                continue;
            }
            match ResponseCodec::new().decode(&bytes) {
                Ok((_, Response::Data(Data::Expunge(_)))) => self.expunged += 1,
                Ok((_, response)) => outcome = each(response),
                Err(_) if is_needed(&bytes) && !self.passes_over => {
                    let shown = &bytes[..bytes.len().min(SHOWN_BYTES)];
                    outcome = Err(RemoteError::Odd(
                        String::from_utf8_lossy(shown).into_owned(),
                    ));
                }
                // What it says besides is of no interest.
                Err(_) => {}
            }
        }
    }

    /// Asks for TLS; what follows goes over another stream.
    ///
    /// # Errors
    /// If the server has none.
    pub fn start_tls(&mut self) -> Result<(), RemoteError> {
        self.command("STARTTLS", &[b"STARTTLS\r\n".to_vec()], |_| Ok(()))
    }

    /// Logs in as `user`, or with `authority` as `user` in the place of that one.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn log_in(
        &mut self,
        user: &str,
        password: &str,
        authority: Option<&str>,
    ) -> Result<(), RemoteError> {
        if self.is_preauthenticated {
            return Ok(());
        }
        let (on_behalf_of, who) = match authority {
            Some(authority) => (user, authority),
            None => ("", user),
        };
        let mut capabilities = String::new();
        self.command("CAPABILITY", &[b"CAPABILITY\r\n".to_vec()], |response| {
            if let Response::Data(Data::Capability(all)) = response {
                capabilities = all.into_iter().map(|it| format!(" {it}")).collect();
            }
            Ok(())
        })?;
        let has = |what: &str| {
            capabilities
                .to_ascii_uppercase()
                .split(' ')
                .any(|it| it == what)
        };
        if has("AUTH=PLAIN") || authority.is_some() {
            let message = STANDARD.encode(format!("{on_behalf_of}\0{who}\0{password}"));
            let parts = [
                b"AUTHENTICATE PLAIN\r\n".to_vec(),
                format!("{message}\r\n").into_bytes(),
            ];
            return self.command("the login", &parts, |_| Ok(()));
        }
        let mut parts = vec![b"LOGIN ".to_vec()];
        for word in [user, password] {
            append_string(&mut parts, word.as_bytes());
            parts.last_mut().expect("one was added").push(b' ');
        }
        end(&mut parts);
        self.command("the login", &parts, |_| Ok(()))
    }

    /// All mailboxes of the user's own.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn list(&mut self) -> Result<Vec<Listed>, RemoteError> {
        self.names("LIST")
    }

    /// What LIST or LSUB tells of all names.
    fn names(&mut self, command: &'static str) -> Result<Vec<Listed>, RemoteError> {
        let (mut found, mut bytes) = (vec![], 0);
        let line = format!("{command} \"\" \"*\"\r\n").into_bytes();
        self.command(command, &[line], |response| {
            if let Response::Data(
                Data::List {
                    items,
                    delimiter,
                    mailbox,
                }
                | Data::Lsub {
                    items,
                    delimiter,
                    mailbox,
                },
            ) = response
            {
                let delimiter = delimiter.map(|it| it.inner());
                let listed = listed(&items, delimiter, &mailbox);
                bytes += listed.raw.len();
                if found.len() >= NAMES_MAX || bytes > NAMES_BYTES_MAX {
                    return Err(RemoteError::TooMany("100,000 names, or 16 MiB of them"));
                }
                found.push(listed);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// What of the names is the user's own; all, if the server doesn't say.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn namespaces(&mut self) -> Result<Namespaces, RemoteError> {
        let mut found = Namespaces::default();
        let command = [b"NAMESPACE\r\n".to_vec()];
        let outcome = self.command("NAMESPACE", &command, |response| {
            if let Response::Data(Data::Namespace {
                personal,
                other,
                shared,
            }) = response
            {
                if personal.len() + other.len() + shared.len() > NAMESPACES_MAX {
                    return Err(RemoteError::TooMany("1,000 namespaces"));
                }
                found.own = prefixes(&personal);
                found.others = prefixes(&other);
                found.others.extend(prefixes(&shared));
            }
            Ok(())
        });
        match outcome {
            // It need not know the command.
            Ok(()) | Err(RemoteError::Refused { .. }) => Ok(found),
            Err(error) => Err(error),
        }
    }

    /// The names that are subscribed.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn subscribed(&mut self) -> Result<Vec<Listed>, RemoteError> {
        let mut found = self.names("LSUB")?;
        // A name that only lies above subscribed ones is none.
        found.retain(|it| it.selectable);
        Ok(found)
    }

    /// Opens a mailbox without changing it.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn examine(&mut self, raw: &[u8]) -> Result<Opened, RemoteError> {
        let mut parts = vec![b"EXAMINE ".to_vec()];
        append_string(&mut parts, raw);
        end(&mut parts);
        let mut opened = Opened::default();
        self.expunged = 0;
        self.command("EXAMINE", &parts, |response| {
            match response {
                Response::Data(Data::Exists(count)) => opened.exists = count,
                Response::Status(Status::Untagged(StatusBody {
                    kind: StatusKind::Ok,
                    code,
                    ..
                })) => match code {
                    Some(Code::UidValidity(number)) => {
                        opened.uid_validity = Some(UidValidity(number.get()));
                    }
                    Some(Code::UidNext(number)) => opened.uid_next = Some(Uid(number.get())),
                    _ => {}
                },
                _ => {}
            }
            Ok(())
        })?;
        Ok(opened)
    }

    /// Something of messages in ranges of UIDs: whole messages, or what tells them apart. A server
    /// may tell of others, of some twice, and of some not at all.
    ///
    /// # Errors
    /// If the server refuses, or what `each` gives.
    pub fn fetch(
        &mut self,
        uids: &str,
        what: What,
        mut each: impl FnMut(Fetched) -> Result<(), RemoteError>,
    ) -> Result<(), RemoteError> {
        let items = match what {
            What::Sizes => "(UID RFC822.SIZE)",
            What::Ids => "(UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])",
            What::Messages => "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])",
        };
        let command = format!("UID FETCH {uids} {items}\r\n").into_bytes();
        if what == What::Messages {
            (self.bytes_max, self.passes_over) = (self.message_bytes_max, true);
        }
        let outcome = self.command("FETCH", &[command], |response| {
            if let Response::Data(Data::Fetch { items, .. }) = response {
                let fetched = fetched(items);
                if fetched.uid != Uid(0) {
                    each(fetched)?;
                }
            }
            Ok(())
        });
        (self.bytes_max, self.passes_over) = (ANSWER_BYTES_MAX, false);
        outcome
    }

    /// How many messages went since the mailbox was opened.
    pub fn expunged(&self) -> u64 {
        self.expunged
    }

    /// Says good-bye; nobody minds if that is not heard.
    pub fn log_out(mut self) {
        let _ = self.command("LOGOUT", &[b"LOGOUT\r\n".to_vec()], |_| Ok(()));
    }
}

/// What is asked for of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// UIDs and sizes.
    Sizes,
    /// The same, and Message-IDs.
    Ids,
    /// All of them.
    Messages,
}

/// Whether a response is one of those that are asked for.
fn is_needed(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).to_ascii_uppercase();
    let mut words = text.split_whitespace().skip(1);
    let first = words.next().unwrap_or_default();
    let second = words.next().unwrap_or_default();
    matches!(first, "LIST" | "LSUB") || second == "FETCH"
}

/// Adds a string to a command: quoted, or as a literal for which the server has to ask.
fn append_string(parts: &mut Vec<Vec<u8>>, bytes: &[u8]) {
    let may_be_quoted = |byte: &u8| (b' '..=b'~').contains(byte) && !b"\"\\".contains(byte);
    let last = parts.last_mut().expect("a command has a first part");
    if bytes.iter().all(may_be_quoted) {
        last.push(b'"');
        last.extend_from_slice(bytes);
        last.push(b'"');
    } else {
        last.extend_from_slice(format!("{{{}}}\r\n", bytes.len()).as_bytes());
        parts.push(bytes.to_vec());
    }
}

fn end(parts: &mut [Vec<u8>]) {
    let last = parts.last_mut().expect("a command has a first part");
    if last.ends_with(b" ") {
        last.pop();
    }
    last.extend_from_slice(b"\r\n");
}

fn listed(items: &[FlagNameAttribute<'_>], delimiter: Option<char>, name: &Mailbox<'_>) -> Listed {
    let raw = match name {
        Mailbox::Inbox => b"INBOX".to_vec(),
        Mailbox::Other(other) => other.as_ref().to_vec(),
    };
    let decode = |level: &[u8]| {
        let text = mutf7::decode(level);
        let text = text.unwrap_or_else(|_| String::from_utf8_lossy(level).into_owned());
        // What separates levels here can't be within one.
        text.replace('/', "_")
    };
    let levels: Vec<String> = match delimiter.and_then(|it| u8::try_from(it).ok()) {
        Some(delimiter) => raw.split(|byte| *byte == delimiter).map(decode).collect(),
        None => vec![decode(&raw)],
    };
    let attributes: Vec<String> = items.iter().map(ToString::to_string).collect();
    let is = |what: &str| attributes.iter().any(|it| it.eq_ignore_ascii_case(what));
    let uses = [
        "\\All",
        "\\Archive",
        "\\Drafts",
        "\\Flagged",
        "\\Junk",
        "\\Sent",
        "\\Trash",
    ];
    Listed {
        name: levels.join("/"),
        selectable: !is("\\Noselect") && !is("\\NonExistent"),
        special_use: uses.into_iter().find(|it| is(it)).map(str::to_owned),
        raw,
    }
}

fn fetched<'a>(items: impl IntoIterator<Item = MessageDataItem<'a>>) -> Fetched {
    let mut fetched = Fetched::default();
    for item in items {
        match item {
            MessageDataItem::Uid(uid) => fetched.uid = Uid(uid.get()),
            MessageDataItem::Rfc822Size(size) => fetched.size = u64::from(size),
            MessageDataItem::Flags(flags) => {
                for flag in flags {
                    if let FlagFetch::Flag(flag) = flag {
                        set(&mut fetched.flags, &flag);
                    }
                }
            }
            MessageDataItem::InternalDate(date) => {
                let date = date.as_ref();
                fetched.date = Some(InternalDate {
                    unix_s: date.timestamp(),
                    zone_min: (date.offset().local_minus_utc() / 60) as i16,
                });
            }
            MessageDataItem::BodyExt { data, .. } => {
                // NIL is not an empty message: the server has none to give.
                fetched.bytes = data.into_option().map(std::borrow::Cow::into_owned);
            }
            _ => {}
        }
    }
    fetched
}

fn set(flags: &mut Flags, flag: &Flag<'_>) {
    match flag {
        Flag::Answered => flags.insert(SystemFlag::Answered),
        Flag::Deleted => flags.insert(SystemFlag::Deleted),
        Flag::Draft => flags.insert(SystemFlag::Draft),
        Flag::Flagged => flags.insert(SystemFlag::Flagged),
        Flag::Seen => flags.insert(SystemFlag::Seen),
        Flag::Extension(_) => {}
        Flag::Keyword(word) => {
            if is_keyword(word.as_ref()) {
                flags.insert_keyword(word.as_ref().into());
            }
        }
    }
}
