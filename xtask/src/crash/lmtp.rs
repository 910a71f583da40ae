//! A minimal LMTP client (RFC 2033): one connection, transactions one after the other.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, bail};

/// How long the server may take for a reply.
const REPLY_WITHIN: Duration = Duration::from_secs(30);

/// A connection after LHLO.
pub struct Lmtp {
    stream: BufReader<TcpStream>,
}

/// How a transaction ended for one recipient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// 250 after the data: the message is the server's now.
    Accepted,
    /// Any other reply: the message is still ours.
    Refused,
    /// The connection broke between the end of the data and the reply.
    InDoubt,
}

impl Lmtp {
    /// Connects and says LHLO.
    pub fn connect(server: SocketAddr) -> Result<Lmtp> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_WITHIN))?;
        let mut lmtp = Lmtp {
            stream: BufReader::new(stream),
        };
        lmtp.expect("220")?;
        lmtp.send("LHLO localhost\r\n")?;
        lmtp.expect("250")?;
        Ok(lmtp)
    }

    /// One transaction. `Ok` tells each recipient's outcome; an error means that the connection
    /// broke before the data went out, so nobody got anything.
    pub fn deliver(&mut self, users: &[&str], message: &str) -> Result<Vec<Outcome>> {
        let mut envelope = "MAIL FROM:<burst@ensign.test>\r\n".to_owned();
        for user in users {
            envelope.push_str(&format!("RCPT TO:<{user}@ensign.test>\r\n"));
        }
        envelope.push_str("DATA\r\n");
        self.send(&envelope)?;
        self.expect("250")?;
        for _ in users {
            self.expect("250")?;
        }
        self.expect("354")?;
        let mut outcomes = Vec::with_capacity(users.len());
        if self.send(message).is_err() || self.send(".\r\n").is_err() {
            outcomes.resize(users.len(), Outcome::InDoubt);
            return Ok(outcomes);
        }
        for _ in users {
            outcomes.push(match self.reply() {
                Ok(reply) if reply.starts_with("250") => Outcome::Accepted,
                Ok(_) => Outcome::Refused,
                Err(_) => Outcome::InDoubt,
            });
        }
        Ok(outcomes)
    }

    fn send(&mut self, text: &str) -> Result<()> {
        Ok(self.stream.get_mut().write_all(text.as_bytes())?)
    }

    fn expect(&mut self, code: &str) -> Result<()> {
        let reply = self.reply()?;
        if !reply.starts_with(code) {
            bail!("expected {code}, the server said {reply}");
        }
        Ok(())
    }

    /// The last line of the next reply (RFC 5321 §4.2.1).
    fn reply(&mut self) -> Result<String> {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            if !line.ends_with('\n') {
                bail!("the connection was closed");
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line.trim_end().to_owned());
            }
        }
    }
}
