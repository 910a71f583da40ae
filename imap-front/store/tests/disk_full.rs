//! A disk without room: what was confirmed stays, nothing else is there, and when there is room
//! again it goes on. Needs the right to mount a small disk; does nothing without it.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::{Bench, append, body, status};
use mail::reply::Appended;
use mail::request::{FlagChange, StoreMode};
use mail::{Flags, MailboxId, MailboxName, Refusal, Reply, Request, SystemFlag, Uid, UserId};
use store::Options;

const BODY_BYTES: usize = 150_000;

/// A disk in memory, mounted for one test.
struct SmallDisk {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_owned();
        let options = format!("size={size}");
        let mount = ["-t", "tmpfs", "-o", &options, "tmpfs"];
        if !run("mount", &mount, &path) {
            eprintln!("skipped: no right to mount a small disk here");
            return None;
        }
        Some(Self {
            path,
            _folder: folder,
        })
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(run("mount", &["-o", &options], &self.path));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["-l"], &self.path);
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(path)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn options(disk_free_bytes_min: u64) -> Options {
    Options {
        disk_free_bytes_min,
        write_buffer_bytes: 1 << 20,
        ..Options::default()
    }
}

/// Appends until it is refused. Gives what was confirmed, and the refusal.
fn fill(bench: &Bench, user: UserId, next: &mut u64) -> (Vec<(Appended, u64)>, Refusal) {
    let mut confirmed = Vec::new();
    loop {
        *next += 1;
        match bench.ask(append(user, body(*next, BODY_BYTES))) {
            Reply::Appended(appended) => confirmed.push((appended, *next)),
            Reply::Refused(refusal) => return (confirmed, refusal),
            reply => panic!("{reply:?}"),
        }
        assert!(confirmed.len() < 2_000, "the disk never fills");
    }
}

/// The mailbox holds what was confirmed, each once, and nothing else.
fn check(bench: &Bench, user: UserId, confirmed: &[(Appended, u64)]) {
    let open = Request::Open {
        user,
        name: MailboxName::inbox(),
        read_only: true,
    };
    let Reply::Opened(opened) = bench.ask(open) else {
        panic!("not opened")
    };
    let uids: Vec<Uid> = confirmed.iter().map(|(appended, _)| appended.uid).collect();
    assert_eq!(*opened.uids, uids);
    assert_eq!(status(bench, user).messages as usize, confirmed.len());
    for (appended, number) in confirmed {
        let (mailbox, uid) = (appended.mailbox, appended.uid);
        let Reply::Piece(piece) = bench.ask(Request::Read {
            mailbox,
            uid,
            range: 0..1 << 20,
        }) else {
            panic!("message {uid} can't be read")
        };
        assert!(
            piece == body(*number, BODY_BYTES),
            "message {uid} is another"
        );
    }
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount("16m") else {
        return;
    };
    let bench = Bench::open(&disk.path, options(0));
    let user = bench.ensure_user("ann");
    let mut next = 0;
    let (mut confirmed, refusal) = fill(&bench, user, &mut next);
    assert!(
        confirmed.len() > 10,
        "{} messages in 16 MB",
        confirmed.len()
    );
    let is_fault =
        |refusal: &Refusal| matches!(refusal, Refusal::DiskFull | Refusal::Unavailable(_));
    assert!(is_fault(&refusal), "{refusal:?}");
    for _ in 0..3 {
        let (more, refusal) = fill(&bench, user, &mut next);
        assert!(is_fault(&refusal), "{refusal:?}");
        confirmed.extend(more);
    }
    check(&bench, user, &confirmed);
    assert_eq!(
        bench.announced().len(),
        confirmed.len(),
        "only what is durable is announced"
    );

    disk.resize("64m");
    for _ in 0..5 {
        next += 1;
        match bench.ask(append(user, body(next, BODY_BYTES))) {
            Reply::Appended(appended) => confirmed.push((appended, next)),
            reply => panic!("there is room again, but: {reply:?}"),
        }
    }
    check(&bench, user, &confirmed);
    assert_eq!(bench.announced().len(), 5);

    bench.store.close();
    drop(bench);
    let bench = Bench::open(&disk.path, options(0));
    assert_eq!(bench.recovery.loss, None);
    check(&bench, user, &confirmed);
    bench.store.close();
}

