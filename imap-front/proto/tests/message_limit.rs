//! MESSAGELIMIT and SAVELIMIT (RFC 9738).
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[allow(dead_code, reason = "each test uses a part")]
mod host;
#[allow(dead_code, reason = "each test uses a part")]
mod strict;

use std::num::NonZeroU32;

use host::World;
use proto::imap::{MessageLimit, SessionConfig};

struct Client {
    world: World,
    heard: Vec<u8>,
}

impl Client {
    /// Of a server with a limit, and seven messages in INBOX, of which the second is gone: UIDs 1
    /// and 3 to 7 are left.
    fn new(limit: fn(NonZeroU32) -> MessageLimit, max: u32) -> Self {
        let mut world = World::with_config(SessionConfig {
            message_limit: Some(limit(NonZeroU32::new(max).unwrap())),
            ..SessionConfig::default()
        });
        for number in 1..=7 {
            world.other(&format!("APPEND INBOX <<Subject: {number}\r\n\r\ntext\r\n"));
        }
        world.other("CREATE Other");
        world.other("SELECT INBOX");
        world.other("STORE 2 +FLAGS (\\Deleted)");
        world.other("EXPUNGE");
        let heard = world.said();
        let mut client = Self { world, heard };
        client.ask("LOGIN fred secret");
        client.ask("SELECT INBOX");
        client
    }

