//! A site of Dovecot's with many users, odd names and odd flags, imported from its files and over
//! IMAP: for each user a client that compares all finds no difference. `ENSIGN_IMPORT_USERS` and
//! `ENSIGN_IMPORT_MESSAGES` say how many; figures are printed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::imports::{Dovecot, PASSWORD, run, seen};
use crate::site::{Server, Site};

/// Names as Dovecot has them, and as they are here if that is not the same.
const NAMES: [(&str, Option<&str>); 16] = [
    ("Archive/2019/Q&-A", None),
    ("Entw&APw-rfe", None),
    ("&U,BTFw-/&ZeVnLIqe-", None),
    ("&2DzfjA- emoji", None),
    ("INBOX/Below", None),
    ("With \\\"quotes\\\" (1)", None),
    ("back\\\\slash", None),
    ("{12}", None),
    ("work", None),
    ("Work", None),
    (" led by a blank", None),
    ("ended by one ", None),
    ("100% *sure*", Some("100_ _sure_")),
    ("#news~[x]", None),
    ("cur", None),
    ("a&-b", None),
];
/// Letters of flags; not P, which means nothing to Dovecot.
const FLAGS: [&str; 8] = [
    "",
    "S",
    "RS",
    "FSabc",
    "DFRSTabcdef",
    "T",
    "SSF",
    "DSe,junk",
];
const KEYWORDS: [&str; 6] = ["$Work", "later", "NonJunk", "$label1", "Odd.word/x", "z"];

fn count(variable: &str, otherwise: usize) -> usize {
    let count = std::env::var(variable);
    count.map_or(otherwise, |count| count.parse().unwrap())
}

/// What a file of a message holds; not all of it is what a message should be.
fn text(random: &mut fastrand::Rng, id: usize) -> Vec<u8> {
    let end = if random.bool() { "\n" } else { "\r\n" };
    let mut text = format!("Message-ID: <{id}@x>{end}Subject: =?utf-8?q?{id}=C3=A9?={end}");
    text += &format!("From: a@b{end}Date: Mon, 2 Mar 2020 10:00:00 +0200{end}{end}");
    let mut bytes = text.into_bytes();
    match random.u8(..40) {
        0 => bytes.clear(),
        1 => bytes.truncate(30),
        2 => bytes.extend(b"no end of line"),
        3 => bytes.extend(b"\rbare\rcr\r\r\n\n\r\n"),
        4 => bytes.extend((128..=255).chain(1..32).collect::<Vec<u8>>()),
        5 => bytes.extend(vec![b'x'; 20_000]),
        6 => bytes.extend(format!("line of a large one{end}").repeat(20_000).bytes()),
        _ => {
            for _ in 0..random.usize(1..60) {
                let length = random.usize(..78);
                let line = (0..length).map(|_| random.alphanumeric());
                bytes.extend(line.collect::<String>().bytes());
                bytes.extend(end.bytes());
            }
        }
    }
    bytes
}

/// Puts files into a folder, as deliverers and other readers of Maildirs have left them.
fn put(folder: &Path, random: &mut fastrand::Rng, ids: std::ops::Range<usize>) {
    for id in ids {
        let bytes = text(random, id);
        // Times of names ascend as numbers, and not as text.
        let mut name = format!("{}.M{id}P1.host", 999_999_000 + id * 7);
        if random.bool() {
            name += &format!(",S={}", bytes.len());
        }
        let is_new = random.u8(..8) == 0;
        if !is_new {
            name += &format!(":2,{}", FLAGS[random.usize(..FLAGS.len())]);
        }
        let path = folder.join(if is_new { "new" } else { "cur" }).join(name);
        fs::write(&path, bytes).unwrap();
        let time = match random.u8(..20) {
            0 => UNIX_EPOCH + Duration::from_secs(1),
            1 => SystemTime::now(),
            _ => UNIX_EPOCH + Duration::from_millis(random.u64(..1_900_000_000_000)),
        };
        fs::File::open(&path).unwrap().set_modified(time).unwrap();
    }
}

/// Folders of a Maildir, the INBOX first.
fn folders(maildir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![maildir.to_owned()];
    let entries = fs::read_dir(maildir).unwrap().map(|it| it.unwrap().path());
    found.extend(entries.filter(|it| it.join("cur").is_dir()));
    found.sort();
    found
}

fn belongs_to_mail(path: &Path) {
    let mut chown = Command::new("chown");
    let done = chown.args(["-R", "mail:mail"]).arg(path).status().unwrap();
    assert!(done.success());
}

