//! Clients that idle are told.

use crate::site::Site;

#[test]
fn all_who_idle_hear_of_deliveries_flags_and_expunges() {
    let site = Site::new("");
    let server = site.start();
    let (mut phone, mut desktop, mut other) = (
        server.idle("fred"),
        server.idle("fred"),
        server.idle("mary"),
    );
    let answers = server.deliver(&["fred", "mary@here"], "Subject: one\r\n\r\nHello");
    assert!(
        answers.iter().all(|answer| answer.starts_with("250")),
        "{answers:?}"
    );
    for talk in [&mut phone, &mut desktop, &mut other] {
        assert_eq!(talk.line(), "* 1 EXISTS");
        assert!(talk.line().ends_with(" RECENT"));
    }
    phone.say("DONE\r\n");
    phone.until("i");
    phone.ask("a STORE 1 +FLAGS (\\Deleted)");
    assert!(desktop.line().starts_with("* 1 FETCH (FLAGS (\\Deleted"));
    phone.ask("b EXPUNGE");
    assert_eq!(desktop.line(), "* 1 EXPUNGE");
    // DONE and the next command in one piece.
    desktop.say("DONE\r\nc NOOP\r\n");
    desktop.until("i");
    desktop.until("c");
}

#[test]
fn what_was_told_is_there_after_a_kill() {
    let site = Site::new("");
    let server = site.start();
    server.select("fred").ask("c CREATE Work");
    let answers = server.deliver(&["fred+Work"], "Subject: kept\r\n\r\nHello");
    assert!(answers[0].starts_with("250"), "{answers:?}");
    drop(server);
    let server = site.start();
    let mut talk = server.select("fred");
    assert!(talk.ask("a STATUS Work (MESSAGES)")[0].ends_with("(MESSAGES 1)"));
}
