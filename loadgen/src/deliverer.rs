//! An LMTP client (RFC 2033) that delivers one message after the other: bytes in, bytes and results
//! out.

/// What a deliverer has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Result {
    /// It may be given a message.
    Ready,
    /// DATA was accepted, and the message with its final dot is in the output now.
    DataSent,
    /// A recipient's reply after the final dot: accepted and durable.
    Delivered,
    /// The server refused, with its reply.
    Refused(String),
}

/// Whether a reply says that the connection was idle for too long (RFC 3463 section 3.5, X.4.2): a
/// client that had nothing to deliver connects again and was refused nothing.
pub fn is_idle_timeout(reply: &str) -> bool {
    reply.starts_with("421 4.4.2 ")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Greeting,
    Hello,
    Ready,
    /// Replies to MAIL and RCPT that must still come before DATA's, and recipients.
    Envelope(usize, usize),
    /// Recipients whose reply must still come (RFC 2033 section 4.2).
    Data(usize),
    Failed,
}

/// The machine.
#[derive(Debug)]
pub struct Deliverer {
    state: State,
    message: Vec<u8>,
    line: Vec<u8>,
    output: Vec<u8>,
}

impl Default for Deliverer {
    fn default() -> Self {
        Self {
            state: State::Greeting,
            message: Vec::new(),
            line: Vec::new(),
            output: Vec::new(),
        }
    }
}

impl Deliverer {
    /// Begins to deliver a message of about `bytes` bytes to some users. Must be ready.
    pub fn deliver(&mut self, users: &[String], bytes: usize, number: u64) {
        assert_eq!(self.state, State::Ready, "one message at a time");
        let to = users.first().map_or("", String::as_str);
        let mut message = format!(
            "From: loadgen@localhost\r\nTo: {to}@localhost\r\nSubject: message {number}\r\n\
             Message-ID: <{number}.loadgen@localhost>\r\n\r\n"
        );
        while message.len() < bytes {
            message.push_str("All work and no play makes a dull message, line after line.\r\n");
        }
        message.push_str(".\r\n");
        self.message = message.into_bytes();
        let mut envelope = String::from("MAIL FROM:<loadgen@localhost>\r\n");
        for user in users {
            envelope.push_str(&format!("RCPT TO:<{user}>\r\n"));
        }
        envelope.push_str("DATA\r\n");
        self.output.extend_from_slice(envelope.as_bytes());
        self.state = State::Envelope(1 + users.len(), users.len());
    }

    /// Whether a message may be given.
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Bytes to send.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Takes bytes from the server, in any pieces.
    pub fn handle_input(&mut self, bytes: &[u8], results: &mut Vec<Result>) {
        for &byte in bytes {
            self.line.push(byte);
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                // Only the last line of a reply counts.
                if line.get(3) != Some(&b'-') {
                    self.handle_reply(line.trim_ascii_end(), results);
                }
            }
        }
    }

    fn handle_reply(&mut self, line: &[u8], results: &mut Vec<Result>) {
        let positive = line.first().is_some_and(|&b| b == b'2' || b == b'3');
        if !positive || self.state == State::Failed {
            self.state = State::Failed;
            results.push(Result::Refused(String::from_utf8_lossy(line).into_owned()));
            return;
        }
        self.state = match self.state {
            State::Greeting => {
                self.output.extend_from_slice(b"LHLO loadgen\r\n");
                State::Hello
            }
            State::Hello => {
                results.push(Result::Ready);
                State::Ready
            }
            State::Envelope(0, recipients) => {
                self.output.append(&mut self.message);
                results.push(Result::DataSent);
                State::Data(recipients)
            }
            State::Envelope(left, recipients) => State::Envelope(left - 1, recipients),
            State::Data(left) => {
                results.push(Result::Delivered);
                match left {
                    0 | 1 => State::Ready,
                    _ => State::Data(left - 1),
                }
            }
            State::Ready | State::Failed => self.state,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_that_is_ended_is_told_from_a_refusal() {
        let mut deliverer = Deliverer::default();
        let mut results = Vec::new();
        deliverer.handle_input(b"220 hi\r\n250 y\r\n", &mut results);
        deliverer.handle_input(b"421 4.4.2 Nothing heard for too long\r\n", &mut results);
        let Some(Result::Refused(why)) = results.pop() else {
            panic!("{results:?}");
        };
        assert!(is_idle_timeout(&why));
        assert!(!is_idle_timeout("421 4.3.2 Too many connections"));
    }

    #[test]
    fn one_message() {
        let mut deliverer = Deliverer::default();
        let mut results = Vec::new();
        deliverer.handle_input(b"220 hi\r\n250-x\r\n250 y\r\n", &mut results);
        assert_eq!(results, [Result::Ready]);
        assert_eq!(deliverer.take_output(), b"LHLO loadgen\r\n");
        deliverer.deliver(&["ann".into()], 100, 1);
        assert!(
            deliverer
                .take_output()
                .ends_with(b"RCPT TO:<ann>\r\nDATA\r\n")
        );
        results.clear();
        deliverer.handle_input(b"250 ok\r\n250 ok\r\n354 go\r\n", &mut results);
        assert_eq!(results, [Result::DataSent]);
        assert!(deliverer.take_output().ends_with(b"\r\n.\r\n"));
        deliverer.handle_input(b"250 done\r\n", &mut results);
        assert_eq!(results[1], Result::Delivered);
        assert!(deliverer.is_ready());
    }

    #[test]
    fn each_recipient_has_a_reply() {
        let mut deliverer = Deliverer::default();
        let mut results = Vec::new();
        deliverer.handle_input(b"220 hi\r\n250 y\r\n", &mut results);
        deliverer.deliver(&["ann".into(), "bob".into()], 100, 1);
        results.clear();
        deliverer.handle_input(
            b"250 a\r\n250 b\r\n250 c\r\n354 go\r\n250 ann\r\n",
            &mut results,
        );
        assert_eq!(results, [Result::DataSent, Result::Delivered]);
        assert!(!deliverer.is_ready());
        deliverer.handle_input(b"250 bob\r\n", &mut results);
        assert!(deliverer.is_ready() && results.len() == 3);
    }

    #[test]
    fn a_refusal_is_told() {
        let mut deliverer = Deliverer::default();
        let mut results = Vec::new();
        deliverer.handle_input(b"421 go away\r\n", &mut results);
        assert_eq!(results, [Result::Refused("421 go away".into())]);
    }
}
