//! What is refused of an import or a restore is counted and named, and ends nothing else.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use crate::backups::{back_up, restore};
use crate::imports::run;
use crate::site::Site;

fn message(folder: &std::path::Path, name: &str, bytes: usize) {
    let cur = folder.join("cur");
    fs::create_dir_all(&cur).unwrap();
    let text = format!("Subject: {name}\r\n\r\n{}\r\n", "x".repeat(bytes));
    fs::write(cur.join(format!("{name}:2,S")), text).unwrap();
}

#[test]
fn one_message_ends_no_import() {
    let site = Site::bare("store.maxmessagesize = 65536\n");
    let server = site.start();
    let mail = tempfile::tempdir().unwrap();
    let path = |user: &str| mail.path().join(user);
    for (name, bytes) in [("1", 10), ("2", 100_000), ("3", 10)] {
        message(&path("fred"), name, bytes);
        message(&path("fred").join(".Work"), name, bytes / 2);
    }
    message(&path("mary"), "4", 10);
    let from = path("%n");
    let words = ["maildir", "-j", "1", from.to_str().unwrap()];
    for (added, present) in [(6, 0), (0, 6)] {
        let (code, sum) = run(&site, &words);
        assert_eq!(code, 1, "{sum}");
        assert_eq!(
            (&sum["added"], &sum["present"]),
            (&added.into(), &present.into())
        );
        assert_eq!(sum["failed"], 1, "{sum}");
        assert_eq!(sum["users"], 2, "{sum}");
    }
    let mut fred = server.select("fred");
    let found = fred.ask("a UID FETCH 1:* (FLAGS)").concat();
    assert!(
        found.contains("UID 1 ") && found.contains("UID 3 "),
        "{found}"
    );
    assert!(!found.contains("UID 2 "), "{found}");
}

/// Answers one client as a server would that has lost some of its mail.
fn answer(stream: TcpStream) {
    let mut input = BufReader::new(stream.try_clone().unwrap());
    let mut output = stream;
    output.write_all(b"* OK hi\r\n").unwrap();
    let mut line = String::new();
    while input.read_line(&mut line).is_ok_and(|count| count > 0) {
        let (tag, command) = line.trim().split_once(' ').unwrap();
        let word = command.split(' ').next().unwrap();
        let untagged = match word {
            "CAPABILITY" => "* CAPABILITY IMAP4rev1\r\n",
            "LIST" => "* LIST () \"/\" INBOX\r\n* LIST () \"/\" Gone\r\n",
            "EXAMINE" if command.contains("INBOX") => {
                "* 5 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9] x\r\n"
            }
            "UID" if command.contains("1:* (UID RFC822.SIZE)") => {
                "* 1 FETCH (UID 1 RFC822.SIZE 15)\r\n* 2 FETCH (UID 2 RFC822.SIZE 15)\r\n\
                 * 3 FETCH (UID 3 RFC822.SIZE 15)\r\n* 4 FETCH (UID 4 RFC822.SIZE 15)\r\n"
            }
            "UID" if command.contains("BODY.PEEK[]") => {
                "* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 15 BODY[] {15}\r\nSubject: 1\r\n\r\nx)\r\n\
                 * 3 FETCH (UID 3 FLAGS () RFC822.SIZE 15 BODY[] NIL)\r\n\
                 * 4 FETCH (UID 4 FLAGS () INTERNALDATE \"soon\" BODY[] {3}\r\nabc)\r\n\
                 * 5 FETCH (UID 99 FLAGS () RFC822.SIZE 15 BODY[] {3}\r\nabc)\r\n"
            }
            "UID" => {
                "* 2 FETCH (UID 2 RFC822.SIZE 15)\r\n* 3 FETCH (UID 3 RFC822.SIZE 15)\r\n\
                      * 4 FETCH (UID 4 RFC822.SIZE 15)\r\n"
            }
            _ => "",
        };
        let end = match word {
            "NAMESPACE" => "BAD what",
            "EXAMINE" if command.contains("Gone") => "NO it is damaged",
            _ => "OK done",
        };
        let said = format!("{untagged}{tag} {end}\r\n");
        output.write_all(said.as_bytes()).unwrap();
        line.clear();
    }
}

#[test]
fn what_another_server_does_not_give_is_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap());
        }
    });
    let site = Site::bare("");
    site.configure();
    let list = site.folder.path().join("list");
    fs::write(&list, "fred\t\tsecret\nmary\t\tsecret\n").unwrap();
    let list = list.to_str().unwrap();
    let words = [
        "imap",
        "127.0.0.1",
        "--tls",
        "none",
        "--port",
        &port,
        "-j",
        "1",
        "--list",
        list,
    ];
    let (code, sum) = run(&site, &words);
    assert_eq!(code, 1);
    // Of each user: one that is not told of, one left out, one NIL, one that makes no sense, and a
    // mailbox that can't be opened.
    assert_eq!(sum["failed"], 2 * 5, "{sum}");
    assert_eq!(
        (&sum["added"], &sum["users"]),
        (&2.into(), &2.into()),
        "{sum}"
    );
}

#[test]
fn what_is_misspelt_is_no_backup() {
    let site = Site::bare("");
    let server = site.start();
    server.deliver(&["fred"], "Subject: 1\r\n\r\nx");
    let path = |name: &str| site.folder.path().join(name).to_str().unwrap().to_owned();
    let refused = back_up(&site, &[&path("a"), "-u", "fred", "-m", "Wrok"]).unwrap_err();
    assert!(refused.contains("no mailbox \"Wrok\""), "{refused}");
    let refused = back_up(&site, &[&path("a"), "-u", "frde"]).unwrap_err();
    assert!(refused.contains("no mail of frde"), "{refused}");
    assert!(!fs::exists(path("a")).unwrap());
    // INBOX is spelt as one likes.
    assert_eq!(
        back_up(&site, &[&path("a"), "-u", "fred", "-m", "inbox"]),
        Ok(0)
    );
    let words = ["-u", "fred", "-m", "Wrok", &path("a")];
    assert_eq!(restore(&site, &words).unwrap().0, 1);
    let words = ["-u", "fred", "-m", "Inbox", &path("a")];
    let (code, said) = restore(&site, &words).unwrap();
    assert!(code == 0 && said.contains("1 there already"), "{said}");
}
