//! Backups, restored: into an empty base all is as it was, and damage is never restored.

use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use admin::Base;
use bytes::Bytes;
use clap::Parser;
use mail::metadata::{Entry, EntryName};
use mail::request::{CopyHow, FlagChange, StoreMode};
use mail::{
    Body, Flags, InView, InternalDate, MailboxName, Reply, Request, Rights, RightsMode, Uid, UserId,
};
use server::arguments::{imsbackup, imsrestore};
use server::tools::{backup, restore};
use store::{Options, Store};

use crate::site::Site;

/// Runs `imsbackup`; gives its exit code, or what it complains of.
pub fn back_up(site: &Site, words: &[&str]) -> Result<u8, String> {
    let words = ["imsbackup"].iter().chain(words);
    let arguments = imsbackup::Arguments::try_parse_from(words).unwrap();
    let mut out = vec![];
    backup::run(&base(site), &arguments, &mut out).map_err(|error| error.to_string())
}

/// Runs `imsrestore`; gives its exit code and what it says, or what it complains of.
pub fn restore(site: &Site, words: &[&str]) -> Result<(u8, String), String> {
    let words = ["imsrestore"].iter().chain(words);
    let arguments = imsrestore::Arguments::try_parse_from(words).unwrap();
    let mut out = vec![];
    let done = restore::run(&base(site), &arguments, &mut out);
    let code = done.map_err(|error| error.to_string())?;
    Ok((code, String::from_utf8(out).unwrap()))
}

fn base(site: &Site) -> Base {
    Base::new(site.folder.path())
}

/// A base directory in which no server runs.
pub fn site() -> Site {
    let site = Site::bare("");
    site.configure();
    site
}

pub fn open(site: &Site, slice: usize) -> Store {
    let options = Options {
        slice_messages: slice,
        // Keywords come and go.
        keywords_max: 6,
        mark: Some(fastrand::u128(..)),
        ..Options::default()
    };
    Store::open(&base(site).data(), options, Box::new(|_| {}))
        .unwrap()
        .0
}

pub fn ask(store: &Store, request: Request) -> Reply {
    if !request.is_write()
        && let Some(reply) = store.read(&request)
    {
        return reply;
    }
    let (sender, reply) = mpsc::channel();
    let completion = Box::new(move |reply| drop(sender.send(reply)));
    assert!(store.write(request, completion).is_ok());
    reply.recv().unwrap()
}

pub fn user(store: &Store, name: &str) -> UserId {
    let (sender, reply) = mpsc::channel();
    let completion = Box::new(move |reply| drop(sender.send(reply)));
    assert!(store.ensure_user(name, completion).is_ok());
    match reply.recv().unwrap() {
        Reply::Authenticated(user) => user,
        other => panic!("{other:?}"),
    }
}

/// All that clients can see of a store, and mod-sequences.
fn dump(store: &Store) -> String {
    let frozen = store.freeze().unwrap();
    let mut text = String::new();
    let mut users = vec![];
    let mut after = UserId(0);
    while let Some(user) = frozen.user_after(after).unwrap() {
        after = user.user;
        users.push(user);
    }
    users.sort_by(|a, b| a.account.cmp(&b.account));
    writeln!(text, "{:?}", frozen.server_entries(None).unwrap()).unwrap();
    for user in users {
        let limits = frozen.limits(user.user).unwrap();
        let entries = frozen.server_entries(Some(user.user)).unwrap();
        writeln!(text, "{} {limits:?} {entries:?}", user.account).unwrap();
        for name in frozen.names(user.user).unwrap() {
            let is = (name.exists, name.subscribed, name.special_use);
            writeln!(text, " {:?} {is:?}", name.name.as_str()).unwrap();
            let Some(mailbox) = name.mailbox else {
                continue;
            };
            writeln!(
                text,
                "  {} {:?} {:?} {:?} {:?} {} {} {:?}",
                mailbox.object,
                mailbox.uid_validity,
                mailbox.uid_next,
                mailbox.modseq,
                mailbox.keywords,
                mailbox.messages,
                mailbox.bytes,
                mailbox.acl,
            )
            .unwrap();
            let mut entries = frozen.entries(mailbox.id).unwrap();
            // In the store they are in the order of users' numbers.
            entries.sort_by(|a, b| {
                (&a.account, a.entry.name.as_str()).cmp(&(&b.account, b.entry.name.as_str()))
            });
            writeln!(text, "  {entries:?}").unwrap();
            for message in frozen.messages(mailbox.id, Uid(1), usize::MAX).unwrap() {
                let (mut hash, mut at) = (DefaultHasher::new(), 0);
                while at < message.size {
                    let bytes = frozen.bytes(&message, at).unwrap();
                    bytes.hash(&mut hash);
                    at += bytes.len() as u64;
                }
                let hash = hash.finish();
                // Which body an empty or a large message has is not always kept.
                let body = Some(message.body).filter(|_| (1..=256 << 10).contains(&message.size));
                let body = body.unwrap_or(0);
                let shown = store::frozen::FrozenMessage { body, ..message };
                writeln!(text, "   {shown:?} {hash:x}").unwrap();
            }
        }
    }
    text
}

