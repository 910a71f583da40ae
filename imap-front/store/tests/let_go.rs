//! A store whose files go to another process for a while, or for good.

mod common;

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use common::{Bench, append, body, status};
use mail::{Reply, Request};
use store::{OpenError, Options, Store};

fn options() -> Options {
    Options {
        disk_free_bytes_min: 0,
        ..Options::default()
    }
}

#[test]
fn it_is_open_in_one_place_and_comes_back_with_what_the_other_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(folder.path(), options());
    let user = bench.ensure_user("ann");
    bench.ask(append(user, body(1, 100)));
    let in_use = || Bench::try_open(folder.path(), options()).err();
    assert!(matches!(in_use(), Some(OpenError::InUse { .. })));
    bench.store.let_go();
    // Nothing is read or changed meanwhile.
    assert!(bench.store.is_closed() && !bench.store.has_failed());
    let request = Request::Status {
        user,
        name: mail::MailboxName::inbox(),
        deleted_bytes: false,
    };
    assert!(matches!(
        bench.store.read(&request),
        Some(Reply::Refused(_))
    ));
    let completion = Box::new(|_| panic!("it was not taken"));
    assert!(
        bench
            .store
            .write(append(user, body(2, 100)), completion)
            .is_err()
    );
    // The other one awaits it, and takes it.
    let other = Store::awaited(folder.path(), options()).expect("options that agree");
    assert!(other.is_closed() && !other.has_failed());
    other.take_again(Box::new(|_| {})).expect("it is free");
    let (sender, done) = mpsc::channel();
    let completion = Box::new(move |reply| sender.send(reply).expect("the test waits"));
    assert!(other.write(append(user, body(3, 100)), completion).is_ok());
    assert!(matches!(done.recv(), Ok(Reply::Appended(_))));
    let taken = bench.store.take_again(Box::new(|_| {}));
    assert!(matches!(taken, Err(OpenError::InUse { .. })));
    assert!(bench.store.is_closed(), "it stays let go");
    drop(other);
    let recovery = bench
        .store
        .take_again(Box::new(|_| {}))
        .expect("it is free");
    assert!(recovery.loss.is_none());
    assert_eq!(status(&bench, user).messages, 2);
    bench.ask(append(user, body(4, 100)));
    assert_eq!(status(&bench, user).messages, 3);
}

/// Bytes of all journals of a store, without the zeros that a new one ends in.
fn journal_bytes(folder: &Path) -> usize {
    let files = fs::read_dir(folder.join("db")).expect("a database");
    let paths = files.map(|file| file.expect("a file").path());
    let journals = paths.filter(|path| path.extension().is_some_and(|it| it == "jnl"));
    let used = |bytes: Vec<u8>| {
        bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1)
    };
    journals
        .map(|path| used(fs::read(path).expect("a journal")))
        .sum()
}

#[test]
fn what_was_written_out_is_not_read_again_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::open(folder.path(), options());
    let user = bench.ensure_user("ann");
    for round in 0..3_u64 {
        for seed in 0..50 {
            bench.ask(append(user, body(round * 100 + seed, 2_000)));
        }
        let before = journal_bytes(folder.path());
        assert!(before > 50 * 2_000, "{before} bytes");
        assert!(bench.store.write_out(Duration::from_secs(60)));
        assert!(journal_bytes(folder.path()) >= before, "all goes on");
        // One round ends with nothing behind what stands in tables.
        let after = if round == 1 { 0 } else { 3 };
        for seed in 0..after {
            bench.ask(append(user, body(round * 100 + 50 + seed, 2_000)));
        }
        bench.store.let_go();
        let left = journal_bytes(folder.path());
        assert!(left < 20_000, "{left} bytes in round {round}");
        let recovery = bench.store.take_again(Box::new(|_| {}));
        assert_eq!(recovery.expect("it is whole").loss, None);
    }
    assert_eq!(status(&bench, user).messages, 156);
    bench.store.let_go();
    let again = Bench::open(folder.path(), options());
    assert_eq!(status(&again, user).messages, 156);
}
