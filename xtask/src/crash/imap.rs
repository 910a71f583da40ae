//! A minimal IMAP client (RFC 3501, RFC 7162): reads a mailbox's whole state, flags, expunges.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::ledger::{Message, Snapshot};

/// How long the server may take for a reply.
const REPLY_WITHIN: Duration = Duration::from_secs(30);

/// A session that is logged in.
pub struct Imap {
    stream: BufReader<TcpStream>,
    tags: u32,
}

/// One untagged response: its text with literals taken out, and the literals.
struct Response {
    text: String,
    literals: Vec<String>,
}

impl Imap {
    /// Connects and logs in.
    pub fn login(server: SocketAddr, user: &str, password: &str) -> Result<Imap> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_WITHIN))?;
        let mut imap = Imap {
            stream: BufReader::new(stream),
            tags: 0,
        };
        let greeting = imap.response()?;
        if !greeting.text.starts_with("* OK") {
            bail!("the server greets with {}", greeting.text);
        }
        imap.command(&format!("LOGIN {user} {password}"))?;
        Ok(imap)
    }

    /// Selects INBOX and reads the state of everything in it.
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        let selected = self.command("SELECT INBOX (CONDSTORE)")?;
        let code = |name: &str| {
            let code = selected
                .iter()
                .find_map(|line| number(&line.text, &format!("[{name} ")));
            code.with_context(|| format!("SELECT tells no {name}"))
        };
        let mut snapshot = Snapshot {
            uid_validity: code("UIDVALIDITY")?,
            uid_next: code("UIDNEXT")?,
            highest_modseq: code("HIGHESTMODSEQ")?,
            messages: Vec::new(),
        };
        let items = "(UID FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (SUBJECT)])";
        for line in self.command(&format!("UID FETCH 1:* {items}"))? {
            let Some(subject) = line.literals.first() else {
                continue;
            };
            snapshot.messages.push(Message {
                uid: number(&line.text, "UID ").context("FETCH tells no UID")?,
                modseq: number(&line.text, "MODSEQ (").context("FETCH tells no MODSEQ")?,
                flagged: line.text.contains("\\Flagged"),
                id: subject.trim().trim_start_matches("Subject: ").to_owned(),
            });
        }
        Ok(snapshot)
    }

    /// The whole text of messages of the selected mailbox, each with its UID.
    pub fn bodies(&mut self, uids: &[u64]) -> Result<Vec<(u64, String)>> {
        if uids.is_empty() {
            return Ok(Vec::new());
        }
        let set: Vec<String> = uids.iter().map(u64::to_string).collect();
        let lines = self.command(&format!("UID FETCH {} (UID BODY.PEEK[])", set.join(",")))?;
        let mut bodies = Vec::new();
        for line in lines {
            if let Some(text) = line.literals.into_iter().next() {
                bodies.push((
                    number(&line.text, "UID ").context("FETCH tells no UID")?,
                    text,
                ));
            }
        }
        if bodies.len() != uids.len() {
            bail!("asked for {} messages, got {}", uids.len(), bodies.len());
        }
        Ok(bodies)
    }

    /// Sets `\Flagged` on a message.
    pub fn flag(&mut self, uid: u64) -> Result<()> {
        self.command(&format!("UID STORE {uid} +FLAGS (\\Flagged)"))
            .map(drop)
    }

    /// Removes a message for good.
    pub fn expunge(&mut self, uid: u64) -> Result<()> {
        self.command(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"))?;
        self.command(&format!("UID EXPUNGE {uid}")).map(drop)
    }

    /// Ends the session.
    pub fn logout(mut self) -> Result<()> {
        self.command("LOGOUT").map(drop)
    }

    /// Sends a command and returns the untagged responses; an error unless it is answered OK.
    fn command(&mut self, text: &str) -> Result<Vec<Response>> {
        self.tags += 1;
        let tag = format!("a{} ", self.tags);
        self.stream
            .get_mut()
            .write_all(format!("{tag}{text}\r\n").as_bytes())?;
        let mut untagged = Vec::new();
        loop {
            let response = self.response()?;
            match response.text.strip_prefix(&tag) {
                None => untagged.push(response),
                Some(end) if end.starts_with("OK") => return Ok(untagged),
                Some(end) => bail!("{text} was answered {end}"),
            }
        }
    }

    fn response(&mut self) -> Result<Response> {
        let mut response = Response {
            text: String::new(),
            literals: Vec::new(),
        };
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let Some(line) = line.strip_suffix("\r\n") else {
                bail!("the connection was closed");
            };
            response.text.push_str(line);
            let Some(length) = literal_length(line) else {
                return Ok(response);
            };
            let mut literal = vec![0; length];
            self.stream.read_exact(&mut literal)?;
            response.literals.push(String::from_utf8(literal)?);
        }
    }
}

/// The length in a literal's announcement at the end of a line (RFC 3501 §4.3).
fn literal_length(line: &str) -> Option<usize> {
    line.strip_suffix('}')?.rsplit_once('{')?.1.parse().ok()
}

/// The number that follows `name` in `text`.
fn number(text: &str, name: &str) -> Option<u64> {
    let digits = &text[text.find(name)? + name.len()..];
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{literal_length, number};

    #[test]
    fn numbers_and_literals_are_found() {
        let line = "* 3 FETCH (UID 17 MODSEQ (42) BODY[HEADER.FIELDS (SUBJECT)] {19}";
        assert_eq!(number(line, "UID "), Some(17));
        assert_eq!(number(line, "MODSEQ ("), Some(42));
        assert_eq!(literal_length(line), Some(19));
        assert_eq!(literal_length("* OK [UIDNEXT 4] next"), None);
        assert_eq!(number("* OK [UIDNEXT 4] next", "[UIDVALIDITY "), None);
    }
}
