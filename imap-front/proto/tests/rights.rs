//! Every command against every right (RFC 4314 §4), as a table: what each needs, and how it is
//! refused without.

#[allow(dead_code, reason = "each test uses a part")]
mod host;

use host::World;
use mail::Rights;

/// fred's mailbox, as mary has it.
const BOX: &str = "\"Other Users/fred/Box\"";

/// A command about a mailbox, the rights it needs (all of those before `|`, and one of those behind
/// it), and how it is refused if the mailbox is not there.
const NAMED: [(&str, &str, &str); 24] = [
    ("SELECT {}", "r", "NONEXISTENT"),
    ("EXAMINE {}", "r", "NONEXISTENT"),
    ("STATUS {} (MESSAGES)", "r", "NONEXISTENT"),
    ("SUBSCRIBE {}", "l", "NONEXISTENT"),
    ("UNSUBSCRIBE {}", "", ""),
    ("CREATE {/New}", "k", "NONEXISTENT"),
    ("CREATE {/New/Below}", "k", "NONEXISTENT"),
    ("DELETE {}", "x", "NONEXISTENT"),
    ("RENAME {/Sub} {/Other}", "xk", "NONEXISTENT"),
    ("APPEND {} {1+}\r\nx", "i", "TRYCREATE"),
    ("APPEND {} ~{1+}\r\nx", "i", "TRYCREATE"),
    ("APPEND {} {1+}\r\nx {1+}\r\ny", "i", "TRYCREATE"),
    ("SETACL {} mary +w", "a", "NONEXISTENT"),
    ("SETACL {} anyone lr", "a", "NONEXISTENT"),
    ("DELETEACL {} mary", "a", "NONEXISTENT"),
    ("GETACL {}", "a", "NONEXISTENT"),
    ("LISTRIGHTS {} fred", "a", "NONEXISTENT"),
    ("MYRIGHTS {}", "|lrikxa", "NONEXISTENT"),
    ("RENAME {} {/Other}", "xk?", "NONEXISTENT"),
    ("GETMETADATA {} /shared/comment", "l|rswip", "NONEXISTENT"),
    (
        "SETMETADATA {} (/private/comment \"x\")",
        "l|rswip",
        "NONEXISTENT",
    ),
    (
        "SETMETADATA {} (/shared/comment \"x\")",
        "lw",
        "NONEXISTENT",
    ),
    (
        "GETANNOTATION {} \"/comment\" \"value\"",
        "l|rswip",
        "NONEXISTENT",
    ),
    (
        "SETANNOTATION {} \"/comment\" (\"value.shared\" \"x\")",
        "lw",
        "NONEXISTENT",
    ),
];

/// A command in the selected mailbox, which has a message with each of some flags, and what it
/// needs besides `r`.
const SELECTED: [(&str, &str); 18] = [
    ("STORE 1 +FLAGS (\\Seen)", "s"),
    ("STORE 2 -FLAGS (\\Seen)", "s"),
    ("STORE 1 +FLAGS (\\Deleted)", "t"),
    ("UID STORE 3 -FLAGS (\\Deleted)", "t"),
    ("STORE 1 +FLAGS (\\Flagged)", "w"),
    ("STORE 1 +FLAGS.SILENT ($Word)", "w"),
    ("STORE 1 +FLAGS (\\Seen \\Deleted \\Draft)", "|stw"),
    ("STORE 1 FLAGS (\\Seen)", "|stw"),
    ("EXPUNGE", "e"),
    ("UID EXPUNGE 3", "e"),
    ("MOVE 1 INBOX", "te"),
    ("UID MOVE 1 INBOX", "te"),
    ("REPLACE 1 INBOX {1+}\r\nx", "te"),
    ("UID REPLACE 1 INBOX ~{1+}\r\nx", "te"),
    ("COPY 1 INBOX", ""),
    ("FETCH 1:* (FLAGS BODY[])", ""),
    ("FETCH 1:* (BINARY[1] BINARY.SIZE[1])", ""),
    ("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)", ""),
];

/// None, all, each alone, all but each.
fn sets() -> Vec<Rights> {
    let each = || {
        b"lrswipkxtea"
            .iter()
            .map(|letter| Rights::parse(&[*letter]).expect("a right"))
    };
    let mut sets: Vec<Rights> = each().collect();
    sets.extend(each().map(|right| Rights::ALL - right));
    sets.extend([Rights::NONE, Rights::ALL]);
    sets
}

