//! IMAP sessions before the model of a store: what is said depends neither on how the bytes arrive
//! nor on whether the session is parked in between, and is well-formed.

use std::sync::Arc;

use bytes::Bytes;
use mail::{Body, Flags, MailboxName, Reply, Request, SystemFlag};
use model::Model;
use proto::imap::action::Action;
use proto::imap::lexer::literal_at_end;
use proto::imap::{Session, SessionConfig};

/// Bytes of the largest message that the session takes.
const APPEND_BYTES_MAX: u64 = 400;
/// Actions that one piece of input may cause.
const ACTIONS_MAX: usize = 200_000;

/// A client's bytes: the first tells the size of the pieces in which the others come, and in its
/// high bit whether the client has logged in and selected a mailbox.
pub fn session(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else {
        return;
    };
    let prologue: &[u8] = match first >> 7 {
        0 => b"",
        _ => b"p LOGIN fred secret\r\nq SELECT INBOX\r\n",
    };
    let size = usize::from(first & 0x7f).max(1);
    let input = [prologue, data].concat();
    let whole = answers(&input);
    let pieces = Host::new(false).run(&mut input.chunks(size));
    assert_eq!(Text(&pieces), Text(&whole));
    let parked = Host::new(true).run(&mut input.chunks(size));
    // A session that was parked does not know which keywords its client was told of.
    let (parked, whole_but) = (without_keywords(&parked), without_keywords(&whole));
    assert_eq!(Text(&parked), Text(&whole_but));
    check(&whole);
}

/// What a session says to a client that sends this. The user is `fred`, the password `secret`; two
/// messages are in INBOX.
pub fn answers(input: &[u8]) -> Vec<u8> {
    Host::new(false).run(&mut [input].into_iter())
}

/// What was said, without the lines that introduce keywords (RFC 3501 §7.2.6).
fn without_keywords(said: &[u8]) -> Vec<u8> {
    let introduces =
        |line: &[u8]| line.starts_with(b"* FLAGS (") || line.starts_with(b"* OK [PERMANENTFLAGS (");
    let lines = said.split_inclusive(|byte| *byte == b'\n');
    lines
        .filter(|line| !introduces(line))
        .flatten()
        .copied()
        .collect()
}

/// Bytes that are shown as text when they differ.
#[derive(PartialEq)]
struct Text<'a>(&'a [u8]);

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

struct Host {
    config: Arc<SessionConfig>,
    model: Model,
    /// Whether the session is parked whenever it can be.
    parks: bool,
    said: Vec<u8>,
    closed: bool,
}

impl Host {
    fn new(parks: bool) -> Self {
        let mut model = Model::default();
        let user = model.add_user("fred", "secret");
        let mut flags = Flags::default();
        for message in ["Subject: one\r\n\r\n1\r\n", include_str!("message.eml")] {
            let (reply, _) = model.handle(Request::Append {
                user,
                name: MailboxName::inbox(),
                flags: flags.clone(),
                date: None,
                body: Body::Inline(Bytes::from_static(message.as_bytes())),
            });
            assert!(matches!(reply, Reply::Appended(_)), "{reply:?}");
            flags.insert(SystemFlag::Seen);
        }
        let config = SessionConfig {
            command_bytes_max: 300,
            append_bytes_max: APPEND_BYTES_MAX,
            scram: Arc::new(true.into()),
            ..SessionConfig::default()
        };
        Self {
            config: Arc::new(config),
            model,
            parks,
            said: Vec::new(),
            closed: false,
        }
    }

    fn run(mut self, pieces: &mut dyn Iterator<Item = &[u8]>) -> Vec<u8> {
        let mut session = Session::new(self.config.clone(), true);
        self.carry_out(&mut session);
        for piece in pieces {
            if self.closed {
                break;
            }
            session.handle_input(piece);
            self.carry_out(&mut session);
            if let (true, Some(parked)) = (self.parks, session.park()) {
                session = Session::unpark(parked, self.config.clone());
            }
        }
        self.said
    }

    fn carry_out(&mut self, session: &mut Session) {
        let mut count = 0;
        loop {
            while let Some(action) = session.poll_action() {
                count += 1;
                assert!(count < ACTIONS_MAX, "no end of actions");
                self.act(session, action);
            }
            session.handle_drained();
            match session.poll_action() {
                None => return,
                Some(action) => self.act(session, action),
            }
        }
    }

    fn act(&mut self, session: &mut Session, action: Action) {
        assert!(!self.closed, "after the end: {action:?}");
        match action {
            Action::Send(bytes) => self.said.extend_from_slice(&bytes),
            Action::Request(request) => {
                let (reply, _) = self.model.handle(request);
                self.model.sync();
                session.handle_reply(reply);
            }
            Action::Watch(_) => session.handle_watching(),
            Action::WatchFurther(..) => session.handle_further_watching(&[]),
            Action::Unwatch
            | Action::UnwatchFurther
            | Action::Told(..)
            | Action::StartTls
            | Action::Compress(_)
            | Action::EndCompression
            | Action::Forwarded(_)
            | Action::LoggedOut
            | Action::Claim(..) => {}
            Action::Close => self.closed = true,
        }
    }
}

/// What was said is lines with literals in them, each line a greeting, an untagged response, a
/// request to go on, or a tagged response.
fn check(said: &[u8]) {
    let mut rest = said;
    let mut starts = true;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|pair| pair == b"\r\n");
        let end = end.unwrap_or_else(|| panic!("cut off: {}", said.escape_ascii()));
        let line = &rest[..end];
        assert!(!line.contains(&0), "NUL: {}", line.escape_ascii());
        assert!(!line.contains(&b'\n'), "bare LF: {}", line.escape_ascii());
        if starts {
            let words: Vec<&[u8]> = line.splitn(3, |&b| b == b' ').collect();
            let is_known = match words[..] {
                [b"+", ..] => true,
                [b"*", word, ..] => !word.is_empty(),
                [_, b"OK" | b"NO" | b"BAD", text] => !text.is_empty(),
                _ => false,
            };
            assert!(is_known, "{}", line.escape_ascii());
        }
        rest = &rest[end + 2..];
        let literal = literal_at_end(line).filter(|_| line.starts_with(b"* ") || !starts);
        starts = literal.is_none();
        if let Some(literal) = literal {
            let size = literal.size as usize;
            assert!(rest.len() >= size, "a literal that is cut off");
            rest = &rest[size..];
        }
    }
}
