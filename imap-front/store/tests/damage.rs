//! Files of a store are flipped, cut and removed: it is refused, or what can't be read is said and
//! everything else is right.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use common::harm::{Chance, damage, files, flip};
use common::{Bench, append, body};
use mail::reply::Opened;
use mail::request::Want;
use mail::search::{Key, Program};
use mail::{MailboxName, ModSeq, Reply, Request, Uid, UserId};
use store::{OpenError, Options, reconstruct};

const USERS: [&str; 2] = ["ann", "bob"];
const MESSAGES: u64 = 60;

/// Small memtables, so that there are tables and files of bodies.
fn options(accept_loss: bool) -> Options {
    Options {
        write_buffer_bytes: 64 << 10,
        disk_free_bytes_min: 0,
        accept_loss,
        ..Options::default()
    }
}

fn size(number: u64) -> usize {
    [100, 3_000, 9_000, 70_000][number as usize % 4]
}

/// A store with messages, and what each user's INBOX holds.
fn filled(folder: &Path) -> BTreeMap<(UserId, Uid), Bytes> {
    let mut known = BTreeMap::new();
    let bench = Bench::open(folder, options(false));
    for name in USERS {
        bench.ensure_user(name);
    }
    for number in 0..MESSAGES {
        let user = bench.ensure_user(USERS[number as usize % 2]);
        let body = body(number, size(number));
        match bench.ask(append(user, body.clone())) {
            Reply::Appended(appended) => known.insert((user, appended.uid), body),
            reply => panic!("{reply:?}"),
        };
    }
    bench.store.close();
    known
}

fn inbox(bench: &Bench, user: UserId) -> Result<Opened, Reply> {
    let request = Request::Open {
        user,
        name: MailboxName::inbox(),
        read_only: true,
    };
    match bench.ask(request) {
        Reply::Opened(opened) => Ok(opened),
        reply => Err(reply),
    }
}

/// All messages of a mailbox, as a client fetches them, and how many can't be read.
fn fetched(bench: &Bench, opened: &Opened) -> (BTreeMap<Uid, Bytes>, usize) {
    let (mut bodies, mut unreadable) = (BTreeMap::new(), 0);
    let mut left = &opened.uids[..];
    while !left.is_empty() {
        let reply = bench.ask(Request::Fetch {
            mailbox: opened.mailbox,
            uids: left.to_vec(),
            want: Want {
                bytes: true,
                ..Want::default()
            },
            budget_bytes: 100_000,
        });
        let Reply::Fetched {
            messages,
            done,
            unreadable: more,
        } = reply
        else {
            return (bodies, unreadable + left.len());
        };
        unreadable += more;
        for message in messages {
            let request = Request::Read {
                mailbox: opened.mailbox,
                uid: message.uid,
                range: 0..message.size,
            };
            let bytes = match (message.bytes, bench.ask(request)) {
                (Some(bytes), _) | (None, Reply::Piece(bytes)) => bytes,
                (None, Reply::Refused(_)) => {
                    unreadable += 1;
                    continue;
                }
                (None, reply) => panic!("{reply:?}"),
            };
            assert_eq!(
                bytes.len() as u64,
                message.size,
                "never less than announced"
            );
            bodies.insert(message.uid, bytes);
        }
        assert!(done > 0);
        left = &left[done..];
    }
    (bodies, unreadable)
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let there = to.join(file.strip_prefix(from).expect("below"));
        fs::create_dir_all(there.parent().expect("one")).expect("made");
        fs::copy(file, there).expect("copied");
    }
}

/// The largest file of bodies.
fn bodies_file(folder: &Path) -> PathBuf {
    let blobs = files(folder).into_iter();
    let blobs = blobs.filter(|path| path.to_string_lossy().contains("/blobs/"));
    let largest = blobs.max_by_key(|path| fs::metadata(path).expect("there").len());
    largest.expect("bodies are in files")
}

