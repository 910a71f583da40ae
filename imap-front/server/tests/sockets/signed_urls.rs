//! URLAUTH (RFC 4467) before a server that is killed, with messages that are large.

use crate::backups::{back_up, restore};
use crate::site::{Site, Talk};

const LINE: &str = "All work and no play makes a dull message, line after line of it.\r\n";

fn signed(talk: &mut Talk, rump: &str) -> String {
    let said = talk.ask(&format!("g GENURLAUTH \"{rump}\" INTERNAL"));
    let url = said[0].strip_prefix("* GENURLAUTH \"");
    let url = url.and_then(|it| it.strip_suffix('"'));
    url.expect("one URL").to_owned()
}

/// What comes of a URL: all lines but the last.
fn fetched(talk: &mut Talk, url: &str) -> Vec<String> {
    let mut said = talk.ask(&format!("f URLFETCH \"{url}\""));
    said.pop();
    let head = format!("* URLFETCH \"{url}\" ");
    said[0] = said[0].strip_prefix(&head).expect("this URL").to_owned();
    said
}

#[test]
fn what_was_signed_holds_after_a_kill_until_it_is_given_up() {
    let site = Site::new("service.imap.submitusers = mary\n");
    let mut server = site.start();
    for user in ["fred", "mary"] {
        server.deliver(&[user], "Subject: x\r\n\r\nHello");
    }
    let url = |access: &str| {
        format!("imap://fred@host/INBOX/;UID=1/;SECTION=TEXT/;PARTIAL=0.5;URLAUTH={access}")
    };
    let mut talk = server.select("fred");
    let urls: Vec<String> = ["submit+fred", "user+mary", "user+fred", "authuser"]
        .iter()
        .map(|access| signed(&mut talk, &url(access)))
        .collect();
    server.kill();
    let mut server = site.start();
    let mut mary = server.select("mary");
    let hello = ["{5}", "Hello"];
    assert_eq!(fetched(&mut mary, &urls[0]), hello);
    assert_eq!(fetched(&mut mary, &urls[1]), hello);
    assert_eq!(fetched(&mut mary, &urls[2]), ["NIL"]);
    assert_eq!(fetched(&mut mary, &urls[3]), hello);
    let mut fred = server.select("fred");
    // Who submits for others has to be named.
    assert_eq!(fetched(&mut fred, &urls[0]), ["NIL"]);
    assert_eq!(fetched(&mut fred, &urls[2]), hello);
    assert_eq!(signed(&mut fred, &url("authuser")), urls[3]);
    // All sessions of the user hear of it that have selected the mailbox.
    let (mut idling, mut working) = (server.select("fred"), server.select("fred"));
    idling.say("i IDLE\r\n");
    assert!(idling.line().starts_with("+ "));
    let told = "* OK [URLMECH INTERNAL] How URLs are signed";
    fred.ask("r RESETKEY INBOX");
    assert_eq!(idling.line(), told);
    assert_eq!(working.ask("n NOOP"), [told, "n OK NOOP completed"]);
    assert_ne!(signed(&mut fred, &url("authuser")), urls[3]);
    fred.ask("r RESETKEY");
    server.kill();
    let server = site.start();
    let mut mary = server.select("mary");
    assert_eq!(fetched(&mut mary, &urls[3]), ["NIL"]);
    let mut fred = server.select("fred");
    let again = signed(&mut fred, &url("authuser"));
    assert_ne!(again, urls[3]);
    assert_eq!(fetched(&mut mary, &again), hello);
}

#[test]
fn twenty_five_megabytes_come_in_pieces() {
    let site = Site::bare("");
    let server = site.start();
    let body = LINE.repeat(25_000_000 / LINE.len());
    let message = format!("Subject: large\r\n\r\n{body}");
    assert!(server.deliver(&["fred"], &message)[0].starts_with("250"));
    server.deliver(&["mary"], "x");
    let mut fred = server.select("fred");
    let part = format!("/;SECTION=TEXT/;PARTIAL=0.{}", body.len());
    let rump = format!("imap://fred@host/INBOX/;UID=1{part};URLAUTH=user+mary");
    let url = signed(&mut fred, &rump);
    let mut slow = server.select("mary");
    slow.say(&format!("f URLFETCH \"{url}\"\r\n"));
    assert!(slow.line().ends_with(&format!("{{{}}}", body.len())));
    // Others are answered while a client is slow to take it, and nothing of it is kept for it.
    let before = server.resident_bytes();
    for number in 0..20 {
        fred.ask(&format!("n{number} NOOP"));
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown}");
    assert!(slow.bytes(body.len()) == body.as_bytes(), "all of it comes");
    assert_eq!(slow.line(), "");
    slow.until("f");
}

/// Keys are in no backup: what was given up would come back with an old one.
#[test]
fn a_mailbox_that_was_restored_has_other_keys_and_one_that_stayed_its_own() {
    let site = Site::bare("");
    let server = site.start();
    server.deliver(&["mary"], "x");
    let mut fred = server.select("fred");
    for name in ["Gone", "Stays"] {
        fred.ask(&format!("c CREATE {name}"));
        fred.say(&format!(
            "a APPEND {name} {{19+}}\r\nSubject: x\r\n\r\nHello\r\n"
        ));
        fred.until("a");
    }
    let rump =
        |name: &str| format!("imap://fred@host/{name}/;UID=1/;SECTION=TEXT;URLAUTH=authuser");
    let [gone, stays] = ["Gone", "Stays"].map(|name| signed(&mut fred, &rump(name)));
    let file = site.folder.path().join("backup");
    let file = file.to_str().unwrap();
    assert_eq!(back_up(&site, &[file]), Ok(0));
    fred.ask("d DELETE Gone");
    assert_eq!(fetched(&mut fred, &gone), ["NIL"]);
    assert_eq!(restore(&site, &[file]).unwrap().0, 0);
    let mut mary = server.select("mary");
    let hello = ["{5}", "Hello"];
    // The message is there again, under its UID, and the URL says the same.
    fred.ask("s SELECT Gone");
    let found = fred.ask("u UID SEARCH UID 1");
    assert_eq!(found[0], "* SEARCH 1");
    assert_eq!(fetched(&mut mary, &gone), ["NIL"]);
    assert_eq!(fetched(&mut mary, &stays), hello);
    let again = signed(&mut fred, &rump("Gone"));
    assert_ne!(again, gone);
    assert_eq!(fetched(&mut mary, &again), hello);
    assert_eq!(fetched(&mut mary, &gone), ["NIL"]);
}
