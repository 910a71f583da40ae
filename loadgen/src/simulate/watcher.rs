//! An IMAP client with a view: it idles, now and then does something else, and notices when what it
//! is notified makes no sense.

use std::collections::BTreeMap;

use reactor::Rng;

/// A message as the client knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its UID, if it was notified.
    pub uid: Option<u32>,
    /// `\Seen` and `\Deleted`, if it was notified.
    pub flags: Option<(bool, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Greeting,
    /// It has asked to begin TLS; then it waits for the handshake's end.
    StartTls,
    Shaking,
    /// Waits for the tagged reply of a command.
    Login,
    Compress,
    Select,
    List,
    Act,
    /// Waits for `+`.
    Idle,
    Idling,
    /// DONE was sent.
    Done,
    Notify,
    /// NOTIFY holds, and no command is under way.
    Resting,
}

/// The machine of one connection.
pub struct Watcher {
    state: State,
    user: String,
    view: Vec<Known>,
    line: Vec<u8>,
    output: Vec<u8>,
    tag: u32,
    starttls: bool,
    compresses: bool,
    /// It watches all its user's mailboxes by NOTIFY: messages of each, as it was told.
    pub mailboxes: Option<BTreeMap<String, u32>>,
    /// It was told that no more is told.
    overflown: bool,
    /// It was allowed to begin TLS.
    pub begins_tls: bool,
    /// The server compresses from now on, and so must it.
    pub begins_compression: bool,
    /// What was wrong.
    pub faults: Vec<String>,
    /// The server ended the session or refused what it may refuse while its disk fails.
    pub ended: bool,
    /// Counts of messages that it was notified.
    pub notified: u64,
}

impl Watcher {
    /// A client of a user whose password is `secret`.
    pub fn new(user: &str) -> Self {
        Self {
            state: State::Greeting,
            user: user.into(),
            view: Vec::new(),
            line: Vec::new(),
            output: Vec::new(),
            tag: 0,
            starttls: false,
            compresses: false,
            mailboxes: None,
            overflown: false,
            begins_tls: false,
            begins_compression: false,
            faults: Vec::new(),
            ended: false,
            notified: 0,
        }
    }

    /// The same, which begins TLS before it logs in.
    pub fn with_starttls(self, starttls: bool) -> Self {
        Self { starttls, ..self }
    }

    /// The same, which asks for compression once it has logged in.
    pub fn with_compression(self, compresses: bool) -> Self {
        Self { compresses, ..self }
    }

    /// The same, which watches all its user's mailboxes by NOTIFY.
    pub fn with_notify(self, notify: bool) -> Self {
        Self {
            mailboxes: notify.then(BTreeMap::new),
            ..self
        }
    }

    /// The handshake is over.
    pub fn secured(&mut self) {
        if self.state == State::Shaking {
            self.log_in();
        }
    }

    fn log_in(&mut self) {
        let login = format!("LOGIN {} secret", self.user);
        self.command(State::Login, &login);
    }

    /// Whether it idles and waits for nothing.
    pub fn is_idling(&self) -> bool {
        matches!(self.state, State::Idling | State::Resting) && self.line.is_empty()
    }

    /// The mailbox as it was notified.
    pub fn view(&self) -> &[Known] {
        &self.view
    }

    /// Bytes to send.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Ends IDLE, if it idles; or does something.
    pub fn stir(&mut self, rng: &mut Rng) {
        if self.state == State::Resting && self.line.is_empty() {
            self.act_on_names(rng);
        } else if self.is_idling() {
            self.output.extend_from_slice(b"DONE\r\n");
            self.state = State::Done;
        }
    }