/// Without the virtual rights, which would stand for all that they are made of.
fn letters(rights: Rights) -> String {
    rights.to_string().replace(['c', 'd'], "")
}

/// Fred's mailbox, with a message of each kind, on which mary has these rights and is logged in.
fn world(rights: Rights) -> World {
    let mut world = World::new();
    world.host("users");
    for command in [
        "CREATE Box".to_owned(),
        format!("SETACL Box mary \"{}\"", letters(rights)),
        "CREATE Box/Sub".to_owned(),
        "APPEND Box <<one".to_owned(),
        "APPEND Box (\\Seen \\Answered) <<two".to_owned(),
        "APPEND Box (\\Deleted) <<three".to_owned(),
    ] {
        world.other(&command);
    }
    world.input(
        false,
        b"l LOGIN mary secret\r\na APPEND INBOX (\\Seen \\Deleted $Word) {1+}\r\nx\r\n",
    );
    world.said();
    world
}

fn ask(world: &mut World, command: &str) -> String {
    world.input(false, format!("t {command}\r\n").as_bytes());
    String::from_utf8(world.said()).expect("ASCII")
}

/// The tagged answer to the last command.
fn answer(said: &str) -> &str {
    said.lines()
        .last()
        .and_then(|line| line.strip_prefix("t "))
        .unwrap_or(said)
}

fn suffices(rights: Rights, needed: &str) -> bool {
    let parse = |letters: &str| Rights::parse(letters.as_bytes()).expect("rights");
    match needed.split_once('|') {
        Some((all, any)) => rights.contains(parse(all)) && rights.intersects(parse(any)),
        None => rights.contains(parse(needed)),
    }
}

#[test]
fn commands_about_a_mailbox_need_their_rights() {
    for rights in sets() {
        for (command, needed, missing) in NAMED {
            let mut world = world(rights);
            let below = |name: &str| format!("{}{name}\"", &BOX[..BOX.len() - 1]);
            let mut text = command.replace("{}", BOX);
            for name in ["/New/Below", "/New", "/Sub", "/Other"] {
                text = text.replace(&format!("{{{name}}}"), &below(name));
            }
            let said = ask(&mut world, &text);
            let expected = if needed == "xk?" {
                // It lies below itself, which only somebody who may rename it hears.
                match suffices(rights, "xk") {
                    true => "NO [CANNOT]".to_owned(),
                    false => refused(rights, missing),
                }
            } else if suffices(rights, needed) {
                "OK".to_owned()
            } else {
                refused(rights, missing)
            };
            let shown = format!("{text} with {rights}: {said}");
            assert!(
                answer(&said).starts_with(&expected),
                "{shown}; not {expected}"
            );
        }
    }
}

/// Who may not look it up hears that it is not there.
fn refused(rights: Rights, missing: &str) -> String {
    match rights.contains(Rights::LOOKUP) {
        true => "NO [NOPERM]".into(),
        false => format!("NO [{missing}]"),
    }
}

#[test]
fn commands_in_a_mailbox_need_their_rights() {
    for rights in sets() {
        let rights = rights | Rights::READ;
        for (command, needed) in SELECTED {
            let mut world = world(rights);
            let opened = ask(&mut world, &format!("SELECT {BOX}"));
            let is_writable = rights.may_change();
            let code = if is_writable {
                "OK [READ-WRITE]"
            } else {
                "OK [READ-ONLY]"
            };
            assert!(answer(&opened).starts_with(code), "{rights}: {opened}");
            let said = ask(&mut world, command);
            let expected = match (suffices(rights, needed), is_writable) {
                (true, _) => "OK",
                (false, true) => "NO [NOPERM]",
                (false, false) => "NO [READ-ONLY]",
            };
            let shown = format!("{command} with {rights}: {said}");
            assert!(
                answer(&said).starts_with(expected),
                "{shown}; not {expected}"
            );
        }
    }
}

