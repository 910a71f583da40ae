//! iBiff: which events are published, under which names, with which payload.

use ens::event_ref::{EVENT_REF_BYTES_MAX, ReferenceBuilder, with_mailbox};
use ens::frame::PAYLOAD_BYTES_MAX;

/// An event as a server tells it.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// `NewMsg`, `UpdateMsg`, `Copy`, `ReadMsg`, ….
    pub kind: &'a str,
    /// `user`, `user/Folder`.
    pub mailbox: &'a str,
    /// Whether it is an INBOX, or no mailbox is concerned.
    pub inbox: bool,
    /// Parameters, in order.
    pub params: &'a [(&'a str, &'a str)],
    /// The header of a new message, as far as it is there.
    pub header: &'a [u8],
    /// Its body.
    pub body: &'a [u8],
}

/// What of an event is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The event reference.
    pub event_ref: String,
    /// The payload.
    pub payload: Vec<u8>,
}

/// An instance of the plug-in.
#[derive(Clone, Debug)]
pub struct Biff {
    key: String,
    noneinbox: bool,
    header_max: usize,
    body_max: usize,
    rfc5423: bool,
    disabled: Vec<&'static str>,
    copies: bool,
    expunges: bool,
}

/// Types of events and the options that enable them, before `.enable` (reference chapter 4.1).
const ENABLES: [(&str, &str); 16] = [
    ("NewMsg", "newmsg"),
    ("UpdateMsg", "updatemsg"),
    ("ReadMsg", "readmsg"),
    ("TrashMsg", "trashmsg"),
    ("DeleteMsg", "deletemsg"),
    ("PurgeMsg", "purgemsg"),
    ("MsgFlags", "msgflags"),
    ("ChangeFlag", "changeflag"),
    ("Login", "loguser"),
    ("Logout", "loguser"),
    ("OverQuota", "overquota"),
    ("UnderQuota", "underquota"),
    ("ExpungeMsg", "expungemsg"),
    ("CreateMailbox", "createmailbox"),
    ("DeleteMailbox", "deletemailbox"),
    ("RenameMailbox", "renamemailbox"),
];

/// The names of RFC 5423 §4 for ours.
const RFC5423: [(&str, &str); 15] = [
    ("NewMsg", "MessageNew"),
    ("UpdateMsg", "MessageAppend"),
    ("Copy", "MessageAppend"),
    ("PurgeMsg", "MessageExpire"),
    ("DeleteMsg", "MessageExpunge"),
    ("ExpungeMsg", "MessageExpunge"),
    ("ReadMsg", "MessageRead"),
    ("TrashMsg", "MessageTrash"),
    ("OverQuota", "QuotaExceed"),
    ("UnderQuota", "QuotaWithin"),
    ("CreateMailbox", "MailboxCreate"),
    ("DeleteMailbox", "MailboxDelete"),
    ("RenameMailbox", "MailboxRename"),
    ("Login", "Login"),
    ("Logout", "Logout"),
];

fn is_on(value: Option<String>, default: bool) -> bool {
    match value.as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("1" | "yes" | "true" | "on") => true,
        Some("0" | "no" | "false" | "off") => false,
        _ => default,
    }
}

impl Biff {
    /// An instance with the options that `option` gives: `enseventkey`, `noneinbox.enable`, ….
    ///
    /// # Errors
    /// What is wrong with an option.
    pub fn new(option: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let size = |name: &str| match option(name).filter(|value| !value.is_empty()) {
            None => Ok(0),
            Some(value) => value
                .parse()
                .map_err(|_| format!("{name} can't be {value:?}")),
        };
        let on = |name: &str, default| is_on(option(&format!("{name}.enable")), default);
        let by_default = |name: &str| {
            !matches!(
                name,
                "msgflags"
                    | "changeflag"
                    | "expungemsg"
                    | "createmailbox"
                    | "deletemailbox"
                    | "renamemailbox"
            )
        };
        let key = option("enseventkey").filter(|key| !key.is_empty());
        let disabled = ENABLES
            .iter()
            .filter(|(_, name)| !on(name, by_default(name)));
        Ok(Self {
            key: key.unwrap_or_else(|| "enp://127.0.0.1/store".into()),
            noneinbox: on("noneinbox", false),
            header_max: size("maxheadersize")?,
            body_max: size("maxbodysize")?,
            rfc5423: option("vocabulary").is_some_and(|it| it.eq_ignore_ascii_case("rfc5423")),
            disabled: disabled.map(|(kind, _)| *kind).collect(),
            copies: on("copymsg", false),
            expunges: on("expungemsg", false),
        })
    }

