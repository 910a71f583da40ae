//! Appends a second and the time of one append, durable, by how many wait at a time.
//!
//! `cargo run --release -p store --example store_bench -- [FOLDER] [SECONDS]`

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mail::{Body, Flags, MailboxName, Reply, Request, UserId};
use store::{Options, Store};

const BODY_BYTES: usize = 4096;
const USERS: usize = 64;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let parent = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = arguments
        .next()
        .and_then(|text| text.to_str()?.parse().ok())
        .unwrap_or(3);
    let folder = tempfile::tempdir_in(parent).expect("the folder can be written to");
    let options = Options {
        disk_free_bytes_min: 0,
        ..Options::default()
    };
    let opened = Store::open(folder.path(), options, Box::new(|_| {}));
    let (store, _) = opened.expect("the store opens");
    let users: Vec<UserId> = (0..USERS).map(|user| make_user(&store, user)).collect();
    println!(
        "{:>8} {:>12} {:>12} {:>12}",
        "waiting", "appends/s", "p50 µs", "p99 µs"
    );
    for waiting in [1, 16, 64, 256] {
        run(&store, &users, waiting, Duration::from_secs(seconds));
    }
    store.close();
}

fn make_user(store: &Store, number: usize) -> UserId {
    let (sender, receiver) = mpsc::channel();
    let completion = Box::new(move |reply| sender.send(reply).expect("waits"));
    let given = store.ensure_user(&format!("user{number}"), completion);
    assert!(given.is_ok(), "the queue has room");
    match receiver.recv().expect("answers") {
        Reply::Authenticated(user) => user,
        reply => panic!("{reply:?}"),
    }
}

fn run(store: &Store, users: &[UserId], waiting: usize, time: Duration) {
    let (sender, receiver) = mpsc::channel();
    let mut bytes = vec![0; BODY_BYTES];
    let mut state = 1_u64;
    let mut submit = |number: usize| {
        for byte in &mut bytes {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(number as u64 | 1);
            *byte = b'0' + (state >> 58) as u8;
        }
        let request = Request::Append {
            user: users[number % users.len()],
            name: MailboxName::inbox(),
            flags: Flags::default(),
            date: None,
            body: Body::Inline(Bytes::copy_from_slice(&bytes)),
        };
        let (sender, began) = (sender.clone(), Instant::now());
        let completion = Box::new(move |reply| {
            assert!(matches!(reply, Reply::Appended(_)), "{reply:?}");
            sender.send(began.elapsed()).expect("waits");
        });
        assert!(
            store.write(request, completion).is_ok(),
            "the queue has room"
        );
    };
    let mut times = Vec::new();
    let began = Instant::now();
    (0..waiting).for_each(&mut submit);
    while began.elapsed() < time {
        times.push(receiver.recv().expect("answers"));
        submit(times.len());
    }
    let elapsed = began.elapsed();
    for _ in 0..waiting {
        receiver.recv().expect("answers");
    }
    times.sort_unstable();
    let at = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1e6;
    let rate = times.len() as f64 / elapsed.as_secs_f64();
    println!(
        "{waiting:>8} {rate:>12.0} {:>12.0} {:>12.0}",
        at(50),
        at(99)
    );
}
