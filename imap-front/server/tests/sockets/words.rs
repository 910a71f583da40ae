//! The words of the guide's greeting, each meant: quotas, metadata and who submitted a message,
//! over restarts.

use crate::site::{Server, Site, Talk, idle_offered};

fn logged_in(server: &Server, user: &str) -> Talk {
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
        if line.starts_with("t ") {
            return line;
        }
    }
}

/// Delivers to fred with a parameter of MAIL.
fn deliver(server: &Server, parameter: &str) {
    let mut talk = Talk::to(server.lmtp);
    talk.line();
    talk.say("LHLO here\r\n");
    while talk.line().as_bytes()[3] == b'-' {}
    let mail = format!("MAIL FROM:<a@example.org> {parameter}\r\nRCPT TO:<fred>\r\nDATA\r\n");
    talk.say(&mail);
    for expected in ["250", "250", "354"] {
        let said = talk.line();
        assert!(said.starts_with(expected), "{said}");
    }
    talk.say("From: Ann <ann@example.org>\r\n\r\nHello\r\n.\r\n");
    assert!(talk.line().starts_with("250"));
}

#[test]
fn the_guides_greeting_and_banner() {
    let options = "service.imap.guidegreeting = yes\nlocal.hostname = mail.example.org\n";
    let site = Site::new(options);
    site.show_certificate("mail.example.org");
    let server = site.start();
    let said = server.greeting();
    let whole = "* OK [CAPABILITY IMAP4 IMAP4rev1 ACL QUOTA LITERAL+ NAMESPACE UIDPLUS CHILDREN \
                 BINARY UNSELECT SORT LANGUAGE STARTTLS IDLE XSENDER X-NETSCAPE XSERVERINFO \
                 X-SUN-SORT X-SUN-IMAP X-ANNOTATEMORE AUTH=PLAIN] mail.example.org IMAP4 service \
                 (Ensign ";
    assert!(said.starts_with(whole), "{said}");
    let built = said.rsplit_once(" (built ").expect("the day").1;
    let day: Vec<&str> = built.strip_suffix("))").unwrap().split(' ').collect();
    assert!(
        matches!(day[..], [month, _, year] if month.len() == 3 && year.len() == 4),
        "{said}"
    );
    drop(server);
    // Without the option, all but what means nothing here: the rest of the list follows.
    let site = Site::bare(&idle_offered());
    let said = site.start().greeting();
    let start = "* OK [CAPABILITY IMAP4 IMAP4rev1 ACL QUOTA LITERAL+ NAMESPACE UIDPLUS CHILDREN \
                 BINARY UNSELECT SORT LANGUAGE IDLE X-NETSCAPE X-ANNOTATEMORE AUTH=PLAIN \
                 IMAP4rev2 AUTH=LOGIN ";
    assert!(
        said.starts_with(start) && !said.contains(" X-SUN-"),
        "{said}"
    );
}

#[test]
fn one_connection_serves_one_user_after_the_other() {
    let site = Site::bare(&idle_offered());
    let mut server = site.start();
    let mut talk = server.select("fred");
    talk.ask("a LANGUAGE fr");
    assert_eq!(
        talk.ask("b UNAUTHENTICATE"),
        ["b OK UNAUTHENTICATE completed"]
    );
    assert!(answer(&mut talk, "STATUS INBOX (MESSAGES)").starts_with("t BAD"));
    talk.ask("c LOGIN mary mary");
    talk.ask("d SELECT INBOX");
    talk.say("e IDLE\r\n");
    assert_eq!(talk.line(), "+ idling");
    server.deliver(&["fred"], "Subject: not for her\r\n\r\nx\r\n");
    server.deliver(&["mary"], "Subject: for her\r\n\r\nx\r\n");
    assert_eq!(talk.line(), "* 1 EXISTS");
    talk.line();
    talk.say("DONE\r\n");
    assert!(talk.line().starts_with("e OK"));
    talk.ask("f LOGOUT");
    server.terminate();
    server.ended();
    let log = site.log();
    for (user, end) in [("fred", "unauthenticated"), ("mary", "closed")] {
        let ends = format!("event=logout result={end} ip=local user=\"{user}\"");
        assert_eq!(log.matches(&ends).count(), 1, "{log}");
    }
}