    /// Takes bytes from the server.
    pub fn handle_input(&mut self, bytes: &[u8], rng: &mut Rng) {
        for &byte in bytes {
            self.line.push(byte);
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
                self.handle_line(&line, rng);
            }
        }
    }

    fn handle_line(&mut self, line: &str, rng: &mut Rng) {
        if let Some(untagged) = line.strip_prefix("* ") {
            self.handle_untagged(untagged);
        } else if line.starts_with('+') {
            if self.state == State::Idle {
                self.state = State::Idling;
            } else {
                self.fault(format!("a continuation nobody asked for: {line}"));
            }
        } else {
            self.handle_tagged(line, rng);
        }
    }

    fn handle_tagged(&mut self, line: &str, rng: &mut Rng) {
        let tag = format!("t{} ", self.tag);
        let Some(status) = line.strip_prefix(&tag) else {
            return self.fault(format!("not the tag {tag}: {line}"));
        };
        let ok = status.starts_with("OK");
        if !ok && !status.starts_with("NO") {
            return self.fault(format!("{line} to a command that is right"));
        }
        match self.state {
            State::Login | State::Select | State::List | State::Notify if !ok => self.ended = true,
            State::StartTls if ok => {
                self.state = State::Shaking;
                self.begins_tls = true;
            }
            State::Login if self.compresses => self.command(State::Compress, "COMPRESS DEFLATE"),
            State::Compress if !ok => self.ended = true,
            State::Compress => {
                self.begins_compression = true;
                self.begin();
            }
            State::Login => self.begin(),
            State::Notify => self.state = State::Resting,
            State::Act if self.mailboxes.is_some() => match self.overflown {
                true => self.notify(),
                false => self.state = State::Resting,
            },
            State::Select if self.view.is_empty() => self.command(State::Idle, "IDLE"),
            State::Select => self.command(State::List, "UID FETCH 1:* (FLAGS)"),
            State::Done => self.act(rng),
            State::List | State::Act => self.command(State::Idle, "IDLE"),
            State::Idle if !ok => self.ended = true,
            _ => self.fault(format!("{line} in state {:?}", self.state)),
        }
    }

    /// Begins to watch, once it has logged in.
    fn begin(&mut self) {
        if self.mailboxes.is_some() {
            return self.notify();
        }
        self.command(State::Select, "SELECT INBOX");
        self.view.clear();
    }

    fn notify(&mut self) {
        self.overflown = false;
        self.mailboxes = Some(BTreeMap::new());
        let events = "(MessageNew MessageExpunge MailboxName)";
        self.command(
            State::Notify,
            &format!("NOTIFY SET STATUS (PERSONAL {events})"),
        );
    }

    /// Makes, renames and deletes mailboxes, or says nothing.
    fn act_on_names(&mut self, rng: &mut Rng) {
        let (name, other) = (rng.below(4), rng.below(4));
        let command = match rng.below(6) {
            0 => return self.notify(),
            1 => format!("DELETE f{name}"),
            2 => format!("RENAME f{name} f{other}"),
            3 => "NOOP".to_owned(),
            _ => format!("CREATE f{name}"),
        };
        self.command(State::Act, &command);
    }

    /// News of a mailbox.
    fn handle_mailbox(&mut self, line: &str) {
        let Some(mailboxes) = &mut self.mailboxes else {
            return self.fault(format!("{line}, which nobody asked for"));
        };
        let words: Vec<&str> = line.split([' ', '(', ')']).collect();
        match words[0] {
            "STATUS" => {
                let messages = words.iter().skip_while(|word| **word != "MESSAGES").nth(1);
                if let Some(messages) = messages.and_then(|it| it.parse().ok()) {
                    mailboxes.insert(words[1].to_owned(), messages);
                }
            }
            _ => {
                let name = line.split("\"/\" ").nth(1).unwrap_or_default();
                let (name, was) = name.split_once(' ').unwrap_or((name, ""));
                let was = was.strip_prefix("(\"OLDNAME\" (");
                let before = was.and_then(|was| mailboxes.remove(was.trim_end_matches(')')));
                if line.contains("\\NonExistent") || line.contains("\\Noselect") {
                    mailboxes.remove(name);
                } else {
                    let known = mailboxes.entry(name.to_owned());
                    known.or_insert(before.unwrap_or(0));
                }
            }
        }
    }

    /// Something other than IDLE.
    fn act(&mut self, rng: &mut Rng) {
        let count = self.view.len() as u64;
        let command = match rng.below(6) {
            0 => "NOOP".to_owned(),
            1 => "EXPUNGE".to_owned(),
            _ if count == 0 => "CHECK".to_owned(),
            choice => {
                let number = 1 + rng.below(count);
                let what = match choice {
                    2 => "+FLAGS (\\Seen)",
                    3 => "-FLAGS.SILENT (\\Seen)",
                    4 => "+FLAGS (\\Deleted)",
                    _ => return self.command(State::Act, "UID FETCH 1:* (FLAGS)"),
                };
                format!("STORE {number} {what}")
            }
        };
        self.command(State::Act, &command);
        if let Some(number) = silent(&command) {
            // The server need not say what a silent STORE did; whether it did is not certain.
            self.view[number - 1].flags = None;
        }
    }

    fn command(&mut self, next: State, command: &str) {
        self.tag += 1;
        let line = format!("t{} {command}\r\n", self.tag);
        self.output.extend_from_slice(line.as_bytes());
        self.state = next;
    }

    fn handle_untagged(&mut self, line: &str) {
        if self.state == State::Greeting {
            return match self.starttls {
                true => self.command(State::StartTls, "STARTTLS"),
                false => self.log_in(),
            };
        }
        if line.starts_with("BYE") {
            self.ended = true;
            return;
        }
        if line.starts_with("OK [NOTIFICATIONOVERFLOW]") {
            self.overflown = true;
            if self.state == State::Resting {
                self.notify();
            }
            return;
        }
        if line.starts_with("STATUS ") || line.starts_with("LIST ") {
            return self.handle_mailbox(line);
        }
        let mut words = line.splitn(3, ' ');
        let Some(number) = words.next().and_then(|word| word.parse::<usize>().ok()) else {
            return;
        };
        match words.next() {
            Some("EXISTS") => self.exists(number),
            Some("EXPUNGE") if (1..=self.view.len()).contains(&number) => {
                self.view.remove(number - 1);
            }
            Some("FETCH") if (1..=self.view.len()).contains(&number) => {
                let known = fetched(line, self.view[number - 1]);
                if self.view[number - 1]
                    .uid
                    .is_some_and(|uid| known.uid != Some(uid))
                {
                    self.fault(format!("message {number} changed its UID: {line}"));
                }
                self.view[number - 1] = known;
            }
            Some("RECENT") => {}
            _ => self.fault(format!("{line} of {} messages", self.view.len())),
        }
    }

    fn exists(&mut self, count: usize) {
        self.notified += 1;
        let selecting = self.state == State::Select;
        if count < self.view.len() || (count == self.view.len() && !selecting) {
            self.fault(format!("{count} EXISTS after {}", self.view.len()));
        }
        self.view.resize(count, Known::default());
    }

    fn fault(&mut self, text: String) {
        self.faults.push(format!("{}: {text}", self.user));
    }
}