/// What is done in part, or not at all and yet answered OK.
#[test]
fn what_is_not_refused_does_no_more_than_may_be_done() {
    for rights in sets() {
        let has = |letter: &str| suffices(rights, letter);
        let flags_of = |world: &mut World, name: &str, number: u32| {
            world.client.said.clear();
            world.input(true, format!("e EXAMINE {name}\r\n").as_bytes());
            world.other.said.clear();
            world.input(true, format!("f FETCH {number} FLAGS\r\n").as_bytes());
            let said = String::from_utf8(std::mem::take(&mut world.other.said)).expect("ASCII");
            let flags = said
                .split_once("FLAGS (")
                .and_then(|(_, rest)| rest.split_once(')'));
            let flags = flags.map(|(flags, _)| flags.to_owned()).unwrap_or(said);
            flags.replace(" \\Recent", "").replace("\\Recent", "")
        };
        let stored = |has_flag: &dyn Fn(&str) -> bool| {
            let all = [("s", "\\Seen"), ("t", "\\Deleted"), ("w", "$Word")];
            let order = ["\\Deleted", "\\Seen", "$Word"];
            let may: Vec<&str> = order
                .into_iter()
                .filter(|flag| {
                    all.iter()
                        .any(|(right, name)| name == flag && has_flag(right))
                })
                .collect();
            may.join(" ")
        };
        // APPEND and COPY leave out flags that may not be set (RFC 4314 §4).
        if has("i") {
            let mut world = world(rights);
            let message = "(\\Seen \\Deleted $Word) {1+}\r\nx";
            let append = format!("APPEND {BOX} {message}");
            assert!(answer(&ask(&mut world, &append)).starts_with("OK"));
            ask(&mut world, "SELECT INBOX");
            assert!(answer(&ask(&mut world, &format!("COPY 1 {BOX}"))).starts_with("OK"));
            let append = format!("APPEND {BOX} {message} {message}");
            assert!(answer(&ask(&mut world, &append)).starts_with("OK"));
            for number in [4, 5, 6, 7] {
                assert_eq!(
                    flags_of(&mut world, "Box", number),
                    stored(&has),
                    "{rights}"
                );
            }
        } else {
            let mut world = world(rights);
            ask(&mut world, "SELECT INBOX");
            for command in ["COPY", "MOVE"] {
                let said = ask(&mut world, &format!("{command} 1 {BOX}"));
                let expected = refused(rights, "TRYCREATE");
                assert!(answer(&said).starts_with(&expected), "{rights}: {said}");
            }
        }
        if !has("r") {
            continue;
        }
        let may_change = rights.may_change();
        // FETCH sets \Seen, CLOSE expunges and STORE replaces as far as that may be done.
        let mut world = world(rights);
        ask(&mut world, &format!("SELECT {BOX}"));
        let said = ask(&mut world, "FETCH 1 BODY[]");
        assert!(answer(&said).starts_with("OK"), "{rights}: {said}");
        let seen = if has("s") { "\\Seen" } else { "" };
        assert_eq!(flags_of(&mut world, "Box", 1), seen, "{rights}");
        if rights.intersects(Rights::FLAGS) {
            let said = ask(&mut world, "STORE 2 FLAGS.SILENT (\\Deleted $Word)");
            assert!(answer(&said).starts_with("OK"), "{rights}: {said}");
            let (kept, word) = match has("w") {
                true => (None, Some("$Word")),
                false => (Some("\\Answered"), None),
            };
            let deleted = has("t").then_some("\\Deleted");
            let seen = (!has("s")).then_some("\\Seen");
            let flags: Vec<&str> = [kept, deleted, seen, word].into_iter().flatten().collect();
            let (told, flags) = (said.contains(" FETCH ("), flags.join(" "));
            assert_eq!(flags_of(&mut world, "Box", 2), flags, "{rights}");
            assert_eq!(told, !rights.contains(Rights::FLAGS), "{rights}: {said}");
        }
        let said = ask(&mut world, "CLOSE");
        assert!(answer(&said).starts_with("OK"), "{rights}: {said}");
        let left = flags_of(&mut world, "Box", 3);
        let is_left = left == "\\Deleted";
        assert_eq!(is_left, !(has("e") && may_change), "{rights}: {left}");
    }
}

