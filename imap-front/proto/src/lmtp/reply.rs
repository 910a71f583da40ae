//! What is said to the client: reply codes (RFC 5321 §4.2) with enhanced codes (RFC 2034).

use mail::Refusal;

use super::OverQuota;
use super::command::CommandError;

/// A reply of one line, without its end.
pub type Line = &'static str;

/// To commands that go well, or come at the wrong time.
pub const OK: Line = "250 2.0.0 OK";
/// To MAIL.
pub const SENDER_OK: Line = "250 2.1.0 Sender OK";
/// To RCPT.
pub const RECIPIENT_OK: Line = "250 2.1.5 Recipient OK";
/// To DATA.
pub const GO_AHEAD: Line = "354 End the message with <CRLF>.<CRLF>";
/// To QUIT.
pub const BYE: Line = "221 2.0.0 Bye";
/// To STARTTLS.
pub const START_TLS: Line = "220 2.0.0 Begin the TLS handshake now";
/// What follows STARTTLS came from anybody.
pub const BEHIND_START_TLS: Line =
    "421 4.7.0 Nothing may follow STARTTLS before the handshake, closing";
/// To a browser.
pub const NO_WEB_SERVER: Line = "421 4.7.0 This is LMTP, and no web server, closing";
/// To VRFY.
pub const WILL_TRY: Line = "252 2.5.0 Send some mail, I'll try to deliver it";
/// A command before LHLO.
pub const LHLO_FIRST: Line = "503 5.5.1 Say LHLO first";
/// MAIL within a transaction.
pub const NESTED_MAIL: Line = "503 5.5.1 A transaction is under way; finish it or say RSET";
/// RCPT or DATA outside one.
pub const MAIL_FIRST: Line = "503 5.5.1 Say MAIL first";
/// DATA without a recipient (RFC 2033 §4.2).
pub const NO_RECIPIENTS: Line = "503 5.5.1 No valid recipients";
/// More recipients than are taken.
pub const TOO_MANY_RECIPIENTS: Line = "452 4.5.3 Too many recipients; send the rest separately";
/// A line longer than is read.
pub const LINE_TOO_LONG: Line = "500 5.5.2 The line is too long";
/// A message longer than is taken (RFC 1870 §6).
pub const TOO_BIG: Line = "552 5.3.4 The message is too big";
/// RCPT for nobody.
pub const UNKNOWN_USER: Line = "550 5.1.1 No such user here";
/// RCPT for another place.
pub const NOT_HERE: Line = "550 5.1.2 That domain's mail is not delivered here";
/// The store or the user directory can't be reached.
pub const UNAVAILABLE: Line = "451 4.3.0 Not available now, try again later";
/// No room on the disk.
pub const DISK_FULL: Line = "452 4.3.1 The disk is full, try again later";
/// Something about the mailbox.
pub const MAILBOX_TROUBLE: Line = "451 4.2.0 The mailbox can't take mail now, try again later";
/// The client said nothing for too long.
pub const TIMED_OUT: Line = "421 4.4.2 Nothing heard for too long, closing";
/// From MAIL to the message's end it took too long.
pub const OVERDUE: Line = "421 4.4.2 The transaction takes too long, closing";
/// Too much waits already of what clients have sent.
pub const NO_MEMORY: Line = "421 4.3.1 No memory for what you sent, try again later";
/// The server stops.
pub const STOPPING: Line = "421 4.3.2 The server stops, come back later";
/// The client makes no sense.
pub const TOO_MANY_ERRORS: Line = "421 4.7.0 Too many errors, closing";

/// To a command that is refused.
pub fn refused(error: CommandError) -> String {
    match error {
        CommandError::Unknown => "500 5.5.1 No such command".into(),
        CommandError::NotOffered => "502 5.5.1 That command is not offered".into(),
        CommandError::NotLhlo => "500 5.5.1 This is LMTP: say LHLO".into(),
        CommandError::Syntax(reason) => format!("501 5.5.2 Syntax: {reason}"),
        CommandError::Parameter(reason) => format!("501 5.5.4 Parameter: {reason}"),
        CommandError::UnknownParameter => "555 5.5.4 That parameter is not known".into(),
        CommandError::NotAscii => "553 5.6.7 Say SMTPUTF8 with MAIL for such an address".into(),
    }
}

/// To a user without room.
pub fn over_quota(policy: OverQuota) -> Line {
    match policy {
        OverQuota::Permanent => "552 5.2.2 The mailbox is full",
        OverQuota::Temporary => "452 4.2.2 The mailbox is full, try again later",
    }
}

/// To one recipient whose delivery did not go well.
pub fn undelivered(refusal: &Refusal, policy: OverQuota) -> Line {
    match refusal {
        Refusal::OverQuota => over_quota(policy),
        Refusal::TooBig(_) => TOO_BIG,
        Refusal::DiskFull => DISK_FULL,
        Refusal::Unavailable(_) | Refusal::Busy(_) | Refusal::Bug => UNAVAILABLE,
        _ => MAILBOX_TROUBLE,
    }
}