#[test]
fn quotas_are_the_directorys_until_an_administrator_sets_them() {
    let site = Site::bare("store.admins = mary\nstore.defaultmailboxquota = 10240\n");
    let mut server = site.start();
    server.deliver(
        &["fred"],
        &format!("Subject: x\r\n\r\n{}", "x".repeat(3000)),
    );
    let mut fred = logged_in(&server, "fred");
    let said = fred.ask("a GETQUOTAROOT INBOX");
    let expected = [
        "* QUOTAROOT INBOX user/fred",
        "* QUOTA user/fred (STORAGE 4 10 MAILBOX 1 10000)",
    ];
    assert_eq!(said[..2], expected);
    assert!(answer(&mut fred, "GETQUOTA user/mary").starts_with("t NO [NONEXISTENT]"));
    assert!(answer(&mut fred, "SETQUOTA user/fred (STORAGE 99)").starts_with("t NO [NOPERM]"));
    let mut mary = logged_in(&server, "mary");
    let said = mary.ask("b SETQUOTA user/fred (STORAGE 3 MESSAGE 7)");
    assert_eq!(
        said[0],
        "* QUOTA user/fred (STORAGE 4 3 MESSAGE 1 7 MAILBOX 1 10000)"
    );
    assert!(answer(&mut mary, "GETQUOTA user/nobody").starts_with("t NO [NONEXISTENT]"));
    let said = answer(&mut fred, "APPEND INBOX {5+}\r\nHello");
    assert!(said.starts_with("t NO [OVERQUOTA]"), "{said}");
    server.kill();
    let server = site.start();
    let mut fred = logged_in(&server, "fred");
    let said = fred.ask("c GETQUOTA user/fred");
    assert_eq!(
        said[0],
        "* QUOTA user/fred (STORAGE 4 3 MESSAGE 1 7 MAILBOX 1 10000)"
    );
    // What is said last holds: now it is the directory.
    let base = admin::Base::new(site.folder.path());
    let users = std::fs::read_to_string(base.users()).unwrap();
    let mut lines: Vec<String> = users.lines().map(str::to_owned).collect();
    lines[0].push_str(":20480");
    std::fs::write(base.users(), lines.join("\n") + "\n").unwrap();
    site.refresh(&server, "the configuration was read again");
    let said = fred.ask("d GETQUOTA user/fred");
    assert_eq!(said[0], "* QUOTA user/fred (STORAGE 4 20 MAILBOX 1 10000)");
}

