//! The header lines that the last server adds (RFC 5321 §4.4).

use std::fmt::Write;

/// What the machine can't know by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The server's id for the message: letters, digits, `-` and `.`.
    pub id: Box<str>,
    /// Now, as RFC 5322 §3.3 writes it.
    pub date: Box<str>,
}

/// What a `Received` line tells.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// The sender without angle brackets.
    pub return_path: &'a str,
    /// What the client called itself.
    pub client: &'a str,
    /// Its address, if it has one.
    pub peer: Option<&'a str>,
    /// This server.
    pub hostname: &'a str,
    /// The recipient, if there is only one: others must not learn of each other.
    pub recipient: Option<&'a str>,
    /// SMTPUTF8 was used (RFC 6531 §4.3).
    pub utf8: bool,
    /// It came over TLS (RFC 3848).
    pub secure: bool,
    /// Id and time.
    pub stamp: &'a Stamp,
}

impl Trace<'_> {
    /// `Return-Path` and `Received`, line ends included.
    pub fn header(&self) -> String {
        let mut text = String::with_capacity(256);
        let Self {
            return_path,
            client,
            hostname,
            stamp,
            ..
        } = self;
        let kind = match (self.utf8, self.secure) {
            (false, false) => "LMTP",
            (false, true) => "LMTPS",
            (true, false) => "UTF8LMTP",
            (true, true) => "UTF8LMTPS",
        };
        let _ = write!(
            text,
            "Return-Path: <{return_path}>\r\nReceived: from {client}"
        );
        if let Some(peer) = self.peer {
            let _ = write!(text, " ([{peer}])");
        }
        let _ = write!(text, "\r\n\tby {hostname} with {kind} id {}", stamp.id);
        if let Some(recipient) = self.recipient {
            let _ = write!(text, "\r\n\tfor <{recipient}>");
        }
        let _ = write!(text, ";\r\n\t{}\r\n", stamp.date);
        text
    }
}
