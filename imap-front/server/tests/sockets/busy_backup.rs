//! A backup of many messages while mail comes: both go on, and what is restored is what was there.
//! `ENSIGN_BACKUP_MESSAGES` says how many, `ENSIGN_BACKUP_RATE` how many come a second; figures are
//! printed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mail::{Body, Flags, MailboxName, Request, Uid, UserId};
use store::Store;

use crate::backups::{back_up, open, restore, site, user};
use crate::site::{Server, Site};

/// How long it is measured without a backup.
const QUIET: Duration = Duration::from_secs(10);
/// Who delivers at a time.
const DELIVERERS: u32 = 8;

fn number(variable: &str, otherwise: usize) -> usize {
    let number = std::env::var(variable);
    number.map_or(otherwise, |number| number.parse().unwrap())
}

fn fill(store: &Store, user: UserId, count: usize) {
    let (sender, done) = mpsc::channel();
    for number in 0..count {
        let text = format!("Subject: {number}\r\n\r\n{:1500}\r\n", number);
        let request = Request::Append {
            user,
            name: MailboxName::inbox(),
            flags: Flags::new(number as u8 & 31, []),
            date: None,
            body: Body::Inline(text.into()),
        };
        let sender = sender.clone();
        let told = Box::new(move |reply| drop(sender.send(reply)));
        assert!(store.write(request, told).is_ok());
        // No more wait than the queue holds.
        if number >= 1000 {
            done.recv().unwrap();
        }
    }
    for _ in 0..count.min(1000) {
        done.recv().unwrap();
    }
}

/// Delivers so many messages a second until it is told to end; gives how long each took from when
/// its turn was, so that who waits for another's is counted, too.
fn deliver(server: &Server, rate: usize, ends: &AtomicBool) -> Vec<Duration> {
    let between = Duration::from_secs(1) * DELIVERERS / rate as u32;
    let mut took: Vec<Duration> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..DELIVERERS)
            .map(|number| {
                let first = Instant::now() + between * number / DELIVERERS;
                scope.spawn(move || deliver_alone(server, (first, between), ends))
            })
            .collect();
        let workers = workers.into_iter();
        workers.flat_map(|it| it.join().unwrap()).collect()
    });
    took.sort();
    took
}

fn deliver_alone(
    server: &Server,
    (mut turn, between): (Instant, Duration),
    ends: &AtomicBool,
) -> Vec<Duration> {
    let mut talk = server.lmtp_greeted();
    let mut took = vec![];
    while !ends.load(Ordering::Relaxed) {
        std::thread::sleep(turn.saturating_duration_since(Instant::now()));
        for line in ["MAIL FROM:<>", "RCPT TO:<fred>", "DATA"] {
            talk.say(&format!("{line}\r\n"));
            talk.line();
        }
        talk.say("Subject: new\r\n\r\nx\r\n.\r\n");
        assert!(talk.line().starts_with("250"));
        took.push(turn.elapsed());
        turn += between;
    }
    took
}

/// The same for a while, without anything else.
fn deliver_for(time: Duration, server: &Server, rate: usize) -> Vec<Duration> {
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let quiet = scope.spawn(|| deliver(server, rate, &ends));
        std::thread::sleep(time);
        ends.store(true, Ordering::Relaxed);
        quiet.join().unwrap()
    })
}

fn told(what: &str, took: &[Duration]) {
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1000.0;
    let (count, p50, p99, max) = (took.len(), at(50), at(99), at(100));
    eprintln!("{what}: {count} deliveries, p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms");
}

/// What the INBOX holds up to a UID, without what deliveries bring later.
fn inbox(site: &Site, last: Uid) -> Vec<(Uid, Flags, u64, u64)> {
    let store = open(site, 128);
    let frozen = store.freeze().unwrap();
    let fred = frozen.user("fred").unwrap().unwrap();
    let names = frozen.names(fred).unwrap();
    let inbox = names.iter().find(|it| it.name.is_inbox()).unwrap();
    let id = inbox.mailbox.as_ref().unwrap().id;
    let mut found = vec![];
    for message in frozen.messages(id, Uid(1), usize::MAX).unwrap() {
        if message.uid <= last {
            let mut hash = DefaultHasher::new();
            frozen.bytes(&message, 0).unwrap().hash(&mut hash);
            let flags = message.flags.clone();
            found.push((message.uid, flags, message.body, hash.finish()));
        }
    }
    store.close();
    found
}

#[test]
fn a_backup_is_made_while_mail_comes() {
    let count = number("ENSIGN_BACKUP_MESSAGES", 400);
    let rate = number("ENSIGN_BACKUP_RATE", 150);
    let quiet = if count > 1000 { QUIET } else { QUIET / 30 };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = folder.path().join("backup");
    let file = file.to_str().unwrap();
    let (ours, theirs) = (Site::new(""), site());
    ours.configure();
    let store = open(&ours, 128);
    fill(&store, user(&store, "fred"), count);
    store.close();
    drop(store);
    let server = ours.start();
    told("before", &deliver_for(quiet, &server, rate));
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| deliver(&server, rate, &ends));
        let begun = Instant::now();
        assert_eq!(back_up(&ours, &[file]), Ok(0));
        let took = begun.elapsed();
        ends.store(true, Ordering::Relaxed);
        told("during the backup", &busy.join().unwrap());
        eprintln!("{count} messages in {took:.1?}");
    });
    told("after it", &deliver_for(quiet, &server, rate));
    drop(server);
    let begun = Instant::now();
    let (code, said) = restore(&theirs, &[file]).unwrap();
    assert_eq!(code, 0, "{said}");
    eprintln!("restored in {:.1?}: {said}", begun.elapsed());
    let restored = inbox(&theirs, Uid(u32::MAX));
    assert!(restored.len() >= count, "{}", restored.len());
    let last = restored.last().unwrap().0;
    assert!(restored == inbox(&ours, last), "it is not as it was");
}
