//! Which record may follow which.

use mail::{ModSeq, Uid};

use super::checks;
use super::record::{Content, PIECE_BYTES_MAX, Record};

/// How far a backup was read, as far as that says what may follow.
#[derive(Clone, Debug, Default)]
pub struct Order {
    has_begun: bool,
    /// The user whose turn it is: number and account.
    user: Option<(u64, String)>,
    name: Option<String>,
    /// The mailbox whose turn it is.
    mailbox: Option<Within>,
    /// Bytes of the last message that are still to come.
    missing: u64,
}

/// How far a mailbox was read.
#[derive(Clone, Copy, Debug, Default)]
struct Within {
    content: Content,
    uid_next: Uid,
    modseq: ModSeq,
    /// The last UID that is said to be gone.
    gone: Uid,
    /// The last flags that changed.
    changed: (ModSeq, Uid),
    /// The UID of the last message.
    last: Uid,
}

impl Order {
    /// The account and the name whose turn it is.
    pub fn place(&self) -> (Option<String>, Option<String>) {
        let account = self.user.as_ref().map(|(_, account)| account.clone());
        (account, self.name.clone())
    }

    /// The next record.
    ///
    /// # Errors
    /// Why it can't follow.
    pub fn follow(&mut self, record: &Record) -> Result<(), &'static str> {
        if !self.has_begun {
            self.has_begun = true;
            return match record {
                Record::Header(_) => Ok(()),
                _ => Err("it does not begin with what it is"),
            };
        }
        if !matches!(record, Record::Piece(_)) && self.missing > 0 {
            return Err("a message is shorter than it says that it is");
        }
        match record {
            Record::Header(_) => return Err("it begins twice"),
            Record::User(user) => {
                let ascends = |(last, _): &(u64, String)| *last < user.number;
                if !self.user.as_ref().is_none_or(ascends) {
                    return Err("users are not in their order");
                }
                checks::user(user)?;
                self.user = Some((user.number, user.account.clone()));
                (self.name, self.mailbox) = (None, None);
            }
            Record::Name(name) => {
                if self.user.is_none() {
                    return Err("a name is nobody's");
                }
                checks::name(name)?;
                self.name = Some(name.name.clone());
                self.mailbox = name.mailbox.as_ref().map(|mailbox| Within {
                    content: mailbox.content,
                    uid_next: mailbox.uid_next,
                    modseq: mailbox.modseq,
                    ..Within::default()
                });
            }
            Record::Message(message) => {
                let within = self.mailbox.as_mut().ok_or("a message is in no mailbox")?;
                checks::message(message)?;
                within.message(message.uid, message.modseq)?;
                let first = message.first.len();
                if first > PIECE_BYTES_MAX {
                    return Err("a piece of a message is longer than any may be");
                }
                let missing = message.size.checked_sub(first as u64);
                self.missing = missing.ok_or("a message is longer than it says that it is")?;
            }
            Record::Piece(bytes) => {
                if bytes.is_empty() || bytes.len() > PIECE_BYTES_MAX {
                    return Err("a piece of a message has a length that none may have");
                }
                let missing = self.missing.checked_sub(bytes.len() as u64);
                self.missing = missing.ok_or("a message is longer than it says that it is")?;
            }
            Record::Flags(changed) => {
                checks::flags(&changed.flags, changed.modseq)?;
                self.since()?.flags(changed.uid, changed.modseq)?;
            }
            Record::Gone(ranges) => {
                let within = self.since()?;
                within.gone = checks::ranges(ranges, within.gone)?;
            }
            Record::Limits(_) => {
                if self.user.is_none() || self.name.is_some() {
                    return Err("limits are nobody's");
                }
            }
            Record::Entry(entry) => {
                checks::entry(entry)?;
                if self.name.is_some() && !self.mailbox.is_some_and(Within::is_at_its_begin) {
                    return Err("metadata is of nothing");
                }
            }
            Record::Object(_) => {
                if !self.mailbox.is_some_and(Within::is_at_its_begin) {
                    return Err("an identifier is of no mailbox");
                }
            }
            Record::Body(_) => {
                if self.mailbox.is_none() {
                    return Err("a message is in no mailbox");
                }
            }
            Record::End(_) | Record::Unknown(_) => {}
        }
        Ok(())
    }
}

impl Order {
    /// The mailbox of which is told what happened since the backup before.
    fn since(&mut self) -> Result<&mut Within, &'static str> {
        let within = self.mailbox.as_mut();
        let since = within.filter(|within| within.content == Content::Since);
        since.ok_or("there is nothing before of which it says what happened")
    }
}

impl Within {
    fn is_at_its_begin(self) -> bool {
        self.gone == Uid(0) && self.changed.1 == Uid(0) && self.last == Uid(0)
    }

