//! A backup of many messages while mail comes: both go on, and what is restored is what was there.
//! `ENSIGN_BACKUP_MESSAGES` says how many; figures are printed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mail::{Body, Flags, MailboxName, Request, Uid, UserId};
use store::Store;

use crate::backups::{back_up, open, restore, site, user};
use crate::site::{Server, Site};

/// How long it is measured without a backup.
const QUIET: Duration = Duration::from_secs(3);

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

/// Delivers one message after the other until it is told to end; gives how long each took.
fn deliver(server: &Server, ends: &AtomicBool) -> Vec<Duration> {
    let mut talk = server.lmtp_greeted();
    let mut took = vec![];
    while !ends.load(Ordering::Relaxed) {
        let begun = Instant::now();
        for line in ["MAIL FROM:<>", "RCPT TO:<fred>", "DATA"] {
            talk.say(&format!("{line}\r\n"));
            talk.line();
        }
        talk.say("Subject: new\r\n\r\nx\r\n.\r\n");
        assert!(talk.line().starts_with("250"));
        took.push(begun.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    took.sort();
    took
}

fn told(what: &str, took: &[Duration]) {
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1000.0;
    let (count, p50, p99, max) = (took.len(), at(50), at(99), at(100));
    eprintln!("{what}: {count} deliveries, p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms");
}

/// What the INBOX holds up to a UID, without what deliveries bring later.
fn inbox(site: &Site, last: Uid) -> Vec<(Uid, Flags, u64, Vec<u8>)> {
    let store = open(site, 128);
    let frozen = store.freeze().unwrap();
    let fred = frozen.user("fred").unwrap().unwrap();
    let names = frozen.names(fred).unwrap();
    let inbox = names.iter().find(|it| it.name.is_inbox()).unwrap();
    let id = inbox.mailbox.as_ref().unwrap().id;
    let mut found = vec![];
    for message in frozen.messages(id, Uid(1), usize::MAX).unwrap() {
        if message.uid <= last {
            let bytes = frozen.bytes(&message, 0).unwrap();
            found.push((
                message.uid,
                message.flags.clone(),
                message.body,
                bytes.to_vec(),
            ));
        }
    }
    store.close();
    found
}

#[test]
fn a_backup_is_made_while_mail_comes() {
    let count = std::env::var("ENSIGN_BACKUP_MESSAGES");
    let count = count.map_or(400, |count| count.parse().unwrap());
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
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let quiet = scope.spawn(|| deliver(&server, &ends));
        std::thread::sleep(if count > 1000 { QUIET } else { QUIET / 10 });
        ends.store(true, Ordering::Relaxed);
        told("without a backup", &quiet.join().unwrap());
        ends.store(false, Ordering::Relaxed);
        let busy = scope.spawn(|| deliver(&server, &ends));
        let begun = Instant::now();
        assert_eq!(back_up(&ours, &[file]), Ok(0));
        let took = begun.elapsed();
        ends.store(true, Ordering::Relaxed);
        told("with one", &busy.join().unwrap());
        eprintln!("{count} messages in {took:.1?}");
    });
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
