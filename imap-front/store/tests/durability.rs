//! What was confirmed survives: a clean stop, a kill in the middle, and damage is said aloud.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use common::{Bench, append, body, status};
use mail::reply::Opened;
use mail::{MailboxId, MailboxName, ModSeq, Reply, Request, Uid, UserId};
use store::{Loss, OpenError, Options, Store};

const BODY_BYTES: usize = 3_000;
const FOLDER: &str = "STORE_TEST_FOLDER";
const FIRST: &str = "STORE_TEST_FIRST";
const KILLS: usize = 6;

fn open_inbox(bench: &Bench, user: UserId) -> Opened {
    let request = Request::Open {
        user,
        name: MailboxName::inbox(),
        read_only: true,
    };
    match bench.ask(request) {
        Reply::Opened(opened) => opened,
        reply => panic!("{reply:?}"),
    }
}

fn read(bench: &Bench, mailbox: MailboxId, uid: Uid) -> bytes::Bytes {
    match bench.ask(Request::Read {
        mailbox,
        uid,
        range: 0..u64::MAX,
    }) {
        Reply::Piece(piece) => piece,
        reply => panic!("{uid}: {reply:?}"),
    }
}

/// Not a test of its own: the process that [`a_kill_loses_nothing_that_was_confirmed`] kills.
#[test]
#[ignore = "run by another test, which kills it"]
fn deliver_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let first: u64 = std::env::var(FIRST)
        .expect("set")
        .parse()
        .expect("a number");
    let bench = Bench::open(Path::new(&folder), Options::default());
    let user = bench.ensure_user("ann");
    let (sender, receiver) = mpsc::channel();
    let submit = |number: u64| {
        let sender = sender.clone();
        let completion = Box::new(move |reply| sender.send((number, reply)).expect("waits"));
        let given = bench
            .store
            .write(append(user, body(number, BODY_BYTES)), completion);
        assert!(given.is_ok(), "the queue has room");
    };
    let mut numbers = first..;
    (&mut numbers).take(8).for_each(&submit);
    loop {
        let (number, reply) = receiver.recv().expect("the writer answers");
        let Reply::Appended(appended) = reply else {
            panic!("{reply:?}")
        };
        println!("appended {number} {} {}", appended.uid, appended.modseq);
        std::io::stdout().flush().expect("the parent reads");
        submit(numbers.next().expect("without end"));
    }
}

/// Runs a delivering process until it has confirmed so many, and kills it. Gives all it confirmed.
fn deliver_and_kill(folder: &Path, first: u64, confirmations: usize) -> Vec<(u64, Uid, ModSeq)> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "deliver_until_killed",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut text = String::new();
    for _ in 0..confirmations {
        assert_ne!(
            output.read_line(&mut text).expect("text"),
            0,
            "it ended by itself: {text}"
        );
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    output.read_to_string(&mut text).expect("text");
    // The last line may have been cut.
    let whole = &text[..text.rfind('\n').map_or(0, |at| at + 1)];
    whole.lines().filter_map(confirmation).collect()
}

fn confirmation(line: &str) -> Option<(u64, Uid, ModSeq)> {
    // The test runner's own words may stand in front.
    let (_, rest) = line.split_once("appended ")?;
    let mut words = rest.split(' ').map(|word| word.parse::<u64>().ok());
    Some((
        words.next()??,
        Uid(words.next()?? as u32),
        ModSeq(words.next()??),
    ))
}

