//! Messages that are old, or large, go: by their UIDs, a slice at a time, as a client's would.

use mail::{MailboxName, SystemFlag, Uid};
use serde_json::json;
use store::frozen::FrozenMessage;
use store::put::{Expiring, Put};

use super::super::{Failed, Tool, note_act};
use super::Keeper;
use super::asked::Expire;

/// Messages that are looked at in one piece, and that go by one request.
const SLICE: usize = 1024;

impl Keeper {
    /// Removes messages of a mailbox to which all of it applies, or only counts them.
    pub(super) fn expire(&self, expire: &Expire, tool: &mut Tool) -> Result<u64, Failed> {
        let frozen = self.store.freeze()?;
        let user = frozen.user(&expire.account)?;
        let mailbox = frozen.mailbox(expire.mailbox)?;
        let (Some(user), Some(mailbox)) = (user, mailbox) else {
            return Err(Failed("the mailbox is gone".into()));
        };
        let name = MailboxName::new(&expire.name);
        let (mut next, mut count, mut bytes, mut by_date) = (Uid(1), 0, 0, 0);
        loop {
            let some = frozen.messages(expire.mailbox, next, SLICE)?;
            let Some(last) = some.last() else {
                break;
            };
            next = Uid(last.uid.0.saturating_add(1));
            let due: Vec<&FrozenMessage> = some.iter().filter(|it| applies(expire, it)).collect();
            if !expire.is_trial && !due.is_empty() {
                self.put(Put::Expire(Box::new(Expiring {
                    mailbox: expire.mailbox,
                    user,
                    name: name.clone(),
                    uids: due.iter().map(|it| it.uid).collect(),
                    unchanged_since: mailbox.modseq,
                })))?;
            }
            count += due.len() as u64;
            bytes += due.iter().map(|it| it.size).sum::<u64>();
            by_date += due.iter().filter(|it| it.saved_s == 0).count();
        }
        if count > 0 && !expire.is_trial {
            note_act("expire", &expire.account, Some(&expire.name), tool.uid);
        }
        tool.say(&json!({ "count": count, "messagebytes": bytes, "bydate": by_date }))?;
        Ok(count)
    }
}

/// Whether a message is to go.
fn applies(expire: &Expire, message: &FrozenMessage) -> bool {
    let came_s = match message.saved_s {
        // It came by a version that did not note when.
        0 => message.date.unix_s,
        saved_s => i64::try_from(saved_s).unwrap_or(i64::MAX),
    };
    let has = |word: &str| {
        let system = SystemFlag::ALL
            .into_iter()
            .find(|it| it.name().eq_ignore_ascii_case(word));
        match system {
            Some(flag) => message.flags.has(flag),
            None => message.flags.has_keyword(word),
        }
    };
    expire.before_s.is_none_or(|before| came_s < before)
        && expire.larger.is_none_or(|larger| message.size > larger)
        && expire.flag.as_ref().is_none_or(|word| has(word))
        && (expire.takes_flagged || !message.flags.has(SystemFlag::Flagged))
}

#[cfg(test)]
mod tests {
    use mail::{Flags, InternalDate, MailboxId};

    use super::*;

    #[test]
    fn rules_apply_to_messages() {
        let expire = Expire {
            account: "fred".into(),
            name: "A".into(),
            mailbox: MailboxId(1),
            before_s: Some(1000),
            larger: None,
            flag: None,
            takes_flagged: false,
            is_trial: false,
        };
        let message = |unix_s, saved_s, bits| FrozenMessage {
            date: InternalDate {
                unix_s,
                zone_min: 0,
            },
            saved_s,
            flags: Flags::new(bits, ["$Junk".into()]),
            size: 50,
            ..FrozenMessage::default()
        };
        assert!(applies(&expire, &message(999, 0, 0)));
        assert!(!applies(&expire, &message(1000, 0, 0)));
        // What was moved or imported lately is not old.
        assert!(!applies(&expire, &message(1, 2000, 0)));
        assert!(applies(&expire, &message(2000, 1, 0)));
        assert!(!applies(&expire, &message(1, 0, SystemFlag::Flagged as u8)));
        let larger = Expire {
            larger: Some(50),
            ..expire.clone()
        };
        assert!(!applies(&larger, &message(1, 0, 0)));
        for (word, does) in [("\\seen", true), ("$junk", true), ("\\Draft", false)] {
            let flag = Some(word.to_owned());
            let rule = Expire {
                flag,
                takes_flagged: true,
                ..expire.clone()
            };
            assert_eq!(applies(&rule, &message(1, 0, 8 | 2)), does, "{word}");
        }
    }
}
