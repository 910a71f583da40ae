//! Clients and deliverers that want too much.

use std::time::{Duration, Instant};

use crate::site::{Site, Talk};
use crate::strangers::own_address;

#[test]
fn a_client_that_stops_reading_is_disconnected_and_disturbs_nobody() {
    let site = Site::new("service.imap.writetimeout = 5\n");
    let server = site.start();
    let body = "x".repeat(70) + "\r\n";
    server.deliver(
        &["fred"],
        &format!("Subject: big\r\n\r\n{}", body.repeat(40_000)),
    );
    let mut deaf = server.select("fred");
    for number in 0..40 {
        deaf.say(&format!("f{number} FETCH 1 BODY.PEEK[]\r\n"));
    }
    let mut other = server.idle("fred");
    server.deliver(&["fred"], "Subject: two\r\n\r\nHello");
    assert_eq!(other.line(), "* 2 EXISTS");
    std::thread::sleep(Duration::from_secs(7));
    let asked = 40 * 40_000 * 72;
    assert!(
        deaf.rest() < asked,
        "all was sent to a client that did not read"
    );
    other.say("DONE\r\n");
    other.until("i");
}

#[test]
fn a_command_is_for_so_many_messages_from_the_last_one_down() {
    let site = Site::new("service.imap.messagelimit = 2\n");
    let server = site.start();
    for number in 0..3 {
        server.deliver(&["fred"], &format!("Subject: {number}\r\n\r\n{number}"));
    }
    let mut fred = server.select("fred");
    fred.say("f FETCH 1:* (UID)\r\n");
    assert_eq!(fred.line(), "* 3 FETCH (UID 3)");
    assert_eq!(fred.line(), "* 2 FETCH (UID 2)");
    let ending = "f OK [MESSAGELIMIT 2 2] FETCH completed";
    assert_eq!(fred.line(), ending);
    fred.say("f FETCH 1:* (BODY[TEXT]<0.1>)\r\n");
    for expected in ["* 3 FETCH (BODY[TEXT]<0> {1}", "2", "* 2 FETCH", "1"] {
        let line = fred.line();
        assert!(line.starts_with(expected), "{line}");
    }
    assert_eq!(fred.line(), ending);
    fred.say("f UID SEARCH UIDBEFORE 3 UNSEEN\r\n");
    assert_eq!(fred.line(), "* SEARCH 1");
    fred.until("f");
}

#[test]
fn too_many_clients_are_told_so_and_come_in_when_others_left() {
    let site = Site::new("service.imap.maxsessions = 3\nservice.imap.shards = 1\n");
    let server = site.start();
    let mut inside = Vec::from(["fred", "fred", "mary"].map(|user| server.idle(user)));
    for _ in 0..100 {
        let mut talk = Talk::to(server.imap);
        assert_eq!(talk.line(), "* BYE Too many connections, try again later");
        assert_eq!(talk.line(), "");
    }
    inside.pop();
    let patience = Instant::now() + Duration::from_secs(20);
    while !Talk::to(server.imap).line().starts_with("* OK") {
        assert!(Instant::now() < patience);
    }
}

#[test]
fn a_full_mailbox_is_refused_as_configured() {
    for (configured, code) in [("permanent", "552"), ("temporary", "452")] {
        let site = Site::new(&format!(
            "store.defaultmessagequota = 1\nservice.lmtp.overquota = {configured}\n"
        ));
        let server = site.start();
        assert!(server.deliver(&["fred"], "one")[0].starts_with("250"));
        let answer = &server.deliver(&["fred"], "two")[0];
        assert!(answer.starts_with(code), "{answer}");
        assert!(server.deliver(&["mary"], "one")[0].starts_with("250"));
        let unknown = &server.deliver(&["nobody"], "one")[0];
        assert!(unknown.starts_with("550 5.1.1"), "{unknown}");
    }
}

#[test]
fn limits_of_connections_are_exact_over_all_shards() {
    let site = Site::new(
        "service.imap.maxsessions = 20\nservice.imap.shards = 4\n\
         ens.maxconnections = 20\nens.shards = 4\n",
    );
    let server = site.start();
    let mut all: Vec<Talk> = (0..200).map(|_| Talk::to(server.imap)).collect();
    let greetings: Vec<String> = all.iter_mut().map(Talk::line).collect();
    let came_in = |greeting: &&String| greeting.starts_with("* OK");
    assert_eq!(greetings.iter().filter(came_in).count(), 20);
    let mut all: Vec<Talk> = (0..200).map(|_| Talk::to(server.ens)).collect();
    let soon = Duration::from_millis(50);
    std::thread::sleep(Duration::from_secs(1));
    let refused = |talk: &mut Talk| talk.has_bytes_within(soon);
    let refused = all
        .iter_mut()
        .map(refused)
        .filter(|refused| *refused)
        .count();
    assert_eq!(refused, 180);
}

#[test]
fn an_address_has_its_share_of_connections_and_this_hosts_own_are_not_counted() {
    let Some(address) = own_address() else {
        eprintln!("this host has no address but loopback, from which nothing is counted");
        return;
    };
    let site = Site::bare(
        "service.listenaddr = 0.0.0.0\nservice.imap.maxperaddress = 5\n\
         service.imap.shards = 2\n",
    );
    let server = site.start();
    let there = (address, server.imap.port()).into();
    let mut inside: Vec<Talk> = (0..5).map(|_| Talk::to(there)).collect();
    for talk in &mut inside {
        assert!(talk.line().starts_with("* OK"));
    }
    for _ in 0..20 {
        let mut talk = Talk::to(there);
        assert_eq!(
            talk.line(),
            "* BYE Too many connections from your address, try again later"
        );
        assert_eq!(talk.line(), "");
    }
    for _ in 0..20 {
        assert!(Talk::to(server.imap).line().starts_with("* OK"));
    }
    assert!(server.statistics(&site)["AddressConnections"] >= 20);
    let line = format!("event=refusal result=maxperaddress ip={address} ");
    while !site.log().contains(&line) {
        std::thread::sleep(Duration::from_millis(50));
    }
    inside.pop();
    let patience = Instant::now() + Duration::from_secs(20);
    while !Talk::to(there).line().starts_with("* OK") {
        assert!(Instant::now() < patience);
    }
}
