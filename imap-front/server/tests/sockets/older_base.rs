//! A base directory of version 0.1.0, taken over by this one. Its store, in `tests/bases/`, was
//! filled by the code of that version: for each of two users messages in INBOX and in Work/Old, of
//! which some have flags and keywords and one is large, copies of two in Drafts, two that were
//! expunged, and a mailbox that was deleted.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use crate::service_user::{ids, site};
use crate::site::Site;

const STORE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bases/0.1.0.tar.gz");

/// All files and folders below this one.
fn all_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = vec![folder.to_owned()];
    if folder.is_dir() {
        for entry in fs::read_dir(folder).unwrap() {
            all.extend(all_below(&entry.unwrap().path()));
        }
    }
    all
}

#[test]
fn users_of_0_1_0_log_in_and_their_mail_is_there() {
    let is_root = rustix::process::geteuid().is_root();
    let site = site("").unwrap_or_else(|| Site::bare(""));
    let folder = site.folder.path();
    // As it was: open to others, and root's. Users' lines have no account.
    fs::remove_dir(folder.join("data")).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--no-same-owner", "-xzpf", STORE, "-C"])
        .arg(folder);
    assert!(tar.status().unwrap().success());
    let users = fs::read_to_string(folder.join("config/users")).unwrap();
    let columns = |line: &str| line.matches(':').count();
    assert!(users.lines().all(|line| columns(line) == 1), "{users}");
    for below in ["data", "data/db", "log", "run", "config"] {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.join(below), mode).unwrap();
    }
    let mut server = site.start();
    for below in ["data", "log", "run", "config"] {
        for path in all_below(&folder.join(below)) {
            let metadata = fs::symlink_metadata(&path).unwrap();
            let others = if below == "config" { 0o027 } else { 0o077 };
            assert_eq!(metadata.mode() & others, 0, "{}", path.display());
            if is_root && below != "config" {
                assert_eq!(metadata.uid().to_string(), ids().0, "{}", path.display());
            }
        }
    }
    for user in ["fred", "mary"] {
        let mut talk = server.select(user);
        let listed = talk.ask("a LIST \"\" *").join("\n");
        for name in ["Drafts", "INBOX", "Work", "Work/Old"] {
            assert!(listed.contains(&format!(" {name}\n")), "{listed}");
        }
        assert!(!listed.contains("Trash"), "{listed}");
        assert!(talk.ask("b LSUB \"\" *")[0].ends_with(" Work/Old"));
        let found = |talk: &mut crate::site::Talk, what: &str| talk.ask(what)[0].clone();
        let uids = "* SEARCH 1 2 4 5 6 8 9 10 11 12 13 14 15";
        assert_eq!(found(&mut talk, "c UID SEARCH ALL"), uids);
        let seen = "* SEARCH 2 4 6 8 10 12 14";
        assert_eq!(found(&mut talk, "d UID SEARCH SEEN"), seen);
        let marked = "* SEARCH 5 10 15";
        assert_eq!(found(&mut talk, "e UID SEARCH KEYWORD $Work"), marked);
        let text = "* SEARCH 4";
        let asked = format!("f UID SEARCH SUBJECT \"number 4\" TEXT \"Hello {user}\"");
        assert_eq!(found(&mut talk, &asked), text);
        let counted = found(&mut talk, "g STATUS Drafts (MESSAGES)");
        assert!(counted.contains("MESSAGES 2"), "{counted}");
        talk.ask("h SELECT Work/Old");
        let large = found(&mut talk, "i FETCH 6 RFC822.SIZE");
        assert_eq!(large, "* 6 FETCH (RFC822.SIZE 99098)");
        let delivered = server.deliver(&[user], "Subject: new\r\n\r\ny");
        assert!(delivered[0].starts_with("250"), "{delivered:?}");
        talk.ask("j SELECT INBOX");
        let newest = found(&mut talk, "k UID SEARCH 14");
        assert_eq!(newest, "* SEARCH 16");
    }
    // What was changed is there after another start.
    server.terminate();
    server.ended();
    let server = site.start();
    let uids = server.select("mary").ask("a UID SEARCH ALL");
    assert!(uids[0].ends_with(" 15 16"), "{uids:?}");
}