    fn check(&self, uid: Uid, modseq: ModSeq) -> Result<(), &'static str> {
        if uid == Uid(0) || uid >= self.uid_next {
            return Err("a message has a UID that the mailbox has not given");
        }
        match modseq > self.modseq {
            true => Err("a message has a mod-sequence that the mailbox has not given"),
            false => Ok(()),
        }
    }

    fn message(&mut self, uid: Uid, modseq: ModSeq) -> Result<(), &'static str> {
        self.check(uid, modseq)?;
        if uid <= self.last {
            return Err("messages are not in the order of their UIDs");
        }
        self.last = uid;
        Ok(())
    }

    /// What changed is told by mod-sequence, and before messages that came.
    fn flags(&mut self, uid: Uid, modseq: ModSeq) -> Result<(), &'static str> {
        self.check(uid, modseq)?;
        if (modseq, uid) <= self.changed || self.last != Uid(0) {
            return Err("flags that changed are not in their order");
        }
        self.changed = (modseq, uid);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mail::{Flags, InternalDate, UidValidity};

    use super::super::record::{
        FlagsRecord, Header, MailboxRecord, MessageRecord, NameRecord, UserRecord,
    };
    use super::*;

    fn mailbox() -> MailboxRecord {
        MailboxRecord {
            id: 1,
            uid_validity: UidValidity(1),
            uid_next: Uid(10),
            modseq: ModSeq(20),
            content: Content::Since,
            ..MailboxRecord::default()
        }
    }

    fn message(uid: u32) -> MessageRecord {
        MessageRecord {
            uid: Uid(uid),
            modseq: ModSeq(5),
            created: ModSeq(4),
            ..MessageRecord::default()
        }
    }

    fn changed(uid: u32, modseq: u64) -> Record {
        Record::Flags(FlagsRecord {
            uid: Uid(uid),
            modseq: ModSeq(modseq),
            ..FlagsRecord::default()
        })
    }

    /// Whether records may follow each other in a mailbox.
    fn follow(mailbox: MailboxRecord, records: Vec<Record>) -> Result<(), &'static str> {
        let mut order = Order::default();
        order.follow(&Record::Header(Header::default()))?;
        let account = "ann".into();
        order.follow(&Record::User(UserRecord { number: 1, account }))?;
        order.follow(&Record::Name(NameRecord {
            name: "A".into(),
            mailbox: Some(mailbox),
            ..NameRecord::default()
        }))?;
        records.iter().try_for_each(|record| order.follow(record))
    }

    #[test]
    fn what_a_mailbox_can_hold_may_follow() {
        let gone = |ranges: &[(u32, u32)]| {
            let ranges = ranges.iter().map(|(first, last)| (Uid(*first), Uid(*last)));
            Record::Gone(ranges.collect())
        };
        let all = vec![
            gone(&[(1, 2), (4, 4)]),
            gone(&[(6, 6)]),
            changed(5, 7),
            changed(3, 20),
            Record::Message(message(8)),
            Record::Message(message(9)),
        ];
        assert_eq!(follow(mailbox(), all), Ok(()));
        for wrong in [
            vec![Record::Message(message(10))],
            vec![Record::Message(message(0))],
            vec![Record::Message(message(8)), Record::Message(message(8))],
            vec![changed(3, 21)],
            vec![changed(3, 7), changed(3, 7)],
            vec![changed(10, 7)],
            vec![Record::Message(message(8)), changed(3, 7)],
            vec![gone(&[(2, 1)])],
            vec![gone(&[(0, 1)])],
            vec![gone(&[(1, 3), (3, 4)])],
            vec![gone(&[(4, 4)]), gone(&[(4, 4)])],
        ] {
            assert!(follow(mailbox(), wrong.clone()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_no_store_can_hold_is_refused() {
        let spoilt: [fn(&mut MessageRecord); 8] = [
            |it| it.modseq = ModSeq(u64::MAX),
            |it| it.created = ModSeq(6),
            |it| it.size = u64::MAX,
            |it| it.flags = Flags::new(0, ["a b".into()]),
            |it| it.flags = Flags::new(0, (0..300).map(|it| format!("k{it}").into())),
            |it| it.date.unix_s = i64::MIN,
            |it| {
                it.date = InternalDate {
                    unix_s: 0,
                    zone_min: 1440,
                }
            },
            |it| it.submitter = Some("a\r\nb".into()),
        ];
        for (number, spoil) in spoilt.into_iter().enumerate() {
            let mut message = message(8);
            spoil(&mut message);
            let found = follow(mailbox(), vec![Record::Message(message)]);
            assert!(found.is_err(), "{number}");
        }
        let spoilt: [fn(&mut MailboxRecord); 6] = [
            |it| it.modseq = ModSeq(u64::MAX),
            |it| it.acl_at = ModSeq(21),
            |it| it.uid_validity = UidValidity(0),
            |it| it.uid_next = Uid(0),
            |it| it.keywords = vec!["\\Seen".into()],
            |it| it.keywords = (0..300).map(|it| format!("k{it}").into()).collect(),
        ];
        for (number, spoil) in spoilt.into_iter().enumerate() {
            let mut mailbox = mailbox();
            spoil(&mut mailbox);
            assert!(follow(mailbox, vec![]).is_err(), "{number}");
        }
    }
}
