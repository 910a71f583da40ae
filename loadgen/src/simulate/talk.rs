//! What a deliverer says and hears on one connection, without I/O.

use std::collections::VecDeque;

use reactor::Rng;

/// What a deliverer knows of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 250 behind the final dot: it is there, once.
    Accepted,
    /// Refused, or its end was never sent: it is not there.
    Refused,
    /// The connection ended before the answer: it is there at most once.
    Unknown,
}

/// What a deliverer knows of a message and a recipient of it.
#[derive(Clone, Debug)]
pub struct Handed {
    /// What the message's subject is.
    pub subject: String,
    /// Whose it is.
    pub user: String,
    /// What the deliverer was told.
    pub verdict: Verdict,
}

/// What a deliverer does with its connection around the final dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Hears all answers, and delivers more.
    Stays,
    /// Hears all answers, and leaves.
    Quits,
    /// Breaks off within the text.
    BeforeTheDot,
    /// Breaks off as soon as the dot is sent.
    BehindTheDot,
    /// Breaks off at the first of the answers.
    AtAnAnswer,
    /// Hears nothing for a while once the dot is sent.
    Deaf,
}

impl Fate {
    /// One by chance.
    pub fn draw(rng: &mut Rng) -> Self {
        match rng.below(10) {
            0 => Self::BeforeTheDot,
            1 => Self::BehindTheDot,
            2 => Self::AtAnAnswer,
            3 => Self::Deaf,
            4 => Self::Quits,
            _ => Self::Stays,
        }
    }
}

/// What the next answer is to.
#[derive(Debug)]
enum Awaited {
    Greeting,
    Lhlo,
    StartTls,
    Mail,
    Rcpt(String),
    Data,
    Text(String),
    Reset,
    Quit,
}

struct Message {
    subject: String,
    /// Who was accepted.
    users: Vec<String>,
    bytes: usize,
    fate: Fate,
    /// The dot was given to the kernel, or will be.
    dotted: bool,
}

/// One connection.
pub struct Talk {
    input: Vec<u8>,
    awaited: VecDeque<Awaited>,
    message: Option<Message>,
    /// Commands that are said one at a time.
    later: VecDeque<(String, Awaited)>,
    starttls: bool,
    /// It was allowed to begin TLS.
    pub begins_tls: bool,
    /// The handshake is under way.
    shaking: bool,
    /// What is to be sent.
    pub output: Vec<u8>,
    /// What became of messages.
    pub handed: Vec<Handed>,
    /// It is to be closed once the output was sent.
    pub breaks_off: bool,
    /// It is not to be read for a while.
    pub turns_deaf: bool,
    /// The server said its last word.
    pub ended: bool,
    /// What is wrong.
    pub faults: Vec<String>,
}

impl Default for Talk {
    fn default() -> Self {
        Self {
            input: Vec::new(),
            awaited: [Awaited::Greeting].into(),
            message: None,
            later: VecDeque::new(),
            starttls: false,
            begins_tls: false,
            shaking: false,
            output: Vec::new(),
            handed: Vec::new(),
            breaks_off: false,
            turns_deaf: false,
            ended: false,
            faults: Vec::new(),
        }
    }
}

impl Talk {
    /// The same, which begins TLS before it delivers anything.
    pub fn with_starttls(self, starttls: bool) -> Self {
        Self { starttls, ..self }
    }

    /// The handshake is over: who is there is told anew.
    pub fn secured(&mut self) {
        self.shaking = false;
        self.later
            .push_back(("LHLO here\r\n".into(), Awaited::Lhlo));
        self.say_next();
    }

    /// Whether nothing is awaited or to be said.
    pub fn is_idle(&self) -> bool {
        !self.shaking
            && self.awaited.is_empty()
            && self.message.is_none()
            && !self.ended
            && !self.breaks_off
    }

    /// Begins a message, with all commands at once or one after the other.
    pub fn begin(
        &mut self,
        subject: String,
        users: Vec<String>,
        bytes: usize,
        fate: Fate,
        pipelined: bool,
    ) {
        self.message = Some(Message {
            subject,
            users: vec![],
            bytes,
            fate,
            dotted: false,
        });
        let mail = ("MAIL FROM:<a@example.org>\r\n".to_owned(), Awaited::Mail);
        let rcpt = |user: String| (format!("RCPT TO:<{user}>\r\n"), Awaited::Rcpt(user));
        self.later.push_back(mail);
        self.later.extend(users.into_iter().map(rcpt));
        self.later.push_back(("DATA\r\n".to_owned(), Awaited::Data));
        if pipelined {
            while self.say_next() {}
        } else {
            self.say_next();
        }
    }

