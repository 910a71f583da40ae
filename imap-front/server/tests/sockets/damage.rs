//! Damage of the store while it is not looked at: what a client sees of it, and the log.

#[path = "../../../../tests/damage/files.rs"]
mod on_disk;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::site::{Server, Site, Talk};
use on_disk::{files, flip};

const USERS: [&str; 2] = ["fred", "mary"];
const MESSAGES: usize = 120;
/// Enough that some bodies are in files of their own.
const BODY_BYTES: usize = 130_000;

fn message(number: usize) -> String {
    let len = if number.is_multiple_of(3) {
        500
    } else {
        BODY_BYTES
    };
    let line = format!("{number:05} {}\r\n", "abcdefghij ".repeat(6));
    let lines = line.repeat(len / line.len() + 1);
    format!("Subject: number {number}\r\n\r\n{lines}")
}

/// A site with mail, which does not run.
fn filled() -> Site {
    let site = Site::bare("logfile.imap.file = log/imap\n");
    let mut server = site.start();
    for number in 0..MESSAGES {
        let to = USERS[number % 2];
        let answer = server.deliver(&[to], &message(number));
        assert!(answer[0].starts_with("250"), "{answer:?}");
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while bodies_file(site.folder.path()).is_none() {
        assert!(Instant::now() < deadline, "no bodies are in files");
        std::thread::sleep(Duration::from_millis(50));
    }
    server.terminate();
    server.ended();
    site
}

fn bodies_file(base: &Path) -> Option<PathBuf> {
    let files = files(&base.join("data")).into_iter();
    let mut blobs = files.filter(|path| path.to_string_lossy().contains("/blobs/"));
    blobs.next()
}

/// Everything of a user's INBOX, by UID, and how the last command ended; none if the connection
/// did.
fn fetch_all(server: &Server, user: &str) -> (BTreeMap<u32, String>, Option<String>) {
    let mut talk = Talk::to(server.imap);
    talk.line();
    let mut bodies = BTreeMap::new();
    for command in [&format!("l LOGIN {user} {user}"), "s SELECT INBOX"] {
        talk.say(&format!("{command}\r\n"));
        let tag = &command[..2];
        let end = loop {
            let line = talk.line();
            if line.is_empty() || line.starts_with(tag) {
                break line;
            }
        };
        if !end[1.min(end.len())..].starts_with(" OK") {
            return (bodies, (!end.is_empty()).then_some(end));
        }
    }
    talk.say("f FETCH 1:* (UID BODY.PEEK[])\r\n");
    loop {
        let line = talk.line();
        if line.is_empty() || line.starts_with("f ") {
            return (bodies, (!line.is_empty()).then_some(line));
        }
        let Some((head, size)) = line.rsplit_once('{') else {
            continue;
        };
        let size: usize = size.trim_end_matches('}').parse().unwrap();
        let uid = head
            .split("UID ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        let body = talk.bytes(size);
        if body.len() < size {
            return (bodies, None);
        }
        bodies.insert(uid.parse().unwrap(), String::from_utf8(body).unwrap());
        assert_eq!(talk.line(), ")");
    }
}

/// All that was fetched is right; gives how many messages of a user are not there.
fn missing(user: &str, bodies: &BTreeMap<u32, String>, what: &str) -> usize {
    for (uid, body) in bodies {
        let of_user = USERS.iter().position(|name| *name == user).unwrap();
        let number = (*uid as usize - 1) * 2 + of_user;
        assert!(
            body.ends_with(&format!("{}\r\n", message(number))),
            "{what}: {user} {uid}"
        );
    }
    MESSAGES / 2 - bodies.len()
}

#[test]
fn the_others_are_served_and_the_log_names_the_one_that_is_damaged() {
    let site = filled();
    let base = site.folder.path();
    let file = bodies_file(base).unwrap();
    flip(&file, fs::metadata(&file).unwrap().len() / 2, 1);
    let server = site.start();
    let mut ends = BTreeMap::new();
    let mut lost = 0;
    for user in USERS {
        let (bodies, end) = fetch_all(&server, user);
        let missing = missing(user, &bodies, "a flipped byte");
        lost += missing;
        ends.insert(end.unwrap(), missing);
    }
    assert_eq!(lost, 1);
    let no = "f NO [CORRUPTION] 1 messages can't be read";
    assert_eq!(ends.get(no), Some(&1), "{ends:?}");
    let log = fs::read_to_string(base.join("log/imap")).unwrap();
    let names = USERS.map(|user| format!("mailbox INBOX of {user}: the message with UID "));
    assert!(names.iter().any(|name| log.contains(name)), "{log}");
    let mut talk = server.select(USERS[0]);
    talk.say("x SEARCH BODY nothing-of-this\r\n");
    let mut other = server.select(USERS[1]);
    other.say("x SEARCH BODY nothing-of-this\r\n");
    let answers = [&mut talk, &mut other].map(|talk| {
        loop {
            let line = talk.line();
            if line.starts_with("x ") {
                break line;
            }
        }
    });
    let no = "x NO [CORRUPTION] 1 messages can't be searched";
    assert!(answers.contains(&no.to_owned()), "{answers:?}");
}

/// One damage of a file in `data/`, by a number that says which, where and how.
fn damage(data: &Path, number: u64) -> String {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % bound.max(1)
    };
    let files = files(data);
    let file = &files[below(files.len() as u64) as usize];
    let name = file.strip_prefix(data).unwrap().display();
    let bytes = fs::read(file).unwrap();
    // A journal is mostly zeros: those don't count.
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1) as u64;
    match below(4) {
        0 => {
            fs::remove_file(file).unwrap();
            format!("{name} removed")
        }
        1 => {
            let len = below(used);
            let file = fs::OpenOptions::new().write(true).open(file).unwrap();
            file.set_len(len).unwrap();
            format!("{name} cut to {len} of {used}")
        }
        _ if used == 0 => format!("{name} is empty"),
        _ => {
            let (at, bit) = (below(used), below(8));
            flip(file, at, 1 << bit);
            format!("{name}: bit {bit} of byte {at} of {used} flipped")
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let there = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(there.parent().unwrap()).unwrap();
        fs::copy(file, there).unwrap();
    }
}

/// Starts a server on a damaged store and reads everything; what came of it.
fn judge(site: &Site, what: &str) -> &'static str {
    let base = site.folder.path();
    let server = match site
        .try_start(":")
        .or_else(|said| match said.contains("in use") {
            // A port that somebody else took meanwhile.
            true => site.try_start(":"),
            false => Err(said),
        }) {
        Ok(server) => server,
        Err(said) => {
            assert!(
                said.contains("error: "),
                "{what}: refused without a word: {said}"
            );
            return "refused";
        }
    };
    let mut outcome = "harmless";
    for user in USERS {
        let (bodies, end) = fetch_all(&server, user);
        let missing = missing(user, &bodies, what);
        let is_ok = end.as_ref().is_some_and(|end| end.starts_with("f OK"));
        if missing == 0 && is_ok {
            continue;
        }
        assert!(!is_ok, "{what}: {missing} are missing without a word");
        let log = fs::read_to_string(base.join("log/imap")).unwrap();
        assert!(
            log.contains("can't be read") || log.contains("ERROR"),
            "{what}: no line"
        );
        outcome = "contained";
    }
    // Nothing is dead.
    assert!(server.greeting().starts_with("* OK"), "{what}");
    assert!(Talk::to(server.lmtp).line().starts_with("220"), "{what}");
    outcome
}

#[test]
fn damage_anywhere_is_refused_or_contained() {
    let rounds = std::env::var("ENSIGN_DAMAGE_ROUNDS");
    let rounds: u64 = rounds.map_or(8, |rounds| rounds.parse().unwrap());
    let template = filled();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for round in 1..=rounds {
        let site = Site::bare("logfile.imap.file = log/imap\n");
        let data = site.folder.path().join("data");
        copy(&template.folder.path().join("data"), &data);
        let what = format!("round {round}: {}", damage(&data, round));
        let outcome = judge(&site, &what);
        println!("{what}: {outcome}");
        *counts.entry(outcome).or_default() += 1;
    }
    println!("{rounds} damages: {counts:?}");
}
