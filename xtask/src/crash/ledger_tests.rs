//! Every promise that the ledger watches over, broken once.

use super::{Ledger, Message, Snapshot};

const USER: &str = "crash0";

fn ledger() -> Ledger {
    Ledger::new(&[USER.to_owned()])
}

fn message(uid: u64, id: &str) -> Message {
    Message {
        uid,
        modseq: 10 + uid,
        flagged: false,
        id: id.to_owned(),
    }
}

fn snapshot(messages: &[Message]) -> Snapshot {
    Snapshot {
        uid_validity: 7,
        uid_next: 9,
        highest_modseq: 99,
        messages: messages.to_vec(),
    }
}

/// A ledger that has accepted `a` and `b` and has seen them.
fn with_two() -> (Ledger, Snapshot) {
    let mut ledger = ledger();
    let both = ["a", "b"].map(|id| (USER.to_owned(), id.to_owned()));
    ledger.promise(both.to_vec(), Vec::new());
    let seen = snapshot(&[message(1, "a"), message(2, "b")]);
    assert_eq!(ledger.settle(USER, &seen), Vec::<String>::new());
    (ledger, seen)
}

/// What the ledger says when the second sight of two messages is changed.
fn complaints(change: impl FnOnce(&mut Snapshot)) -> String {
    let (mut ledger, mut seen) = with_two();
    change(&mut seen);
    ledger.settle(USER, &seen).join("\n")
}

#[test]
fn what_stays_as_it_was_is_good() {
    assert_eq!(complaints(|_| ()), "");
}

#[test]
fn a_lost_message_is_told() {
    assert!(complaints(|seen| drop(seen.messages.pop())).contains("b was accepted and is not"));
}

#[test]
fn a_doubled_message_is_told() {
    assert!(complaints(|seen| seen.messages.push(message(3, "b"))).contains("b is there 2 times"));
}

#[test]
fn a_changed_uid_is_told() {
    let said = complaints(|seen| seen.messages[1].uid = 3);
    assert!(said.contains("b had UID 2 and has UID 3"), "{said}");
    let said = complaints(|seen| seen.messages[1].id = "c".into());
    assert!(said.contains("UID 2 was b and is c"), "{said}");
}

#[test]
fn a_uid_below_known_ones_is_told() {
    let (mut ledger, _) = with_two();
    ledger.promise(vec![(USER.to_owned(), "c".to_owned())], Vec::new());
    let three = [message(1, "a"), message(2, "b"), message(5, "c")];
    assert_eq!(settle(&mut ledger, &three), "");
    ledger.promise(vec![(USER.to_owned(), "d".to_owned())], Vec::new());
    let four = [
        message(1, "a"),
        message(2, "b"),
        message(4, "d"),
        message(5, "c"),
    ];
    let said = settle(&mut ledger, &four);
    assert!(said.contains("UID 4 is new below UID 5"), "{said}");
}

fn settle(ledger: &mut Ledger, messages: &[Message]) -> String {
    ledger.settle(USER, &snapshot(messages)).join("\n")
}

#[test]
fn counters_that_go_back_are_told() {
    assert!(complaints(|seen| seen.uid_next = 8).contains("UIDNEXT went back"));
    assert!(complaints(|seen| seen.highest_modseq = 98).contains("HIGHESTMODSEQ went back"));
    assert!(complaints(|seen| seen.uid_validity = 8).contains("UIDVALIDITY 7 became 8"));
    assert!(complaints(|seen| seen.messages[0].modseq = 10).contains("MODSEQ 11 went back to 10"));
}

#[test]
fn what_lies_beyond_the_counters_is_told() {
    let said = complaints(|seen| seen.messages[1].modseq = 100);
    assert!(said.contains("is beyond the mailbox's own"), "{said}");
}

#[test]
fn a_message_from_nowhere_is_told() {
    let said = complaints(|seen| seen.messages.push(message(3, "x")));
    assert!(said.contains("which nobody delivered"), "{said}");
}

#[test]
fn a_lost_flag_is_told() {
    let (mut ledger, seen) = with_two();
    ledger.flagged(USER, 2);
    assert!(
        ledger
            .settle(USER, &seen)
            .join("")
            .contains("UID 2 has lost its flag")
    );
}

#[test]
fn an_expunged_message_may_go_and_must_not_come_back() {
    let (mut ledger, mut seen) = with_two();
    ledger.leaving(USER, 2);
    assert_eq!(
        ledger.settle(USER, &seen),
        Vec::<String>::new(),
        "not answered: it may stay"
    );
    let back = seen.messages.pop().expect("there are two");
    ledger.leaving(USER, 2);
    assert_eq!(ledger.settle(USER, &seen), Vec::<String>::new(), "or go");
    seen.messages.push(back);
    assert!(
        ledger
            .settle(USER, &seen)
            .join("")
            .contains("was expunged and is back")
    );
}

#[test]
fn what_was_in_doubt_may_be_there_once_or_never() {
    let (mut ledger, mut seen) = with_two();
    let doubt = || vec![(USER.to_owned(), "c".to_owned())];
    ledger.promise(Vec::new(), doubt());
    assert_eq!(ledger.settle(USER, &seen), Vec::<String>::new());
    seen.messages.push(message(3, "c"));
    assert!(
        ledger
            .settle(USER, &seen)
            .join("")
            .contains("nobody delivered"),
        "too late"
    );

    let (mut ledger, mut seen) = with_two();
    ledger.promise(Vec::new(), doubt());
    seen.messages.push(message(3, "c"));
    assert_eq!(ledger.settle(USER, &seen), Vec::<String>::new());
    seen.messages.pop();
    assert!(
        ledger
            .settle(USER, &seen)
            .join("")
            .contains("c was accepted and is not there")
    );
}

#[test]
fn a_removal_that_was_forgotten_by_the_crash_is_no_excuse_later() {
    let (mut ledger, mut seen) = with_two();
    ledger.leaving(USER, 2);
    assert_eq!(
        ledger.settle(USER, &seen),
        Vec::<String>::new(),
        "it stayed"
    );
    seen.messages.pop();
    assert!(
        ledger
            .settle(USER, &seen)
            .join("")
            .contains("b was accepted and is not there")
    );
}
