//! An IMAP client that logs in, selects INBOX and idles, or watches many mailboxes by NOTIFY: bytes
//! in, bytes and events out.

use std::rc::Rc;

use crate::login::Exchange;

pub use crate::login::Credentials;

/// Longest line a client keeps; a server that sends longer ones is at fault.
const LINE_BYTES_MAX: usize = 64 * 1024;
const SELECT: &str = "b SELECT INBOX\r\n";
const IDLE: &str = "c IDLE\r\n";

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
    /// `* STATUS` of one of many mailboxes, by its number, and how many messages it has.
    Status(u32, u32),
    /// It was allowed to begin TLS, and waits for the handshake's end.
    BeginsTls,
    /// The server refused, said BYE, or said what makes no sense.
    Failed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Greeting,
    StartTls,
    Shaking,
    Login,
    Select,
    Notify,
    Idle,
    Idling,
    Done,
    Failed,
}

/// The machine. A million of these are kept.
#[derive(Debug)]
pub struct Client {
    state: State,
    user: u32,
    credentials: Rc<Credentials>,
    /// While it logs in by more than one line.
    exchange: Option<Box<Exchange>>,
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
            exchange: None,
            line: Vec::new(),
            output: Vec::new(),
        }
    }

    /// The handshake that it waited for is over: it logs in.
    pub fn secured(&mut self) {
        if self.state == State::Shaking {
            self.log_in();
        }
    }

    fn log_in(&mut self) {
        self.state = State::Login;
        let (command, exchange) = self.credentials.begin(self.user);
        self.exchange = exchange;
        let has_ended = self.exchange.is_none();
        self.say(&format!("a {command}\r\n"));
        self.pipeline(has_ended);
    }

    fn say(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
    }

    /// Behind the last line of the login, without waiting for any answer, if that is wished.
    fn pipeline(&mut self, has_ended: bool) {
        if has_ended && self.credentials.pipelined {
            self.say(SELECT);
            self.say(IDLE);
        }
    }

    /// Goes on with its login.
    fn answer(&mut self, challenge: &[u8], events: &mut Vec<ClientEvent>) {
        let Some(exchange) = &mut self.exchange else {
            return self.fail("a continuation that nobody asked for", events);
        };
        match exchange.answer(challenge) {
            Ok(line) => {
                self.say(&line);
                self.say("\r\n");
                // To the server's signature.
                self.pipeline(line.is_empty());
            }
            Err(why) => self.fail(&format!("AUTHENTICATE: {why}"), events),
        }
    }

    /// Ends its IDLE, and begins another when that was answered. False if it does not idle.
    pub fn end_idle(&mut self) -> bool {
        if self.state != State::Idling {
            return false;
        }
        self.state = State::Done;
        self.say("DONE\r\n");
        true
    }

    /// Bytes to send.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Takes bytes from the server, in any pieces.
    pub fn handle_input(&mut self, bytes: &[u8], events: &mut Vec<ClientEvent>) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
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
            State::StartTls if line.starts_with(b"s OK") => State::Shaking,
            State::Login if line.starts_with(b"+") => {
                return self.answer(line[1..].trim_ascii(), events);
            }
            State::Login if line.starts_with(b"a OK") && self.credentials.notify > 0 => {
                State::Notify
            }
            State::Login if line.starts_with(b"a OK") => State::Select,
            // Its mailboxes may be there from another run.
            State::Notify if line.starts_with(b"m ") => return,
            State::Notify if line.starts_with(b"n OK") => State::Idling,
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
            State::Shaking => events.push(ClientEvent::BeginsTls),
            State::Select => {
                self.exchange = None;
                if !self.credentials.pipelined {
                    self.say(SELECT);
                }
            }
            State::Notify => self.watch_many(),
            State::Idle if self.credentials.pipelined && before == State::Select => {}
            State::Idle => self.say(IDLE),
            _ => {
                // A parked client owns as little as a parked session.
                self.line = Vec::new();
                events.push(ClientEvent::Idling);
            }
        }
    }

    /// Makes its mailboxes, and watches all of them.
    fn watch_many(&mut self) {
        self.exchange = None;
        let mut commands: String = (1..self.credentials.notify)
            .map(|number| format!("m CREATE {}\r\n", mailbox(number)))
            .collect();
        commands.push_str("n NOTIFY SET STATUS (PERSONAL (MessageNew MessageExpunge))\r\n");
        self.say(&commands);
    }

    fn handle_untagged(&mut self, line: &[u8], events: &mut Vec<ClientEvent>) {
        if self.state == State::Greeting {
            if !line.starts_with(b"OK") {
                return self.fail(&String::from_utf8_lossy(line), events);
            }
            if self.credentials.starttls {
                self.state = State::StartTls;
                self.say("s STARTTLS\r\n");
            } else {
                self.log_in();
            }
            return;
        }
        let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
        let number = std::str::from_utf8(&line[..digits])
            .ok()
            .and_then(|text| text.parse().ok());
        match (number, &line[digits..]) {
            (Some(number), b" EXISTS") => events.push(ClientEvent::Exists(number)),
            (Some(number), b" EXPUNGE") => events.push(ClientEvent::Expunged(number)),
            (None, rest) if rest.starts_with(b"STATUS ") => events.extend(status(rest)),
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

/// What a mailbox is called that a client watches by NOTIFY, by its number.
pub fn mailbox(number: u32) -> String {
    match number {
        0 => "INBOX".into(),
        number => format!("f{number}"),
    }
}

/// Which mailbox a STATUS is of, and how many messages it has.
fn status(line: &[u8]) -> Option<ClientEvent> {
    let mut words = std::str::from_utf8(line).ok()?.split([' ', '(', ')']);
    let name = words.nth(1)?.trim_matches('"');
    let number = match name {
        "INBOX" => 0,
        name => name.strip_prefix('f')?.parse().ok()?,
    };
    let messages = words.skip_while(|word| *word != "MESSAGES").nth(1)?;
    Some(ClientEvent::Status(number, messages.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::login::Auth;

    fn client() -> Client {
        Client::new(&Rc::new(Credentials::new("u%d", "p")), 7)
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
    fn it_logs_in_by_scram_and_meets_a_server_that_does_not_know_it() {
        let credentials = Credentials {
            auth: Auth::Scram,
            ..Credentials::new("u%d", "p")
        };
        let mut client = Client::new(&Rc::new(credentials), 7);
        let mut events = Vec::new();
        client.handle_input(b"* OK hi\r\n", &mut events);
        let first = String::from_utf8(client.take_output()).expect("text");
        let first = first.strip_prefix("a AUTHENTICATE SCRAM-SHA-256 ");
        let first = STANDARD.decode(first.expect("its command").trim_end());
        let first = String::from_utf8(first.expect("base64")).expect("text");
        let nonce = first.strip_prefix("n,,n=u7,r=").expect("its name");
        let challenge = format!("r={nonce}more,s=eA==,i=4096");
        let line = format!("+ {}\r\n", STANDARD.encode(challenge));
        client.handle_input(line.as_bytes(), &mut events);
        let last = client.take_output();
        assert!(last.len() > 64 && last.ends_with(b"\r\n"));
        client.handle_input(b"+ dj14eHg=\r\n", &mut events);
        assert!(matches!(&events[..], [ClientEvent::Failed(_)]));
    }

    #[test]
    fn it_waits_for_nothing_behind_its_login_if_that_is_wished() {
        for auth in [Auth::Login, Auth::Scram] {
            let credentials = Credentials {
                auth,
                pipelined: true,
                ..Credentials::new("u%d", "p")
            };
            let mut client = Client::new(&Rc::new(credentials), 7);
            let mut events = Vec::new();
            client.handle_input(b"* OK hi\r\n", &mut events);
            let mut said = client.take_output();
            if let Some(exchange) = &mut client.exchange {
                assert!(said.ends_with(b"\r\n") && !said.ends_with(IDLE.as_bytes()));
                let first = exchange.first.split_once(",r=").expect("a nonce").1;
                let challenge = format!("r={first}more,s=eA==,i=4096");
                let line = format!("+ {}\r\n", STANDARD.encode(challenge));
                client.handle_input(line.as_bytes(), &mut events);
                assert!(!client.take_output().ends_with(IDLE.as_bytes()));
                let signature = client.exchange.as_ref().and_then(|it| it.signature());
                let signature = format!("v={}", STANDARD.encode(signature.expect("is expected")));
                let line = format!("+ {}\r\n", STANDARD.encode(signature));
                client.handle_input(line.as_bytes(), &mut events);
                said = client.take_output();
            }
            assert!(said.ends_with(b"\r\nb SELECT INBOX\r\nc IDLE\r\n"));
            client.handle_input(b"a OK\r\n* 3 EXISTS\r\nb OK\r\n", &mut events);
            assert!(client.take_output().is_empty());
            client.handle_input(b"+ idling\r\n", &mut events);
            assert_eq!(events, [ClientEvent::Exists(3), ClientEvent::Idling]);
            // Another IDLE is asked for when this one has ended.
            assert!(client.end_idle());
            client.take_output();
            client.handle_input(b"c OK\r\n", &mut events);
            assert_eq!(client.take_output(), IDLE.as_bytes());
        }
    }

    #[test]
    fn it_logs_in_by_a_token() {
        let credentials = Credentials {
            auth: Auth::Oauthbearer,
            ..Credentials::new("u%d", "p")
        };
        let mut client = Client::new(&Rc::new(credentials), 7);
        client.handle_input(b"* OK hi\r\n", &mut Vec::new());
        let first = String::from_utf8(client.take_output()).expect("text");
        let first = first.strip_prefix("a AUTHENTICATE OAUTHBEARER ");
        let first = STANDARD.decode(first.expect("its command").trim_end());
        let first = String::from_utf8(first.expect("base64")).expect("text");
        let token = first.strip_prefix("n,,\x01auth=Bearer ").expect("a token");
        assert_eq!(token.matches('.').count(), 2);
        assert!(token.ends_with("\x01\x01"));
    }

    #[test]
    fn it_begins_tls_before_it_logs_in() {
        let credentials = Credentials {
            starttls: true,
            auth: Auth::Plain,
            ..Credentials::new("u%d", "p")
        };
        let mut client = Client::new(&Rc::new(credentials), 7);
        let mut events = Vec::new();
        client.handle_input(b"* OK hi\r\n", &mut events);
        assert_eq!(client.take_output(), b"s STARTTLS\r\n");
        client.handle_input(b"s OK go\r\n", &mut events);
        assert_eq!(events, [ClientEvent::BeginsTls]);
        assert!(client.take_output().is_empty());
        client.secured();
        assert_eq!(client.take_output(), b"a AUTHENTICATE PLAIN AHU3AHA=\r\n");
    }

    #[test]
    fn it_watches_many_mailboxes() {
        let credentials = Credentials {
            notify: 3,
            ..Credentials::new("u%d", "p")
        };
        let mut client = Client::new(&Rc::new(credentials), 7);
        let mut events = Vec::new();
        client.handle_input(b"* OK hi\r\na OK in\r\n", &mut events);
        let said = String::from_utf8(client.take_output()).expect("text");
        assert!(said.contains("\r\nm CREATE f1\r\nm CREATE f2\r\nn NOTIFY SET STATUS ("));
        let heard = b"m OK\r\nm NO is there\r\n* STATUS INBOX (MESSAGES 4 UIDNEXT 9)\r\nn OK\r\n\
            * STATUS f2 (UIDNEXT 3 MESSAGES 2)\r\n* LIST () \"/\" f2\r\n";
        client.handle_input(heard, &mut events);
        let status = ClientEvent::Status;
        assert_eq!(events, [status(0, 4), ClientEvent::Idling, status(2, 2)]);
    }

    #[test]
    fn refusals_are_failures() {
        let mut client = client();
        let mut events = Vec::new();
        client.handle_input(b"* OK hi\r\na NO wrong\r\n", &mut events);
        assert_eq!(events, [ClientEvent::Failed("a NO wrong".into())]);
    }
}