    /// What an event is called here; none if it is not enabled.
    pub fn enabled<'a>(&self, event: &Event<'a>) -> Option<&'a str> {
        if !event.inbox && !self.noneinbox {
            return None;
        }
        let kind = match event.kind {
            "Copy" if !self.copies => "UpdateMsg",
            // From release 8.1 on DeleteMsg means flagged, and ExpungeMsg that it is gone.
            "TrashMsg" if self.expunges => "DeleteMsg",
            "DeleteMsg" if self.expunges => "ExpungeMsg",
            kind => kind,
        };
        (!self.disabled.contains(&kind)).then_some(kind)
    }

    /// What is published of an event; none if it is not enabled.
    pub fn publish(&self, event: &Event<'_>) -> Option<Published> {
        let kind = self.enabled(event)?;
        let name = if self.rfc5423 {
            standard(kind, event.params)
        } else {
            kind
        };
        let event_ref = self.reference(name, event);
        let mut payload = Vec::new();
        if matches!(event.kind, "NewMsg" | "UpdateMsg" | "Copy") {
            // As much as the options say, the header first, and no more than fits into an event.
            let header = event
                .header
                .len()
                .min(self.header_max)
                .min(PAYLOAD_BYTES_MAX);
            payload.extend_from_slice(&event.header[..header]);
            let body = event.body.len().min(self.body_max);
            payload.extend_from_slice(&event.body[..body.min(PAYLOAD_BYTES_MAX - header)]);
        }
        Some(Published { event_ref, payload })
    }
}

/// Bytes that a parameter takes at least, in a reference that is too long.
const SHORT_BYTES: usize = 16;

/// What stands behind a value that was cut.
const CUT: &str = "...";

impl Biff {
    /// The event's reference. If it is too long, its longest parameters are cut, and end in dots
    /// then; the key is not, as it would be another's.
    fn reference(&self, name: &str, event: &Event<'_>) -> String {
        let mut room = usize::MAX;
        loop {
            let mut builder = ReferenceBuilder::new(&with_mailbox(&self.key, event.mailbox));
            builder.param("evtType", name);
            let mut longest = 0;
            for (name, value) in event.params {
                let shown = ens::event_ref::escaped_start(value, room);
                longest = longest.max(ens::event_ref::escaped_length(shown));
                if shown.len() < value.len() {
                    builder.param(name, format_args!("{shown}{CUT}"));
                } else {
                    builder.param(name, shown);
                }
            }
            let reference = builder.finish();
            if reference.len() <= EVENT_REF_BYTES_MAX || longest <= SHORT_BYTES {
                return reference;
            }
            room = longest / 2;
        }
    }
}

