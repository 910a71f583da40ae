//! A panic of a request costs that request; a panic of a plane ends the process, which says which.

use std::fs;

use crate::site::{Server, Site, Talk};

/// A server that panics at that place once the file is there.
fn planted(place: &str) -> (Site, Server, std::path::PathBuf) {
    let mut site = Site::new("");
    let flag = site.folder.path().join("panic");
    let value = format!("{place}:{}", flag.display());
    site.variables.push(("ENSIGN_PLANTED_PANIC", value));
    let server = site.start();
    (site, server, flag)
}

#[test]
fn a_panic_of_a_request_costs_that_request() {
    for (place, command) in [
        ("request", "a STATUS INBOX (UNSEEN)"),
        ("worker", "a SEARCH BODY x"),
    ] {
        let (site, server, flag) = planted(place);
        let mut talk = server.select("fred");
        fs::write(&flag, "").unwrap();
        // The request before a SEARCH brings the view up to date.
        talk.say(&format!("{command}\r\n"));
        let answer = talk.line();
        fs::remove_file(&flag).unwrap();
        let is_no = answer.starts_with("a NO [SERVERBUG] ");
        assert!(is_no, "{answer}");
        talk.ask(command);
        let log = site.log();
        assert!(log.contains(&format!("planted in {place}")), "{log}");
        assert!(
            log.contains("stack backtrace") || log.contains("0: "),
            "{log}"
        );
    }
}

#[test]
fn a_panic_of_a_thread_beside_the_planes_ends_the_process_and_names_it() {
    for name in ["login-delay", "worker-loop"] {
        let (site, mut server, flag) = planted(name);
        let mut talk = server.select("fred");
        fs::write(&flag, "").unwrap();
        talk.say("a SEARCH BODY x\r\n");
        let mut guess = Talk::to(server.imap);
        guess.say("a LOGIN fred wrong\r\n");
        assert_eq!(server.exit_code(), Some(70), "{name}");
        let log = site.log();
        let line = log
            .lines()
            .find(|line| line.contains("has ended; so does this process"));
        let thread = if name == "worker-loop" {
            "search"
        } else {
            name
        };
        assert!(
            line.is_some_and(|line| line.contains(thread)),
            "{name}: {log}"
        );
    }
}

#[test]
fn a_panic_of_a_plane_ends_the_process_and_names_it() {
    for (place, name) in [
        ("data", "data-"),
        ("control", "control-"),
        ("writer", "store-writer"),
        ("notify", "notify"),
    ] {
        let (site, mut server, flag) = planted(place);
        let mut talk = server.select("fred");
        fs::write(&flag, "").unwrap();
        talk.say("a STATUS INBOX (UNSEEN)\r\nb APPEND INBOX {5+}\r\nhello\r\n");
        assert_eq!(server.exit_code(), Some(70), "{place}");
        let log = site.log();
        let line = log
            .lines()
            .find(|line| line.contains("has ended; so does this process"));
        assert!(
            line.is_some_and(|line| line.contains(name)),
            "{place}: {log}"
        );
        assert!(log.contains(&format!("planted in {place}")), "{log}");
        fs::remove_file(&flag).unwrap();
        let again = site.start();
        assert!(Talk::to(again.imap).line().starts_with("* OK"));
    }
}
