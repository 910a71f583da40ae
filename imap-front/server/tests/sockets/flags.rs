//! Flags of many messages at once: the store changes them in slices.

use crate::site::{Site, Talk};

/// More than one slice has.
const MESSAGES: usize = 320;

/// A session with so many messages selected.
fn many(talk: &mut Talk) {
    let append = "a APPEND INBOX {5+}\r\nx\r\n\r\n";
    for _ in 0..10 {
        talk.ask(append);
    }
    for have in [10, 20, 40, 80, 160] {
        talk.ask(&format!("b COPY 1:{have} INBOX"));
    }
    let told = talk.ask("c STATUS INBOX (MESSAGES)");
    assert!(
        told.iter()
            .any(|line| line.contains(&format!("MESSAGES {MESSAGES}")))
    );
    talk.ask("d NOOP");
}

#[test]
fn a_silent_store_of_many_is_silent_and_another_tells_each_once() {
    let site = Site::bare("");
    let server = site.start();
    let mut talk = server.select("fred");
    many(&mut talk);
    let silent = talk.ask("e STORE 1:* +FLAGS.SILENT (\\Seen)");
    assert_eq!(silent, ["e OK STORE completed"]);
    let told = talk.ask("f STORE 1:* +FLAGS (\\Flagged)");
    assert_eq!(told.len(), MESSAGES + 1, "{told:?}");
    // What another changed at the same time is told all the same.
    let mut other = server.select("fred");
    other.ask("a STORE 7 -FLAGS (\\Flagged)");
    let silent = talk.ask("g STORE 1:* +FLAGS.SILENT (\\Answered)");
    assert_eq!(silent.len(), 2, "{silent:?}");
    assert!(silent[0].starts_with("* 7 FETCH (FLAGS ("), "{silent:?}");
}