const NAMES: [&str; 7] = ["INBOX", "A", "A/B", "A/B/C", "Entwürfe", "Z", "Z/\"x\\ y"];

fn flags(random: &mut fastrand::Rng) -> Flags {
    let words = ["$Work", "later", "Junk", "x1", "x2", "x3", "x4"];
    let mut flags = Flags::new(random.u8(..) & 31, []);
    for _ in 0..random.usize(..3) {
        flags.insert_keyword(words[random.usize(..words.len())].into());
    }
    flags
}

/// An APPEND of a message that is small, or now and then large.
fn append(user: UserId, name: MailboxName, random: &mut fastrand::Rng) -> Request {
    let size = match random.u8(..12) {
        0 => random.usize(60_000..300_000),
        _ => random.usize(..300),
    };
    let bytes: Vec<u8> = (0..size).map(|_| random.alphanumeric() as u8).collect();
    Request::Append {
        user,
        name,
        flags: flags(random),
        date: Some(InternalDate {
            unix_s: random.i64(-5..2_000_000_000),
            zone_min: random.i16(-720..720),
        }),
        body: Body::Inline(Bytes::from(bytes)),
    }
}

/// Sets metadata of a mailbox or of the server, or limits.
fn set(user: UserId, name: MailboxName, random: &mut fastrand::Rng) -> Request {
    if random.u8(..4) == 0 {
        return Request::SetQuota {
            user,
            whose: ["fred", "mary"][random.usize(..2)].into(),
            limits: mail::QuotaLimits {
                bytes: random.bool().then(|| random.u64(1 << 40..1 << 50)),
                messages: None,
                mailboxes: random.bool().then(|| random.u64(100..1000)),
            },
            is_admin: true,
        };
    }
    let entry = ["/private/comment", "/shared/comment", "/private/vendor/x"][random.usize(..3)];
    Request::SetMetadata {
        user,
        mailbox: (random.u8(..4) > 0).then_some(name),
        entries: vec![Entry {
            name: EntryName::new(entry.as_bytes()).unwrap(),
            value: (random.u8(..4) > 0).then(|| Bytes::from(vec![random.u8(..); 9])),
        }],
        is_admin: true,
    }
}

/// Does something to a store, or has it refused.
fn step(store: &Store, users: &[UserId], random: &mut fastrand::Rng) {
    let user = users[random.usize(..users.len())];
    let mut name = || MailboxName::new(NAMES[random.usize(..NAMES.len())]);
    let (name, to) = (name(), name());
    let opened = || match ask(
        store,
        Request::Open {
            user,
            name: name.clone(),
            read_only: false,
        },
    ) {
        Reply::Opened(opened) => Some(opened),
        _ => None,
    };
    let request = match random.u8(..32) {
        0..=2 => Request::Create {
            user,
            name,
            special_use: None,
        },
        3 => Request::Delete { user, name },
        4 => Request::Rename {
            user,
            from: name,
            to,
        },
        5 => Request::Subscribe {
            user,
            name,
            on: random.bool(),
        },
        6 => Request::SetAcl {
            user,
            name,
            identifier: ["fred", "mary", "anyone", "-anyone"][random.usize(..4)].into(),
            mode: RightsMode::Replace,
            rights: Rights::from_bits(random.u16(..)),
        },
        7..=9 => set(user, name, random),
        10..=18 => append(user, name, random),
        19..=23 => {
            let Some(opened) = opened() else { return };
            let Some(last) = opened.uids.last() else {
                return;
            };
            let mode = [StoreMode::Replace, StoreMode::Add, StoreMode::Remove][random.usize(..3)];
            Request::Store {
                mailbox: opened.mailbox,
                ranges: [(Uid(random.u32(1..=last.0)), *last)].into_iter().collect(),
                change: FlagChange {
                    mode,
                    flags: flags(random),
                    unchanged_since: None,
                },
                since: opened.highest_modseq,
            }
        }
        24..=26 => {
            let Some(opened) = opened() else { return };
            Request::Expunge {
                mailbox: opened.mailbox,
                within: None,
                since: opened.highest_modseq,
            }
        }
        _ => {
            let Some(opened) = opened() else { return };
            let count = opened.uids.len() as u32;
            let Some(last) = opened.uids.last() else {
                return;
            };
            Request::Copy {
                mailbox: opened.mailbox,
                messages: InView {
                    ranges: [(Uid(1), *last)].into_iter().collect(),
                    count,
                    ..InView::default()
                },
                user,
                to,
                how: [CopyHow::Whole, CopyHow::Move][random.usize(..2)],
                since: opened.highest_modseq,
            }
        }
    };
    ask(store, request);
}