/// Many at once: a group is applied over one that is being committed, and fails with it.
#[test]
fn what_was_applied_over_a_commit_that_failed_fails_too() {
    let Some(disk) = SmallDisk::mount("16m") else {
        return;
    };
    let bench = Bench::open(&disk.path, options(0));
    let user = bench.ensure_user("ann");
    let numbers = std::sync::atomic::AtomicU64::new(0);
    let (mut confirmed, mut refused) = (Vec::new(), 0);
    for _ in 0..3 {
        let fill = || {
            let (mut confirmed, mut refused) = (Vec::new(), 0);
            while refused < 5 {
                let number = numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                match bench.ask(append(user, body(number, 20_000))) {
                    Reply::Appended(appended) => confirmed.push((appended, number)),
                    Reply::Refused(_) => refused += 1,
                    reply => panic!("{reply:?}"),
                }
                assert!(confirmed.len() < 20_000, "the disk never fills");
            }
            (confirmed, refused)
        };
        let fill = &fill;
        let filled = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(fill)).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().expect("ends");
            threads.into_iter().map(join).collect::<Vec<_>>()
        });
        for (more, failed) in filled {
            confirmed.extend(more);
            refused += failed;
        }
    }
    assert!(confirmed.len() > 100 && refused >= 240, "{refused}");
    confirmed.sort_by_key(|(appended, _)| appended.uid);
    let check = |bench: &Bench| {
        let open = Request::Open {
            user,
            name: MailboxName::inbox(),
            read_only: true,
        };
        let Reply::Opened(opened) = bench.ask(open) else {
            panic!("not opened")
        };
        let uids: Vec<Uid> = confirmed.iter().map(|(appended, _)| appended.uid).collect();
        assert_eq!(*opened.uids, uids);
        for (appended, number) in &confirmed {
            let (mailbox, uid) = (appended.mailbox, appended.uid);
            let range = 0..1 << 20;
            let Reply::Piece(piece) = bench.ask(Request::Read {
                mailbox,
                uid,
                range,
            }) else {
                panic!("message {uid} can't be read")
            };
            assert!(piece == body(*number, 20_000), "message {uid} is another");
        }
    };
    check(&bench);
    let mut view = Vec::new();
    for event in bench.announced() {
        common::follow(&mut view, &event);
    }
    assert_eq!(view.len(), confirmed.len(), "what is durable is announced");
    bench.store.close();
    drop(bench);
    let bench = Bench::open(&disk.path, options(0));
    assert_eq!(bench.recovery.loss, None);
    check(&bench);
    bench.store.close();
}

#[test]
fn a_margin_is_kept_free_for_what_removes() {
    let Some(disk) = SmallDisk::mount("24m") else {
        return;
    };
    let bench = Bench::open(&disk.path, options(12 << 20));
    let user = bench.ensure_user("ann");
    let (confirmed, refusal) = fill(&bench, user, &mut 0);
    assert_eq!(refusal, Refusal::DiskFull);
    assert!(confirmed.len() > 10);
    let mailbox = confirmed[0].0.mailbox;
    expunge_first(&bench, mailbox, confirmed[0].0.uid);
    check(&bench, user, &confirmed[1..]);
    bench.store.close();
}

fn expunge_first(bench: &Bench, mailbox: MailboxId, uid: Uid) {
    let mut flags = Flags::default();
    flags.insert(SystemFlag::Deleted);
    let since = mail::ModSeq(1);
    let (mode, uids) = (StoreMode::Add, vec![uid]);
    let store = Request::Store {
        mailbox,
        ranges: uids.into_iter().collect(),
        change: FlagChange {
            mode,
            flags,
            unchanged_since: None,
        },
        since,
    };
    assert!(matches!(bench.ask(store), Reply::Stored { .. }));
    let expunge = Request::Expunge {
        mailbox,
        within: None,
        since,
    };
    assert!(matches!(bench.ask(expunge), Reply::Synced(_)));
}

/// A delivery that finds no room is refused as a whole, so that it can be tried again.
#[test]
fn an_upload_on_a_full_disk_is_refused() {
    let Some(disk) = SmallDisk::mount("24m") else {
        return;
    };
    let bench = Bench::open(&disk.path, options(u64::MAX / 4));
    let spool = Request::Spool {
        spool: None,
        chunk: body(1, 100),
    };
    assert!(matches!(
        bench.ask(spool),
        Reply::Refused(Refusal::DiskFull)
    ));
    let target = mail::request::Target {
        user: "ann".into(),
        folder: MailboxName::inbox(),
    };
    let body = mail::Body::Inline(body(1, 100));
    let deliver = Request::Deliver {
        targets: vec![target],
        body,
        submitter: None,
    };
    let Reply::Delivered(results) = bench.ask(deliver) else {
        panic!("not answered")
    };
    assert_eq!(results, [Err(Refusal::DiskFull)]);
    assert_eq!(bench.announced(), Vec::<Arc<mail::Event>>::new());
    bench.store.close();
}
