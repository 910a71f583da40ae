//! What plug-ins are told of an event: its type and its parameters (reference chapter 3.4).
#![expect(clippy::disallowed_methods, reason = "events carry the time of day")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use admin::Config;
use bytes::Bytes;
use mail::request::StoreMode;
use mail::{MailboxName, SystemFlag, Uid};
use store::Quota;
use store::notification::{Counts, How, MessageChange};

use super::headers::MessageStart;
use super::names::MailboxLocation;

/// Flags in the order of `oldflags` and `newflags`, a letter each (reference chapter 7).
const FLAG_LETTERS: [(SystemFlag, char); 5] = [
    (SystemFlag::Answered, 'A'),
    (SystemFlag::Flagged, 'F'),
    (SystemFlag::Deleted, 'D'),
    (SystemFlag::Seen, 'S'),
    (SystemFlag::Draft, 'R'),
];

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlugInEvent {
    /// Its type.
    pub kind: &'static str,
    /// Where.
    pub location: MailboxLocation,
    /// Parameters, in order.
    pub params: Vec<(&'static str, String)>,
    /// Of a new message.
    pub header: Bytes,
    /// Of a new message.
    pub body: Bytes,
}

/// Describes events of this process.
pub struct Describer {
    hostname: String,
    pid: String,
    /// Whether changes of flags are told one by one: `local.store.notifyplugin.msgflags`.
    flags: bool,
    /// Whose mail was refused lately.
    over: BTreeSet<Arc<str>>,
}

impl Describer {
    /// For events from this host.
    pub fn new(config: &Config) -> Self {
        Self {
            hostname: config.hostname(),
            pid: std::process::id().to_string(),
            flags: config.switch("local.store.notifyplugin.msgflags"),
            over: BTreeSet::new(),
        }
    }

    fn event(&self, kind: &'static str, location: &MailboxLocation) -> PlugInEvent {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let params = vec![
            ("timestamp", now.unwrap_or_default().as_millis().to_string()),
            ("hostname", self.hostname.clone()),
            ("process", "imapd".into()),
            ("pid", self.pid.clone()),
            ("mailboxName", location.name.to_string()),
        ];
        PlugInEvent {
            kind,
            location: location.clone(),
            params,
            header: Bytes::new(),
            body: Bytes::new(),
        }
    }

    /// Somebody came or left.
    pub fn attendance(&self, kind: &'static str, user: &Arc<str>, client: IpAddr) -> PlugInEvent {
        let mut event = self.event(kind, &inbox(user));
        event
            .params
            .push(("client", client.to_canonical().to_string()));
        event.params.push(("userid", user.to_string()));
        event
    }

    /// A mailbox was made, deleted, or has another name.
    pub fn mailbox(
        &self,
        kind: &'static str,
        user: &Arc<str>,
        name: &MailboxName,
        before: Option<&MailboxName>,
    ) -> PlugInEvent {
        let mut event = self.event(kind, &MailboxLocation::new(user, name));
        if let Some(before) = before {
            let before = MailboxLocation::new(user, before);
            event
                .params
                .push(("oldMailboxName", before.name.to_string()));
        }
        event.params.push(("userid", user.to_string()));
        event
    }

    /// Mail was refused, or there is room again for one to whom it was.
    pub fn usage(
        &mut self,
        user: &Arc<str>,
        refused: bool,
        used: Quota,
        quota: Quota,
    ) -> Vec<PlugInEvent> {
        let fits = |used: u64, most: u64| most == 0 || used < most;
        let kind = if refused {
            self.over.insert(user.clone());
            "OverQuota"
        } else if fits(used.bytes, quota.bytes)
            && fits(used.messages, quota.messages)
            && self.over.remove(user)
        {
            "UnderQuota"
        } else {
            return vec![];
        };
        let mut event = self.event(kind, &inbox(user));
        let most = |limit: u64, unit: u64| match limit {
            0 => "-1".to_owned(),
            limit => (limit / unit).to_string(),
        };
        event.params.extend([
            ("numMsgs", used.messages.to_string()),
            ("userid", user.to_string()),
            ("diskquota", most(quota.bytes, 1024)),
            ("diskquotaused", used.bytes.div_ceil(1024).to_string()),
            ("msgquota", most(quota.messages, 1)),
            ("quotaRoot", user.to_string()),
        ]);
        vec![event]
    }

    /// A change of flags in full, for those who follow each.
    fn flags(
        &self,
        user: &Arc<str>,
        location: &MailboxLocation,
        message: [(&'static str, String); 2],
        (old, new, mode): (u8, u8, StoreMode),
        head: Option<MessageStart>,
    ) -> Vec<PlugInEvent> {
        let flags = || [("oldflags", letters(old)), ("newflags", letters(new))];
        let mut all = vec![];
        if self.flags && old != new {
            let mut event = self.event("MsgFlags", location);
            event.params.extend(message.clone());
            let length = head.map(|head| ("hdrLen", head.header_length.to_string()));
            event.params.extend(length);
            event.params.extend(flags());
            all.push(event);
        }
        let mut event = self.event("ChangeFlag", location);
        event.params.extend(message);
        event.params.push(("value", mode_number(mode).to_string()));
        event.params.extend(flags());
        event.params.push(("userid", user.to_string()));
        all.push(event);
        all
    }

    /// Something happened to a message. One change may be several events: a replaced set of flags
    /// may mark it both read and deleted.
    pub fn message(
        &self,
        user: &Arc<str>,
        location: &MailboxLocation,
        uid: Uid,
        change: &MessageChange,
        counts: &Counts,
        head: Option<MessageStart>,
    ) -> Vec<PlugInEvent> {
        let validity = || ("uidValidity", counts.uid_validity.0.to_string());
        let messages = || ("numMsgs", counts.messages.to_string());
        let imap_uid = || ("imapUid", uid.0.to_string());
        let figures = || {
            [
                validity(),
                ("numSeen", counts.seen.to_string()),
                ("numDel", counts.deleted.to_string()),
                ("numSeenDeleted", counts.seen_deleted.to_string()),
                messages(),
                ("userid", user.to_string()),
                // Who acted is not known here: what others do is told as the owner's.
                ("owner", "1".into()),
            ]
        };
        match change {
            MessageChange::Came { how, size, .. } => {
                let kind = match how {
                    How::Delivered => "NewMsg",
                    How::Appended => "UpdateMsg",
                    How::Copied => "Copy",
                };
                // It is gone already, or nobody wants to know.
                let Some(head) = head else { return vec![] };
                let mut event = self.event(kind, location);
                event.params.extend([
                    messages(),
                    validity(),
                    imap_uid(),
                    ("size", size.to_string()),
                    ("hdrLen", head.header_length.to_string()),
                ]);
                (event.header, event.body) = (head.header, head.body);
                vec![event]
            }
            MessageChange::Flags { old, new, mode } => {
                let newly = |flag: SystemFlag| old & flag as u8 == 0 && new & flag as u8 != 0;
                let mut all = vec![];
                for (flag, kind) in [
                    (SystemFlag::Seen, "ReadMsg"),
                    (SystemFlag::Deleted, "TrashMsg"),
                ] {
                    if newly(flag) {
                        let mut event = self.event(kind, location);
                        event.params.extend(figures());
                        all.push(event);
                    }
                }
                let message = [validity(), imap_uid()];
                let change = (*old, *new, *mode);
                all.extend(self.flags(user, location, message, change, head));
                all
            }
            // A message moved away is gone from here as if it had been expunged (RFC 6851 §3.3).
            MessageChange::Expunged | MessageChange::Moved => {
                let mut event = self.event("DeleteMsg", location);
                event.params.extend([
                    messages(),
                    validity(),
                    imap_uid(),
                    ("lastUid", counts.last_uid.0.to_string()),
                ]);
                vec![event]
            }
        }
    }
}

fn inbox(user: &Arc<str>) -> MailboxLocation {
    MailboxLocation {
        name: user.clone(),
        inbox: true,
    }
}

/// Five characters, a letter or a blank each.
fn letters(bits: u8) -> String {
    let letter = |(flag, letter)| {
        if bits & flag as u8 != 0 { letter } else { ' ' }
    };
    FLAG_LETTERS.map(letter).iter().collect()
}

/// The numbers of ChangeFlag (reference chapter 7).
fn mode_number(mode: StoreMode) -> u8 {
    match mode {
        StoreMode::Add => 1,
        StoreMode::Remove => 2,
        StoreMode::Replace | StoreMode::ReplaceSome(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use mail::UidValidity;

    use super::*;

    fn describer() -> Describer {
        Describer {
            hostname: "eman".into(),
            pid: "476".into(),
            flags: true,
            over: BTreeSet::new(),
        }
    }

    fn counts() -> Counts {
        Counts {
            messages: 16,
            seen: 11,
            deleted: 9,
            seen_deleted: 4,
            uid_validity: UidValidity(1_046_993_605),
            last_uid: Uid(62),
        }
    }

    /// Without the time.
    fn text(event: &PlugInEvent) -> String {
        let params = event.params.iter().skip(1);
        let params = params.map(|(name, value)| format!("&{name}={value}"));
        format!("{}{}", event.kind, params.collect::<String>())
    }

    fn message(change: &MessageChange, head: Option<MessageStart>) -> Vec<String> {
        let user: Arc<str> = "testuser".into();
        let event = describer().message(&user, &inbox(&user), Uid(62), change, &counts(), head);
        event.iter().map(text).collect()
    }

    #[test]
    fn parameters_are_those_of_the_references_examples() {
        let start = "&hostname=eman&process=imapd&pid=476&mailboxName=testuser";
        let came = MessageChange::Came {
            how: How::Delivered,
            size: 877,
            header: Some(814),
        };
        let head = MessageStart {
            header_length: 814,
            ..MessageStart::default()
        };
        let end = "&numMsgs=16&uidValidity=1046993605&imapUid=62&size=877&hdrLen=814";
        assert_eq!(message(&came, Some(head)), [format!("NewMsg{start}{end}")]);
        assert!(message(&came, None).is_empty());
        let end = "&numMsgs=16&uidValidity=1046993605&imapUid=62&lastUid=62";
        let expunged = message(&MessageChange::Expunged, None);
        assert_eq!(expunged, [format!("DeleteMsg{start}{end}")]);
    }

    #[test]
    fn one_change_of_flags_may_be_several_events() {
        let change = MessageChange::Flags {
            old: SystemFlag::Flagged as u8,
            new: SystemFlag::Seen as u8 | SystemFlag::Deleted as u8,
            mode: StoreMode::Replace,
        };
        let event = message(&change, None);
        let kinds: Vec<&str> = event
            .iter()
            .filter_map(|text| text.split('&').next())
            .collect();
        assert_eq!(kinds, ["ReadMsg", "TrashMsg", "MsgFlags", "ChangeFlag"]);
        assert!(event[0].contains("&numSeen=11&numDel=9&numSeenDeleted=4&numMsgs=16"));
        assert!(
            event[2].ends_with("&oldflags= F   &newflags=  DS "),
            "{event:?}"
        );
        assert!(event[3].contains("&value=3&"));
    }

    #[test]
    fn room_again_is_only_told_to_who_was_refused() {
        let mut describer = describer();
        let user: Arc<str> = "mary".into();
        let quota = Quota {
            bytes: 2048,
            messages: 0,
        };
        let used = |bytes| Quota { bytes, messages: 3 };
        assert!(describer.usage(&user, false, used(10), quota).is_empty());
        let over = describer.usage(&user, true, used(2000), quota);
        let end = "&diskquota=2&diskquotaused=2&msgquota=-1&quotaRoot=mary";
        assert!(text(&over[0]).ends_with(end), "{over:?}");
        assert!(describer.usage(&user, false, used(2048), quota).is_empty());
        assert_eq!(
            describer.usage(&user, false, used(9), quota)[0].kind,
            "UnderQuota"
        );
        assert!(describer.usage(&user, false, used(9), quota).is_empty());
    }
}