/// Does steps to a base that nobody has open, and gives what it holds then.
fn steps(site: &Site, count: usize, random: &mut fastrand::Rng) -> String {
    steps_of(["fred", "mary", "gone#k3"], site, count, random)
}

fn steps_of(names: [&str; 3], site: &Site, count: usize, random: &mut fastrand::Rng) -> String {
    let store = open(site, random.usize(1..6));
    let users = names.map(|name| user(&store, name));
    for _ in 0..count {
        step(&store, &users, random);
    }
    // What has to be settled after a COPY is.
    store.close();
    drop(store);
    let store = open(site, 128);
    let found = dump(&store);
    store.close();
    found
}

fn holds(site: &Site) -> String {
    let store = open(site, 128);
    let found = dump(&store);
    store.close();
    found
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

fn forget_store(site: &Site) {
    fs::remove_dir_all(base(site).data()).unwrap();
    fs::create_dir(base(site).data()).unwrap();
}

#[test]
fn what_was_backed_up_is_what_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let seeds = std::env::var("ENSIGN_BACKUP_SEEDS");
    let seeds = seeds.map_or(4, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        let (ours, theirs) = (site(), site());
        let (mut files, mut since): (Vec<String>, Option<String>) = (vec![], None);
        for number in 0..3 {
            let expected = steps(&ours, 60, &mut random);
            let file = path(folder.path(), &format!("{seed}-{number}"));
            let mut words = vec![&*file];
            if let Some(since) = &since {
                words.extend(["--since", since]);
            }
            if random.bool() {
                words.push("--no-compression");
            }
            assert_eq!(back_up(&ours, &words), Ok(0));
            files.push(file.clone());
            since = Some(file);
            // A backup alone, and one with those that add to it.
            let named: Vec<&str> = files.iter().map(|it| &**it).collect();
            let (code, said) = restore(&theirs, &named).unwrap();
            assert_eq!(code, 0, "{said}");
            assert_eq!(holds(&theirs), expected, "seed {seed}, backup {number}");
            // Once more changes nothing: all is there.
            if number == 2 {
                let (code, said) = restore(&theirs, &named).unwrap();
                assert!(code == 0 && said.contains(" 0 messages restored"), "{said}");
                assert_eq!(holds(&theirs), expected);
            }
            let sound = store::reconstruct::run(&base(&theirs).data(), &Options::default(), false);
            assert_eq!(sound.unwrap().findings, []);
            forget_store(&theirs);
        }
        let whole = path(folder.path(), &format!("{seed}-whole"));
        assert_eq!(back_up(&ours, &[&whole]), Ok(0));
        // What was added to it is of another store once that was restored.
        assert_eq!(restore(&theirs, &[&whole]).unwrap().0, 0);
        let other = path(folder.path(), &format!("{seed}-other"));
        let refused = back_up(&theirs, &[&other, "--since", &whole]).unwrap_err();
        assert!(refused.contains("make a whole one"), "{refused}");
        assert!(!PathBuf::from(other).exists());
    }
}