#[test]
fn metadata_survives_a_kill_and_is_limited() {
    let options = "store.admins = mary\nstore.maxmetadatasize = 1024\nstore.maxmetadata = 4096\n\
                   service.imap.admincontact = mailto:postmaster@example.org\n";
    let site = Site::bare(options);
    let mut server = site.start();
    let mut fred = logged_in(&server, "fred");
    fred.ask("a SETMETADATA \"\" (/private/vendor/chat/devicetoken \"token\")");
    fred.ask("b SETMETADATA INBOX (/shared/comment \"Ours\" /private/comment \"Mine\")");
    let big = "x".repeat(1025);
    let said = answer(
        &mut fred,
        &format!("SETMETADATA INBOX (/private/big \"{big}\")"),
    );
    assert!(said.starts_with("t NO [METADATA MAXSIZE 1024] "), "{said}");
    let set = |number: usize| {
        format!(
            "SETMETADATA INBOX (/private/n{number} \"{}\")",
            &big[..1000]
        )
    };
    let said: Vec<String> = (0..4)
        .map(|number| answer(&mut fred, &set(number)))
        .collect();
    assert!(said[2].starts_with("t OK"), "{said:?}");
    assert!(said[3].starts_with("t NO [METADATA TOOMANY] "), "{said:?}");
    let said = answer(
        &mut fred,
        &format!("SETANNOTATION INBOX /big (value.priv \"{big}\")"),
    );
    assert!(said.starts_with("t NO [ANNOTATEMORE TOOBIG] "), "{said}");
    assert!(
        answer(&mut fred, "SETMETADATA \"\" (/shared/comment \"x\")").starts_with("t NO [NOPERM]")
    );
    let mut mary = logged_in(&server, "mary");
    mary.ask("c SETMETADATA \"\" (/shared/comment \"For all\")");
    server.kill();
    let server = site.start();
    let mut fred = logged_in(&server, "fred");
    let entries = "/private/vendor/chat/devicetoken /shared/comment /shared/admin";
    let said = fred.ask(&format!("d GETMETADATA \"\" ({entries})"));
    assert_eq!(
        said[0],
        "* METADATA \"\" (/private/vendor/chat/devicetoken \"token\" /shared/comment \"For all\" \
         /shared/admin \"mailto:postmaster@example.org\")"
    );
    let said = fred.ask("e GETANNOTATION INBOX /comment (value.priv value.shared)");
    assert_eq!(
        said[0],
        "* ANNOTATION INBOX \"/comment\" (\"value.priv\" \"Mine\" \"value.shared\" \"Ours\")"
    );
    let mut mary = logged_in(&server, "mary");
    let said = mary.ask("f GETMETADATA (DEPTH infinity) \"\" /private");
    assert_eq!(said, ["f OK GETMETADATA completed"]);
}

#[test]
fn only_trusted_deliverers_say_who_submitted_a_message() {
    let site = Site::bare("service.lmtp.submitters = 127.0.0.1\n");
    let mut server = site.start();
    deliver(&server, "AUTH=ann+40example.org");
    deliver(&server, "AUTH=<>");
    deliver(&server, "");
    server.kill();
    let server = site.start();
    let mut fred = server.select("fred");
    fred.ask("a CREATE Kept");
    fred.ask("b COPY 1 Kept");
    let said = fred.ask("c UID FETCH 1:3 (UID BODY.PEEK[TEXT] XSENDER)");
    let lines: Vec<&str> = said
        .iter()
        .map(String::as_str)
        .filter(|it| it.starts_with("* "))
        .collect();
    assert_eq!(
        lines,
        [
            "* 1 FETCH (XSENDER \"ann@example.org\" UID 1 BODY[TEXT] {7}",
            "* 2 FETCH (XSENDER \"\" UID 2 BODY[TEXT] {7}",
            "* 3 FETCH (XSENDER \"\" UID 3 BODY[TEXT] {7}",
        ]
    );
    fred.ask("d SELECT Kept");
    assert_eq!(
        fred.ask("e FETCH 1 XSENDER")[0],
        "* 1 FETCH (XSENDER \"ann@example.org\")"
    );
    drop(server);
    let site = Site::bare("service.lmtp.submitters = 192.0.2.0/24\n");
    let server = site.start();
    deliver(&server, "AUTH=ann@example.org");
    let mut fred = server.select("fred");
    assert_eq!(fred.ask("f FETCH 1 XSENDER")[0], "* 1 FETCH (XSENDER \"\")");
}

#[test]
fn pages_are_told_where_they_are_set() {
    let site = Site::bare(
        "service.imap.accounturl = https://example.org/account\n\
         service.imap.filtersurl = https://example.org/filters\n",
    );
    let server = site.start();
    let mut fred = logged_in(&server, "fred");
    let said = fred.ask("a NETSCAPE");
    assert!(said[0].starts_with("* VERSION \"Ensign "), "{said:?}");
    assert_eq!(said[1], "* ACCOUNT-URL \"https://example.org/account\"");
    let said = fred.ask("b XSERVERINFO MANAGEACCOUNTURL MANAGELISTSURL MANAGEFILTERSURL");
    assert_eq!(
        said[0],
        "* XSERVERINFO MANAGEACCOUNTURL \"https://example.org/account\" MANAGEFILTERSURL \
         \"https://example.org/filters\""
    );
}