    fn say_next(&mut self) -> bool {
        let Some((line, awaited)) = self.later.pop_front() else {
            return false;
        };
        self.output.extend_from_slice(line.as_bytes());
        self.awaited.push_back(awaited);
        true
    }

    /// Something came.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if line.as_bytes().get(3) != Some(&b'-') && !self.ended && !self.breaks_off {
                self.handle_answer(&line);
            }
        }
    }

    fn handle_answer(&mut self, line: &str) {
        if line.starts_with("421 ") {
            self.ended = true;
            return;
        }
        let Some(awaited) = self.awaited.pop_front() else {
            return self.faults.push(format!("{line:?} answers nothing"));
        };
        let code = &line[..line.len().min(3)];
        match (awaited, code) {
            (Awaited::Greeting, "220") => {
                self.later
                    .push_back(("LHLO here\r\n".into(), Awaited::Lhlo));
            }
            (Awaited::Lhlo, "250") if std::mem::take(&mut self.starttls) => {
                let command = ("STARTTLS\r\n".into(), Awaited::StartTls);
                self.later.push_back(command);
            }
            (Awaited::StartTls, "220") => (self.begins_tls, self.shaking) = (true, true),
            (Awaited::Lhlo | Awaited::Mail | Awaited::Reset, "250") => {}
            (Awaited::Rcpt(user), "250") => {
                self.message
                    .iter_mut()
                    .for_each(|it| it.users.push(user.clone()));
            }
            (Awaited::Rcpt(user), "550") if user == "nobody" => {}
            (Awaited::Rcpt(_), "451") => {}
            (Awaited::Data, "354") => self.send_text(),
            (Awaited::Data, _) => self.forget(),
            (Awaited::Text(user), _) => self.answered(user, code == "250"),
            (Awaited::Quit, "221") => self.ended = true,
            (awaited, _) => self.faults.push(format!("{line:?} answers {awaited:?}")),
        }
        if self.awaited.is_empty() {
            self.say_next();
        }
    }

    /// Nobody was accepted.
    fn forget(&mut self) {
        self.later.push_back(("RSET\r\n".into(), Awaited::Reset));
        if let Some(message) = self.message.take()
            && !message.users.is_empty()
        {
            let users = message.users;
            self.faults.push(format!("DATA was refused for {users:?}"));
        }
    }

    fn send_text(&mut self) {
        let Some(message) = &mut self.message else {
            return;
        };
        let text = format!("Subject: {}\r\n\r\n", message.subject);
        self.output.extend_from_slice(text.as_bytes());
        let line = b"..and so on and on and on and on\r\n";
        for _ in 0..message.bytes / line.len() {
            self.output.extend_from_slice(line);
        }
        if message.fate == Fate::BeforeTheDot {
            self.breaks_off = true;
            return;
        }
        message.dotted = true;
        self.output.extend_from_slice(b"the end\r\n.\r\n");
        let texts = message.users.iter().cloned().map(Awaited::Text);
        self.awaited.extend(texts);
        match message.fate {
            Fate::BehindTheDot => self.breaks_off = true,
            Fate::Deaf => self.turns_deaf = true,
            _ => {}
        }
    }

    fn answered(&mut self, user: String, accepted: bool) {
        let Some(message) = &mut self.message else {
            return;
        };
        let verdict = match accepted {
            true => Verdict::Accepted,
            false => Verdict::Refused,
        };
        self.handed.push(Handed {
            subject: message.subject.clone(),
            user,
            verdict,
        });
        message.users.remove(0);
        let fate = message.fate;
        if fate == Fate::AtAnAnswer {
            self.breaks_off = true;
        } else if self.awaited.is_empty() {
            self.message = None;
            if fate == Fate::Quits {
                self.later.push_back(("QUIT\r\n".into(), Awaited::Quit));
            }
        }
    }

    /// The connection is gone.
    pub fn handle_end(&mut self) {
        let Some(message) = self.message.take() else {
            return;
        };
        let verdict = match message.dotted {
            true => Verdict::Unknown,
            false => Verdict::Refused,
        };
        let each = message.users.into_iter().map(|user| Handed {
            subject: message.subject.clone(),
            user,
            verdict,
        });
        self.handed.extend(each);
    }
}
