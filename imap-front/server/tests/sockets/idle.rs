//! Clients that idle are told.

use crate::site::{Server, Site, Talk};

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

/// A phone and a desktop meet on the same message.
#[test]
fn a_message_is_read_to_its_end_while_another_session_expunges_it() {
    let site = Site::new("");
    let server = site.start();
    let text = "0123456789abcdef".repeat(3 << 16);
    let message = format!("Subject: large\r\n\r\n{text}");
    for subject in ["one", "two"] {
        server.deliver(
            &["fred"],
            &format!("Subject: {subject}\r\n\r\nHello {subject}"),
        );
    }
    server.deliver(&["fred"], &message);
    let (mut slow, mut other) = (server.select("fred"), server.select("fred"));
    // The client reads the beginning, and what follows waits for it.
    slow.say("a FETCH 3 BODY.PEEK[TEXT]\r\n");
    let begins = slow.line();
    assert!(begins.starts_with("* 3 FETCH (BODY[TEXT] {"), "{begins}");
    other.ask("a STORE 2:3 +FLAGS (\\Deleted)");
    other.ask("b EXPUNGE");
    let rest = slow.until("a");
    assert!(rest[0] == text, "all of the literal");
    assert_eq!(rest.last().unwrap(), "a OK FETCH completed");
    // By number, before the client was told.
    let fetched = slow.ask("b FETCH 2 BODY.PEEK[TEXT]");
    assert!(fetched.concat().contains("Hello two"), "{fetched:?}");
    assert_eq!(fetched.last().unwrap(), "b OK FETCH completed");
    let copied = slow.ask("c COPY 2 INBOX");
    assert!(
        copied.last().unwrap().starts_with("c OK [COPYUID "),
        "{copied:?}"
    );
    let counted = slow.ask("d STATUS INBOX (MESSAGES)");
    assert!(counted.concat().contains("(MESSAGES 2)"), "{counted:?}");
}

/// RFC 3501 §2.3.2: who is told first has it as recent, and nobody after that, even if they are
/// told in IDLE.
#[test]
fn what_was_told_in_idle_is_recent_for_nobody_else() {
    let site = Site::new("");
    let mut server = site.start();
    let mut first = server.idle("fred");
    server.deliver(&["fred"], "Subject: one\r\n\r\nHello");
    assert_eq!([first.line(), first.line()], ["* 1 EXISTS", "* 1 RECENT"]);
    first.say("DONE\r\n");
    first.until("i");
    first.ask("a LOGOUT");
    let recent = |server: &Server| {
        let mut talk = Talk::to(server.imap);
        talk.line();
        talk.ask("l LOGIN fred fred");
        let said = talk.ask("s SELECT INBOX");
        said.into_iter().find(|line| line.ends_with(" RECENT"))
    };
    assert_eq!(recent(&server).as_deref(), Some("* 0 RECENT"));
    // Nor after a restart that lets the server finish.
    server.terminate();
    server.ended();
    let server = site.start();
    assert_eq!(recent(&server).as_deref(), Some("* 0 RECENT"));
}

/// RFC 3501 §7.2.6: FLAGS comes before the first use of a keyword, in sessions that are packed away
/// too.
#[test]
fn new_keywords_are_introduced_to_who_idles() {
    let site = Site::new("");
    let server = site.start();
    server.deliver(&["fred"], "Subject: one\r\n\r\nHello");
    let (mut phone, mut desktop) = (server.select("fred"), server.idle("fred"));
    phone.ask("a STORE 1 +FLAGS (Mine)");
    assert!(desktop.line().starts_with("* FLAGS ("), "the list first");
    assert!(
        desktop.line().contains("PERMANENTFLAGS ("),
        "and what is kept"
    );
    assert!(desktop.line().starts_with("* 1 FETCH (FLAGS (Mine"));
    phone.ask("b STORE 1 -FLAGS (Mine)");
    assert!(desktop.line().starts_with("* 1 FETCH (FLAGS ("), "known");
}
