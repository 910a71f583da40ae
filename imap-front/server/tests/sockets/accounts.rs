//! Users who are deleted, added again, or get another password, while they are logged in.

use admin::users::{self, Quota};
use std::time::Duration;

use crate::site::{Server, Site, Talk};

fn exists(server: &Server, user: &str, password: &str) -> String {
    let mut talk = Talk::to(server.imap);
    talk.line();
    talk.ask(&format!("l LOGIN {user} {password}"));
    let lines = talk.ask("s SELECT INBOX");
    let exists = lines.iter().find(|line| line.ends_with(" EXISTS"));
    exists.unwrap().clone()
}

#[test]
fn a_deleted_users_sessions_end_and_the_mail_becomes_nobody_elses() {
    let site = Site::new("");
    let path = admin::Base::new(site.folder.path()).users();
    let server = site.start();
    server.deliver(&["fred"], "Subject: secret\r\n\r\nHello");
    let mut ended = [server.idle("fred"), server.select("fred")];
    let mut others = server.idle("mary");
    let mut deliverer = Talk::to(server.lmtp);
    deliverer.line();
    deliverer.say("LHLO here\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<fred>\r\nDATA\r\n");
    while !deliverer.line().starts_with("354") {}
    users::delete(&path, "fred").unwrap();
    for talk in &mut ended {
        let line = talk.line();
        assert!(
            line.starts_with("* BYE Your password was changed"),
            "{line}"
        );
        assert_eq!(talk.line(), "");
    }
    // What was begun for the one who was here is decided, and never goes to a successor.
    deliverer.say("Subject: late\r\n\r\nHello\r\n.\r\n");
    assert!(deliverer.line().starts_with("250"));
    let answer = server.deliver(&["fred"], "Subject: later\r\n\r\nHello");
    assert!(answer[0].starts_with("550"), "{answer:?}");
    users::add(&path, "fred", b"new", Quota::default()).unwrap();
    assert_eq!(exists(&server, "fred", "new"), "* 0 EXISTS");
    server.deliver(&["fred"], "Subject: mine\r\n\r\nHello");
    assert_eq!(exists(&server, "fred", "new"), "* 1 EXISTS");
    users::delete(&path, "fred").unwrap();
    users::add(&path, "fred", b"newer", Quota::default()).unwrap();
    assert_eq!(exists(&server, "fred", "newer"), "* 0 EXISTS");
    others.say("DONE\r\n");
    others.until("i");
    assert!(server.statistics(&site)["Revoked"] >= 2);
}

#[test]
fn another_password_ends_the_sessions_and_keeps_the_mail() {
    let site = Site::new("");
    let path = admin::Base::new(site.folder.path()).users();
    let server = site.start();
    server.deliver(&["fred"], "Subject: kept\r\n\r\nHello");
    let mut ended = [server.idle("fred"), server.select("fred")];
    users::set_password(&path, "fred", b"better").unwrap();
    for talk in &mut ended {
        let line = talk.line();
        assert!(
            line.starts_with("* BYE Your password was changed"),
            "{line}"
        );
    }
    assert_eq!(exists(&server, "fred", "better"), "* 1 EXISTS");
}

/// An administrator's editor may write the file itself instead of another in its place.
#[test]
fn a_directory_that_is_changed_in_its_place_ends_the_sessions_of_those_who_are_gone() {
    let site = Site::new("");
    let path = admin::Base::new(site.folder.path()).users();
    let server = site.start();
    let mut ended = [server.idle("fred"), server.select("fred")];
    let mut others = server.idle("mary");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: String = text
        .lines()
        .filter(|line| !line.starts_with("fred:"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(kept.len() < text.len());
    std::fs::write(&path, kept).unwrap();
    for talk in &mut ended {
        let line = talk.line();
        assert!(
            line.starts_with("* BYE Your password was changed"),
            "{line}"
        );
    }
    others.say("DONE\r\n");
    others.until("i");
}

/// A lock ends sessions and keeps nobody's mail away; a new name keeps the mail.
#[test]
fn a_user_who_is_locked_or_renamed_loses_sessions_and_no_mail() {
    let site = Site::bare("");
    let path = site.folder.path().join("config/users");
    users::add(&path, "ann", b"secret", Quota::default()).unwrap();
    let server = site.start();
    let log_in = |name: &str| {
        let mut talk = Talk::to(server.imap);
        assert!(talk.line().starts_with("* OK"));
        talk.say(&format!("l LOGIN {name} secret\r\n"));
        talk
    };
    let mut open = log_in("ann");
    open.until("l");
    users::set_locked(&path, "ann", true).unwrap();
    let said = open.line_within(Duration::from_secs(20));
    assert!(said.is_some_and(|said| said.starts_with("* BYE Your password")));
    let refused = log_in("ann").line_within(Duration::from_secs(20));
    assert!(refused.is_some_and(|it| it.starts_with("l NO [AUTHENTICATIONFAILED]")));
    assert!(server.deliver(&["ann"], "to a locked user")[0].starts_with("250"));
    users::set_locked(&path, "ann", false).unwrap();
    users::rename(&path, "ann", "bob").unwrap();
    assert!(server.deliver(&["ann"], "x")[0].starts_with("550 5.1.1"));
    assert!(server.deliver(&["bob"], "to the new name")[0].starts_with("250"));
    let mut bob = log_in("bob");
    bob.until("l");
    let selected = bob.ask("s SELECT INBOX");
    assert!(selected.contains(&"* 2 EXISTS".to_owned()), "{selected:?}");
}
