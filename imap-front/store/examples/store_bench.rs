//! Appends a second and the time of one append, durable, by how many wait at a time.
//!
//! `cargo run --release -p store --example store_bench -- [FOLDER] [SECONDS]`
#![allow(clippy::disallowed_methods, reason = "it measures")]

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mail::request::{FlagChange, StoreMode};
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
    change_flags(&store, users[0]);
    println!("resident: {} KiB", resident_kib());
    store.close();
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

fn ask(store: &Store, request: Request) -> Reply {
    let (sender, receiver) = mpsc::channel();
    let completion = Box::new(move |reply| sender.send(reply).expect("waits"));
    assert!(
        store.write(request, completion).is_ok(),
        "the queue has room"
    );
    receiver.recv().expect("answers")
}

/// STORE of one message after the other in a mailbox with many, alone.
fn change_flags(store: &Store, user: UserId) {
    let name = MailboxName::inbox();
    let began = Instant::now();
    let open = Request::Open {
        user,
        name,
        read_only: false,
    };
    let Some(Reply::Opened(opened)) = store.read(&open) else {
        panic!("not opened")
    };
    println!(
        "SELECT of {} messages: {:?}",
        opened.uids.len(),
        began.elapsed()
    );
    let mut times = Vec::new();
    let mut since = opened.highest_modseq;
    for uid in opened.uids.iter().step_by(opened.uids.len() / 200 + 1) {
        let mut flags = Flags::default();
        flags.insert(mail::SystemFlag::Seen);
        let request = Request::Store {
            mailbox: opened.mailbox,
            ranges: [*uid].into_iter().collect(),
            change: FlagChange {
                mode: StoreMode::Add,
                flags,
                unchanged_since: None,
            },
            since,
        };
        let began = Instant::now();
        let Reply::Stored { delta, .. } = ask(store, request) else {
            panic!("not stored")
        };
        since = delta[0].seq;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!(
        "STORE of one: p50 {:?}, most {:?}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
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
