//! What sessions of one server have in common.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mail::Namespaces;

use super::capability_lines::CapabilityLines;
use super::counts::CommandCounts;

/// Limits and texts; shared by all sessions.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The greeting's text after the capabilities:
    /// `host IMAP4 service (product version (built day))`.
    pub banner: String,
    /// Product name for ID (RFC 2971).
    pub product: String,
    /// Product version for ID.
    pub version: String,
    /// Whether the greeting lists what the guide's does and no more, and the two words of it that
    /// mean nothing are announced.
    pub guide_greeting: bool,
    /// Whether sessions may idle.
    pub idle: bool,
    /// Whether IDLE is among the capabilities; it may be possible and yet not be announced for a
    /// while, and sessions that run then learn of it.
    pub idle_announced: Arc<AtomicBool>,
    /// Whether SCRAM-SHA-256 is offered to those who may log in; it comes and goes with what is
    /// known of the users.
    pub scram: Arc<AtomicBool>,
    /// Whether deliverers may say who submitted a message.
    pub submitters: bool,
    /// Pages of the provider, told by XSERVERINFO and NETSCAPE.
    pub urls: Urls,
    /// Whether connections may be compressed.
    pub compresses: bool,
    /// Whether a connection may be used for one user after the other (RFC 8437).
    pub unauthenticates: bool,
    /// What is told of bearer tokens, by which clients may log in then; none if they may not.
    pub tokens: Option<TokenHints>,
    /// Whether a non-synchronizing literal may have 4,096 bytes at most (LITERAL-, RFC 7888 §5)
    /// instead of what the command may have (LITERAL+).
    pub literal_minus: bool,
    /// Longest command line with its literals, in bytes.
    pub command_bytes_max: usize,
    /// Longest command line with its literals before login, longest line of a SASL exchange, and
    /// all that is kept of what a client sends before login, in bytes.
    pub login_bytes_max: usize,
    /// Largest message that APPEND takes, in bytes.
    pub append_bytes_max: u64,
    /// Where others' mailboxes lie among a user's names.
    pub namespaces: Namespaces,
    /// How many messages one command may work on, if that is limited.
    pub message_limit: Option<MessageLimit>,
    /// Failed logins before the session is closed.
    pub login_failures_max: u8,
    /// Commands that a client may give before it has logged in; 0 is no limit.
    pub prelogin_commands_max: u32,
    /// Mailboxes that a session may watch by NOTIFY beside the selected one.
    pub notify_mailboxes_max: usize,
    /// How many sessions do: the store looks at it.
    pub watchers: Arc<AtomicUsize>,
    /// How commands ended.
    pub commands: Arc<CommandCounts>,
    /// Lines that are the same for many sessions.
    pub lines: CapabilityLines,
}

/// How many messages one command may work on (RFC 9738).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageLimit {
    /// Whatever it does, but for EXPUNGE and CLOSE.
    All(NonZeroU32),
    /// If it copies or appends them.
    Saves(NonZeroU32),
}

/// URLs of pages on which users manage what is theirs; empty ones are none.
#[derive(Clone, Debug, Default)]
pub struct Urls {
    /// Their account.
    pub account: String,
    /// Their mailing lists.
    pub lists: String,
    /// Their filters.
    pub filters: String,
}

impl Urls {
    /// Whether there is one.
    pub(super) fn are_set(&self) -> bool {
        let all = [&self.account, &self.lists, &self.filters];
        all.iter().any(|url| !url.is_empty())
    }
}

/// What a client is told whose token is not taken (RFC 7628 §3.2.2). Both may be empty.
#[derive(Clone, Debug, Default)]
pub struct TokenHints {
    /// Scopes that a token needs, with blanks between them.
    pub scope: String,
    /// Where the issuer describes itself: the URL of its OpenID configuration.
    pub configuration: String,
}

/// Whether a connection is compressed (RFC 4978), as its host says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// It is not, and may be.
    #[default]
    Possible,
    /// It is not, and there is no memory for it at the moment.
    Full,
    /// It is.
    Active,
}

/// What a TLS handshake has shown, of which logins make use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// What the connection is known by to both ends and nobody else (`tls-exporter`, RFC 9266).
    pub binding: Option<[u8; 32]>,
    /// The name in the certificate that the client has shown.
    pub name: Option<Box<str>>,
    /// Why there is none, if there should be one.
    pub name_fault: Option<&'static str>,
}

/// What a connection offers to who has not logged in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    /// Passwords and the like may come over it.
    pub cleartext: bool,
    /// TLS may be begun.
    pub starttls: bool,
    /// SCRAM can be bound to its channel.
    pub binding: bool,
    /// Its client has shown a certificate with a name.
    pub external: bool,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            banner: "localhost IMAP4 service (Ensign)".into(),
            product: "Ensign".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            guide_greeting: false,
            idle: true,
            idle_announced: Arc::new(AtomicBool::new(true)),
            scram: Arc::default(),
            submitters: false,
            urls: Urls::default(),
            compresses: true,
            unauthenticates: true,
            tokens: None,
            literal_minus: false,
            command_bytes_max: 64 << 10,
            login_bytes_max: 8 << 10,
            append_bytes_max: 50 << 20,
            namespaces: Namespaces::default(),
            message_limit: None,
            login_failures_max: 3,
            prelogin_commands_max: 0,
            notify_mailboxes_max: 1000,
            watchers: Arc::default(),
            commands: Arc::default(),
            lines: CapabilityLines::default(),
        }
    }
}

/// Bytes of a non-synchronizing literal at most, with LITERAL- (RFC 7888 §5).
const SHORT_LITERAL_BYTES: u64 = 4096;

impl SessionConfig {
    /// Bytes of a non-synchronizing literal at most, for its own sake.
    pub(super) fn non_sync_bytes_max(&self) -> u64 {
        match self.literal_minus {
            true => SHORT_LITERAL_BYTES,
            false => u64::MAX,
        }
    }

    pub(super) fn offers_scram(&self) -> bool {
        self.scram.load(Ordering::Relaxed)
    }
}
