//! NOTIFY (RFC 5465): sessions that hear of mailboxes which they have not selected.

use std::time::Duration;

use crate::site::{Server, Site, Talk};

fn login(server: &Server, user: &str) -> Talk {
    let mut talk = Talk::to(server.imap);
    talk.line();
    talk.ask(&format!("l LOGIN {user} {user}"));
    talk
}

/// Longer than a session that waits for news stays unpacked.
const PACKED: Duration = Duration::from_millis(2500);

#[test]
fn who_watches_all_mailboxes_hears_of_each_packed_away_or_not() {
    let site = Site::new("");
    let server = site.start();
    let mut fred = login(&server, "fred");
    for name in ["Lists", "Lists/One", "Work"] {
        fred.ask(&format!("a CREATE {name}"));
    }
    let (mut phone, mut tablet) = (login(&server, "fred"), login(&server, "fred"));
    let events = "(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)";
    let told = phone.ask(&format!("n NOTIFY SET STATUS (PERSONAL {events})"));
    assert_eq!(told.len(), 5, "{told:?}");
    let only = "n NOTIFY SET (MAILBOXES (Work Nowhere) (MessageNew MessageExpunge))";
    assert_eq!(tablet.ask(only).len(), 1);
    tablet.say("i IDLE\r\n");
    assert_eq!(tablet.line(), "+ idling");
    for round in 1..=2 {
        server.deliver(&["fred+Work"], "Subject: one\r\n\r\nHello");
        let expected = format!("* STATUS Work (UIDNEXT {} MESSAGES {round})", round + 1);
        assert_eq!([phone.line(), tablet.line()], [&*expected, &*expected]);
        server.deliver(&["fred"], "Subject: one\r\n\r\nHello");
        let expected = format!("* STATUS INBOX (UIDNEXT {} MESSAGES {round})", round + 1);
        assert_eq!(phone.line(), expected);
        // Then they are packed away, and nothing comes meanwhile.
        assert!(!phone.has_bytes_within(PACKED));
    }
    let parked = server.statistics(&site);
    let sum = |name: &str| -> u64 {
        let found = parked.iter().filter(|(key, _)| key.ends_with(name));
        found.map(|(_, value)| *value).sum()
    };
    assert!(sum("Parked") >= 2, "{parked:?}");
    assert_eq!(
        sum("FurtherWatches"),
        4 + 1 + 1 + 2,
        "with names: {parked:?}"
    );
    fred.ask("b SELECT Work");
    fred.ask("c STORE 1 +FLAGS (\\Seen)");
    let line = phone.line();
    assert!(line.starts_with("* STATUS Work (HIGHESTMODSEQ "), "{line}");
    // What is made, renamed and subscribed later is found.
    fred.ask("d CREATE Later");
    assert_eq!(phone.line(), "* LIST (\\HasNoChildren) \"/\" Later");
    assert!(
        phone
            .line()
            .starts_with("* STATUS Later (UIDNEXT 1 MESSAGES 0")
    );
    server.deliver(&["fred+Later"], "Subject: one\r\n\r\nHello");
    assert_eq!(phone.line(), "* STATUS Later (UIDNEXT 2 MESSAGES 1)");
    fred.ask("e SUBSCRIBE Later");
    assert_eq!(
        phone.line(),
        "* LIST (\\HasNoChildren \\Subscribed) \"/\" Later"
    );
    fred.ask("f RENAME Later Sooner");
    assert_eq!(
        phone.line(),
        "* LIST (\\HasNoChildren) \"/\" Sooner (\"OLDNAME\" (Later))"
    );
    assert!(
        phone
            .line()
            .starts_with("* STATUS Sooner (UIDNEXT 2 MESSAGES 1")
    );
    // The tablet heard of nothing but Work.
    tablet.say("DONE\r\n");
    assert_eq!(tablet.until("i").len(), 1);
    assert_eq!(phone.ask("z NOTIFY NONE").len(), 1);
    server.deliver(&["fred+Work"], "Subject: one\r\n\r\nHello");
    assert_eq!(phone.ask("y NOOP").len(), 1);
}