#[test]
fn a_kill_loses_nothing_that_was_confirmed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut confirmed: BTreeMap<u64, Uid> = BTreeMap::new();
    let mut last_modseq = ModSeq(0);
    let mut first = 1;
    for round in 0..KILLS {
        let more = deliver_and_kill(folder.path(), first, 20 + round * 37);
        assert!(more.len() >= 15);
        for (number, uid, modseq) in more {
            assert!(
                confirmed.values().all(|have| *have < uid),
                "a UID was given twice"
            );
            assert!(modseq > last_modseq, "the mod-sequence went back");
            last_modseq = modseq;
            confirmed.insert(number, uid);
        }
        let bench = Bench::open(folder.path(), Options::default());
        assert_eq!(bench.recovery.loss, None);
        let user = bench.ensure_user("ann");
        let opened = open_inbox(&bench, user);
        let mut there: BTreeMap<bytes::Bytes, Uid> = BTreeMap::new();
        for &uid in opened.uids.iter() {
            let again = there.insert(read(&bench, opened.mailbox, uid), uid);
            assert_eq!(again, None, "a message is there twice");
        }
        for (number, uid) in &confirmed {
            assert_eq!(
                there.get(&body(*number, BODY_BYTES)),
                Some(uid),
                "message {number}"
            );
        }
        let figures = status(&bench, user);
        assert_eq!(figures.messages as usize, opened.uids.len());
        assert!(opened.uids.last().is_none_or(|uid| *uid < figures.uid_next));
        assert!(figures.highest_modseq >= last_modseq);
        last_modseq = figures.highest_modseq;
        bench.store.close();
        // What was under way may be there or not; its numbers are not used again.
        first = confirmed.keys().last().expect("some") + 100;
    }
}

/// The only journal of a small store.
fn journal(folder: &Path) -> PathBuf {
    let entries = std::fs::read_dir(folder.join("db")).expect("there");
    let mut journals = entries
        .map(|entry| entry.expect("there").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"));
    let journal = journals.next().expect("one journal");
    assert_eq!(journals.next(), None);
    journal
}

/// A store with 40 messages whose journal was written over at a point of its length.
fn damaged_store(part: u64) -> (tempfile::TempDir, mail::UidValidity) {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(folder.path(), Options::default());
    let user = bench.ensure_user("ann");
    let mut ends = 0;
    for number in 0..40 {
        assert!(matches!(
            bench.ask(append(user, body(number, BODY_BYTES))),
            Reply::Appended(_)
        ));
        ends += BODY_BYTES as u64;
    }
    let validity = status(&bench, user).uid_validity;
    bench.store.close();
    drop(bench);
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(journal(folder.path()));
    let file = file.expect("there");
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xee; 8_192], ends / 100 * part)
        .expect("written");
    (folder, validity)
}

fn refused(folder: &Path) -> Loss {
    match Store::open(folder, Options::default(), Box::new(|_| {})) {
        Err(OpenError::Lost(loss) | OpenError::Beyond(loss)) => *loss,
        Err(error) => panic!("{error}"),
        Ok((_, recovery)) => panic!("it opens: {recovery:?}"),
    }
}

fn accepting() -> Options {
    Options {
        accept_loss: true,
        ..Options::default()
    }
}

#[test]
fn damage_in_the_journal_is_refused_until_it_is_accepted() {
    for part in [30, 60, 90] {
        let (folder, validity) = damaged_store(part);
        let before = std::fs::read(journal(folder.path())).expect("there");
        let loss = refused(folder.path());
        assert!(loss.commits() > 0, "{loss:?}");
        let copies = loss.copies.expect("the journal is copied aside");
        let copy = std::fs::read(copies.join("db/0.jnl")).expect("there");
        assert!(copy == before, "the copy is what was there");
        let now = std::fs::read(journal(folder.path())).expect("there");
        assert!(now == before, "a refusal changes nothing");
        assert_eq!(refused(folder.path()).copies, Some(copies));

        let bench = Bench::open(folder.path(), accepting());
        let lost = bench.recovery.loss.clone().expect("it is said");
        assert!(lost.commits() > 0, "{lost}");
        bench.store.close();
        drop(bench);
        for _ in 0..2 {
            let bench = Bench::open(folder.path(), Options::default());
            assert_eq!(bench.recovery.loss, None, "said once");
            let user = bench.ensure_user("ann");
            assert_ne!(
                status(&bench, user).uid_validity,
                validity,
                "lost UIDs are given again"
            );
            let reply = bench.ask(append(user, body(100, BODY_BYTES)));
            assert!(matches!(reply, Reply::Appended(_)), "{reply:?}");
            bench.store.close();
        }
    }
}

