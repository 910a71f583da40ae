//! ESEARCH over a user's mailboxes, as real clients see it.

use crate::site::{Site, Talk};

/// The answer, without what a client hears that has to wait (RFC 9585).
fn asked(talk: &mut Talk, command: &str) -> Vec<String> {
    let mut lines = talk.ask(command);
    lines.retain(|line| !line.contains("[INPROGRESS "));
    lines
}

#[test]
fn one_search_goes_through_all_mailboxes() {
    let site = Site::bare("");
    let server = site.start();
    assert!(server.deliver(&["mary"], "Subject: needle\r\n\r\nhers")[0].starts_with("250"));
    assert!(server.deliver(&["fred"], "Subject: hay\r\n\r\nhay")[0].starts_with("250"));
    let mut talk = server.select("fred");
    for folder in 0..40 {
        talk.ask(&format!("a CREATE f{folder}"));
        for message in 0..3 {
            let text = match (folder % 4, message) {
                (0, 1) => "Subject: x\r\n\r\nA needle in it.\r\n",
                _ => "Subject: x\r\n\r\nHay and hay.\r\n",
            };
            talk.say(&format!(
                "b APPEND f{folder} {{{}+}}\r\n{text}\r\n",
                text.len()
            ));
            talk.until("b");
        }
    }
    let found = |lines: &[String]| lines.iter().filter(|it| it.contains(" UID ALL 2")).count();
    let lines = asked(&mut talk, "c ESEARCH IN (personal) BODY needle");
    assert_eq!((found(&lines), lines.len()), (10, 11), "{lines:?}");
    assert!(
        lines[0].starts_with("* ESEARCH (TAG \"c\" MAILBOX f"),
        "{lines:?}"
    );
    let lines = asked(
        &mut talk,
        "d ESEARCH IN (subtree-one f3 mailboxes (f4 f5 f8)) BODY needle",
    );
    assert_eq!((found(&lines), lines.len()), (2, 3), "{lines:?}");
    // By number, and without one: what was selected is so still.
    let lines = asked(&mut talk, "e ESEARCH IN (personal) RETURN (COUNT) 3");
    assert_eq!(lines.len(), 41, "{lines:?}");
    assert!(talk.ask("f UID SEARCH ALL")[0].ends_with(" 1"));
    // Who leaves has nothing more done, and others go on.
    talk.say("g ESEARCH IN (personal) BODY needle\r\n");
    drop(talk);
    let mut talk = server.select("fred");
    let lines = asked(
        &mut talk,
        "h ESEARCH IN (selected personal) RETURN (MIN) TEXT hay",
    );
    assert_eq!(lines.len(), 42, "{lines:?}");
}