#[test]
fn news_of_the_selected_mailbox_come_between_commands_with_what_was_asked_for() {
    let site = Site::new("");
    let server = site.start();
    let mut phone = login(&server, "fred");
    let items = "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])";
    let events = format!("(MessageNew {items} MessageExpunge FlagChange)");
    phone.ask(&format!("n NOTIFY SET (SELECTED {events})"));
    phone.ask("s SELECT INBOX");
    let mut fred = login(&server, "fred");
    fred.ask("a SELECT INBOX");
    for round in 1..=2 {
        server.deliver(&["fred"], "Subject: one\r\n\r\nHello");
        assert_eq!(phone.line(), format!("* {round} EXISTS"));
        assert!(phone.line().ends_with(" RECENT"));
        let begins = format!("* {round} FETCH (UID {round} BODY[HEADER.FIELDS (SUBJECT)] {{16}}");
        assert_eq!(phone.line(), begins);
        let rest = [phone.line(), phone.line(), phone.line()];
        assert_eq!(rest, ["Subject: one", "", ")"]);
        assert!(!phone.has_bytes_within(PACKED));
    }
    fred.ask("b STORE 1 +FLAGS (\\Deleted)");
    let line = phone.line();
    assert!(
        line.starts_with("* 1 FETCH (UID 1 FLAGS (\\Deleted"),
        "{line}"
    );
    fred.ask("c EXPUNGE");
    assert_eq!(phone.line(), "* 1 EXPUNGE");
    let fetched = phone.ask("f UID FETCH 1:* (UID)");
    assert_eq!(fetched[0], "* 1 FETCH (UID 2)");
}

#[test]
fn a_right_that_is_taken_away_or_given_is_felt_at_once() {
    let site = Site::new("service.imap.maxnotify = 3\n");
    let server = site.start();
    let mut fred = login(&server, "fred");
    fred.ask("a CREATE Team");
    fred.ask("b CREATE Team/Secret");
    fred.ask("c SETACL Team mary lr");
    let mut mary = login(&server, "mary");
    let events = "(MessageNew MessageExpunge MailboxName)";
    mary.ask(&format!("n NOTIFY SET (SUBTREE \"Other Users\" {events})"));
    let team = "\"Other Users/fred/Team\"";
    server.deliver(&["fred+Team"], "Subject: one\r\n\r\nHello");
    assert_eq!(
        mary.line(),
        format!("* STATUS {team} (UIDNEXT 2 MESSAGES 1)")
    );
    assert!(!mary.has_bytes_within(PACKED));
    fred.ask("d SETACL Team mary -lr");
    assert_eq!(mary.line(), format!("* LIST (\\NonExistent) \"/\" {team}"));
    server.deliver(&["fred+Team"], "Subject: two\r\n\r\nHello");
    server.deliver(&["fred+Team/Secret"], "Subject: two\r\n\r\nHello");
    assert_eq!(mary.ask("o NOOP").len(), 1);
    fred.ask("e SETACL Team/Secret mary lr");
    let secret = "\"Other Users/fred/Team/Secret\"";
    assert_eq!(
        mary.line(),
        format!("* LIST (\\HasNoChildren) \"/\" {secret}")
    );
    // RFC 5465 §5.4: and the name above.
    assert_eq!(
        mary.line(),
        format!("* LIST (\\Noselect \\HasChildren) \"/\" {team}")
    );
    assert_eq!(
        mary.line(),
        format!("* STATUS {secret} (UIDNEXT 2 MESSAGES 1)")
    );
    // As many as a session may watch, and one more.
    for name in ["One", "Two"] {
        fred.ask(&format!("f CREATE {name}"));
    }
    fred.say("g NOTIFY SET (PERSONAL (MessageNew MessageExpunge))\r\n");
    assert!(fred.line().starts_with("g NO [NOTIFICATIONOVERFLOW]"));
    fred.ask("h NOTIFY SET (SUBTREE Team (MessageNew MessageExpunge))");
    let mut other = login(&server, "fred");
    other.ask("a CREATE Team/Third");
    assert!(fred.line().starts_with("* STATUS Team/Third "));
    other.ask("b CREATE Team/Fourth");
    assert!(fred.line().starts_with("* OK [NOTIFICATIONOVERFLOW]"));
    server.deliver(&["fred+Team"], "Subject: three\r\n\r\nHello");
    assert_eq!(fred.ask("i NOOP").len(), 1);
}

