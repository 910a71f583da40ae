//! A store that has lost something: who starts the server is told, and decides.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::site::Site;

fn imapd(site: &Site, arguments: &[&str]) -> Output {
    let base = site.folder.path();
    let mut command = Command::new(env!("CARGO_BIN_EXE_imapd"));
    command.arg("--base").arg(base).args(arguments);
    command.env_remove("ENSIGN_READY_FD").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn journal(base: &Path) -> fs::File {
    let path = base.join("data/db/0.jnl");
    fs::OpenOptions::new().write(true).open(path).unwrap()
}

#[test]
fn loss_is_told_and_logged_and_refused_until_it_is_accepted() {
    let site = Site::bare("logfile.imap.file = log/imap\n");
    let mut server = site.start();
    for number in 0..20 {
        let message = format!("Subject: {number}\r\n\r\n{number}");
        server.deliver(&["fred"], &message);
    }
    let validity = |talk: &[String]| {
        let mut lines = talk.iter();
        lines.find(|line| line.contains("UIDVALIDITY")).cloned()
    };
    let select = "s STATUS INBOX (UIDVALIDITY MESSAGES)";
    let before = server.select("fred").ask(select);
    server.terminate();
    server.ended();
    let base = site.folder.path();
    journal(base).write_all_at(&[0xee; 4], 200).unwrap();

    for arguments in [&["--recover"][..], &[]] {
        let refused = imapd(&site, arguments);
        assert_eq!(refused.status.code(), Some(1));
        let said = text(&refused.stderr);
        for part in ["damaged from byte", "data/damaged-", "--accept-loss"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let log = fs::read_to_string(base.join("log/imap")).unwrap();
        assert!(log.contains("--accept-loss"), "{log}");
    }

    let accepted = imapd(&site, &["--recover", "--accept-loss"]);
    assert!(accepted.status.success(), "{}", text(&accepted.stderr));
    assert!(text(&accepted.stdout).contains("was accepted"));
    let server = site.start();
    let after = server.select("fred").ask(select);
    assert_ne!(validity(&before), validity(&after), "{after:?}");
}

fn reconstruct(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let base = site.folder.path();
    let mut command = Command::new(env!("CARGO_BIN_EXE_reconstruct"));
    let output = command.arg("--base").arg(base).args(arguments);
    let output = output.output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    (output.status.code(), said)
}

#[test]
fn the_store_is_checked_and_repaired_while_the_server_does_not_run() {
    let site = Site::bare("");
    let mut server = site.start();
    for number in 0..20 {
        server.deliver(&["fred"], &format!("Subject: {number}\r\n\r\n{number}"));
    }
    let (code, said) = reconstruct(&site, &["-n"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("is in use"), "{said}");
    server.terminate();
    server.ended();
    let (code, said) = reconstruct(&site, &["-n"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 users, 1 mailboxes, 20 messages"), "{said}");

    let base = site.folder.path();
    journal(base).write_all_at(&[0xee; 4], 200).unwrap();
    let (code, said) = reconstruct(&site, &["-n"]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("LOST the store in "), "{said}");
    let (code, said) = reconstruct(&site, &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("going on without"), "{said}");
    assert_eq!(reconstruct(&site, &["-n"]).0, Some(0));
    assert_eq!(reconstruct(&site, &["-x"]).0, Some(2));
    drop(site.start());
}
