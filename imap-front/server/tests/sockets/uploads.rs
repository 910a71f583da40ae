//! Large messages: what they cost the disk, and what is left of those that never end.

use std::fs;
use std::time::{Duration, Instant};

use crate::site::{Server, Site, Talk};

/// 25 MB.
const LINES: usize = 25_000_000 / LINE.len();
const LINE: &str = "All work and no play makes a dull message, line after line of it.\r\n";

/// How often the store has synced.
fn syncs(site: &Site, server: &Server) -> u64 {
    let file = site.folder.path().join("run/imapd.statistics");
    let _ = fs::remove_file(&file);
    server.signal(rustix::process::Signal::USR1);
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let mut lines = text.lines();
        if let Some(count) = lines.find_map(|line| line.strip_prefix("store Syncs ")) {
            return count.parse().unwrap();
        }
        assert!(Instant::now() < patience, "no statistics");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn message() -> String {
    format!("Subject: large\r\n\r\n{}", LINE.repeat(LINES))
}

#[test]
fn twenty_five_megabytes_cost_two_syncs_at_most() {
    let site = Site::bare("");
    let server = site.start();
    // The users and their mailboxes are there.
    for user in ["fred", "mary"] {
        assert!(server.deliver(&[user], "x")[0].starts_with("250"));
    }
    let before = syncs(&site, &server);
    let answer = &server.deliver(&["fred"], &message())[0];
    assert!(answer.starts_with("250"), "{answer}");
    let by_lmtp = syncs(&site, &server) - before;
    assert!((1..=2).contains(&by_lmtp), "{by_lmtp}");

    let mut talk = server.select("mary");
    let message = message();
    let before = syncs(&site, &server);
    talk.say(&format!("a APPEND INBOX {{{}}}\r\n", message.len()));
    assert!(talk.line().starts_with("+ "));
    talk.say(&format!("{message}\r\n"));
    talk.until("a");
    let by_append = syncs(&site, &server) - before;
    assert!((1..=2).contains(&by_append), "{by_append}");
    let sizes = talk.ask("f FETCH 2 RFC822.SIZE");
    let size = format!("RFC822.SIZE {}", message.len());
    assert!(sizes.iter().any(|line| line.contains(&size)), "{sizes:?}");
}

#[test]
fn twenty_five_megabytes_are_put_together_from_what_is_there() {
    let site = Site::bare("");
    let mut server = site.start();
    let large = message();
    assert!(server.deliver(&["fred"], &large)[0].starts_with("250"));
    assert!(server.deliver(&["mary"], "Subject: hers\r\n\r\nsecret")[0].starts_with("250"));
    let mut talk = server.select("fred");
    let body = large.split_once("\r\n\r\n").unwrap().1;
    talk.say(
        "a APPEND INBOX CATENATE (TEXT {16+}\r\nSubject: new\r\n\r\n URL ;UID=1/;SECTION=TEXT ",
    );
    talk.say("TEXT {3+}\r\nend)\r\n");
    let answer = talk.until("a").pop().unwrap();
    assert!(answer.starts_with("a OK [APPENDUID "), "{answer}");
    // DATA ends with a line end of its own.
    let size = 16 + body.len() + 2 + 3;
    let lines = talk.ask("b FETCH 2 RFC822.SIZE");
    let is_size = |line: &String| line.contains(&format!("RFC822.SIZE {size})"));
    assert!(lines.iter().any(is_size), "{lines:?}");
    for (first, text) in [
        (body.len() - 20, "after line of it.)"),
        (body.len() + 2, "end)"),
    ] {
        let lines = talk.ask(&format!("c FETCH 2 BODY.PEEK[TEXT]<{first}.18>"));
        assert!(lines.concat().contains(text), "{lines:?}");
    }
    // Nothing comes of others' mailboxes, and nothing is left of what had come.
    for url in ["/Other%20Users/mary/INBOX/;UID=1", "/../mary/INBOX/;UID=1"] {
        talk.say(&format!(
            "d APPEND INBOX CATENATE (URL ;UID=1 URL \"{url}\")\r\n"
        ));
        let answer = talk.until_any("d").pop().unwrap();
        assert_eq!(answer, format!("d NO [BADURL {url}] no such mailbox"));
    }
    let lines = talk.ask("e STATUS INBOX (MESSAGES)");
    assert!(lines[0].contains("MESSAGES 2"), "{lines:?}");
    // What was refused is thrown away behind its answer, and before what is delivered afterwards.
    assert!(server.deliver(&["fred"], "last")[0].starts_with("250"));
    server.kill();
    let data = site.folder.path().join("data");
    let options = store::Options::default();
    let (store, recovery) = store::Store::open(&data, options, Box::new(|_| {})).unwrap();
    assert_eq!((recovery.spools_removed, recovery.loss), (0, None));
    store.close();
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing_and_loses_nothing() {
    let site = Site::bare("");
    let mut server = site.start();
    assert!(server.deliver(&["fred"], "Subject: kept\r\n\r\nkept")[0].starts_with("250"));
    let mut talk = Talk::to(server.lmtp);
    talk.line();
    talk.say("LHLO here\r\n");
    while talk.line().as_bytes()[3] == b'-' {}
    talk.say("MAIL FROM:<a@example.org>\r\nRCPT TO:<fred>\r\nDATA\r\n");
    for _ in 0..3 {
        talk.line();
    }
    talk.say(&message());
    // While the upload is under way others deliver; each of them is durable when it is confirmed.
    for _ in 0..3 {
        assert!(server.deliver(&["mary"], "x")[0].starts_with("250"));
    }
    server.kill();
    let options = store::Options::default();
    let data = site.folder.path().join("data");
    for left in [1, 0] {
        let (store, recovery) =
            store::Store::open(&data, options.clone(), Box::new(|_| {})).unwrap();
        assert_eq!((recovery.spools_removed, recovery.loss), (left, None));
        store.close();
    }
    let server = site.start();
    for (user, count) in [("fred", 1), ("mary", 3)] {
        let lines = server.select(user).ask("n STATUS INBOX (MESSAGES)");
        assert!(lines[0].contains(&format!("MESSAGES {count}")), "{lines:?}");
    }
}