/// A user's mail: most of it was seen by clients, some flags were changed, some messages are gone,
/// and some came that nobody has seen yet.
fn fill(dovecot: &Dovecot, user: &str, messages: usize, random: &mut fastrand::Rng) {
    let mut talk = dovecot.client(user);
    talk.ask("a SELECT INBOX");
    for (number, (name, _)) in NAMES.iter().enumerate() {
        talk.ask(&format!("b CREATE \"{name}\""));
        if number % 3 != 0 {
            talk.ask(&format!("c SUBSCRIBE \"{name}\""));
        }
    }
    talk.ask("d SUBSCRIBE INBOX");
    let maildir = dovecot.maildir(user);
    let folders = folders(&maildir);
    // Of each folder two go and three come; the INBOX has the rest.
    let each = messages / (folders.len() + 4);
    let rest = messages.saturating_sub(each * (folders.len() - 1) + folders.len());
    let mut id = 0;
    for (number, folder) in folders.iter().enumerate() {
        let count = if number == 0 { rest } else { each };
        let words: String = (0..)
            .zip(KEYWORDS)
            .map(|(at, word)| format!("{at} {word}\n"))
            .collect();
        fs::write(folder.join("dovecot-keywords"), words).unwrap();
        put(folder, random, id..id + count);
        id += count;
    }
    belongs_to_mail(&maildir);
    for (name, _) in NAMES.iter().chain(&[("INBOX", None)]) {
        talk.ask(&format!("e SELECT \"{name}\""));
        talk.ask(r"f STORE 1:2 +FLAGS.SILENT (\Flagged $Later2)");
        talk.ask(r"g STORE 2:3 +FLAGS.SILENT (\Deleted)");
        talk.ask("h EXPUNGE");
    }
    talk.ask("i LOGOUT");
    for folder in folders {
        put(&folder, random, id..id + 3);
        id += 3;
    }
    belongs_to_mail(&maildir);
}

/// Dovecot's names as they are here.
fn renamed(theirs: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let ours = |name: &String| {
        let decoded = |it: &str| it.replace("\\\"", "\"").replace("\\\\", "\\");
        let known = NAMES.iter().find(|(theirs, _)| decoded(theirs) == *name);
        known.and_then(|(_, ours)| *ours).map(str::to_owned)
    };
    let name = |(name, is)| (ours(&name).unwrap_or(name), is);
    theirs.into_iter().map(name).collect()
}

fn compare(dovecot: &Dovecot, server: &Server, users: &[String]) {
    for user in users {
        let theirs = renamed(seen(dovecot.imap, user, PASSWORD));
        let ours = seen(server.imap, user, user);
        let names = |all: &BTreeMap<String, String>| all.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs), "{user}");
        for (name, theirs) in &theirs {
            let ours = &ours[name];
            let at = ours
                .bytes()
                .zip(theirs.bytes())
                .take_while(|(a, b)| a == b)
                .count();
            let around = |it: &str| {
                let bytes = &it.as_bytes()[at.saturating_sub(600)..it.len().min(at + 200)];
                String::from_utf8_lossy(bytes).into_owned()
            };
            assert!(
                ours == theirs,
                "{user}, {name}:\n{}\n{}",
                around(ours),
                around(theirs)
            );
        }
    }
}

fn told(what: &str, (messages, begun): (usize, Instant), sum: &serde_json::Value) {
    let took = begun.elapsed();
    let rate = messages as f64 / took.as_secs_f64();
    eprintln!("{what}: {messages} messages in {took:.1?}, {rate:.0} a second: {sum}");
}

#[test]
fn a_site_of_many_users_moves() {
    let Some(dovecot) = Dovecot::start("") else {
        return;
    };
    let users = count("ENSIGN_IMPORT_USERS", 3);
    let messages = count("ENSIGN_IMPORT_MESSAGES", 600);
    let users: Vec<String> = (0..users).map(|it| format!("user{it}")).collect();
    let mut random = fastrand::Rng::with_seed(5);
    let begun = Instant::now();
    for user in &users {
        fill(&dovecot, user, messages / users.len(), &mut random);
    }
    eprintln!("the site is filled after {:.1?}", begun.elapsed());
    // From its files, while no server runs here.
    let ours = Site::new("").with_users(&users);
    ours.configure();
    let path = dovecot.maildir("%u");
    let words = ["maildir", path.to_str().unwrap()];
    let begun = Instant::now();
    let (code, sum) = run(&ours, &words);
    let added = sum["added"].as_u64().unwrap() as usize;
    assert_eq!(code, 0, "{sum}");
    assert_eq!(sum["kept"], sum["mailboxes"], "{sum}");
    told("from Maildirs", (added, begun), &sum);
    let server = ours.start();
    let begun = Instant::now();
    compare(&dovecot, &server, &users);
    told("compared", (added, begun), &sum);
    // Again, through the server: nothing is new.
    let begun = Instant::now();
    let (code, sum) = run(&ours, &words);
    assert_eq!((code, &sum["added"]), (0, &0.into()), "{sum}");
    assert_eq!(sum["present"], added, "{sum}");
    told("from Maildirs, again", (added, begun), &sum);
    drop(server);
    over_imap(&dovecot, &users, added);
}

/// Into another base, from the server itself.
fn over_imap(dovecot: &Dovecot, users: &[String], messages: usize) {
    let ours = Site::new("").with_users(users);
    let server = ours.start();
    let list = ours.folder.path().join("list");
    let lines = users.iter().map(|user| format!("{user}\t\t{PASSWORD}\n"));
    fs::write(&list, lines.collect::<String>()).unwrap();
    let port = dovecot.imap.port().to_string();
    let from = ["imap", "127.0.0.1", "--tls", "none", "--port", &port];
    let words = [&from[..], &["--list", list.to_str().unwrap()]].concat();
    for (what, added) in [("over IMAP", messages), ("over IMAP, again", 0)] {
        let begun = Instant::now();
        let (code, sum) = run(&ours, &words);
        assert_eq!((code, &sum["added"]), (0, &added.into()), "{sum}");
        told(what, (messages, begun), &sum);
    }
    compare(dovecot, &server, users);
}