    /// All lines of the answer to a command.
    fn ask(&mut self, command: &str) -> Vec<String> {
        self.world
            .input(false, format!("a {command}\r\n").as_bytes());
        let said = self.world.said();
        self.heard.extend_from_slice(&said);
        let text = String::from_utf8(said).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn says(&mut self, command: &str, expected: &[&str]) {
        assert_eq!(self.ask(command), expected, "{command}");
    }

    fn ends(&mut self, command: &str, expected: &str) {
        let said = self.ask(command);
        assert_eq!(said.last().unwrap(), expected, "{command}: {said:?}");
    }

    /// All that was said is IMAP.
    fn end(self) {
        strict::read(&self.heard).unwrap();
    }
}

#[test]
fn it_is_announced_if_it_is_set() {
    let mut client = Client::new(MessageLimit::All, 3);
    let said = client.ask("CAPABILITY").concat();
    assert!(
        said.contains(" MESSAGELIMIT=3 ") && !said.contains("SAVELIMIT"),
        "{said}"
    );
    let mut client = Client::new(MessageLimit::Saves, 4);
    let said = client.ask("CAPABILITY").concat();
    assert!(
        said.contains(" SAVELIMIT=4 ") && !said.contains("MESSAGELIMIT"),
        "{said}"
    );
    let mut world = World::new();
    world.input(false, b"a LOGIN fred secret\r\nb CAPABILITY\r\n");
    let said = String::from_utf8(world.said()).unwrap();
    assert!(
        !said.contains("LIMIT=3") && !said.contains("SAVELIMIT"),
        "{said}"
    );
}

/// RFC 9738 §3.1: from the highest UID down, and the lowest is said.
#[test]
fn fetch_tells_the_last_messages() {
    let mut client = Client::new(MessageLimit::All, 3);
    client.says(
        "FETCH 1:* (UID)",
        &[
            "* 6 FETCH (UID 7)",
            "* 5 FETCH (UID 6)",
            "* 4 FETCH (UID 5)",
            "a OK [MESSAGELIMIT 3 5] FETCH completed",
        ],
    );
    client.says(
        "UID FETCH 1:4 (FLAGS)",
        &[
            "* 1 FETCH (UID 1 FLAGS ())",
            "* 2 FETCH (UID 3 FLAGS ())",
            "* 3 FETCH (UID 4 FLAGS ())",
            "a OK FETCH completed",
        ],
    );
    let said = client.ask("UID FETCH 1:5,7 (BODY[TEXT])");
    let first_lines = said.iter().filter(|line| line.contains("FETCH (UID"));
    let first_lines: Vec<&String> = first_lines.collect();
    assert!(first_lines[0].starts_with("* 6 FETCH (UID 7"), "{said:?}");
    assert!(first_lines[2].starts_with("* 3 FETCH (UID 4"), "{said:?}");
    assert_eq!(first_lines.len(), 3);
    assert_eq!(
        said.last().unwrap(),
        "a OK [MESSAGELIMIT 3 4] FETCH completed"
    );
    // All that were read are seen, and those alone.
    client.says(
        "UID SEARCH SEEN UIDAFTER 3",
        &["* SEARCH 5 7", "a OK [MESSAGELIMIT 3 5] SEARCH completed"],
    );
    client.says(
        "UID SEARCH UID 4,7 SEEN",
        &["* SEARCH 4 7", "a OK SEARCH completed"],
    );
    // What changed is counted, where that is asked for.
    client.ends(
        "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 9)",
        "a OK FETCH completed",
    );
    client.ends(
        "FETCH 1:* (UID) (PARTIAL 1:4)",
        "a NO [MESSAGELIMIT 3] That is for more messages than a command may work on",
    );
    client.ends("FETCH 1:* (UID) (PARTIAL 1:3)", "a OK FETCH completed");
    client.end();
}

#[test]
fn store_and_expunge_work_on_the_last_messages() {
    let mut client = Client::new(MessageLimit::All, 3);
    client.says(
        "UID STORE 1:6 +FLAGS (\\Deleted)",
        &[
            "* 5 FETCH (UID 6 FLAGS (\\Deleted))",
            "* 4 FETCH (UID 5 FLAGS (\\Deleted))",
            "* 3 FETCH (UID 4 FLAGS (\\Deleted))",
            "a OK [MESSAGELIMIT 3 4] STORE completed",
        ],
    );
    // Another code is the command's own.
    client.says(
        "UID STORE 1:* (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen)",
        &[
            "* OK [HIGHESTMODSEQ 11] Highest",
            "* NO [MESSAGELIMIT 3 5] Only the last of the messages were looked at",
            "a OK [MODIFIED 5:7] Some were changed by others",
        ],
    );
    client.ends(
        "UID EXPUNGE 1:7",
        "a OK [MESSAGELIMIT 3 5] EXPUNGE completed",
    );
    client.ask("ENABLE QRESYNC");
    client.says(
        "UID EXPUNGE 1:7",
        &[
            "* VANISHED 4",
            "* NO [MESSAGELIMIT 3 3] Only the last of the messages were looked at",
            "a OK [HIGHESTMODSEQ 13] EXPUNGE completed",
        ],
    );
    // EXPUNGE has no limit.
    client
        .world
        .other("APPEND INBOX <<Subject: 8\r\n\r\ntext\r\n");
    client.ask("UID STORE 1,3 +FLAGS.SILENT (\\Deleted)");
    client.ask("UID STORE 7,8 +FLAGS.SILENT (\\Deleted)");
    let said = client.ask("EXPUNGE");
    assert_eq!(said[0], "* VANISHED 1,3,7:8", "{said:?}");
    assert!(said[1].starts_with("a OK [HIGHESTMODSEQ "), "{said:?}");
    client.end();
}

#[test]
fn copies_are_refused_and_moves_are_of_the_last() {
    let many = "That is for more messages than a command may work on";
    for limit in [MessageLimit::All, MessageLimit::Saves] {
        let mut client = Client::new(limit, 3);
        client.says(
            "COPY 1:4 Other",
            &[&format!("a NO [MESSAGELIMIT 3 3] {many}")],
        );
        client.says(
            "UID COPY 1:* Other",
            &[&format!("a NO [MESSAGELIMIT 3 5] {many}")],
        );
        client.ends("STATUS Other (MESSAGES)", "a OK STATUS completed");
        client.ends(
            "UID COPY 5:7 Other",
            "a OK [COPYUID 1000000001 5:7 1:3] COPY completed",
        );
        let four = "Other {1+}\r\nx {1+}\r\nx {1+}\r\nx {1+}\r\nx";
        client.ends(
            &format!("APPEND {four}"),
            &format!("a NO [MESSAGELIMIT 3] {many}"),
        );
        client.end();
    }
    let mut client = Client::new(MessageLimit::All, 3);
    client.says(
        "MOVE 1:5 Other",
        &[
            "* OK [COPYUID 1000000001 4:6 1:3] Moved",
            "* 3 EXPUNGE",
            "* 3 EXPUNGE",
            "* 3 EXPUNGE",
            "a OK [MESSAGELIMIT 3 4] MOVE completed",
        ],
    );
    client.end();
    let mut client = Client::new(MessageLimit::Saves, 3);
    client.ends("MOVE 1:* Other", "a OK MOVE completed");
    client.end();
}

/// RFC 9738 §3.1 to §3.4.
#[test]
fn searches_look_at_the_last_messages_and_nothing_is_sorted() {
    let many = "That is for more messages than a command may work on";
    let mut client = Client::new(MessageLimit::All, 3);
    client.says(
        "SEARCH ALL",
        &["* SEARCH 4 5 6", "a OK [MESSAGELIMIT 3 5] SEARCH completed"],
    );
    client.says(
        "UID SEARCH UIDBEFORE 5",
        &["* SEARCH 1 3 4", "a OK SEARCH completed"],
    );
    client.says(
        "UID SEARCH UIDAFTER 4 UIDBEFORE 7",
        &["* SEARCH 5 6", "a OK SEARCH completed"],
    );
    client.says(
        "UID SEARCH UIDBEFORE 1",
        &["* SEARCH", "a OK SEARCH completed"],
    );
    client.ends("UID SEARCH UIDAFTER 0", "a BAD expected a UID at column 23");
    // What is saved was found.
    client.ends(
        "SEARCH RETURN (SAVE) ALL",
        "a OK [MESSAGELIMIT 3 5] SEARCH completed",
    );
    client.says(
        "UID SEARCH UID $",
        &["* SEARCH 5 6 7", "a OK SEARCH completed"],
    );
    client.says(
        "SORT (SUBJECT) UTF-8 ALL",
        &[&format!("a NO [MESSAGELIMIT 3] {many}")],
    );
    client.says(
        "UID SORT (REVERSE SUBJECT) UTF-8 UIDAFTER 4",
        &["* SORT 7 6 5", "a OK SORT completed"],
    );
    client.says(
        "THREAD REFERENCES UTF-8 ALL",
        &[&format!("a NO [MESSAGELIMIT 3] {many}")],
    );
    client.end();
}