/// LIST and LSUB never refuse: they leave out what may not be looked up.
#[test]
fn listings_show_what_may_be_looked_up() {
    for rights in sets() {
        let mut world = world(rights);
        world.other("SETACL Box/Sub mary \"\"");
        let is_shown = rights.contains(Rights::LOOKUP);
        let said = ask(&mut world, "LIST \"\" *");
        let line = "* LIST (\\HasNoChildren) \"/\" \"Other Users/fred/Box\"\r\n";
        assert_eq!(said.contains(line), is_shown, "{rights}: {said}");
        assert_eq!(said.contains("Other Users"), is_shown, "{rights}: {said}");
        let said = ask(&mut world, "LIST \"\" %");
        assert_eq!(
            said.contains("(\\Noselect \\HasChildren) \"/\" \"Other Users\""),
            is_shown
        );
        let said = ask(&mut world, "LIST \"Other Users/\" % RETURN (MYRIGHTS)");
        assert_eq!(
            said.contains("\"Other Users/fred\""),
            is_shown,
            "{rights}: {said}"
        );
        let said = ask(
            &mut world,
            "LIST \"\" \"Other Users/fred/*\" RETURN (MYRIGHTS STATUS (MESSAGES))",
        );
        assert_eq!(
            said.contains(&format!("* MYRIGHTS {BOX} {rights}\r\n")),
            is_shown
        );
        let counted = said.contains(&format!("* STATUS {BOX} (MESSAGES 3)\r\n"));
        assert_eq!(
            counted,
            is_shown && rights.contains(Rights::READ),
            "{rights}: {said}"
        );
        // A subscription stays when the right to look it up has gone, and tells nothing.
        world.other("SETACL Box mary l");
        ask(&mut world, &format!("SUBSCRIBE {BOX}"));
        let said = ask(&mut world, "LSUB \"\" *");
        assert!(
            said.contains("* LSUB () \"/\" \"Other Users/fred/Box\""),
            "{said}"
        );
        world.other("SETACL Box mary \"\"");
        let said = ask(&mut world, "LSUB \"\" *");
        assert!(
            said.contains("* LSUB (\\Noselect) \"/\" \"Other Users/fred/Box\""),
            "{said}"
        );
        let said = ask(&mut world, "LIST (SUBSCRIBED) \"\" *");
        assert!(
            said.contains("* LIST (\\NonExistent \\HasNoChildren \\Subscribed)"),
            "{said}"
        );
    }
}

/// A right that is taken away is felt by the next command, and at once in IDLE.
#[test]
fn a_right_that_is_taken_away_is_felt_at_once() {
    let rights = Rights::parse(b"lrswte").expect("rights");
    let mut world = world(rights);
    ask(&mut world, &format!("SELECT {BOX}"));
    world.other("SETACL Box mary -st");
    let said = ask(&mut world, "NOOP");
    let permanent = "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Draft \\*)]";
    assert!(said.contains(permanent), "{said}");
    let said = ask(&mut world, "STORE 1 +FLAGS (\\Seen)");
    assert!(answer(&said).starts_with("NO [NOPERM]"), "{said}");
    world.input(false, b"i IDLE\r\n");
    assert_eq!(world.said(), b"+ idling\r\n");
    // What it doesn't go by is not told.
    world.other("SETACL Box mary +p");
    world.other("SETACL Box anyone l");
    assert_eq!(world.said(), b"");
    world.other("APPEND Box <<four");
    assert_eq!(world.said(), b"* 4 EXISTS\r\n* 4 RECENT\r\n");
    world.other("SETACL Box mary +s");
    let said = String::from_utf8(world.said()).expect("ASCII");
    let permanent = "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Seen \\Draft \\*)]";
    assert!(said.contains(permanent), "{said}");
    world.other("DELETEACL Box mary");
    assert_eq!(
        world.said(),
        b"* BYE You may not read the selected mailbox any more\r\n"
    );
    assert!(world.client.closed);
}

/// RFC 4314 §4, as fred has it: an owner keeps from himself what he likes, but for `l` and `a`.
#[test]
fn an_owner_may_bind_his_own_hands() {
    let mut world = World::new();
    world.input(false, b"l LOGIN fred secret\r\n");
    world.said();
    for (command, expected) in [
        ("CREATE Box", "OK"),
        ("SETACL Box fred \"\"", "OK"),
        ("MYRIGHTS Box", "OK"),
        ("SELECT Box", "NO [NOPERM]"),
        ("DELETE Box", "NO [NOPERM]"),
        ("CREATE Box/x", "NO [NOPERM]"),
        ("APPEND Box {1+}\r\nx", "NO [NOPERM]"),
        ("SETACL Box fred +rx", "OK"),
        ("SELECT Box", "OK [READ-ONLY]"),
        ("UNSELECT", "OK"),
        ("DELETE Box", "OK"),
    ] {
        let said = ask(&mut world, command);
        assert!(answer(&said).starts_with(expected), "{command}: {said}");
        if command.starts_with("MYRIGHTS") {
            assert!(said.starts_with("* MYRIGHTS Box la\r\n"), "{said}");
        }
    }
}