/// A client that is led to another host knows mailboxes and messages there by the same identifiers.
#[test]
fn what_moves_to_a_store_with_mail_keeps_its_identifiers() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..3 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (ours, theirs) = (site(), site());
        let moving = steps(&ours, 80, &mut random);
        let names = ["ann", "zoe", "other#k3"];
        let there = steps_of(names, &theirs, 80, &mut random);
        let file = path(folder.path(), &seed.to_string());
        assert_eq!(back_up(&ours, &[&file]), Ok(0));
        assert_eq!(restore(&theirs, &[&file]).unwrap().0, 0);
        let check = |found: &str| {
            // The first line is of the server.
            for line in moving
                .lines()
                .chain(there.lines())
                .filter(|line| line.starts_with(' '))
            {
                assert!(found.contains(line), "seed {seed}: no {line} in\n{found}");
            }
        };
        check(&holds(&theirs));
        // What comes there next gets an identifier of that store's.
        let store = open(&theirs, 128);
        let ids = |store: &Store| {
            let mut ids = vec![];
            let frozen = store.freeze().unwrap();
            let mut after = UserId(0);
            while let Some(user) = frozen.user_after(after).unwrap() {
                after = user.user;
                let names = frozen.names(user.user).unwrap();
                ids.extend(
                    names
                        .into_iter()
                        .filter_map(|it| it.mailbox)
                        .map(|it| it.object.0),
                );
            }
            ids
        };
        let before = ids(&store);
        let name = MailboxName::new("What is new");
        let user = user(&store, "fred");
        let reply = ask(
            &store,
            Request::Create {
                user,
                name,
                special_use: None,
            },
        );
        assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
        let new = ids(&store)
            .into_iter()
            .find(|id| !before.contains(id))
            .unwrap();
        let of_theirs = ids(&store)
            .iter()
            .filter(|it| **it >> 40 == new >> 40)
            .count();
        assert!(of_theirs > 1, "{new} is not of the store's own");
        store.close();
    }
}

#[test]
fn a_damaged_backup_restores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (site(), site());
    let mut random = fastrand::Rng::with_seed(7);
    steps(&ours, 60, &mut random);
    let file = path(folder.path(), "backup");
    assert_eq!(back_up(&ours, &[&file]), Ok(0));
    assert!(
        back_up(&ours, &[&file])
            .unwrap_err()
            .contains("File exists")
    );
    let before = holds(&theirs);
    let whole = fs::read(&file).unwrap();
    for number in 0..30 {
        let mut bytes = whole.clone();
        let at = random.usize(..bytes.len());
        match number % 3 {
            0 => bytes[at] ^= 1 << random.u8(..8),
            1 => bytes.truncate(at),
            _ => drop(bytes.splice(at..at, [random.u8(..)])),
        }
        let damaged = path(folder.path(), "damaged");
        fs::write(&damaged, bytes).unwrap();
        let error = restore(&theirs, &[&damaged]).unwrap_err();
        assert!(error.starts_with(&damaged), "{error}");
        let checked = restore(&theirs, &["--verify", &damaged]);
        assert!(checked.is_err(), "{checked:?}");
    }
    assert_eq!(holds(&theirs), before);
    let (code, said) = restore(&theirs, &["-n", &file]).unwrap();
    assert!(code == 0 && said.contains("whole; of all users"), "{said}");
    assert_eq!(holds(&theirs), before, "it is only checked");
}

