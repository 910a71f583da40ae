//! Durable appends, so many waiting at once, beside a plain file with one `fdatasync` for as many.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::fs::File;
use std::io::Write;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mail::{Body, Flags, MailboxName, Reply, Request, UserId};
use store::{Options, Store};

const BODY_BYTES: usize = 1024;
const BATCHES: [usize; 3] = [1, 16, 64];

fn user(store: &Store) -> UserId {
    let (sender, receiver) = mpsc::channel();
    let completion = Box::new(move |reply| sender.send(reply).expect("waits"));
    assert!(store.ensure_user("fred", completion).is_ok());
    match receiver.recv() {
        Ok(Reply::Authenticated(user)) => user,
        other => panic!("{other:?}"),
    }
}

/// Appends `batch` messages at once and waits for all answers.
fn append(store: &Store, user: UserId, body: &Bytes, batch: usize) {
    let (sender, receiver) = mpsc::channel();
    for _ in 0..batch {
        let sender = sender.clone();
        let request = Request::Append {
            user,
            name: MailboxName::inbox(),
            flags: Flags::default(),
            date: None,
            body: Body::Inline(body.clone()),
        };
        let completion = Box::new(move |reply| sender.send(reply).expect("waits"));
        assert!(store.write(request, completion).is_ok(), "there is room");
    }
    for _ in 0..batch {
        let reply = receiver.recv();
        assert!(matches!(reply, Ok(Reply::Appended(_))), "{reply:?}");
    }
}

fn appends(criterion: &mut Criterion) {
    let body = Bytes::from(vec![b'x'; BODY_BYTES]);
    let mut group = criterion.benchmark_group("append");
    group.sample_size(10);
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch as u64));
        let folder = tempfile::tempdir().expect("a folder");
        let opened = Store::open(folder.path(), Options::default(), Box::new(|_| {}));
        let (store, _) = opened.expect("the store opens");
        let user = user(&store);
        group.bench_function(format!("store/{batch}"), |bencher| {
            bencher.iter_custom(|rounds| timed(rounds, || append(&store, user, &body, batch)));
        });
        store.close();
        let mut file = File::create(folder.path().join("plain")).expect("a file");
        group.bench_function(format!("plain_file/{batch}"), |bencher| {
            bencher.iter_custom(|rounds| {
                timed(rounds, || {
                    for _ in 0..batch {
                        file.write_all(&body).expect("there is room");
                    }
                    rustix::fs::fdatasync(&file).expect("the disk works");
                })
            });
        });
    }
    group.finish();
}

fn timed(rounds: u64, mut work: impl FnMut()) -> Duration {
    let begun = Instant::now();
    (0..rounds).for_each(|_| work());
    begun.elapsed()
}

criterion_group!(benches, appends);
criterion_main!(benches);