fn silent(command: &str) -> Option<usize> {
    command.contains(".SILENT").then_some(())?;
    command.split(' ').nth(1)?.parse().ok()
}

/// What a FETCH line says, over what was known.
fn fetched(line: &str, known: Known) -> Known {
    let after = |key: &str| line.split_once(key).map(|(_, rest)| rest);
    let uid = after("UID ").and_then(|rest| {
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    });
    let flags = after("FLAGS (").and_then(|rest| rest.split_once(')'));
    let flags = flags.map(|(list, _)| (list.contains("\\Seen"), list.contains("\\Deleted")));
    Known {
        uid: uid.or(known.uid),
        flags: flags.or(known.flags),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(script: &str) -> Watcher {
        let mut watcher = Watcher::new("ann");
        let mut rng = Rng::new(1);
        for piece in script.as_bytes().chunks(3) {
            watcher.handle_input(piece, &mut rng);
        }
        watcher
    }

    const BEGIN: &str = "* OK hi\r\nt1 OK\r\n* 2 EXISTS\r\nt2 OK\r\n\
        * 1 FETCH (UID 4 FLAGS (\\Seen))\r\n* 2 FETCH (UID 9 FLAGS ())\r\nt3 OK\r\n+ idling\r\n";

    #[test]
    fn it_keeps_a_view() {
        let watcher = after(&format!("{BEGIN}* 1 EXPUNGE\r\n* 2 EXISTS\r\n"));
        let known = Known {
            uid: Some(9),
            flags: Some((false, false)),
        };
        assert_eq!(watcher.view(), [known, Known::default()]);
        assert!(watcher.is_idling() && watcher.faults.is_empty());
    }

    #[test]
    fn it_notices_nonsense() {
        for nonsense in [
            "* 2 EXISTS",
            "* 1 EXISTS",
            "* 3 EXPUNGE",
            "* 3 FETCH (FLAGS ())",
        ] {
            let watcher = after(&format!("{BEGIN}{nonsense}\r\n"));
            assert_eq!(watcher.faults.len(), 1, "{nonsense}");
        }
    }
}
