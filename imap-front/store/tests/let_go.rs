//! A store whose files go to another process for a while, or for good.

mod common;

use std::sync::mpsc;

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
