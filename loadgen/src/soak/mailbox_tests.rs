use super::super::reading::Status;
use super::super::view::{ANSWERED, Known, SEEN};
use super::*;

const NOW: u64 = 1_000_000_000;

/// A mailbox with messages 1 to 3 as UIDs 11 to 13, listed once.
fn three() -> Mailbox {
    let mut mailbox = Mailbox::default();
    for id in 1..=3 {
        mailbox.adding(id);
        mailbox.add_sent(id, NOW);
        assert_eq!(mailbox.add_ended(id, End::Done, NOW), Some(NOW));
        mailbox.link(10 + id as u32, id, NOW).expect("it was sent");
    }
    let listing = [(11, 0), (12, 0), (13, 0)];
    mailbox.check_listing(&listing, NOW).expect("all is right");
    mailbox
}

fn kind(result: Result<(), Wrong>) -> Option<Kind> {
    result.err().map(|wrong| wrong.kind)
}

fn store(mailbox: &mut Mailbox, uid: u32, flag: u8, end: End) -> Result<(), Wrong> {
    mailbox.storing(uid, flag, true, NOW);
    mailbox.stored((uid, flag, true), end, NOW)
}

fn view(uids: &[u32]) -> Vec<Known> {
    let known = |uid: &u32| Known {
        uid: *uid,
        flags: Some(0),
    };
    uids.iter().map(known).collect()
}

#[test]
fn a_quiet_mailbox_agrees() {
    let mailbox = three();
    assert!(mailbox.is_certain() && mailbox.is_quiet(NOW));
    mailbox.check_view(&view(&[11, 12, 13])).expect("as listed");
    mailbox
        .check_search(&[11, 12, 13], 3, true)
        .expect("all are unseen");
    let status = Status {
        messages: Some(3),
        unseen: Some(3),
        ..Status::default()
    };
    mailbox.check_status(status).expect("as listed");
}

#[test]
fn a_lost_message_is_found() {
    let mut mailbox = three();
    let listing = [(11, 0), (13, 0)];
    assert_eq!(kind(mailbox.check_listing(&listing, NOW)), Some(Kind::Lost));
    let mut mailbox = three();
    mailbox.adding(4);
    mailbox.add_ended(4, End::Done, NOW);
    let listing = [(11, 0), (12, 0), (13, 0)];
    assert_eq!(
        kind(mailbox.check_view(&view(&[11, 12, 13]))),
        Some(Kind::Late)
    );
    assert_eq!(kind(mailbox.check_search(&[], 3, false)), Some(Kind::Lost));
    assert_eq!(kind(mailbox.check_listing(&listing, NOW)), Some(Kind::Lost));
}

#[test]
fn a_doubled_or_stray_message_is_found() {
    let mut mailbox = three();
    assert_eq!(kind(mailbox.link(14, 3, NOW)), Some(Kind::Doubled));
    assert_eq!(kind(mailbox.link(15, 99, NOW)), Some(Kind::Doubled));
    let listing = [(11, 0), (12, 0), (13, 0), (14, 0)];
    assert_eq!(
        kind(mailbox.check_listing(&listing, NOW)),
        Some(Kind::Doubled)
    );
}

#[test]
fn a_reused_uid_is_found() {
    let mut mailbox = three();
    mailbox.adding(4);
    assert_eq!(kind(mailbox.link(13, 4, NOW)), Some(Kind::Uid), "in use");
    assert_eq!(kind(mailbox.link(5, 4, NOW)), Some(Kind::Uid), "below all");
    store(&mut mailbox, 12, DELETED, End::Done).expect("it is there");
    let doomed = mailbox.expunging();
    mailbox.expunged(&doomed, End::Done, NOW);
    assert_eq!(kind(mailbox.link(12, 4, NOW)), Some(Kind::Uid), "gone");
    mailbox.link(14, 4, NOW).expect("a new one");
    assert_eq!(kind(mailbox.check_validity(7)), None);
    assert_eq!(kind(mailbox.check_validity(8)), Some(Kind::Uid));
}

#[test]
fn expunges_take_what_was_deleted_and_nothing_else() {
    let mut mailbox = three();
    store(&mut mailbox, 12, DELETED, End::Done).expect("it is there");
    let before = mailbox.seen_expunged(12, NOW);
    assert_eq!(kind(before), Some(Kind::Expunge), "nobody asked");
    let mut mailbox = three();
    store(&mut mailbox, 12, DELETED, End::Done).expect("it is there");
    let doomed = mailbox.expunging();
    assert_eq!(doomed, [12]);
    assert_eq!(kind(mailbox.seen_expunged(13, NOW)), Some(Kind::Expunge));
    assert_eq!(kind(mailbox.seen_expunged(12, NOW)), None);
    mailbox.expunged(&doomed, End::Done, NOW);
    assert_eq!(kind(mailbox.seen_expunged(12, NOW)), None, "told later");
    // What was read before the end may be heard after it, but not what was asked later.
    assert_eq!(kind(mailbox.link(12, 2, NOW)), None);
    assert_eq!(kind(mailbox.link(12, 2, NOW + 1)), Some(Kind::Doubled));
}

#[test]
fn what_is_under_way_may_be_seen_either_way() {
    let mut mailbox = three();
    let stamp = mailbox.stamp(NOW);
    mailbox.storing(11, SEEN, true, NOW);
    assert!(!mailbox.is_certain() && !mailbox.is_quiet(NOW));
    assert!(!mailbox.is_steady_since(stamp));
    mailbox
        .stored((11, SEEN, true), End::Done, NOW)
        .expect("it is there");
    assert!(mailbox.is_certain() && mailbox.is_quiet(NOW));
    assert!(!mailbox.is_steady_since(stamp), "it did change");
    let listing = [(11, 0), (12, 0), (13, 0)];
    assert_eq!(
        kind(mailbox.check_listing(&listing, NOW)),
        Some(Kind::Flags)
    );
}

#[test]
fn what_was_lost_is_settled_by_a_listing() {
    let mut mailbox = three();
    store(&mut mailbox, 11, ANSWERED, End::Lost).expect("nobody knows");
    mailbox.adding(4);
    mailbox.add_ended(4, End::Lost, NOW);
    store(&mut mailbox, 13, DELETED, End::Done).expect("it is there");
    let doomed = mailbox.expunging();
    mailbox.expunged(&doomed, End::Lost, NOW);
    assert!(!mailbox.is_quiet(NOW) && mailbox.is_quiet(NOW + LOST_NS));
    assert!(!mailbox.is_certain());
    let listing = [(11, ANSWERED), (12, 0)];
    mailbox
        .check_listing(&listing, NOW + LOST_NS)
        .expect("either way is right");
    assert!(mailbox.is_certain());
    assert_eq!((mailbox.count(), mailbox.unseen()), (2, 2));
}

#[test]
fn a_message_that_nobody_expunged_is_not_gone() {
    let mut mailbox = three();
    let result = store(&mut mailbox, 11, SEEN, End::Gone);
    assert_eq!(kind(result), Some(Kind::Lost));
}