#[test]
fn a_backup_of_a_running_server_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new("");
    let server = site.start();
    let mut fred = server.select("fred");
    for number in 0..3 {
        let text = format!("Subject: {number}\r\n\r\nx");
        server.deliver(&["fred", "mary"], &text);
    }
    fred.ask("a CREATE Work");
    fred.ask(r"b UID STORE 2 +FLAGS (\Flagged $Work)");
    fred.ask("c UID COPY 1:2 Work");
    let (all, more) = (path(folder.path(), "all"), path(folder.path(), "more"));
    assert_eq!(back_up(&site, &[&all]), Ok(0));
    server.deliver(&["fred"], "Subject: 3\r\n\r\ny");
    fred.ask("d NOOP");
    fred.ask(r"e UID STORE 1 +FLAGS (\Deleted)");
    fred.ask("f EXPUNGE");
    assert_eq!(back_up(&site, &[&more, "--since", &all]), Ok(0));
    let had = fred.ask("g STATUS Work (UIDNEXT UIDVALIDITY MESSAGES)");
    fred.ask("h DELETE Work");
    fred.ask(r"i UID STORE 1:* +FLAGS (\Deleted)");
    fred.ask("j EXPUNGE");
    let (code, said) = restore(&site, &["-u", "fred", &all, &more]).unwrap();
    // What is there gets no UID twice; what is gone is as it was.
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("fred, INBOX: it was there; 3 messages added"),
        "{said}"
    );
    assert!(said.contains("1 mailbox as they were"), "{said}");
    let has = fred.ask("k STATUS Work (UIDNEXT UIDVALIDITY MESSAGES)");
    let figures = |said: &[String]| said.iter().find(|it| it.contains("UIDNEXT")).cloned();
    // Mail may have come since: no UID is given again.
    let raised = |had: String| had.replace("UIDNEXT 3", &format!("UIDNEXT {}", 3 + (1 << 20)));
    assert!(figures(&had).is_some_and(|had| had.contains("UIDNEXT 3")));
    assert_eq!(figures(&has), figures(&had).map(raised));
    assert!(said.contains("go up by 1048576"), "{said}");
    let found = fred.ask("l UID FETCH 1:* (FLAGS)").concat();
    assert!(found.contains("UID 5 "), "{found}");
    assert!(found.contains(r"\Flagged"), "{found}");
    assert!(!found.contains("UID 4 "), "{found}");
    // Again: nothing is missing.
    let (code, said) = restore(&site, &["-u", "fred", &all, &more]).unwrap();
    assert!(code == 0 && said.contains(" 0 messages restored"), "{said}");
    // Into somebody else's mail, one mailbox.
    let words = ["-u", "fred", "-m", "Work", "--to", "mary", &all];
    assert_eq!(restore(&site, &words).unwrap().0, 0);
    let mut mary = server.select("mary");
    let list = mary.ask(r#"m LIST "" *"#).concat();
    assert!(list.contains("Work"), "{list}");
}

#[test]
fn uids_that_clients_may_have_seen_are_not_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (site(), site());
    steps(&ours, 40, &mut fastrand::Rng::with_seed(3));
    let file = path(folder.path(), "backup");
    assert_eq!(back_up(&ours, &[&file, "-u", "fred"]), Ok(0));
    assert_eq!(restore(&theirs, &[&file, "--after-loss"]).unwrap().0, 0);
    let next = |site: &Site| {
        let store = open(site, 128);
        let frozen = store.freeze().unwrap();
        let fred = frozen.user("fred").unwrap().unwrap();
        let names = frozen.names(fred).unwrap();
        let inbox = names.into_iter().find(|it| it.name.is_inbox()).unwrap();
        let inbox = inbox.mailbox.unwrap();
        store.close();
        (inbox.uid_next.0, inbox.modseq.0, inbox.uid_validity)
    };
    let (had, has) = (next(&ours), next(&theirs));
    assert_eq!(has, (had.0 + (1 << 20), had.1 + (1 << 20), had.2));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = entry
            .map(|it| (it.path(), to.join(it.file_name())))
            .unwrap();
        match entry.is_dir() {
            true => copy(&entry, &to),
            false => drop(fs::copy(&entry, &to).unwrap()),
        }
    }
}

/// A disk that was put back is another history: what is added to a backup from before that would
/// be restored over what the store never had.
#[test]
fn nothing_is_added_to_a_backup_of_what_the_store_has_lost() {
    let folder = tempfile::tempdir().unwrap();
    let site = site();
    let mut random = fastrand::Rng::with_seed(11);
    steps(&site, 30, &mut random);
    let [all, more, other] = ["all", "more", "other"].map(|name| path(folder.path(), name));
    assert_eq!(back_up(&site, &[&all]), Ok(0));
    let snapshot = folder.path().join("snapshot");
    copy(&base(&site).data(), &snapshot);
    steps(&site, 30, &mut random);
    assert_eq!(back_up(&site, &[&more, "--since", &all]), Ok(0));
    forget_store(&site);
    copy(&snapshot, &base(&site).data());
    // It goes on beyond the commit of that backup.
    steps(&site, 120, &mut random);
    let refused = back_up(&site, &[&other, "--since", &more]).unwrap_err();
    assert!(refused.contains("went back"), "{refused}");
    // The one that it has is as good as ever.
    assert_eq!(back_up(&site, &[&other, "--since", &all]), Ok(0));
}
