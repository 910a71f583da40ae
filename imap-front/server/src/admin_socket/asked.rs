//! What tools ask.

use serde_json::Value;

use super::Failed;
use super::keeping::Question;
use crate::handover::Hello;
use crate::lines::SessionName;

/// A question, by its `ask`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// `counters`: every counter, with its help.
    Counters,
    /// `upgrade`: all connections, and then frames instead of lines (`ens::handover`).
    Upgrade(Hello),
    /// `sessions`, `kick`: who is connected; those to whom all of `who` applies.
    Sessions { who: Meant, kick: bool },
    /// `mailboxes`: a user's, whose names the pattern of LIST matches.
    Mailboxes { user: String, pattern: String },
    /// `create`: a mailbox.
    Create { user: String, mailbox: String },
    /// `delete`: a mailbox.
    Delete { user: String, mailbox: String },
    /// `rename`: a mailbox, and those below it.
    Rename {
        user: String,
        from: String,
        to: String,
    },
    /// `empty`: all mailboxes of a user go, and all messages of the INBOX.
    Empty { user: String },
    /// `deliver`: a message, of which so many bytes follow the line.
    Deliver {
        user: String,
        mailbox: String,
        size: u64,
    },
    /// What backups, restores and imports ask.
    Keep(Question),
}

/// Which sessions are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meant {
    pub user: Option<String>,
    /// An address, or `local` for this host.
    pub address: Option<String>,
    pub session: Option<SessionName>,
}

impl Asked {
    /// Reads a question.
    pub fn read(line: &str) -> Result<Self, Failed> {
        let value: Value = serde_json::from_str(line)?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let must = |name: &str| text(name).ok_or_else(|| Failed(format!("{name:?} is missing")));
        let ask = must("ask")?;
        Ok(match ask.as_str() {
            "counters" => Self::Counters,
            "upgrade" => {
                let hello = Hello::read(&value);
                Self::Upgrade(hello.ok_or_else(|| Failed("something is missing".into()))?)
            }
            "sessions" | "kick" => {
                let session = text("session").map(|name| {
                    let unknown = |()| Failed(format!("{name:?} is no session's name"));
                    name.parse::<SessionName>().map_err(unknown)
                });
                let who = Meant {
                    user: text("user"),
                    address: text("address"),
                    session: session.transpose()?,
                };
                let kick = ask == "kick";
                if kick && who == Meant::default() {
                    return Err(Failed("whom to kick is missing".into()));
                }
                Self::Sessions { who, kick }
            }
            "mailboxes" => Self::Mailboxes {
                user: must("user")?,
                pattern: text("pattern").unwrap_or_else(|| "*".into()),
            },
            "create" => Self::Create {
                user: must("user")?,
                mailbox: must("mailbox")?,
            },
            "delete" => Self::Delete {
                user: must("user")?,
                mailbox: must("mailbox")?,
            },
            "rename" => Self::Rename {
                user: must("user")?,
                from: must("from")?,
                to: must("to")?,
            },
            "empty" => Self::Empty {
                user: must("user")?,
            },
            "deliver" => {
                let size = value.get("size").and_then(Value::as_u64);
                Self::Deliver {
                    user: must("user")?,
                    mailbox: text("mailbox").unwrap_or_else(|| "INBOX".into()),
                    size: size.ok_or_else(|| Failed("\"size\" is missing".into()))?,
                }
            }
            _ => match Question::read(&ask, &value)? {
                Some(question) => Self::Keep(question),
                None => return Err(Failed(format!("this server knows no {ask:?}"))),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_whole_or_refused() {
        let read = |line: &str| Asked::read(line).map_err(|Failed(why)| why);
        let who = Meant {
            user: Some("fred".into()),
            ..Meant::default()
        };
        let kick = read(r#"{"ask": "kick", "user": "fred", "more": 1}"#);
        assert_eq!(kick, Ok(Asked::Sessions { who, kick: true }));
        for (line, why) in [
            (r#"{"ask": "kick"}"#, "whom to kick is missing"),
            (
                r#"{"ask": "sessions", "session": "x"}"#,
                "\"x\" is no session's name",
            ),
            (
                r#"{"ask": "delete", "user": "fred"}"#,
                "\"mailbox\" is missing",
            ),
            (
                r#"{"ask": "deliver", "user": "fred", "size": -1}"#,
                "\"size\" is missing",
            ),
            (r#"{"ask": "x"}"#, "this server knows no \"x\""),
            (r#"{}"#, "\"ask\" is missing"),
        ] {
            assert_eq!(read(line), Err(why.into()));
        }
        assert!(read("x").is_err());
    }
}
