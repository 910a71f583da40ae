//! IMAP4rev1 (RFC 3501) and its extensions.
//!
//! In reading order: [`lexer`], [`ast`], [`parse`] (bytes to commands), [`encode`], [`mod@render`],
//! [`mutf7`] (values to bytes), [`language`] (texts for people), `receive` (a stream to commands),
//! `scram` and `bearer` (messages of SASL), `output` (answers in pieces), `view` (the client's
//! numbering), [`capabilities`], [`session`] (the machine), [`action`] (what it asks of its host),
//! `parked` (a session at rest), `idle` (what an idling client is sent), `notify` (what one
//! that has asked by NOTIFY is), `forwarded` (whom a client
//! speaks for), `url` (messages that URLs name), `counts` (how commands ended).

pub mod action;
pub mod ast;
pub mod capabilities;
pub mod config;
pub mod encode;
pub mod language;
pub mod lexer;
pub mod mutf7;
pub mod name_form;
pub mod parse;
pub mod render;
pub mod session;
pub mod url;
pub mod url_auth;

mod append_part;
mod bearer;
mod capability_lines;
mod counts;
mod fetch_item;
mod forwarded;
mod handover;
mod idle;
mod notify;
mod output;
mod parked;
mod receive;
mod scram;
mod search_return;
mod search_source;
mod view;

pub use capability_lines::CapabilityLines;
pub use config::{Channel, Compression, MessageLimit, SessionConfig, TokenHints, Urls};
pub use counts::{CommandCounts, CommandName, Outcome};
pub use forwarded::Forwarded;
pub use idle::{Announce, RenderKey, announce, claim, render, render_many};
pub use notify::{Further, Spec, announce_further, concerns, render_further};
pub use parked::Parked;
pub use session::{Ending, STREAM_ENDS, Session};
