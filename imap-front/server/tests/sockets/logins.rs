//! Many who log in, and those who guess.

use std::time::Duration;

use crate::site::{Site, Talk};

fn fresh(server: &crate::site::Server) -> Talk {
    let mut talk = Talk::to(server.imap);
    assert!(talk.line().starts_with("* OK"));
    talk
}

#[test]
fn the_same_password_is_computed_once_for_all_who_wait() {
    let users = ["ann", "bob", "cat"];
    let site = Site::bare("").with_costly_passwords(&users);
    let server = site.start();
    let mut talks = vec![];
    for _ in 0..15 {
        for user in users {
            talks.push((fresh(&server), user));
        }
    }
    for (talk, user) in &mut talks {
        talk.say(&format!("l LOGIN {user} {user}\r\n"));
    }
    for (talk, _) in &mut talks {
        talk.until("l");
    }
    let computed = server.statistics(&site)["PasswordsComputed"];
    assert_eq!(computed, 3, "15 sessions of each user came at once");
}

#[test]
fn guesses_of_those_who_left_cost_an_honest_user_nothing() {
    let site = Site::bare("").with_costly_passwords(&["ann"]);
    let server = site.start();
    let guesses = 400;
    for number in 0..guesses {
        let mut talk = Talk::to(server.imap);
        talk.say(&format!("a LOGIN nobody guess{number}\r\n"));
    }
    let before = server.statistics(&site)["PasswordsComputed"];
    fresh(&server).ask("l LOGIN ann ann");
    let statistics = server.statistics(&site);
    let computed = statistics["PasswordsComputed"] - before;
    // Her own, those that were under way, and one in turn.
    assert!(
        computed <= 5,
        "{computed} passwords were computed meanwhile"
    );
    assert!(
        statistics["PasswordsComputed"] < guesses / 2,
        "{statistics:?}"
    );
}

#[test]
fn too_many_guesses_at_a_time_are_told_so_and_the_store_is_not_blamed() {
    let site = Site::bare("").with_costly_passwords(&["ann"]);
    let server = site.start();
    let mut talks: Vec<Talk> = (0..100).map(|_| fresh(&server)).collect();
    for (number, talk) in talks.iter_mut().enumerate() {
        talk.say(&format!("a LOGIN nobody guess{number}\r\n"));
    }
    let refused = "a NO [UNAVAILABLE] too many logins are waiting, try again later";
    let mut told = false;
    for _ in 0..10 {
        let mut answers = talks.iter_mut();
        told |= answers.any(|talk| {
            let answer = talk.line_within(Duration::from_millis(20));
            answer.is_some_and(|answer| answer == refused)
        });
    }
    assert!(told);
    assert!(server.statistics(&site)["AddressLoginRefused"] >= 1);
    let line = "event=refusal result=waiting ip=local user=\"nobody\" ";
    assert!(site.log().contains(line), "{}", site.log());
    // Others have their turn.
    fresh(&server).ask("l LOGIN ann ann");
}

/// RFC 4616 §2: `authzid NUL authcid NUL passwd`. In the log a name can't pass for anything else.
#[test]
fn administrators_act_as_others_and_failures_have_a_line() {
    let site = Site::bare("store.admins = mary\n");
    let server = site.start();
    server.deliver(&["fred"], "Subject: x\r\n\r\nHello");
    let mut talk = fresh(&server);
    // fred NUL mary NUL mary
    let said = talk.ask("a AUTHENTICATE PLAIN ZnJlZABtYXJ5AG1hcnk=");
    assert!(said.iter().any(|line| line.starts_with("a OK")), "{said:?}");
    let selected = talk.ask("s SELECT INBOX");
    assert!(selected.contains(&"* 1 EXISTS".to_owned()), "{selected:?}");
    let mut talk = fresh(&server);
    // mary NUL fred NUL fred
    talk.say("a AUTHENTICATE PLAIN bWFyeQBmcmVkAGZyZWQ=\r\n");
    let said = talk.line_within(Duration::from_secs(20)).unwrap();
    assert!(said.starts_with("a NO [AUTHENTICATIONFAILED]"), "{said}");
    assert!(site.log().contains("result=failed ip=local user=\"fred\""));
    talk.say("b LOGIN \"x\\\", user\" wrong\r\n");
    talk.line_within(Duration::from_secs(20)).unwrap();
    let log = site.log();
    assert!(
        log.contains(r#"result=failed ip=local user="x\", user""#),
        "{log}"
    );
}