#[test]
fn who_watches_by_notify_is_told_to_ask_again_and_hears_all() {
    let site = Site::new("service.imap.shards = 2\nservice.imap.maxnotify = 100\n");
    let mut server = site.start();
    let ask = "n NOTIFY SET STATUS (PERSONAL (MessageNew MessageExpunge MailboxName))";
    login(&server, "fred").ask("c CREATE Work");
    let idle = |client: &mut Talk| {
        client.say("i IDLE\r\n");
        assert_eq!(client.line(), "+ idling");
    };
    let mut clients: Vec<Talk> = (0..20).map(|_| login(&server, "fred")).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.ask(ask).len(), 3);
        if number % 2 == 1 {
            idle(client);
        }
    }
    // Some are packed away by now.
    std::thread::sleep(PACKED);
    for round in 1..=2 {
        site.upgrade(&mut server);
        server.deliver(&["fred+Work"], "Subject: one\r\n\r\nHello");
        let status = format!("* STATUS Work (MESSAGES {round} UIDNEXT {} ", round + 1);
        for (number, client) in clients.iter_mut().enumerate() {
            let line = client.line();
            assert!(line.starts_with("* OK [NOTIFICATIONOVERFLOW]"), "{line}");
            if number % 2 == 1 {
                client.say("DONE\r\n");
                client.until("i");
            }
            let told = client.ask(ask);
            assert!(told[1].starts_with(&status), "{told:?}");
            if number % 2 == 1 {
                idle(client);
            }
        }
        server.deliver(&["fred"], "Subject: one\r\n\r\nHello");
        let status = format!("* STATUS INBOX (UIDNEXT {} MESSAGES {round})", round + 1);
        for client in &mut clients {
            assert_eq!(client.line(), status);
        }
    }
}

#[test]
fn metadata_and_rights_are_felt_at_once() {
    let site = Site::new("service.imap.maxnotify = 100\nservice.imap.shards = 2\n");
    let server = site.start();
    let mut fred = login(&server, "fred");
    fred.ask("a CREATE Team");
    fred.ask("b SETACL Team anyone lrw");
    let events =
        "(MailboxName MailboxMetadataChange ServerMetadataChange MessageNew MessageExpunge)";
    let watch = format!("n NOTIFY SET (PERSONAL {events}) (SUBTREE \"Other Users\" {events})");
    let mut marys: Vec<Talk> = (0..10).map(|_| login(&server, "mary")).collect();
    for mary in &mut marys {
        assert_eq!(mary.ask(&watch).len(), 1);
    }
    fred.ask(&watch);
    assert!(!marys[0].has_bytes_within(PACKED));
    let team = "\"Other Users/fred/Team\"";
    let command = "d SETMETADATA Team (/shared/comment \"one\" /private/comment \"two\")";
    let mut told = fred.ask(command);
    let both = ["private", "shared"].map(|it| format!("* METADATA Team /{it}/comment"));
    while !both.iter().all(|line| told.contains(line)) {
        told.push(fred.line());
    }
    for mary in &mut marys {
        assert_eq!(mary.line(), format!("* METADATA {team} /shared/comment"));
    }
    let mut other = login(&server, "mary");
    other.ask(&format!("f SETMETADATA {team} (/private/comment \"hers\")"));
    other.ask("g SETMETADATA \"\" (/private/comment \"hers too\")");
    for mary in &mut marys {
        assert_eq!(mary.line(), format!("* METADATA {team} /private/comment"));
        assert_eq!(mary.line(), "* METADATA \"\" /private/comment");
    }
    // Nobody was woken for it.
    assert!(!marys[0].has_bytes_within(PACKED));
    fred.ask("h SETACL Team -mary l");
    fred.ask("i SETMETADATA Team (/shared/comment \"three\")");
    server.deliver(&["fred+Team"], "Subject: one\r\n\r\nHello");
    for mary in &mut marys {
        assert_eq!(mary.line(), format!("* LIST (\\NonExistent) \"/\" {team}"));
        assert_eq!(mary.ask("j NOOP").len(), 1);
    }
}

#[test]
fn where_nothing_may_be_watched_notify_is_refused_and_not_announced() {
    let announced = |options: &str| {
        let site = Site::new(options);
        let server = site.start();
        let mut fred = login(&server, "fred");
        let listed = fred.ask("a CAPABILITY");
        fred.say("b NOTIFY SET (PERSONAL (MailboxName))\r\n");
        (listed[0].contains(" NOTIFY "), fred.line())
    };
    assert_eq!(announced(""), (true, "b OK NOTIFY completed".into()));
    let refused = "b NO [CANNOT] NOTIFY is not offered here";
    assert_eq!(
        announced("service.imap.maxnotify = 0\n"),
        (false, refused.into())
    );
}
