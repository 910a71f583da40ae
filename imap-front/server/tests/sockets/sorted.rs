//! SORT and THREAD, of messages that came by LMTP and by APPEND, before and after a restart.

use crate::site::{Site, Talk};

fn append(talk: &mut Talk, message: &str) {
    talk.say(&format!(
        "p APPEND INBOX {{{}+}}\r\n{message}\r\n",
        message.len()
    ));
    let said = talk.until("p");
    assert!(
        said.last().is_some_and(|line| line.starts_with("p OK")),
        "{said:?}"
    );
}

fn check(talk: &mut Talk) {
    for (command, answer) in [
        ("SORT (SUBJECT) UTF-8 ALL", "* SORT 2 3 1"),
        ("SORT (REVERSE DATE) UTF-8 ALL", "* SORT 1 2 3"),
        ("UID SORT (SIZE) US-ASCII 1:2", "* SORT 2 1"),
        ("THREAD REFERENCES UTF-8 ALL", "* THREAD (3 1)(2)"),
        ("UID THREAD ORDEREDSUBJECT UTF-8 ALL", "* THREAD (3)(2)(1)"),
        (
            "SORT RETURN (MIN COUNT) (SUBJECT) UTF-8 ALL",
            "* ESEARCH (TAG \"s\") MIN 2 COUNT 3",
        ),
    ] {
        let said = talk.ask(&format!("s {command}"));
        assert_eq!(said[0], answer, "{command}: {said:?}");
        assert!(said[1].starts_with("s OK"), "{said:?}");
    }
}

#[test]
fn messages_are_sorted_and_threaded_whichever_way_they_came() {
    let site = Site::bare("");
    let mut server = site.start();
    let large = format!(
        "Subject: fw [x]: cherry\r\nDate: 3 Jan 2001 00:00:00 +0000\r\n\
         In-Reply-To: <3@x>\r\n\r\n{}",
        "More than comes in one piece.\r\n".repeat(10_000)
    );
    assert!(server.deliver(&["fred"], &large)[0].starts_with("250"));
    let small = "Subject: [Fwd: apple]\r\nDate: 2 Jan 2001 00:00:00 +0000\r\n\r\n";
    assert!(server.deliver(&["fred"], small)[0].starts_with("250"));
    let mut talk = server.select("fred");
    append(
        &mut talk,
        "Subject: re [2]: banana\r\nDate: 1 Jan 2001 00:00:00 +0000\r\nMessage-ID: <3@x>\r\n\r\n",
    );
    check(&mut talk);
    server.kill();
    let server = site.start();
    check(&mut server.select("fred"));
}
