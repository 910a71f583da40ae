//! Indexes of large mailboxes outlive the server, and are dropped when they can't be trusted.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Bench, append, body};
use mail::reply::Opened;
use mail::{MailboxName, Reply, Request, UserId};
use store::{Options, reconstruct};

const MESSAGES: u64 = 60;

fn options() -> Options {
    Options {
        disk_free_bytes_min: 0,
        index_messages_min: 2,
        read_at_once_messages_max: 20,
        ..Options::default()
    }
}

fn select(bench: &Bench, user: UserId) -> Opened {
    let open = Request::Open {
        user,
        name: MailboxName::inbox(),
        read_only: true,
    };
    match bench.ask(open) {
        Reply::Opened(opened) => opened,
        reply => panic!("{reply:?}"),
    }
}

/// A store with a large mailbox that was selected and closed, and what was seen in it.
fn filled(folder: &Path) -> (UserId, Opened) {
    let bench = Bench::open(folder, options());
    let user = bench.ensure_user("ann");
    for number in 0..MESSAGES {
        bench.ask(append(user, body(number, 40)));
    }
    let opened = select(&bench, user);
    assert_eq!(bench.store.index_counts(), (0, 1, 0));
    bench.store.close();
    (user, opened)
}

fn saved(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("indexes"));
    entries
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("listed").path())
        .collect()
}

#[test]
fn a_start_needs_no_look_at_all_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let (user, opened) = filled(folder.path());
    assert_eq!(saved(folder.path()).len(), 1);
    let bench = Bench::open(folder.path(), options());
    assert!(
        bench
            .store
            .read_at_once(&Request::Open {
                user,
                name: MailboxName::inbox(),
                read_only: true,
            })
            .is_err(),
        "files are nothing for a thread that others wait for"
    );
    assert_eq!(select(&bench, user), opened);
    assert_eq!(bench.store.index_counts(), (1, 0, 0));
}

#[test]
fn after_a_kill_it_is_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let (user, _) = filled(folder.path());
    let bench = Bench::open(folder.path(), options());
    for number in 0..5 {
        bench.ask(append(user, body(number, 40)));
    }
    let opened = select(&bench, user);
    bench.ask(Request::Expunge {
        mailbox: opened.mailbox,
        within: None,
        since: opened.highest_modseq,
    });
    // As the disk is when the server is killed.
    let killed = tempfile::tempdir().expect("a folder");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(format!("{}/.", folder.path().display()))
        .arg(killed.path())
        .status();
    assert!(copied.expect("cp runs").success());
    let again = Bench::open(killed.path(), options());
    assert_eq!(select(&again, user).uids, select(&bench, user).uids);
    assert_eq!(again.store.index_counts(), (1, 0, 0));
}

#[test]
fn what_was_looked_through_once_is_saved_before_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(folder.path(), options());
    let user = bench.ensure_user("ann");
    for number in 0..MESSAGES {
        bench.ask(append(user, body(number, 40)));
    }
    select(&bench, user);
    bench.store.work_off();
    assert_eq!(saved(folder.path()).len(), 1);
}

#[test]
fn a_damaged_one_is_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (user, opened) = filled(folder.path());
    let file = &saved(folder.path())[0];
    let mut bytes = fs::read(file).expect("there");
    bytes.truncate(bytes.len() - 3);
    fs::write(file, bytes).expect("written");
    let bench = Bench::open(folder.path(), options());
    assert_eq!(select(&bench, user), opened);
    assert_eq!(bench.store.index_counts(), (0, 1, 0));
}

#[test]
fn repairs_drop_them() {
    let folder = tempfile::tempdir().expect("a folder");
    filled(folder.path());
    reconstruct::run(folder.path(), &options(), false).expect("checked");
    assert_eq!(saved(folder.path()).len(), 1, "a check changes nothing");
    reconstruct::run(folder.path(), &options(), true).expect("repaired");
    assert!(saved(folder.path()).is_empty());
}

#[test]
fn a_mailbox_that_is_gone_has_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(folder.path(), options());
    let user = bench.ensure_user("ann");
    let name = MailboxName::new("large");
    let create = Request::Create {
        user,
        name: name.clone(),
        special_use: None,
    };
    assert!(matches!(bench.ask(create), Reply::Created(_)));
    for number in 0..MESSAGES {
        let Request::Append {
            flags, date, body, ..
        } = append(user, body(number, 40))
        else {
            unreachable!("it is one");
        };
        bench.ask(Request::Append {
            user,
            name: name.clone(),
            flags,
            date,
            body,
        });
    }
    bench.ask(Request::Open {
        user,
        name: name.clone(),
        read_only: true,
    });
    bench.store.work_off();
    assert_eq!(saved(folder.path()).len(), 1);
    bench.ask(Request::Delete { user, name });
    bench.store.work_off();
    assert!(saved(folder.path()).is_empty());
}
