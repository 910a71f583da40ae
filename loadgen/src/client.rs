//! An IMAP client that logs in, selects INBOX and idles: bytes in, bytes and events out.

use std::rc::Rc;

use crate::plan;

/// Longest line a client keeps; a server that sends longer ones is at fault.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// What a client heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// It idles now; the mailbox had that many messages at SELECT or since.
    Idling,
    /// Its IDLE has ended, as it wished; it idles again at once.
    Ended,
    /// `* n EXISTS`
    Exists(u32),
    /// `* n EXPUNGE`
    Expunged(u32),
    /// The server refused, said BYE, or said what makes no sense.
    Failed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Greeting,
    Login,
    Select,
    Idle,
    Idling,
    Done,
    Failed,
}

/// Who may log in: all users of a pattern have one password.
#[derive(Debug)]
pub struct Credentials {
    /// User names, with `%d`.
    pub users: String,
    /// Their password.
    pub password: String,
}

/// The machine. A million of these are kept.
#[derive(Debug)]
pub struct Client {
    state: State,
    user: u32,
    credentials: Rc<Credentials>,
    line: Vec<u8>,
    output: Vec<u8>,
}

impl Client {
    /// A client of user `number`; it waits for the greeting.
    pub fn new(credentials: &Rc<Credentials>, number: u32) -> Self {
        Self {
            state: State::Greeting,
            user: number,
            credentials: credentials.clone(),
            line: Vec::new(),
            output: Vec::new(),
        }
    }

    /// Ends its IDLE, and begins another when that was answered. False if it does not idle.
    pub fn end_idle(&mut self) -> bool {
        if self.state != State::Idling {
            return false;
        }
        self.state = State::Done;
        self.output.extend_from_slice(b"DONE\r\n");
        true
    }

    /// Bytes to send.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Takes bytes from the server, in any pieces.
    pub fn handle_input(&mut self, bytes: &[u8], events: &mut Vec<ClientEvent>) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            let (line, after) = rest.split_at(end + 1);
            rest = after;
            if self.line.is_empty() {
                self.handle_line(line.trim_ascii_end(), events);
            } else {
                self.line.extend_from_slice(line);
                let line = std::mem::take(&mut self.line);
                self.handle_line(line.trim_ascii_end(), events);
            }
        }
        self.line.extend_from_slice(rest);
        if self.line.len() > LINE_BYTES_MAX {
            self.fail("a line that does not end", events);
        }
    }

    fn handle_line(&mut self, line: &[u8], events: &mut Vec<ClientEvent>) {
        if let Some(untagged) = line.strip_prefix(b"* ") {
            return self.handle_untagged(untagged, events);
        }
        let next = match self.state {
            State::Login if line.starts_with(b"a OK") => State::Select,
            State::Select if line.starts_with(b"b OK") => State::Idle,
            State::Idle if line.starts_with(b"+") => State::Idling,
            State::Done if line.starts_with(b"c OK") => State::Idle,
            State::Failed => return,
            _ => return self.fail(&String::from_utf8_lossy(line), events),
        };
        let before = std::mem::replace(&mut self.state, next);
        if before == State::Done {
            events.push(ClientEvent::Ended);
        }
        match next {
            State::Select => self.output.extend_from_slice(b"b SELECT INBOX\r\n"),
            State::Idle => self.output.extend_from_slice(b"c IDLE\r\n"),
            _ => {
                // A parked client owns as little as a parked session.
                self.line = Vec::new();
                events.push(ClientEvent::Idling);
            }
        }
    }

    fn handle_untagged(&mut self, line: &[u8], events: &mut Vec<ClientEvent>) {
        if self.state == State::Greeting {
            if !line.starts_with(b"OK") {
                return self.fail(&String::from_utf8_lossy(line), events);
            }
            self.state = State::Login;
            let user = plan::user(&self.credentials.users, self.user);
            let login = format!("a LOGIN {user} {}\r\n", self.credentials.password);
            self.output.extend_from_slice(login.as_bytes());
            return;
        }
        let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
        let number = std::str::from_utf8(&line[..digits])
            .ok()
            .and_then(|text| text.parse().ok());
        match (number, &line[digits..]) {
            (Some(number), b" EXISTS") => events.push(ClientEvent::Exists(number)),
            (Some(number), b" EXPUNGE") => events.push(ClientEvent::Expunged(number)),
            (None, rest) if rest.starts_with(b"BYE") => {
                self.fail(&String::from_utf8_lossy(line), events);
            }
            _ => {}
        }
    }

    fn fail(&mut self, what: &str, events: &mut Vec<ClientEvent>) {
        self.state = State::Failed;
        events.push(ClientEvent::Failed(what.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        let credentials = Credentials {
            users: "u%d".into(),
            password: "p".into(),
        };
        Client::new(&Rc::new(credentials), 7)
    }

    const SERVER: &str = "* OK hi\r\na OK\r\n* 3 EXISTS\r\n* 0 RECENT\r\nb OK [READ-WRITE]\r\n\
        + idling\r\n* 4 EXISTS\r\n* 1 EXPUNGE\r\n";

    #[test]
    fn any_split_gives_the_same() {
        for piece in [1, 2, 7, SERVER.len()] {
            let mut client = client();
            let (mut events, mut output) = (Vec::new(), Vec::new());
            for bytes in SERVER.as_bytes().chunks(piece) {
                client.handle_input(bytes, &mut events);
                output.extend(client.take_output());
            }
            let expected = [
                ClientEvent::Exists(3),
                ClientEvent::Idling,
                ClientEvent::Exists(4),
                ClientEvent::Expunged(1),
            ];
            assert_eq!(events, expected, "pieces of {piece}");
            assert_eq!(
                output,
                b"a LOGIN u7 p\r\nb SELECT INBOX\r\nc IDLE\r\n".to_vec()
            );
        }
    }

    #[test]
    fn an_idle_that_ended_begins_anew() {
        let (mut client, mut events) = (client(), Vec::new());
        assert!(!client.end_idle());
        client.handle_input(SERVER.as_bytes(), &mut events);
        client.take_output();
        events.clear();
        assert!(client.end_idle() && !client.end_idle());
        assert_eq!(client.take_output(), b"DONE\r\n");
        client.handle_input(b"* 5 EXISTS\r\nc OK\r\n", &mut events);
        assert_eq!(client.take_output(), b"c IDLE\r\n");
        client.handle_input(b"+ idling\r\n", &mut events);
        assert_eq!(
            events,
            [
                ClientEvent::Exists(5),
                ClientEvent::Ended,
                ClientEvent::Idling
            ]
        );
    }

    #[test]
    fn refusals_are_failures() {
        let mut client = client();
        let mut events = Vec::new();
        client.handle_input(b"* OK hi\r\na NO wrong\r\n", &mut events);
        assert_eq!(events, [ClientEvent::Failed("a NO wrong".into())]);
    }
}
