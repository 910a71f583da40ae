//! How long SORT and THREAD of a mailbox take, and what is kept for them.
//!
//! `cargo run --release -p store --example sort_bench -- [MESSAGES] [FOLDER]`
#![allow(clippy::disallowed_methods, reason = "it measures")]

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mail::request::Arrange;
use mail::search::{Key, Program};
use mail::sort::{Criterion, SortField, keys};
use mail::thread::Algorithm;
use mail::{Body, Flags, MailboxId, MailboxName, ModSeq, Reply, Request, Uid, UserId};
use store::{LongRead, Options, Store};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().and_then(|text| text.parse().ok());
    let count: u32 = count.unwrap_or(20_000);
    let parent = arguments.next().map(PathBuf::from);
    let parent = parent.unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(parent).expect("the folder can be written to");
    let began = Instant::now();
    let kept: usize = (0..count)
        .map(|number| keys::of_header(&message(number)).len())
        .sum();
    println!(
        "keys: {:?} and {} bytes a message",
        began.elapsed() / count,
        kept / count as usize
    );
    let open = || {
        let options = Options {
            disk_free_bytes_min: 0,
            ..Options::default()
        };
        Store::open(folder.path(), options, Box::new(|_| {}))
            .expect("the store opens")
            .0
    };
    let store = open();
    let began = Instant::now();
    fill(&store, count);
    println!("{count} messages came in {:?}", began.elapsed());
    store.close();
    drop(store);
    let store = open();
    let by = |field| {
        let criterion = Criterion {
            field,
            reverse: false,
        };
        Arrange::Sort(Box::new([criterion]))
    };
    let cases = [
        ("SORT (DATE), the first of all", by(SortField::Date)),
        ("SORT (DATE)", by(SortField::Date)),
        ("SORT (SUBJECT)", by(SortField::Subject)),
        ("SORT (FROM)", by(SortField::From)),
        ("THREAD=REFERENCES", Arrange::Thread(Algorithm::References)),
        ("THREAD=REFS", Arrange::Thread(Algorithm::Refs)),
        (
            "THREAD=ORDEREDSUBJECT",
            Arrange::Thread(Algorithm::OrderedSubject),
        ),
    ];
    println!(
        "{:30} {:>10} {:>10} {:>7}",
        "", "whole", "longest", "pieces"
    );
    for (name, how) in cases {
        let runs = if name.contains("first") { 1 } else { 5 };
        let mut all: Vec<_> = (0..runs).map(|_| arrange(&store, &how)).collect();
        all.sort_unstable();
        let (whole, longest, pieces) = all[runs / 2];
        println!("{name:30} {whole:>10.1?} {longest:>10.1?} {pieces:>7}");
    }
    store.close();
}

/// A message of a list: a hundred conversations at a time, each of about ten messages.
fn message(number: u32) -> Vec<u8> {
    let (thread, answer) = (number / 1000 * 100 + number % 100, number % 1000 / 100);
    let id = |answer: u32| format!("<{thread}.{answer}.of.the.list@mail.example.org>");
    let references: String = (0..answer).map(|it| format!(" {}\r\n", id(it))).collect();
    let re = if answer > 0 { "Re: " } else { "" };
    let references = match answer {
        0 => String::new(),
        _ => format!("In-Reply-To: {}\r\nReferences:{references}", id(answer - 1)),
    };
    format!(
        "Received: from mx.example.org by mail.example.org with LMTP\r\n\
         From: =?utf-8?q?Person_{0}?= <person{0}@example.org>\r\n\
         To: The list <list@example.org>\r\n\
         Subject: [list] {re}Conversation {1} about something or other\r\n\
         Date: {2} Jan 2026 {3:02}:{4:02}:{5:02} +0100\r\nMessage-ID: {6}\r\n\
         {references}Content-Type: text/plain\r\n\r\n{7}",
        number.wrapping_mul(7919) % 500,
        thread.wrapping_mul(31) % 10_007,
        1 + number / 86_400 % 28,
        number / 3600 % 24,
        number / 60 % 60,
        number % 60,
        id(answer),
        "A line of text that somebody has written.\r\n".repeat(30)
    )
    .into_bytes()
}

fn fill(store: &Store, count: u32) {
    let (sender, replies) = mpsc::channel();
    let completion = || {
        let sender = sender.clone();
        Box::new(move |reply| sender.send(reply).expect("waits"))
    };
    assert!(store.ensure_user("ann", completion()).is_ok());
    let Ok(Reply::Authenticated(user)) = replies.recv() else {
        panic!("no user")
    };
    let append = |number| Request::Append {
        user,
        name: MailboxName::inbox(),
        flags: Flags::default(),
        date: None,
        body: Body::Inline(Bytes::from(message(number))),
    };
    for number in 0..count {
        assert!(store.write(append(number), completion()).is_ok());
        if number >= 1000 {
            replies.recv().expect("answers");
        }
    }
    (0..count.min(1000)).for_each(|_| drop(replies.recv().expect("answers")));
    let _: UserId = user;
}

/// The whole time, that of the longest piece, and how many there were.
fn arrange(store: &Store, how: &Arrange) -> (Duration, Duration, usize) {
    let mut read = LongRead::new(Request::Arrange {
        mailbox: MailboxId(1),
        program: Program { key: Key::All },
        how: how.clone(),
        since: ModSeq(u64::MAX),
        recent_from: Uid(1),
    });
    let (began, mut longest, mut pieces) = (Instant::now(), Duration::ZERO, 0);
    loop {
        let piece = Instant::now();
        let reply = store.read_piece(&mut read);
        longest = longest.max(piece.elapsed());
        pieces += 1;
        if let Some(reply) = reply {
            assert!(matches!(reply, Reply::Arranged { .. }), "{reply:?}");
            return (began.elapsed(), longest, pieces);
        }
    }
}