fn standard<'a>(kind: &'a str, params: &[(&str, &str)]) -> &'a str {
    if matches!(kind, "MsgFlags" | "ChangeFlag") {
        let value = |name: &str| {
            params
                .iter()
                .find(|(have, _)| *have == name)
                .map(|(_, it)| *it)
        };
        let count = |text: &str| text.bytes().filter(|b| *b != b' ').count();
        let (old, new) = (
            value("oldflags").unwrap_or(""),
            value("newflags").unwrap_or(""),
        );
        return if count(new) >= count(old) {
            "FlagsSet"
        } else {
            "FlagsClear"
        };
    }
    RFC5423
        .iter()
        .find(|(ours, _)| *ours == kind)
        .map_or(kind, |(_, theirs)| theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn biff(options: &[(&str, &str)]) -> Biff {
        let find = |name: &str| {
            let found = options.iter().find(|(have, _)| *have == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Biff::new(find).expect("good options")
    }

    const NEW: Event<'static> = Event {
        kind: "NewMsg",
        mailbox: "testuser",
        inbox: true,
        params: &[("mailboxName", "testuser"), ("numMsgs", "16")],
        header: b"Subject: x\r\n\r\n",
        body: b"Hello",
    };

    #[test]
    fn defaults_are_the_guides() {
        let published = biff(&[]).publish(&NEW).expect("enabled");
        let expected = "enp://127.0.0.1/store?evtType=NewMsg&mailboxName=testuser&numMsgs=16";
        assert_eq!(published.event_ref, expected);
        assert!(published.payload.is_empty());
        let folder = Event {
            mailbox: "testuser/Sent",
            inbox: false,
            ..NEW
        };
        assert_eq!(biff(&[]).publish(&folder), None);
        assert_eq!(biff(&[("newmsg.enable", "0")]).publish(&NEW), None);
        let flags = Event {
            kind: "MsgFlags",
            ..NEW
        };
        assert_eq!(biff(&[]).publish(&flags), None);
    }

    #[test]
    fn keys_payloads_and_vocabularies() {
        let options = [
            ("enseventkey", "enp://127.0.0.1/store/%M"),
            ("noneinbox.enable", "1"),
            ("maxheadersize", "7"),
            ("maxbodysize", "99"),
            ("vocabulary", "rfc5423"),
        ];
        let folder = Event {
            mailbox: "testuser/R&D",
            inbox: false,
            ..NEW
        };
        let published = biff(&options).publish(&folder).expect("enabled");
        let start = "enp://127.0.0.1/store/testuser/R%26D?evtType=MessageNew&";
        assert!(published.event_ref.starts_with(start), "{published:?}");
        assert_eq!(published.payload, b"SubjectHello");
    }

    #[test]
    fn what_is_too_long_is_cut_so_that_it_can_be_published() {
        let (options, large) = (
            [("maxheadersize", "2000000"), ("maxbodysize", "2000000")],
            vec![b'x'; 900_000],
        );
        let event = Event {
            header: &large,
            body: &large,
            ..NEW
        };
        let published = biff(&options).publish(&event).expect("enabled");
        assert_eq!(published.payload.len(), PAYLOAD_BYTES_MAX);
        let (to, from) = ("\u{6d88}".repeat(341), "\u{606f}".repeat(341));
        let params = [
            ("mailboxName", to.as_str()),
            ("oldMailboxName", from.as_str()),
            ("userid", "mary"),
        ];
        let event = Event {
            kind: "RenameMailbox",
            mailbox: &to,
            params: &params,
            ..NEW
        };
        let options = [
            ("enseventkey", "enp://127.0.0.1/store/%M"),
            ("renamemailbox.enable", "1"),
        ];
        let published = biff(&options).publish(&event).expect("enabled");
        assert!(published.event_ref.len() <= EVENT_REF_BYTES_MAX);
        let event = ens::event_ref::EventRef::parse(&published.event_ref).expect("well written");
        assert_eq!(event.key(), format!("enp://127.0.0.1/store/{to}"));
        assert_eq!(event.param("userid").as_deref(), Some("mary"));
        let old = event.param("oldMailboxName").expect("cut, not left out");
        assert!(old.ends_with("\u{606f}..."), "{old}");
    }

    #[test]
    fn later_releases_names_stand_behind_their_switches() {
        let kind = |options, kind| {
            let published = biff(options).publish(&Event { kind, ..NEW })?;
            let rest = published.event_ref.split_once("evtType=")?.1.to_owned();
            rest.split_once('&').map(|(kind, _)| kind.to_owned())
        };
        assert_eq!(kind(&[], "Copy").as_deref(), Some("UpdateMsg"));
        assert_eq!(
            kind(&[("copymsg.enable", "1")], "Copy").as_deref(),
            Some("Copy")
        );
        assert_eq!(kind(&[], "TrashMsg").as_deref(), Some("TrashMsg"));
        let later = [("expungemsg.enable", "1")];
        assert_eq!(kind(&later, "TrashMsg").as_deref(), Some("DeleteMsg"));
        assert_eq!(kind(&later, "DeleteMsg").as_deref(), Some("ExpungeMsg"));
        assert_eq!(kind(&[], "CreateMailbox"), None);
    }

    #[test]
    fn bad_options_are_said() {
        let bad = Biff::new(|name| (name == "maxbodysize").then(|| "many".into()));
        assert!(bad.expect_err("many is no number").contains("maxbodysize"));
    }
}
