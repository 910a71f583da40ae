use mail::ObjectId;

use super::*;

#[test]
fn rows_go_both_ways() {
    let message = MessageRow {
        modseq: ModSeq(9),
        created: ModSeq(3),
        system: 8,
        keywords: vec![0, 2],
        date: InternalDate {
            unix_s: -5,
            zone_min: -420,
        },
        size: 77,
        body: 4,
        saved_s: 5,
        submitter: Some("ann@example.org".into()),
    };
    assert_eq!(
        MessageRow::decode(&message.encode()).expect("valid"),
        message
    );
    let mailbox = Mailbox {
        user: UserId(1),
        keywords: vec!["a".into(), "b".into()],
        staging: Some((Uid(5), Uid(9))),
        batches: vec![Batch {
            first: Uid(1),
            end: Uid(3),
            modseq: ModSeq(7),
        }],
        horizon: ModSeq(4),
        keywords_at: ModSeq(5),
        acl_at: ModSeq(6),
        key_reset: Some((ModSeq(7), UserId(8))),
        deleted: 1,
        deleted_bytes: Some(77),
        ..Mailbox::default()
    };
    for deleted in [0, 1] {
        let mailbox = Mailbox {
            deleted,
            deleted_bytes: (deleted > 0).then_some(77),
            ..mailbox.clone()
        };
        for object in [None, Some(ObjectId(5 << 40))] {
            for key_reset in [None, mailbox.key_reset] {
                let mailbox = Mailbox {
                    object,
                    key_reset,
                    ..mailbox.clone()
                };
                assert_eq!(Mailbox::decode(&mailbox.encode()).expect("valid"), mailbox);
            }
        }
    }
    let kept = Kept {
        message,
        keywords: vec!["a".into(), "b".into()],
        gone: ModSeq(12),
        cost: 99,
    };
    assert_eq!(Kept::decode(&kept.encode()).expect("valid"), kept);
    let name = Name {
        exists: true,
        mailbox: Some(MailboxId(5)),
        subscribed: true,
        special_use: Some(SpecialUse::Sent),
    };
    assert_eq!(Name::decode(&name.encode()).expect("valid"), name);
}

#[test]
fn damaged_rows_are_errors() {
    let row = MessageRow::default().encode();
    for len in 0..row.len() {
        assert!(MessageRow::decode(&row[..len]).is_err());
    }
    assert!(MessageRow::decode(&[9; 60]).is_err());
}
