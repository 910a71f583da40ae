//! Two users in one mailbox.

use crate::site::{Server, Site, Talk};

fn login(server: &Server, user: &str) -> Talk {
    let mut talk = Talk::to(server.imap);
    talk.line();
    talk.ask(&format!("l LOGIN {user} {user}"));
    talk
}

/// The tagged answer, whatever it is.
fn answer(talk: &mut Talk, command: &str) -> String {
    talk.say(&format!("t {command}\r\n"));
    loop {
        let line = talk.line();
        assert!(!line.is_empty(), "{command}: the connection ended");
        if let Some(answer) = line.strip_prefix("t ") {
            return answer.to_owned();
        }
    }
}

const TEAM: &str = "\"Other Users/fred/Team\"";

#[test]
fn users_of_one_mailbox_hear_of_each_other_until_one_may_not() {
    let site = Site::new("");
    let server = site.start();
    let mut fred = login(&server, "fred");
    fred.ask("a CREATE Team");
    fred.ask("b SETACL Team mary lrswitep");
    let mut mary = login(&server, "mary");
    let namespaces = mary.ask("a NAMESPACE");
    assert_eq!(
        namespaces[0],
        "* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) NIL"
    );
    let listed = mary.ask("b LIST \"\" \"Other Users/*\"");
    assert!(
        listed.concat().contains("Other Users/fred/Team"),
        "{listed:?}"
    );
    mary.ask(&format!("c SELECT {TEAM}"));
    mary.say("i IDLE\r\n");
    assert_eq!(mary.line(), "+ idling");
    // A delivery to the owner's folder is heard by whoever watches it.
    let answers = server.deliver(&["fred+Team"], "Subject: one\r\n\r\nHello");
    assert!(answers[0].starts_with("250"), "{answers:?}");
    assert_eq!([mary.line(), mary.line()], ["* 1 EXISTS", "* 1 RECENT"]);
    fred.ask("c SELECT Team");
    fred.ask("d STORE 1 +FLAGS (\\Flagged)");
    assert!(mary.line().starts_with("* 1 FETCH (FLAGS (\\Flagged"));
    mary.say("DONE\r\n");
    mary.until("i");
    fred.say("i IDLE\r\n");
    assert_eq!(fred.line(), "+ idling");
    mary.ask("d STORE 1 +FLAGS (\\Seen)");
    assert!(
        fred.line()
            .starts_with("* 1 FETCH (FLAGS (\\Flagged \\Seen")
    );
    // Both idle, and the right is taken away: mary hears it without a word.
    mary.say("i IDLE\r\n");
    assert_eq!(mary.line(), "+ idling");
    let mut other = login(&server, "fred");
    other.ask("a SETACL Team mary l");
    assert_eq!(
        mary.line(),
        "* BYE You may not read the selected mailbox any more"
    );
    assert_eq!(mary.line(), "");
    let mut mary = login(&server, "mary");
    let refused = answer(&mut mary, &format!("SELECT {TEAM}"));
    assert!(refused.starts_with("NO [NOPERM]"), "{refused}");
    other.ask("b DELETEACL Team mary");
    let refused = answer(&mut mary, &format!("SELECT {TEAM}"));
    assert!(refused.starts_with("NO [NONEXISTENT]"), "{refused}");
    assert_eq!(mary.ask("e LIST \"\" \"Other Users/*\"").len(), 1);
}

#[test]
fn what_was_given_is_there_after_a_kill_and_only_as_far_as_the_site_allows() {
    let site = Site::new("store.sharedowner = fred\nstore.aclanyone = no\n");
    let mut server = site.start();
    let mut fred = login(&server, "fred");
    fred.ask("a CREATE Team");
    // mary has never been here, and is known to the directory.
    fred.ask("b SETACL Team Mary lri");
    for who in ["anyone", "Anyone", "{8+}\r\n\u{FF41}nyone"] {
        let command = format!("SETACL Team {who} +lr");
        let refused = answer(&mut fred, &command);
        assert!(refused.starts_with("NO [CANNOT]"), "{command}: {refused}");
    }
    let refused = answer(&mut fred, "SETACL Team nobody lr");
    assert!(refused.starts_with("NO [CANNOT]"), "{refused}");
    let rights = fred.ask("c GETACL Team");
    assert_eq!(rights[0], "* ACL Team fred lrswipkxtecda mary lri");
    server.kill();
    let server = site.start();
    let mut mary = login(&server, "mary");
    // Shared mailboxes have a place of their own.
    let shared = "\"Shared Folders/Team\"";
    let rights = mary.ask(&format!("a MYRIGHTS {shared}"));
    assert_eq!(rights[0], format!("* MYRIGHTS {shared} lri"));
    mary.ask(&format!("b APPEND {shared} (\\Seen) {{1+}}\r\nx"));
    let mut fred = login(&server, "fred");
    let counted = fred.ask("a STATUS Team (MESSAGES UNSEEN)");
    assert!(counted[0].ends_with("(MESSAGES 1 UNSEEN 1)"), "{counted:?}");
    // Without p of its owner's a folder takes no deliveries.
    fred.ask("b SETACL Team fred -p");
    server.deliver(&["fred+Team"], "Subject: one\r\n\r\nHello");
    let counted = fred.ask("c STATUS INBOX (MESSAGES)");
    assert!(counted[0].ends_with("(MESSAGES 1)"), "{counted:?}");
}
