//! Records go both ways.

use super::*;

fn records() -> Vec<Record> {
    let flags = Flags::new(9, ["$Work".into(), "x".into()]);
    let mailbox = MailboxRecord {
        id: 7,
        uid_validity: UidValidity(3),
        uid_next: Uid(9),
        modseq: ModSeq(12),
        recent_from: Uid(2),
        messages: 1,
        bytes: 5,
        keywords: vec!["$Work".into(), "x".into()],
        acl_at: ModSeq(4),
        acl: vec![
            AclRecord {
                account: None,
                negative: true,
                rights: Rights::READ,
            },
            AclRecord {
                account: Some("bob#k3".into()),
                negative: false,
                rights: Rights::ALL,
            },
        ],
        content: Content::Since,
        object: 0,
    };
    vec![
        Record::Header(Header {
            id: 1,
            adds_to: 2,
            store: u128::MAX,
            commit: 3,
            since: 4,
            made_s: 5,
            scope: Scope::Mailbox("ann".into(), "A/B".into()),
            program: "1.0".into(),
        }),
        Record::User(UserRecord {
            number: 5,
            account: "ann".into(),
        }),
        Record::Name(NameRecord {
            name: "INBOX".into(),
            exists: true,
            subscribed: true,
            special_use: Some(SpecialUse::Trash),
            mailbox: Some(mailbox),
        }),
        Record::Gone(vec![(Uid(1), Uid(4)), (Uid(6), Uid(6))]),
        Record::Flags(FlagsRecord {
            uid: Uid(5),
            modseq: ModSeq(11),
            flags: flags.clone(),
        }),
        Record::Message(MessageRecord {
            uid: Uid(8),
            modseq: ModSeq(12),
            created: ModSeq(10),
            flags,
            date: InternalDate {
                unix_s: -1,
                zone_min: -90,
            },
            saved_s: 77,
            submitter: Some("ann@x".into()),
            size: 5,
            first: Bytes::from_static(b"abc"),
            body: 0,
        }),
        Record::Piece(Bytes::from_static(b"de")),
        Record::Body(77),
        Record::Object(78),
        Record::Limits(LimitsRecord {
            limits: [Some(0), None, Some(9)],
            instead_of: [4, 5],
        }),
        Record::Entry(EntryRecord {
            account: Some("ann".into()),
            name: "/private/comment".into(),
            value: Bytes::from_static(b"a\0b"),
        }),
        Record::End(Totals {
            users: 1,
            ..Totals::default()
        }),
    ]
}

#[test]
fn records_go_both_ways() {
    for record in records() {
        let bytes = Bytes::from(record.encode());
        assert_eq!(Record::decode(record.kind(), bytes), Ok(record));
    }
}

#[test]
fn what_is_cut_off_is_refused() {
    for record in records() {
        let bytes = Bytes::from(record.encode());
        for len in 0..bytes.len() {
            let found = Record::decode(record.kind(), bytes.slice(..len));
            // Bytes of a message may be any.
            let is_piece = matches!(record, Record::Piece(_));
            assert!(is_piece || found.is_err(), "{record:?} at {len}");
        }
    }
    assert!(Record::decode(40, Bytes::new()).is_err());
    assert_eq!(Record::decode(200, Bytes::new()), Ok(Record::Unknown(200)));
}
