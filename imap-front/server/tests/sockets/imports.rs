//! Mail of a real Dovecot, imported from its files and over IMAP: a client that compares all finds
//! no difference.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use admin::Base;
use archive::elsewhere::mbox::Messages;
use archive::remote::{Fetched, Remote, What};
use clap::Parser;
use server::arguments::imsimport::Arguments;
use server::tools::import;

use crate::site::{Site, Talk};

/// Nothing takes as long.
const PATIENCE: Duration = Duration::from_secs(20);
pub const PASSWORD: &str = "all-the-same";

/// A Dovecot of our own: users without number, each with that password.
pub struct Dovecot {
    folder: tempfile::TempDir,
    pub imap: SocketAddr,
}

impl Dovecot {
    /// Starts one; none if there is none on this host, or this isn't root.
    pub fn start(layout: &str) -> Option<Self> {
        let is_root = rustix::process::geteuid().is_root();
        if !is_root || !Path::new("/usr/sbin/dovecot").exists() {
            eprintln!("not tried: this host has no Dovecot, or the test is not run by root");
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix("dovecot-")
            .tempdir()
            .unwrap();
        let (dir, home) = (folder.path(), folder.path().join("home"));
        fs::create_dir(&home).unwrap();
        for path in [dir, &home] {
            let mode = if path == dir { "755" } else { "777" };
            let done = Command::new("chmod").arg(mode).arg(path).status().unwrap();
            assert!(done.success());
        }
        let imap = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let (shown, port) = (dir.display(), imap.port());
        let text = format!(
            "base_dir = {shown}/run\nstate_dir = {shown}/run\nlog_path = {shown}/log\n\
             instance_name = imports\nprotocols = imap\nlisten = 127.0.0.1\nssl = no\n\
             disable_plaintext_auth = no\ndefault_login_user = dovenull\n\
             default_internal_user = dovecot\nfirst_valid_uid = 1\n\
             mail_location = maildir:~/Maildir{layout}\nauth_master_user_separator = *\n\
             service imap-login {{\n inet_listener imap {{\n port = {port}\n }}\n \
             inet_listener imaps {{\n port = 0\n }}\n}}\n\
             passdb {{\n driver = static\n master = yes\n args = password={PASSWORD}\n}}\n\
             passdb {{\n driver = static\n args = password={PASSWORD}\n}}\n\
             userdb {{\n driver = static\n args = uid=mail gid=mail home={shown}/home/%n \
             allow_all_users=yes\n}}\n\
             namespace inbox {{\n inbox = yes\n separator = /\n}}\n"
        );
        let path = dir.join("dovecot.conf");
        fs::write(&path, text).unwrap();
        let done = Command::new("dovecot")
            .arg("-c")
            .arg(&path)
            .status()
            .unwrap();
        assert!(done.success());
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(imap).is_err() {
            assert!(
                Instant::now() < until,
                "{}",
                fs::read_to_string(dir.join("log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { folder, imap })
    }

    pub fn client(&self, user: &str) -> Talk {
        let mut talk = Talk::to(self.imap);
        talk.line();
        talk.ask(&format!("l LOGIN {user} {PASSWORD}"));
        talk
    }

    pub fn maildir(&self, user: &str) -> PathBuf {
        self.folder.path().join("home").join(user).join("Maildir")
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let path = self.folder.path().join("dovecot.conf");
        let _ = Command::new("dovecot")
            .arg("-c")
            .arg(path)
            .arg("stop")
            .status();
    }
}

/// Appends messages with odd flags and dates, and has some of them go.
fn fill(talk: &mut Talk, mailbox: &str, count: usize) {
    let flags = [
        "",
        r"\Seen",
        r"\Flagged \Answered",
        r"\Draft $Work",
        r"\Deleted later",
        "$Forwarded Z-9",
    ];
    for number in 0..count {
        let text = format!(
            "Message-ID: <{mailbox}{number}@x>\r\nSubject: {number}\r\nFrom: a@b\r\n\r\n\
             From here, {:width$}\r\n>From there\r\n",
            number,
            width = 1 + number * 37 % 900,
        );
        let flags = flags[number % flags.len()];
        let date = format!(
            "{:02}-Mar-20{:02} 10:00:00 +0200",
            number % 28 + 1,
            number % 24
        );
        let length = text.len();
        talk.say(&format!(
            "a APPEND \"{mailbox}\" ({flags}) \"{date}\" {{{length}}}\r\n"
        ));
        assert!(talk.line().starts_with('+'));
        talk.say(&format!("{text}\r\n"));
        talk.until("a");
    }
    talk.ask(&format!("b SELECT \"{mailbox}\""));
    talk.ask(&format!(r"c UID STORE 2,{count} +FLAGS.SILENT (\Deleted)"));
    talk.ask(&format!("d UID EXPUNGE 2,{count}"));
}

const ODD: [&str; 4] = [
    "Work/2026/Q&-A",
    "Entw&APw-rfe",
    "a.b",
    "With \\\"quotes\\\" (1)",
];

fn site_of(talk: &mut Talk, names: &[&str]) {
    fill(talk, "INBOX", 25);
    for (number, name) in names.iter().enumerate() {
        talk.ask(&format!("e CREATE \"{name}\""));
        talk.ask(&format!("f SUBSCRIBE \"{name}\""));
        fill(talk, name, 3 + number * 4);
    }
    talk.ask("g CREATE Empty");
    talk.ask("h SELECT Empty");
}

/// All that a client sees of a user's mail, dates without their zone.
pub fn seen(address: SocketAddr, user: &str, password: &str) -> BTreeMap<String, String> {
    let stream = TcpStream::connect(address).unwrap();
    let mut remote = Remote::greeted(stream, 1 << 24).unwrap();
    remote.log_in(user, password, None).unwrap();
    let subscribed = remote.subscribed().unwrap();
    let mut found = BTreeMap::new();
    for listed in remote
        .list()
        .unwrap()
        .into_iter()
        .filter(|it| it.selectable)
    {
        let opened = remote.examine(&listed.raw).unwrap();
        let mut messages: Vec<Fetched> = vec![];
        if opened.exists > 0 {
            let each = |fetched| {
                messages.push(fetched);
                Ok(())
            };
            remote.fetch("1:*", What::Messages, each).unwrap();
        }
        messages.sort_by_key(|it| it.uid);
        for message in &mut messages {
            message.date.as_mut().unwrap().zone_min = 0;
        }
        let is_subscribed = subscribed.iter().any(|it| it.raw == listed.raw);
        let text = format!("{opened:?} {is_subscribed} {messages:?}");
        found.insert(listed.name, text);
    }
    remote.log_out();
    found
}

fn base(site: &Site) -> Base {
    Base::new(site.folder.path())
}

/// Runs `imsimport`; gives its exit code and the sum that it prints.
pub fn run(site: &Site, words: &[&str]) -> (u8, serde_json::Value) {
    let words = ["imsimport", "--json"].iter().chain(words);
    let arguments = Arguments::try_parse_from(words).unwrap();
    let mut out = vec![];
    let code = import::run(&base(site), &arguments, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    (
        code,
        serde_json::from_str(text.lines().last().unwrap()).unwrap(),
    )
}

#[test]
fn a_dovecot_moves_from_its_files() {
    for layout in ["", ":LAYOUT=fs"] {
        let Some(dovecot) = Dovecot::start(layout) else {
            return;
        };
        let mut names = ODD.to_vec();
        // In Maildir++ a dot separates levels.
        names.retain(|name| !layout.is_empty() || !name.contains('.'));
        for user in ["fred", "mary"] {
            site_of(&mut dovecot.client(user), &names);
        }
        let site = Site::new("");
        site.configure();
        let path = dovecot.maildir("%u");
        let words = ["maildir", path.to_str().unwrap()];
        let (code, sum) = run(&site, &words);
        let messages = 2 * (25 + (0..names.len()).map(|it| 3 + it * 4).sum::<usize>());
        let gone = 2 * 2 * (1 + names.len());
        assert_eq!(code, 0, "{sum}");
        assert_eq!(sum["added"], messages - gone, "{sum}");
        assert_eq!(sum["kept"], sum["mailboxes"], "{sum}");
        let server = site.start();
        for user in ["fred", "mary"] {
            let theirs = seen(dovecot.imap, user, PASSWORD);
            let ours = seen(server.imap, user, user);
            assert!(theirs.len() >= names.len() + 2);
            let names = |all: &BTreeMap<String, String>| all.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&ours), names(&theirs));
            for (name, theirs) in &theirs {
                assert_eq!(&ours[name], theirs, "{name}");
            }
        }
        // Again, through the server: only what came meanwhile, and the server's own stays.
        server.deliver(&["fred"], "Subject: ours\r\n\r\nx");
        let mut talk = dovecot.client("fred");
        fill(&mut talk, "Empty", 4);
        talk.say("a APPEND INBOX {9}\r\n");
        talk.line();
        talk.say("A: b\r\n\r\nz\r\n");
        talk.until("a");
        drop(talk);
        let (code, sum) = run(&site, &words);
        assert_eq!((code, &sum["added"]), (0, &serde_json::json!(3)), "{sum}");
        assert_eq!(sum["present"], messages - gone, "{sum}");
        let (_, sum) = run(&site, &words);
        assert_eq!(sum["added"], 0, "{sum}");
    }
}

#[test]
fn a_dovecot_moves_over_imap() {
    let Some(dovecot) = Dovecot::start("") else {
        return;
    };
    let names = [ODD[0], ODD[1], ODD[3]];
    for user in ["fred", "mary"] {
        site_of(&mut dovecot.client(user), &names);
    }
    let site = Site::new("");
    let server = site.start();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
    let port = dovecot.imap.port().to_string();
    let from = ["imap", "127.0.0.1", "--tls", "none", "--port", &port];
    let secret = secret.to_str().unwrap();
    let master = [
        "--master",
        "root",
        "--master-password",
        secret,
        "--master-style",
        "star",
    ];
    let words = [&from[..], &master].concat();
    let (code, sum) = run(&site, &words);
    assert_eq!((code, &sum["users"]), (0, &serde_json::json!(2)), "{sum}");
    for user in ["fred", "mary"] {
        assert_eq!(
            seen(server.imap, user, user),
            seen(dovecot.imap, user, PASSWORD)
        );
    }
    let list = folder.path().join("list");
    fs::write(&list, format!("fred\t\t{PASSWORD}\n")).unwrap();
    let words = [&from[..], &["--list", list.to_str().unwrap()]].concat();
    let (code, sum) = run(&site, &words);
    assert_eq!((code, &sum["added"]), (0, &serde_json::json!(0)), "{sum}");
    assert!(sum["present"].as_u64().unwrap() > 30, "{sum}");
    fs::write(&list, "fred\tmary\twrong\n").unwrap();
    assert_eq!(run(&site, &words).0, 1, "a login that is refused is told");
}

#[test]
fn mbox_files_are_counted() {
    let site = Site::bare("");
    site.configure();
    let path = site.folder.path().join("Old mail.mbox");
    let text = "From a 10:00\nStatus: RO\nSubject: 1\n\n>From x\n\nFrom b 10:00\nSubject: 2\n\ny\n";
    fs::write(&path, text).unwrap();
    let words = ["mbox", "-u", "fred", path.to_str().unwrap()];
    let (code, sum) = run(&site, &words);
    assert_eq!((code, &sum["added"]), (0, &serde_json::json!(2)), "{sum}");
    let (code, sum) = run(&site, &words);
    assert_eq!((code, &sum["present"]), (0, &serde_json::json!(2)), "{sum}");
    let mut messages = Messages::new(text.as_bytes());
    while messages.next().unwrap().is_some() {}
    assert_eq!(messages.separators(), 2);
}

/// A mailbox that was made before mail is imported into it stays what it is, and one that the
/// import makes is as if its owner had made it.
#[test]
fn rights_and_metadata_stay_or_are_inherited() {
    let site = Site::new("");
    let server = site.start();
    let mut fred = server.select("fred");
    fred.ask("a CREATE Work");
    fred.ask("b SETACL Work mary lr");
    fred.ask(r#"c SETMETADATA Work (/private/comment "mine" /shared/comment "ours")"#);
    let maildir = site.folder.path().join("Maildir");
    for name in ["", ".Work", ".Work.Below"] {
        let cur = maildir.join(name).join("cur");
        fs::create_dir_all(&cur).unwrap();
        fs::write(cur.join("1:2,S"), "Subject: x\r\n\r\ny\r\n").unwrap();
    }
    let words = ["maildir", "-u", "fred", maildir.to_str().unwrap()];
    let (code, sum) = run(&site, &words);
    assert_eq!((code, &sum["added"]), (0, &serde_json::json!(3)), "{sum}");
    assert_eq!(sum["kept"], 3, "{sum}");
    // The INBOX that was selected has another in its place.
    let mut fred = server.select("fred");
    for name in ["Work", "Work/Below"] {
        let list = fred.ask(&format!("d GETACL {name}")).concat();
        assert!(list.contains("mary lr"), "{name}: {list}");
    }
    let found = fred
        .ask("e GETMETADATA Work (/private/comment /shared/comment)")
        .concat();
    assert!(found.contains("mine") && found.contains("ours"), "{found}");
    let mut mary = server.select("mary");
    let list = mary.ask(r#"f LIST "" *"#).concat();
    assert!(list.contains("fred/Work/Below"), "{list}");
}

/// What was imported, deleted and is imported again has the same UIDVALIDITY: UIDs that were given
/// here meanwhile are not given again.
#[test]
fn uids_go_on_where_a_deleted_mailbox_was() {
    let site = Site::new("");
    let server = site.start();
    let maildir = site.folder.path().join("Maildir");
    let work = maildir.join(".Work");
    for folder in [&maildir, &work] {
        fs::create_dir_all(folder.join("cur")).unwrap();
    }
    fs::write(work.join("cur/1:2,S"), "Subject: x\r\n\r\ny\r\n").unwrap();
    fs::write(work.join("dovecot-uidlist"), "3 V1276 N9\n7 :1\n").unwrap();
    let words = ["maildir", "-u", "fred", maildir.to_str().unwrap()];
    assert_eq!(run(&site, &words).0, 0);
    let mut fred = server.select("fred");
    let state = "(UIDVALIDITY UIDNEXT)";
    let found = fred.ask(&format!("a STATUS Work {state}")).concat();
    assert!(
        found.contains("UIDVALIDITY 1276") && found.contains("UIDNEXT 9"),
        "{found}"
    );
    for _ in 0..3 {
        fred.say("b APPEND Work {9}\r\n");
        fred.line();
        fred.say("A: b\r\n\r\nz\r\n");
        fred.until("b");
    }
    fred.ask("c DELETE Work");
    assert_eq!(run(&site, &words).0, 0);
    let found = fred.ask(&format!("d STATUS Work {state}")).concat();
    assert!(
        found.contains("UIDVALIDITY 1276") && found.contains("UIDNEXT 12"),
        "{found}"
    );
}
