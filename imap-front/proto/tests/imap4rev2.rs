//! What IMAP4rev2 changes (RFC 9051 appendix E), entry by entry, and what shows each; and that
//! sessions are what they were before it is enabled.
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[allow(dead_code, reason = "each test uses a part")]
mod host;

use std::path::Path;

use host::World;

/// The entries that concern a server, and where a text stands that shows it. What was right before
/// is shown by what showed it before.
const CHANGES: &[(u8, &str, &str)] = &[
    // 64-bit sizes.
    (1, "transcripts/imap4rev2.txt", "SEARCH LARGER 4294967296"),
    // What was folded in.
    (2, "transcripts/imap4rev2.txt", "* NAMESPACE (("),
    (2, "transcripts/close_and_unselect.txt", "UNSELECT"),
    (2, "transcripts/copy_and_move.txt", "[COPYUID "),
    (2, "transcripts/append.txt", "[APPENDUID "),
    (2, "transcripts/expunge.txt", "UID EXPUNGE"),
    (2, "transcripts/esearch.txt", "RETURN (MIN MAX"),
    (2, "transcripts/searchres.txt", "RETURN (SAVE"),
    (2, "transcripts/enable_and_id.txt", "* ENABLED"),
    (2, "transcripts/idle.txt", "+ idling"),
    (
        2,
        "transcripts/authenticate_plain.txt",
        "AUTHENTICATE PLAIN ",
    ),
    (2, "transcripts/list_extended.txt", "RECURSIVEMATCH"),
    (2, "transcripts/list_extended.txt", "RETURN (STATUS"),
    (2, "transcripts/list_extended.txt", "\\Sent"),
    (2, "transcripts/copy_and_move.txt", " MOVE "),
    (2, "literals.rs", "literal_minus"),
    (2, "transcripts/binary.txt", "BINARY.SIZE["),
    // STATUS.
    (3, "transcripts/imap4rev2.txt", "DELETED 0 SIZE 102"),
    // SEARCH is answered by ESEARCH.
    (4, "transcripts/imap4rev2.txt", "* ESEARCH (TAG \"e3\")\r\n"),
    (
        4,
        "transcripts/imap4rev2.txt",
        "* ESEARCH (TAG \"e4\") UID ALL 1:2",
    ),
    // Substrings.
    (5, "transcripts/search.txt", "SUBJECT"),
    // Continued parameters.
    (6, "../../mail/tests/search_content.rs", "filename*0*="),
    // Codes.
    (7, "transcripts/copy_and_move.txt", "* OK [COPYUID "),
    (8, "transcripts/imap4rev2.txt", "k7 NO [TRYCREATE]"),
    (9, "transcripts/imap4rev2.txt", "* OK [CLOSED]"),
    // SELECT and EXAMINE.
    (
        10,
        "transcripts/imap4rev2.txt",
        "* LIST (\\HasNoChildren) \"/\" INBOX\r\nS: d1 OK",
    ),
    (10, "transcripts/imap4rev2.txt", "\"Entwürfe\"\r\nS: d2 OK"),
    // No new PERMANENTFLAGS is demanded; they come all the same.
    (
        13,
        "transcripts/keywords_are_introduced.txt",
        "PERMANENTFLAGS",
    ),
    // Keywords are the client's to choose.
    (15, "transcripts/select_and_examine.txt", "$Junk \\*"),
    // UTF-8.
    (
        16,
        "transcripts/imap4rev2.txt",
        "* LIST (\\HasNoChildren) \"/\" \"Löschen/台北\"",
    ),
    (16, "transcripts/imap4rev2.txt", "l1 OK [APPENDUID "),
    (16, "transcripts/imap4rev2.txt", "b1 CREATE Entw&APw-rfe"),
    // What is left out is answered as ever.
    (17, "transcripts/imap4rev2.txt", "CHECK completed"),
    (18, "transcripts/imap4rev2.txt", "FETCH (RFC822.TEXT "),
    (19, "transcripts/imap4rev2.txt", "LSUB completed"),
    // IDLE tells of other mailboxes.
    (20, "transcripts/notify_metadata.txt", "IDLE"),
    // UIDs of what nobody asked for.
    (
        21,
        "transcripts/imap4rev2.txt",
        "* 1 FETCH (UID 1 MODSEQ (5) FLAGS (\\Answered))",
    ),
    (
        21,
        "transcripts/imap4rev2.txt",
        "* 2 FETCH (UID 2 FLAGS ())",
    ),
    // Texts in UTF-8 come with LANGUAGE.
    (24, "transcripts/language.txt", "terminé"),
    // TLS and SASL.
    (25, "starttls.rs", "STARTTLS"),
    (27, "transcripts/authenticate_scram.txt", "SCRAM-SHA-256"),
];

fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("no {}", path.display()));
    text.replace('\n', "\r\n")
}

#[test]
fn each_change_is_shown() {
    for (entry, file, shown) in CHANGES {
        assert!(text(file).contains(shown), "{entry}: {shown:?} in {file}");
    }
    // UNSEEN of SELECT and RECENT (11, 12): said before it is enabled and after UNAUTHENTICATE.
    let all = text("transcripts/imap4rev2.txt");
    let begin = all.find("S: * ENABLED IMAP4rev2").unwrap();
    let end = all.find("S: o1 OK").unwrap();
    let is_said = |part: &str, said: &str| {
        let mut lines = part.split_inclusive("\r\n");
        lines.any(|line| line.starts_with("S: ") && line.contains(said))
    };
    for said in [" RECENT\r\n", "[UNSEEN ", "\\Recent", "* SEARCH"] {
        assert!(!is_said(&all[begin..end], said), "{said:?} is said");
        let before = is_said(&all[..begin], said) || is_said(&all[end..], said);
        assert!(before, "{said:?} is not said to who has not enabled it");
    }
}

/// RFC 9051 appendix A: who speaks both is as of old until a client says otherwise, for each of its
/// connections.
#[test]
fn one_client_does_not_enable_it_for_another() {
    let mut world = World::new();
    world.input(
        false,
        b"a LOGIN fred secret\r\nb ENABLE IMAP4rev2\r\nc SELECT INBOX\r\n",
    );
    world.said();
    world.input(true, b"d SELECT INBOX\r\n");
    let other = String::from_utf8(std::mem::take(&mut world.other.said)).unwrap();
    assert!(
        other.contains("* 0 RECENT\r\n") && !other.contains("* LIST"),
        "{other}"
    );
    world.input(true, b"e SEARCH ALL\r\n");
    let other = String::from_utf8(std::mem::take(&mut world.other.said)).unwrap();
    assert!(other.contains("* SEARCH\r\n"), "{other}");
}