#[test]
fn a_cut_journal_is_refused_with_what_it_lacks() {
    let (folder, _) = damaged_store(50);
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(journal(folder.path()));
    file.expect("there").set_len(50_000).expect("cut");
    let loss = refused(folder.path());
    // 40 messages after their user, and sort keys that were made beside them.
    assert!((41..82).contains(&loss.durable), "{loss}");
    assert!((10..20).contains(&loss.ends_at), "{loss}");
    assert_eq!(loss.commits(), loss.durable - loss.ends_at);
    assert!(
        loss.to_string().contains(&format!(
            "ends at commit {}, but {} was durable: {} commits are lost",
            loss.ends_at,
            loss.durable,
            loss.commits()
        )),
        "{loss}"
    );
}

/// Files without which the database would make an empty store, or remove what it holds.
#[test]
fn a_missing_file_is_refused_and_costs_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(folder.path(), Options::default());
    let user = bench.ensure_user("ann");
    for number in 0..10 {
        bench.ask(append(user, body(number, BODY_BYTES)));
    }
    bench.store.close();
    drop(bench);
    for name in [
        "version",
        "0.jnl",
        "keyspaces",
        "keyspaces/0",
        "keyspaces/0/current",
        "keyspaces/6",
        "keyspaces/6/current",
        "",
    ] {
        let file = folder.path().join("db").join(name);
        let aside = folder.path().join("aside");
        std::fs::rename(&file, &aside).expect("moved");
        let loss = refused(folder.path());
        assert!((11..22).contains(&loss.durable), "{name}: {loss}");
        std::fs::rename(&aside, &file).expect("moved back");
        let bench = Bench::open(folder.path(), Options::default());
        assert_eq!(bench.recovery.loss, None, "{name}");
        assert_eq!(status(&bench, user).messages, 10, "{name}");
        bench.store.close();
    }
}

/// The commit marker guards the database; without it the database is believed, and it is made anew.
#[test]
fn a_missing_or_damaged_marker_is_no_obstacle() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(folder.path(), Options::default());
    let user = bench.ensure_user("ann");
    bench.ask(append(user, body(1, BODY_BYTES)));
    bench.store.close();
    drop(bench);
    let marker = folder.path().join("commits");
    let text = std::fs::read(&marker).expect("there");
    for other in [None, Some(&b""[..]), Some(&b"00000000000000000009 0\n"[..])] {
        match other {
            None => std::fs::remove_file(&marker).expect("removed"),
            Some(other) => std::fs::write(&marker, other).expect("written"),
        }
        let bench = Bench::open(folder.path(), Options::default());
        assert_eq!(bench.recovery.commits, 2);
        bench.store.close();
        drop(bench);
        assert_eq!(std::fs::read(&marker).expect("there"), text);
    }
}

#[test]
fn a_store_that_is_in_use_is_said_to_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(folder.path(), Options::default());
    let opened = Store::open(folder.path(), Options::default(), Box::new(|_| {}));
    assert!(matches!(opened, Err(OpenError::InUse { .. })));
    bench.store.close();
}

#[test]
fn uploads_are_not_kept_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(folder.path(), Options::default());
    for number in 0..3 {
        let request = Request::Spool {
            spool: None,
            chunk: body(number, 100_000),
        };
        assert!(matches!(bench.ask(request), Reply::Spooled(_)));
    }
    bench.store.close();
    drop(bench);
    let bench = Bench::open(folder.path(), Options::default());
    assert_eq!(bench.recovery.spools_removed, 3);
    bench.store.close();
    drop(bench);
    let bench = Bench::open(folder.path(), Options::default());
    assert_eq!(bench.recovery.spools_removed, 0);
    bench.store.close();
}

/// Answers come after the announcement, so that watchers and depositors are told at one time.
#[test]
fn events_are_announced_before_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(folder.path(), Options::default());
    let user = bench.ensure_user("ann");
    for number in 0..50 {
        let pending = bench.submit(append(user, body(number, 10)));
        assert!(matches!(pending.wait(), Reply::Appended(_)));
        assert_eq!(bench.announced().len(), 1);
    }
    bench.store.close();
    let (sender, receiver) = mpsc::channel::<Reply>();
    let completion = Box::new(move |reply| sender.send(reply).expect("waits"));
    let refused = bench.store.write(append(user, body(1, 10)), completion);
    assert!(refused.is_err(), "a closed store takes nothing");
    drop(refused);
    assert!(receiver.recv().is_err(), "and answers nothing");
}
