//! What the log tells of sessions and messages (`docs/logs.md`).

use std::fs;
use std::time::{Duration, Instant};

use crate::site::{Site, Talk};

/// Waits for a line that has all of these, and gives it.
fn line(site: &Site, parts: &[&str]) -> String {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let log = site.log();
        let has_all = |line: &&str| parts.iter().all(|part| line.contains(part));
        if let Some(line) = log.lines().find(has_all) {
            return line.to_owned();
        }
        assert!(Instant::now() < patience, "{parts:?}:\n{log}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The value of a field.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = line.split_once(&format!(" {name}="))?;
    value.split(' ').next()
}

#[test]
fn a_session_and_its_messages_have_lines_with_the_same_fields() {
    let site = Site::new("service.lmtp.overquota = permanent\n");
    let mut server = site.start();
    let mut talk = server.select("fred");
    let came = line(&site, &["event=login result=ok ip=local user=\"fred\" "]);
    let session = field(&came, "session").unwrap().to_owned();
    assert_eq!(field(&came, "tls"), Some("false"), "{came}");
    talk.ask("c CREATE Work");
    // A peer that says what it calls the message; one recipient is not here.
    let mut peer = Talk::to(server.lmtp);
    peer.line();
    peer.say("LHLO mx\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<nobody@x>\r\n");
    peer.say("RCPT TO:<fred+Work@x>\r\nRCPT TO:<mary@x>\r\nDATA\r\n");
    while !peer.line().starts_with("354") {}
    peer.say("Received: by mx (Postfix)\r\n\tid 4WxYz1; date\r\nSubject: x\r\n\r\ny\r\n.\r\n");
    assert!(peer.line().starts_with("250") && peer.line().starts_with("250"));
    let refused = "event=recipient result=unknown-user ip=local";
    let refused = line(&site, &[refused, "recipient=\"nobody@x\""]);
    let parts = [
        "event=delivery result=ok ip=local user=\"fred\" ",
        "queue_id=\"4WxYz1\"",
        "sender=\"a@example.org\"",
        "recipients=\"fred+Work@x\"",
        "mailbox=\"Work\"",
        "uid=1",
        " ms=",
    ];
    let told = line(&site, &parts);
    assert_eq!(field(&told, "session"), field(&refused, "session"));
    let other = line(
        &site,
        &["event=delivery", "user=\"mary\"", "mailbox=\"INBOX\""],
    );
    assert_eq!(field(&other, "id"), field(&told, "id"));
    talk.ask("s SELECT Work");
    talk.say("f FETCH 1 BODY[HEADER]\r\n");
    let mut fetched = String::new();
    while !fetched.contains("f OK") {
        fetched += &talk.line();
    }
    let id = field(&told, "id").unwrap().trim_matches('"');
    assert!(
        fetched.contains(&format!("LMTP id {id}")),
        "{id}: {fetched}"
    );
    // Its end tells what it was.
    talk.ask("z LOGOUT");
    let name = format!("session={session} ");
    let left = line(
        &site,
        &["event=logout result=closed ip=local user=\"fred\"", &name],
    );
    // LOGIN, SELECT, CREATE, SELECT, FETCH, LOGOUT.
    assert_eq!(field(&left, "commands"), Some("6"), "{left}");
    let received: u64 = field(&left, "received").unwrap().parse().unwrap();
    let said = "l LOGIN fred fred\r\ns SELECT INBOX\r\nc CREATE Work\r\ns SELECT Work\r\n\
                f FETCH 1 BODY[HEADER]\r\nz LOGOUT\r\n";
    assert_eq!(received, said.len() as u64);
    assert!(
        field(&left, "sent").unwrap().parse::<u64>().unwrap() > 500,
        "{left}"
    );
    assert!(
        field(&left, "seconds").unwrap().parse::<u64>().unwrap() < 60,
        "{left}"
    );
    // A parked session knows when it came, and that its client is gone; the rest is forgotten.
    drop(server.idle("mary"));
    let left = line(
        &site,
        &["event=logout result=hangup ip=local user=\"mary\""],
    );
    assert!(field(&left, "seconds").is_some(), "{left}");
    let idle = server.idle("mary");
    server.terminate();
    server.ended();
    line(&site, &["event=logout result=shutdown", "user=\"mary\""]);
    line(&site, &["event=stop"]);
    drop(idle);
}

#[test]
fn the_file_may_be_moved_away_and_a_cause_that_repeats_is_counted() {
    let site = Site::bare("logfile.imap.file = log/imap\n");
    let server = site.start();
    let log = site.folder.path().join("log");
    fs::rename(log.join("imap"), log.join("imap.1")).unwrap();
    server.select("fred");
    assert!(
        !log.join("imap").exists(),
        "it is written on until it is told otherwise"
    );
    site.refresh(&server, "the configuration was read again");
    let mut peer = Talk::to(server.lmtp);
    peer.line();
    peer.say("LHLO mx\r\nMAIL FROM:<>\r\n");
    for _ in 0..30 {
        peer.say("RCPT TO:<nobody@x>\r\nRSET\r\nMAIL FROM:<>\r\n");
    }
    for _ in 0..30 {
        while !peer.line().starts_with("550") {}
    }
    // What comes later is written later.
    server.select("mary");
    line(&site, &["event=login result=ok", "user=\"mary\""]);
    let moved = fs::read_to_string(log.join("imap.1")).unwrap();
    assert!(!moved.contains("event=recipient"), "{moved}");
    let log = fs::read_to_string(log.join("imap")).unwrap();
    let lines = log.matches("event=recipient result=unknown-user").count();
    assert_eq!(lines, 20, "{log}");
}