#[test]
fn a_flipped_byte_in_a_body_costs_that_message_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let known = filled(folder.path());
    let file = bodies_file(folder.path());
    flip(&file, fs::metadata(&file).expect("there").len() / 2, 1);
    let bench = Bench::open(folder.path(), options(false));
    let mut lost = 0;
    for name in USERS {
        let user = bench.ensure_user(name);
        let opened = inbox(&bench, user).expect("opens");
        assert_eq!(opened.uids.len() as u64, MESSAGES / 2);
        let (bodies, unreadable) = fetched(&bench, &opened);
        assert_eq!(bodies.len() + unreadable, opened.uids.len());
        for (uid, body) in bodies {
            assert!(known[&(user, uid)] == body, "{uid}");
        }
        let request = Request::Search {
            mailbox: opened.mailbox,
            program: Program {
                key: Key::Text("no such text".into()),
            },
            since: ModSeq(0),
            recent_from: Uid(1),
        };
        let Reply::Found {
            hits,
            unreadable: unsearched,
            ..
        } = bench.ask(request)
        else {
            panic!("a search goes on");
        };
        assert_eq!(hits.len(), 0);
        assert_eq!(unsearched, unreadable);
        lost += unreadable;
    }
    assert_eq!(lost, 1);
    bench.store.close();
}

/// What a damage came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Refused,
    /// Refused; if the loss is accepted the rest is right.
    Accepted,
    Contained,
    Harmless,
}

/// Goes on without what is lost: what is left is right, and its rows agree with each other.
fn judge_accepted(folder: &Path, known: &BTreeMap<(UserId, Uid), Bytes>, what: &str) -> Outcome {
    let Ok(bench) = Bench::try_open(folder, options(true)) else {
        // Only a backup helps.
        return Outcome::Refused;
    };
    for user in (1..=USERS.len() as u64).map(UserId) {
        let Ok(opened) = inbox(&bench, user) else {
            continue;
        };
        let (bodies, unreadable) = fetched(&bench, &opened);
        assert_eq!(unreadable, 0, "{what}: what can't be read was dropped");
        for (uid, body) in bodies {
            assert!(known[&(user, uid)] == body, "{what}: {uid} is another");
        }
    }
    bench.store.close();
    drop(bench);
    match reconstruct::run(folder, &options(false), false) {
        Ok(summary) => assert_eq!(summary.findings, [], "{what}"),
        Err(error) => panic!("{what}: {error}"),
    }
    Outcome::Accepted
}

/// Opens a damaged store and reads all of it.
fn judge(folder: &Path, known: &BTreeMap<(UserId, Uid), Bytes>, what: &str) -> Outcome {
    let bench = match Bench::try_open(folder, options(false)) {
        Err(OpenError::Beyond(loss)) => {
            assert!(!loss.faults.is_empty(), "{what}: {loss}");
            assert!(Bench::try_open(folder, options(true)).is_err(), "{what}");
            return Outcome::Refused;
        }
        Err(OpenError::Lost(loss)) => {
            assert!(!loss.faults.is_empty(), "{what}: {loss}");
            return judge_accepted(folder, known, what);
        }
        Err(_) => return Outcome::Refused,
        Ok(bench) => bench,
    };
    let mut outcome = Outcome::Harmless;
    for (index, name) in USERS.iter().enumerate() {
        let user = UserId(index as u64 + 1);
        match bench.store.user(name) {
            Ok(found) => assert_eq!(found, Some(user), "{what}: {name} is unknown"),
            Err(_) => outcome = Outcome::Contained,
        }
        let Ok(opened) = inbox(&bench, user) else {
            outcome = Outcome::Contained;
            continue;
        };
        assert_eq!(opened.uids.len() as u64, MESSAGES / 2, "{what}");
        let (bodies, unreadable) = fetched(&bench, &opened);
        assert_eq!(bodies.len() + unreadable, opened.uids.len(), "{what}");
        for (uid, body) in bodies {
            assert!(known[&(user, uid)] == body, "{what}: {uid} is another");
        }
        if unreadable > 0 {
            outcome = Outcome::Contained;
        }
    }
    bench.store.close();
    outcome
}

fn rounds() -> u64 {
    let rounds = std::env::var("ENSIGN_DAMAGE_ROUNDS");
    rounds.map_or(30, |rounds| rounds.parse().expect("a number"))
}

#[test]
fn damage_anywhere_is_refused_or_said() {
    let template = tempfile::tempdir().expect("a folder");
    let known = filled(template.path());
    let mut counts: BTreeMap<Outcome, u64> = BTreeMap::new();
    for round in 0..rounds() {
        let folder = tempfile::tempdir().expect("a folder");
        copy(template.path(), folder.path());
        let mut chance = Chance::new(round);
        let what = format!("round {round}: {}", damage(folder.path(), &mut chance));
        let outcome = judge(folder.path(), &known, &what);
        println!("{what}: {outcome:?}");
        *counts.entry(outcome).or_default() += 1;
    }
    println!("{counts:?}");
}
